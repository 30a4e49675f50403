"""Independent numbers of a base pushed through univariate maps with known parameters."""

import math
from collections.abc import Sequence

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from pushforward.bijections.univariate import Univariate


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
