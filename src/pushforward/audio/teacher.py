"""The autoregressive WaveNet: its density in one pass, its samples one after the other."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MixtureSameFamily, Normal

from pushforward.audio.batches import as_rows, shape_of_draws
from pushforward.audio.heads import Head
from pushforward.audio.logistic import Logistic
from pushforward.audio.streams import BLOCK, block_sizes, in_chunks
from pushforward.kernels.wavenet import CompiledState, has_kernel
from pushforward.networks.wavenet import WaveNet


class AutoregressiveWaveNet(nn.Module):
    """A density of sequences of any length, sample by sample: log p(x) = Σ_t log p(x[t] | x[before t], context).

    The network sees x / scale, and x[t] / scale follows the head's distribution of its parameters: with a fresh network
    of zero last layer, x[t] has mean 0 and standard deviation `scale`, whatever came before.

    Arguments:
        network: with as many outputs as the head has parameters.
        head: `GaussianHead()` or `LogisticMixtureHead(components)`.
        scale: the standard deviation of the data, default 1.
        length: samples of a draw that is not told its length, default 8000.
        config: how to build this again, set by `pushforward.wavenet`.

    Attributes:
        autoregressive_order: "time".

    Raises:
        ValueError: network and head do not fit, scale or length is not positive; in every method, a shape that does not
            fit, a context missing, or given to an unconditional network.

    Cost: `log_prob` and `conditionals` 1 pass; `sample` and `stream` T steps, which are together the arithmetic of 1
    pass.

    Source: van den Oord et al. 2016, WaveNet, arXiv:1609.03499; 2017, Parallel WaveNet, arXiv:1711.10433; the Gaussian
    head: Ping, Peng and Chen 2018, ClariNet, arXiv:1807.07281.

    Example:
        >>> import pushforward as pf
        >>> teacher = pf.wavenet(layers=4, stacks=1, scale=0.1)
        >>> x = teacher.sample((2,), length=50)
        >>> x.shape, teacher.log_prob(x).shape
        (torch.Size([2, 50]), torch.Size([2]))
        >>> teacher.conditionals(x)
        Normal(loc: torch.Size([2, 50]), scale: torch.Size([2, 50]))
    """

    autoregressive_order = "time"

    def __init__(
        self, network: WaveNet, head: Head, scale: float = 1.0, length: int = 8000, config: dict[str, Any] | None = None
    ):
        super().__init__()
        if network.parameter_count != head.parameter_count:
            raise ValueError(f"{head} needs {head.parameter_count} outputs, the network has {network.parameter_count}.")
        if not 0 < scale < float("inf") or length < 1:
            raise ValueError(f"scale and length must be positive, got {scale} and {length}.")
        self.network = network
        self.head = head
        self.scale = scale
        self.length = length
        self.config = config
        self.register_buffer("reference", torch.zeros(()), persistent=False)

    reference: Tensor

    @property
    def context_features(self) -> int:
        """C, the length of a context or of each of its frames, 0 for an unconditional density."""
        return self.network.context_features

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of sequences, from their first sample on.

        Arguments:
            x: (*batch, T).
            context: (*batch, C), or with a hop (*batch, frames, C), broadcast against the batch of x.

        Returns:
            log p(x | context) in nats, (*batch); divide by T for nats per sample.
        """
        return self.conditionals(x, context).log_prob(x).sum(-1)

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """The distributions of all x[t] given x[before t], of batch shape (*batch, T); arguments as for `log_prob`.

        A `torch.distributions.Normal`, or a `MixtureSameFamily` of `Logistic` components.
        """
        rows, row_context, batch = as_rows(self.network, x, context)
        parameters = self.network(rows / self.scale, row_context)
        return _scaled(self.head.distribution(parameters.reshape(*batch, *parameters.shape[1:])), self.scale)

    @torch.no_grad()
    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        context: Tensor | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw sequences sample by sample, each layer's past in a ring: exactly the density that `log_prob` gives.

        Arguments:
            shape: how many draws; with a context, how many for each of its rows.
            context: (*batch, C), or with a hop (*batch, frames, C).
            length: T; default as long as the context's frames last, or `length` of the model.
            temperature: factor on the scale of each sample's noise, default 1; any other draws from another density.
            generator: of the random numbers, default torch's own.

        Returns:
            x, (*shape, *batch, T), without gradients.
        """
        *batch, length = shape_of_draws(self.network, shape, context, length, self.length)
        blocks = list(self._blocks(batch, context, length, temperature, generator))
        return torch.cat(blocks, -1) if blocks else self.reference.new_empty(*batch, 0)

    def stream(
        self,
        shape: int | tuple[int, ...] = (),
        context: Tensor | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        chunk: int = BLOCK,
    ) -> Iterator[Tensor]:
        """Draw sequences in chunks, as they are made; together, the sequences that `sample` draws from the same seed.

        Arguments:
            shape: as for `sample`.
            context: as for `sample`.
            length: T; default as long as the context's frames last, and without frames for ever.
            temperature: as for `sample`.
            generator: as for `sample`.
            chunk: samples of each chunk but the last, default 1024, which is how many are made at a time.

        Yields:
            (*shape, *batch, chunk) samples, without gradients.
        """
        *batch, whole = shape_of_draws(self.network, shape, context, length, 0)
        endless = length is None and self.network.hop is None
        return in_chunks(self._blocks(batch, context, None if endless else whole, temperature, generator), chunk)

    @torch.no_grad()
    def from_noise(self, noise: Tensor, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """The sequences that given noise makes.

        Arguments:
            noise: (*batch, T, noise_count of the head), from `head.noise`.
            context: as for `sample`.
            temperature: as for `sample`.

        Returns:
            x, (*batch, T), without gradients.
        """
        first, rows, batch = as_rows(self.network, noise[..., 0], context)
        noise = noise.expand(*batch, *noise.shape[-2:]).reshape(*first.shape, noise.shape[-1])
        x, _, _ = self._continue(noise, *self._start(len(first)), rows, temperature)
        return x.reshape(*batch, x.shape[-1])

    @torch.no_grad()
    def _blocks(
        self,
        batch: Sequence[int],
        context: Tensor | None,
        length: int | None,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Iterator[Tensor]:
        """The blocks of a draw, each (*batch, samples)."""
        nothing, rows, _ = as_rows(self.network, self.reference.new_empty(*batch, 0), context)
        last, state = self._start(len(nothing))
        for size in block_sizes(length):
            noise = self.head.noise(nothing.new_empty(len(nothing), size), generator)
            x, last, state = self._continue(noise, last, state, rows, temperature)
            yield x.reshape(*batch, size)

    def _start(self, rows: int) -> tuple[Tensor, Any]:
        compiled = CompiledState(self.network, rows) if has_kernel(self.network) else None
        return self.reference.new_zeros(rows), compiled or self.network.initial_state(rows)

    def _continue(
        self, noise: Tensor, last: Tensor, state: Any, context: Tensor | None, temperature: float
    ) -> tuple[Tensor, Tensor, Any]:
        """The next samples, (rows, T), the last of them in units of the network, and the state after them."""
        self.network.check_context(context, state.time + noise.shape[1])
        if isinstance(state, CompiledState):
            x, _ = state.loop(noise, context, self.head.compiled, temperature)
            return x * self.scale, last, state
        samples = []
        for now in noise.unbind(1):
            parameters, state = self.network.step(last, state, self.network.context_at(context, state.time))
            last = self.head.draw(parameters, now, temperature)
            samples.append(last)
        x = torch.stack(samples, 1) if samples else noise[..., 0]
        return x * self.scale, last, state


def _scaled(distribution: Distribution, scale: float) -> Distribution:
    """The distribution of `scale` times a value of it."""
    if isinstance(distribution, Normal | Logistic):
        return type(distribution)(distribution.loc * scale, distribution.scale * scale, validate_args=False)
    if isinstance(distribution, MixtureSameFamily):
        components = _scaled(distribution.component_distribution, scale)
        return MixtureSameFamily(distribution.mixture_distribution, components, validate_args=False)
    raise TypeError(f"{type(distribution).__name__} has no location and scale.")
