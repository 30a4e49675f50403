"""What the map of a kind of columns is: from codes to numbers on the whole line, and back into the support."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Noise keeps this distance from 0 and 1, where the normal quantile is infinite.
EDGE = 2.0**-24
# The log of a length: differences of y, or of probabilities, that are smaller have lost more than half of their digits
# to rounding.
LOG_SHORTEST = -26 * math.log(2)
# Not much further out float64 has no probabilities: the maps continue as straight lines.
FURTHEST = 36.0


class Map(nn.Module):
    """The map of some columns that have the same one.

    A value with a density has a point y; one with a probability has an interval, in which noise chooses a point.

    Arguments:
        filler: (D,) a code of each column to compute with where a value is missing.

    Attributes:
        normal: whether y is nearly standard normal already, or would be if all angles were as likely.
        trivial: whether y is the code.
        circular: whether the columns are angles.
        linear: whether y is a linear function of the code, but for noise within a step.
    """

    normal = trivial = circular = linear = False
    filler: Tensor

    def __init__(self, filler: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("filler", double(filler))

    def bounds(self, kind: Any) -> tuple[float, float]:
        """The bounds of y, infinite for none."""
        return -math.inf, math.inf

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and log |dy/dx| or the log of the width of a value's interval, both (n, D)."""
        raise NotImplementedError

    def decode(self, y: Tensor) -> Tensor:
        """The codes, (n, D)."""
        raise NotImplementedError

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two ends of a value's interval, which are equal for a density, and log |dy/dx|; all (n, D)."""
        y, log_term = self.encode(codes, torch.zeros_like(codes))
        return y, y, log_term


def probit(below: Tensor, above: Tensor) -> Tensor:
    """Φ⁻¹(u) of u = below = 1 - above, from the smaller of the two, which has the digits."""
    return torch.where(below < above, torch.special.ndtri(below), -torch.special.ndtri(above))


def cdf(y: Tensor) -> Tensor:
    """Φ(y), with all its digits in the lower tail, where torch.special.ndtr has none."""
    return 0.5 * torch.erfc(-math.sqrt(0.5) * y)


def log_normal(y: Tensor) -> Tensor:
    """log φ(y)."""
    return -0.5 * (y.square() + math.log(2 * math.pi))


def within(low: float, high: float) -> float:
    """A number between two bounds, which may be infinite."""
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) / 2
    return low + 1 if math.isfinite(low) else high - 1 if math.isfinite(high) else 0.0


def double(values: Any) -> Tensor:
    """Numbers as float64."""
    return torch.tensor(values, dtype=torch.float64)
