"""The autoregressive WaveNet: its density in one pass, its samples one after another."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pushforward.audio.models.conditionals import shifted_and_scaled
from pushforward.audio.models.heads import Head
from pushforward.audio.models.sequences import Sampler, SequenceDensity
from pushforward.kernels.wavenet import CompiledState
from pushforward.networks.wavenet import WaveNet


class AutoregressiveWaveNet(SequenceDensity):
    """A density of sequences of any length, sample by sample: log p(x) = Σ_t log p(x[t] | x[before t], context).

    The network sees x / scale, and x[t] / scale follows the head's distribution of its parameters. With a new network,
    whose last layer is zero, x[t] has mean 0 and standard deviation `scale` whatever came before.

    Arguments:
        network: With as many outputs as the head has parameters.
        head: `GaussianHead()` or `LogisticMixtureHead(components)`.
        scale: The standard deviation of the data; default 1.
        length: Default length of a draw; default 8000 samples.
        config: The named architecture and its options, set by `pushforward.wavenet`.

    Raises:
        ValueError: Network and head do not fit; see also `SequenceDensity`.

    Cost: `log_prob` and `conditionals` 1 pass; `sample` and `stream` T steps, which together are the arithmetic of 1
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

    def __init__(
        self, network: WaveNet, head: Head, scale: float = 1.0, length: int = 8000, config: dict[str, Any] | None = None
    ):
        super().__init__([network], scale, length, config)
        if network.parameter_count != head.parameter_count:
            raise ValueError(f"{head} needs {head.parameter_count} outputs, the network has {network.parameter_count}.")
        self.network = network
        self.head = head

    @property
    def normal_conditionals(self) -> bool:
        """Whether the head is Gaussian."""
        return self.head.normal

    def wavenets(self) -> list[WaveNet]:
        """Return the network."""
        return [self.network]

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x | context), (*batch), from the `conditionals` of all samples; as for `SequenceDensity`."""
        return self.conditionals(x, context).log_prob(x).sum(-1)

    def scored_log_prob(self, x: Tensor, scored: Tensor, context: Tensor | None = None) -> Tensor:
        """Return Σ_t scored[t] log p(x[t] | x[before t], context), (rows,); as for `SequenceDensity`."""
        return (self.conditionals(x, context).log_prob(x) * scored).sum(-1)

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """Return the distributions of all x[t] given x[before t], of batch shape (*batch, T); as for `log_prob`.

        They are a `torch.distributions.Normal`, or a `MixtureSameFamily` of `Logistic` components.
        """
        rows, row_context, batch = self._as_rows(x, context)
        location, scale, features = self._standardized(rows)
        parameters = self.network(features, row_context)
        distribution = self.head.distribution(parameters.reshape(*batch, *parameters.shape[1:]))
        location, scale = (value.expand_as(rows).reshape(*batch, rows.shape[-1]) for value in (location, scale))
        return shifted_and_scaled(distribution, location, scale)

    @torch.no_grad()
    def from_noise(self, noise: Tensor, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Compute the sequences of given noise.

        Arguments:
            noise: (*batch, T, noise_count of the head), from `head.noise`.
            context: As for `sample`.
            temperature: As for `sample`.

        Returns:
            x, (*batch, T), without gradients.
        """
        first, row_context, batch = self._as_rows(noise[..., 0], context)
        noise = noise.expand(*batch, *noise.shape[-2:]).reshape(*first.shape, noise.shape[-1])
        x = self._sampler(len(first))(noise, row_context, temperature)
        return x.reshape(*batch, x.shape[-1])

    @torch.no_grad()
    def round_trip_error(self, samples: int, context: Tensor | None = None) -> float:
        """Return the largest difference between noise and the noise recovered, in one pass, from a draw.

        The noise of a mixture of logistics is not unique. There the draw, made sample by sample, is compared with the
        one that its noise gives with the parameters of one pass over it, in units of its scale.
        """
        noise = self.head.noise(self.reference.new_zeros(1, samples))
        x = self.from_noise(noise, context)
        if noise.shape[-1] == 1:
            conditionals: Any = self.conditionals(x, context)
            return float(((x - conditionals.loc) / conditionals.scale - noise[..., 0]).abs().max())
        location, scale, features = self._standardized(x)
        again = location + scale * self.head.draw(self.network(features, context), noise)
        return float(((again - x) / scale).abs().max())

    def _standardized(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return location and scale, which broadcast against rows (batch, T), and the features that the network sees.

        The head's distribution is that of (x - location) / scale.
        """
        return self.reference, self.reference + self.scale, rows / self.scale

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        return self.head.noise(self.reference.new_empty(tuple(shape)), generator)

    def _sampler(self, rows: int) -> Sampler:
        compiled = self.network.compiled(rows)
        if compiled is not None:
            return self._compiled_sampler(compiled)
        state = self.network.initial_state(rows)
        last = self.reference.new_zeros(rows)

        def sampler(noise: Tensor, context: Tensor | None, temperature: float) -> Tensor:
            nonlocal last
            self.network.check_context(context, state.time + noise.shape[1])
            samples = []
            for sample_noise in noise.unbind(1):
                last = self.head.draw(state.step(last, context), sample_noise, temperature)
                samples.append(last)
            return (torch.stack(samples, 1) if samples else noise[..., 0]) * self.scale

        return sampler

    def _compiled_sampler(self, state: CompiledState) -> Sampler:
        def sampler(noise: Tensor, context: Tensor | None, temperature: float) -> Tensor:
            self.network.check_context(context, state.time + noise.shape[1])
            return state.loop(noise, context, self.head.compiled, temperature)[0] * self.scale

        return sampler
