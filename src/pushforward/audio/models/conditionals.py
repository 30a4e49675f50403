"""Distributions of numbers that are pushed through univariate maps with known parameters, or moved."""

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


class Pushed(Distribution):
    """The distribution of x = scale · univariate(... univariate(z; parameters[0]) ...; parameters[-1]), z of the base.

    Arguments:
        base: of any batch shape.
        univariate: the family of maps.
        parameters: of each map, (*batch, P), from z to x.
        scale: positive.
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real
    has_rsample = True

    def __init__(self, base: Distribution, univariate: Univariate, parameters: Sequence[Tensor], scale: float = 1.0):
        self.base = base
        self.univariate = univariate
        self.parameters = parameters
        self.scale = scale
        super().__init__(base.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        value, total = value / self.scale, torch.full_like(value, -math.log(self.scale))
        for parameters in reversed(self.parameters):
            value, log_derivative = self.univariate.inverse(value, parameters)
            total = total + log_derivative
        return self.base.log_prob(value) + total

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Draws, differentiable in the parameters."""
        value = self.base.rsample(Size(sample_shape))
        for parameters in self.parameters:
            value, _ = self.univariate.forward(value, parameters)
        return self.scale * value


def moved(law: Distribution, location: Tensor, scale: Tensor) -> Distribution:
    """The distribution of location + scale · (a value of it), of the same kind where that has locations and scales.

    Arguments:
        law: of any batch shape.
        location: broadcasts to that shape.
        scale: positive, broadcasts to that shape.

    Example:
        >>> from torch.distributions import Normal
        >>> moved(Normal(torch.zeros(2), 1.0), torch.tensor(3.0), torch.tensor(0.5)).mean
        tensor([3., 3.])
    """
    if isinstance(law, Normal | Logistic):
        return type(law)(location + scale * law.loc, scale * law.scale, validate_args=False)
    if isinstance(law, MixtureSameFamily):
        components = moved(law.component_distribution, location[..., None], scale[..., None])
        return MixtureSameFamily(law.mixture_distribution, components, validate_args=False)
    return TransformedDistribution(law, AffineTransform(location, scale), validate_args=False)
