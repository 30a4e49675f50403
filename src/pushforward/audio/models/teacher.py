"""The autoregressive WaveNet: its density in one pass, its samples one after the other."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pushforward.audio.models.conditionals import moved
from pushforward.audio.models.heads import Head
from pushforward.audio.models.sequences import SequenceDensity
from pushforward.kernels.wavenet import CompiledState
from pushforward.networks.wavenet import WaveNet


class AutoregressiveWaveNet(SequenceDensity):
    """A density of sequences of any length, sample by sample: log p(x) = Σ_t log p(x[t] | x[before t], context).

    The network sees x / scale, and x[t] / scale follows the head's distribution of its parameters: with a fresh network
    of zero last layer, x[t] has mean 0 and standard deviation `scale`, whatever came before.

    Arguments:
        network: with as many outputs as the head has parameters.
        head: `GaussianHead()` or `LogisticMixtureHead(components)`.
        scale: the standard deviation of the data, default 1.
        length: samples of a draw that is not told its length, default 8000.
        config: how to build this again, set by `pushforward.wavenet`.

    Raises:
        ValueError: network and head do not fit; see also `SequenceDensity`.

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

    def __init__(
        self, network: WaveNet, head: Head, scale: float = 1.0, length: int = 8000, config: dict[str, Any] | None = None
    ):
        super().__init__([network], scale, length, config)
        if network.parameter_count != head.parameter_count:
            raise ValueError(f"{head} needs {head.parameter_count} outputs, the network has {network.parameter_count}.")
        self.network = network
        self.head = head

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x | context), (*batch), by the `conditionals` of all samples; as for `SequenceDensity`."""
        return self.conditionals(x, context).log_prob(x).sum(-1)

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """The distributions of all x[t] given x[before t], of batch shape (*batch, T); arguments as for `log_prob`.

        A `torch.distributions.Normal`, or a `MixtureSameFamily` of `Logistic` components.
        """
        rows, row_context, batch = self._as_rows(x, context)
        parameters = self.network(rows / self.scale, row_context)
        law = self.head.distribution(parameters.reshape(*batch, *parameters.shape[1:]))
        return moved(law, self.reference, self.reference + self.scale)

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
        first, row_context, batch = self._as_rows(noise[..., 0], context)
        noise = noise.expand(*batch, *noise.shape[-2:]).reshape(*first.shape, noise.shape[-1])
        x, _ = self._continue(noise, self._start(len(first)), row_context, temperature)
        return x.reshape(*batch, x.shape[-1])

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        return self.head.noise(self.reference.new_empty(tuple(shape)), generator)

    def _start(self, rows: int) -> tuple[Tensor, Any]:
        """The last samples, in units of the network, and what it remembers of those before them."""
        return self.reference.new_zeros(rows), self.network.compiled(rows) or self.network.initial_state(rows)

    def _continue(
        self, noise: Tensor, state: tuple[Tensor, Any], context: Tensor | None, temperature: float
    ) -> tuple[Tensor, tuple[Tensor, Any]]:
        last, heard = state
        self.network.check_context(context, heard.time + noise.shape[1])
        if isinstance(heard, CompiledState):
            x, _ = heard.loop(noise, context, self.head.compiled, temperature)
            return x * self.scale, state
        samples = []
        for now in noise.unbind(1):
            parameters, heard = self.network.step(last, heard, self.network.context_at(context, heard.time))
            last = self.head.draw(parameters, now, temperature)
            samples.append(last)
        x = torch.stack(samples, 1) if samples else noise[..., 0]
        return x * self.scale, (last, heard)
