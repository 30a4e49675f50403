"""Heads: the distribution of a sample given those before it, from the parameters that a WaveNet computes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

from pushforward.audio.models.logistic import Logistic
from pushforward.bijections.univariate.base import soft_bound
from pushforward.distributions import logistic_noise
from pushforward.kernels.wavenet import HeadShape

# Log-scales stay within ±LOG_SCALE_BOUND, scales between 2e-9 and 5e8: far more than sound needs (a 16-bit step is
# e^-10.4), and little enough for squares in float32.
LOG_SCALE_BOUND = 20.0
# The components of a mixture start at equal distances within ±REACH, all with this scale. Their mixture has a standard
# deviation of 1, and no two components have the same gradient.
REACH = 1.0
SCALE = 0.45


@dataclass(frozen=True)
class GaussianHead:
    """Normal(shift, exp(log_scale)), log_scale bounded smoothly by `soft_bound`, so that its gradient never vanishes.

    Attributes:
        parameter_count: 2, shift and log-scale.
        noise_count: 1, a standard normal number.
        normal: True.
        compiled: The head in the form that the compiled kernel takes.
    """

    parameter_count = 2
    noise_count = 1
    normal = True
    compiled = HeadShape(0, LOG_SCALE_BOUND)

    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the distributions, (...), of parameters, (..., 2)."""
        shift, log_scale = parameters.unbind(-1)
        return Normal(shift, soft_bound(log_scale, LOG_SCALE_BOUND).exp(), validate_args=False)

    def noise(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the noise, (..., 1), of samples of the shape of `like`."""
        return torch.empty_like(like).normal_(generator=generator)[..., None]

    def draw(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Compute a draw from each distribution; `temperature` multiplies the scale of the noise."""
        shift, log_scale = parameters.unbind(-1)
        return torch.addcmul(shift, soft_bound(log_scale, LOG_SCALE_BOUND).exp() * temperature, noise[..., 0])


@dataclass(frozen=True)
class LogisticMixtureHead:
    """Σ_k π_k Logistic(μ_k, s_k): a continuous density, where the WaveNet papers take the probability of a 16-bit step.

    The parameters are K logits of π, K displacements of μ from their starting points, and K log-scales. At 0 the
    mixture has mean 0 and standard deviation 1.

    Arguments:
        components: K; default 10.

    Attributes:
        parameter_count: 3 K.
        noise_count: 2, a uniform number that selects the component and a standard logistic number.
        normal: False.

    Source: Salimans, Karpathy, Chen and Kingma 2017, PixelCNN++, arXiv:1701.05517.
    """

    components: int = 10
    noise_count = 2
    normal = False

    def __post_init__(self) -> None:
        """Check the number of components."""
        if self.components < 1:
            raise ValueError(f"A mixture needs at least one component, got {self.components}.")

    @property
    def parameter_count(self) -> int:
        """3 K: weights, centers and scales."""
        return 3 * self.components

    @property
    def compiled(self) -> HeadShape:
        """The head in the form that the compiled kernel takes."""
        return HeadShape(2, LOG_SCALE_BOUND, self.components, REACH, SCALE)

    @property
    def starts(self) -> list[float]:
        """The starting points of the centers."""
        return [REACH * ((2 * k + 1) / self.components - 1) for k in range(self.components)]

    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the distributions, (...), of parameters, (..., 3 K)."""
        logits, centers, scales = self._split(parameters)
        components = Logistic(centers, scales, validate_args=False)
        return MixtureSameFamily(Categorical(logits=logits, validate_args=False), components, validate_args=False)

    def noise(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the noise, (..., 2), of samples of the shape of `like`."""
        selector = torch.empty_like(like).uniform_(generator=generator)
        return torch.stack([selector, logistic_noise(like, generator)], -1)

    def draw(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Compute a draw from each distribution; `temperature` multiplies the scale within each component."""
        logits, centers, scales = self._split(parameters)
        selector, value = noise.unbind(-1)
        passed = logits.softmax(-1).cumsum(-1) <= selector[..., None]
        chosen = passed[..., :-1].sum(-1, keepdim=True)
        return (centers.gather(-1, chosen) + temperature * scales.gather(-1, chosen) * value[..., None])[..., 0]

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, displacements, log_scales = parameters.split(self.components, -1)
        scales = (soft_bound(log_scales, LOG_SCALE_BOUND) + math.log(SCALE)).exp()
        return logits, displacements + displacements.new_tensor(self.starts), scales


Head = GaussianHead | LogisticMixtureHead
HEADS = ("gaussian", "logistic_mixture")


def make_head(name: str, components: int = 10) -> Head:
    """Return the head of a name in `HEADS`; `components` counts those of a mixture."""
    return GaussianHead() if name == "gaussian" else LogisticMixtureHead(components)
