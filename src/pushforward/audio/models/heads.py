"""Heads: what a WaveNet's parameters mean, as the distribution of one sample given those before it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

from pushforward.audio.models.logistic import Logistic
from pushforward.bijections.univariate.base import soft_bound
from pushforward.distributions import logistic_noise
from pushforward.kernels.wavenet import HeadShape

# No log-scale goes beyond ±LOG_SCALE_BOUND: a scale of 2e-9 .. 5e8. Far wider than sound asks for (a step of 16 bits is
# e^-10.4), and narrow enough for the squares of float32.
LOG_SCALE_BOUND = 20.0
# Where the components of a mixture start: at equal distances within ±REACH, all of this scale. Their mixture has a
# standard deviation of 1, while no two components see the same gradient.
REACH = 1.0
SCALE = 0.45


@dataclass(frozen=True)
class GaussianHead:
    """Normal(shift, exp(log_scale)), log_scale under `soft_bound`: no clamp, every gradient stays alive.

    Attributes:
        parameter_count: 2, shift and log-scale.
        noise_count: 1, a standard normal number.
        compiled: the head as the compiled kernel takes it.
    """

    parameter_count = 2
    noise_count = 1
    compiled = HeadShape(0, LOG_SCALE_BOUND)

    def distribution(self, parameters: Tensor) -> Distribution:
        """The distributions, (...), of parameters, (..., 2)."""
        shift, log_scale = parameters.unbind(-1)
        return Normal(shift, soft_bound(log_scale, LOG_SCALE_BOUND).exp(), validate_args=False)

    def noise(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `draw` needs, (..., 1), for samples of the shape of `like`."""
        return torch.empty_like(like).normal_(generator=generator)[..., None]

    def draw(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """A value of each distribution from its noise, whose scale is multiplied by `temperature`."""
        shift, log_scale = parameters.unbind(-1)
        return torch.addcmul(shift, soft_bound(log_scale, LOG_SCALE_BOUND).exp() * temperature, noise[..., 0])


@dataclass(frozen=True)
class LogisticMixtureHead:
    """Σ_k π_k Logistic(μ_k, s_k): a continuous density, where the WaveNet papers take the mass of each 16-bit step.

    Parameters are K logits of π, K displacements of μ from where they start, and K log-scales. At 0 the mixture has
    mean 0 and standard deviation 1.

    Arguments:
        components: K, default 10.

    Attributes:
        parameter_count: 3 K.
        noise_count: 2, a uniform number that chooses the component and a standard logistic one.

    Source: Salimans, Karpathy, Chen and Kingma 2017, PixelCNN++, arXiv:1701.05517.
    """

    components: int = 10
    noise_count = 2

    def __post_init__(self) -> None:
        """Refuse what makes no mixture."""
        if self.components < 1:
            raise ValueError(f"A mixture needs at least one component, got {self.components}.")

    @property
    def parameter_count(self) -> int:
        """Weights, centres and scales."""
        return 3 * self.components

    @property
    def compiled(self) -> HeadShape:
        """The head as the compiled kernel takes it."""
        return HeadShape(2, LOG_SCALE_BOUND, self.components, REACH, SCALE)

    @property
    def starts(self) -> list[float]:
        """Where the centres start."""
        return [REACH * ((2 * k + 1) / self.components - 1) for k in range(self.components)]

    def distribution(self, parameters: Tensor) -> Distribution:
        """The distributions, (...), of parameters, (..., 3 K)."""
        logits, centres, scales = self._split(parameters)
        components = Logistic(centres, scales, validate_args=False)
        return MixtureSameFamily(Categorical(logits=logits, validate_args=False), components, validate_args=False)

    def noise(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `draw` needs, (..., 2), for samples of the shape of `like`."""
        chooser = torch.empty_like(like).uniform_(generator=generator)
        return torch.stack([chooser, logistic_noise(like, generator)], -1)

    def draw(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """A value of each distribution from its noise; `temperature` multiplies the scale within each component."""
        logits, centres, scales = self._split(parameters)
        chooser, value = noise.unbind(-1)
        passed = logits.softmax(-1).cumsum(-1) <= chooser[..., None]
        chosen = passed[..., :-1].sum(-1, keepdim=True)
        return (centres.gather(-1, chosen) + temperature * scales.gather(-1, chosen) * value[..., None])[..., 0]

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, displacements, log_scales = parameters.split(self.components, -1)
        scales = (soft_bound(log_scales, LOG_SCALE_BOUND) + math.log(SCALE)).exp()
        return logits, displacements + displacements.new_tensor(self.starts), scales


Head = GaussianHead | LogisticMixtureHead
HEADS = ("gaussian", "logistic_mixture")


def head_of(name: str, components: int = 10) -> Head:
    """The head of a name out of `HEADS`; `components` is the mixture's."""
    return GaussianHead() if name == "gaussian" else LogisticMixtureHead(components)
