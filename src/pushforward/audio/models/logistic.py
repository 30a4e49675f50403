"""The logistic distribution, which torch does not have."""

import math

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

from pushforward.distributions import logistic_noise


class Logistic(Distribution):
    """The logistic distribution, p(x) = σ(u) σ(-u) / scale with u = (x - loc) / scale.

    Its log-density is computed from log σ: in the tails it falls like -|u|, and its gradient tends to ±1 / scale.

    Arguments:
        loc: Mean and median.
        scale: Positive, broadcast against loc; the standard deviation is scale · π / √3.

    Example:
        >>> Logistic(torch.tensor(0.0), torch.tensor(1.0)).log_prob(torch.tensor([0.0, -1e4]))
        tensor([-1.3863e+00, -1.0000e+04])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (torch's own declaration)
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None):
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The location."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale² π² / 3."""
        return self.scale.square() * (math.pi**2 / 3)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        u = (value - self.loc) / self.scale
        return logsigmoid(u) + logsigmoid(-u) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of a smaller value."""
        return torch.sigmoid((value - self.loc) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of a probability."""
        return self.loc + self.scale * torch.logit(value)

    def entropy(self) -> Tensor:
        """Return log scale + 2, in nats."""
        return self.scale.log() + 2

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Draw values, differentiable in location and scale."""
        shape = self._extended_shape(Size(sample_shape))
        return self.loc + self.scale * logistic_noise(self.loc.new_empty(shape))

    def expand(self, batch_shape: Size | list[int] | tuple[int, ...], _instance: object = None) -> "Logistic":
        """Return the same distribution with a larger batch shape."""
        return Logistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), validate_args=False)
