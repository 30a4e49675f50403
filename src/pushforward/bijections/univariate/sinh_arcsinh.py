"""The sinh-arcsinh map: location, scale, skewness and weight of the tails, in closed form both ways."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.bijections.univariate.base import Univariate, soft_bound, univariate


@univariate("sinh_arcsinh")
@dataclass(frozen=True)
class SinhArcsinh(Univariate):
    """x = shift + exp(log_scale) · sinh((arcsinh(z) + skew) / exp(log_tail)), heavy tails for a negative log_tail.

    Parameters of a feature are shift, log_scale, skew and log_tail, the last three under `soft_bound`. At 0 it is the
    identity. Far out x is a power of z, with exponent exp(-log_tail).

    Arguments:
        log_scale_bound: of log_scale and of skew, default log 1000.
        log_tail_bound: default log 2, exponents within 1/2 .. 2.

    Cost: closed form in both directions.

    Source: Jones and Pewsey 2009, Sinh-arcsinh distributions, doi:10.1093/biomet/asp053.

    Example:
        >>> import torch
        >>> family, parameters = SinhArcsinh(), torch.tensor([0.5, 0.0, 1.0, 0.0])
        >>> x, log_derivative = family.forward(torch.tensor(2.0), parameters)
        >>> round(float(family.inverse(x, parameters)[0]), 4)
        2.0
    """

    log_scale_bound: float = math.log(1e3)
    log_tail_bound: float = math.log(2)
    parameter_count = 4

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = shift + exp(log_scale) · sinh((arcsinh(z) + skew) / exp(log_tail))."""
        shift, log_scale, skew, log_tail = self._split(parameters)
        angle = z.asinh()
        stretched = (angle + skew) * (-log_tail).exp()
        log_derivative = log_scale - log_tail + _log_cosh(stretched) - _log_cosh(angle)
        return shift + log_scale.exp() * stretched.sinh(), log_derivative

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = sinh(exp(log_tail) · arcsinh((x - shift) / exp(log_scale)) - skew)."""
        shift, log_scale, skew, log_tail = self._split(parameters)
        stretched = ((x - shift) * (-log_scale).exp()).asinh()
        angle = log_tail.exp() * stretched - skew
        return angle.sinh(), log_tail - log_scale + _log_cosh(angle) - _log_cosh(stretched)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        shift, log_scale, skew, log_tail = parameters.unbind(-1)
        bound = self.log_scale_bound
        return shift, soft_bound(log_scale, bound), soft_bound(skew, bound), soft_bound(log_tail, self.log_tail_bound)


def _log_cosh(angle: Tensor) -> Tensor:
    """log cosh, which does not overflow and is smooth at 0."""
    return angle - logsigmoid(2 * angle) - math.log(2)
