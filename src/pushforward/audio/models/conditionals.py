"""Conditional distributions of samples: the base mapped by univariate maps, shifted and scaled."""

import math
from collections.abc import Sequence

import torch
from torch import Size, Tensor
from torch.distributions import (
    AffineTransform,
    Distribution,
    MixtureSameFamily,
    Normal,
    TransformedDistribution,
    constraints,
)

from pushforward.audio.models.logistic import Logistic
from pushforward.bijections.univariate.base import Univariate


class MappedDistribution(Distribution):
    """The distribution of x = scale · univariate(... univariate(z; parameters[0]) ...; parameters[-1]), z of the base.

    Arguments:
        base: Of any batch shape.
        univariate: The family of maps.
        parameters: Of each map, (*batch, P), in the order from z to x.
        scale: Positive.
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own declaration)
    support = constraints.real
    has_rsample = True

    def __init__(self, base: Distribution, univariate: Univariate, parameters: Sequence[Tensor], scale: float = 1.0):
        self.base = base
        self.univariate = univariate
        self.parameters = parameters
        self.scale = scale
        super().__init__(base.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        value, total = value / self.scale, torch.full_like(value, -math.log(self.scale))
        for parameters in reversed(self.parameters):
            value, log_derivative = self.univariate.inverse(value, parameters)
            total = total + log_derivative
        return self.base.log_prob(value) + total

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Draw values, differentiable in the parameters."""
        value = self.base.rsample(Size(sample_shape))
        for parameters in self.parameters:
            value, _ = self.univariate.forward(value, parameters)
        return self.scale * value


def shifted_and_scaled(distribution: Distribution, location: Tensor, scale: Tensor) -> Distribution:
    """Return the distribution of location + scale · y, with y from a distribution.

    A normal, a logistic, and a mixture of them stay of their kind.

    Arguments:
        distribution: Of y, with any batch shape.
        location: Broadcasts to that shape.
        scale: Positive; broadcasts to that shape.

    Example:
        >>> from torch.distributions import Normal
        >>> shifted_and_scaled(Normal(torch.zeros(2), 1.0), torch.tensor(3.0), torch.tensor(0.5)).mean
        tensor([3., 3.])
    """
    if isinstance(distribution, Normal | Logistic):
        location, scale = location + scale * distribution.loc, scale * distribution.scale
        return type(distribution)(location, scale, validate_args=False)
    if isinstance(distribution, MixtureSameFamily):
        components = shifted_and_scaled(distribution.component_distribution, location[..., None], scale[..., None])
        return MixtureSameFamily(distribution.mixture_distribution, components, validate_args=False)
    return TransformedDistribution(distribution, AffineTransform(location, scale), validate_args=False)
