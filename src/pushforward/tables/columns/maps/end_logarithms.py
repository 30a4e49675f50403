"""The map of numbers that pile up at an end of their interval."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import Map, double, within
from pushforward.tables.columns.piled_ends import LARGEST_LOG

# A row on an end itself stands for those that are nearer than any other row came, and lies in the middle of these.
ON_END = 0.5


class EndLogarithms(Map):
    """y = log (x - low) - log (high - x), with the terms of the ends at which values pile up alone.

    Toward such an end y goes on without a bound, however steep the density: the logit, if both are.

    Arguments:
        kinds: columns with `bounds` and `piled`.
    """

    low: Tensor
    high: Tensor
    near_low: Tensor
    near_high: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([within(*kind.bounds) for kind in kinds])
        self.register_buffer("low", double([kind.bounds[0] for kind in kinds]))
        self.register_buffer("high", double([kind.bounds[1] for kind in kinds]))
        # Infinite where the distance from the end is modeled as it is.
        for name, nearest in (
            ("near_low", [kind.piled.low for kind in kinds]),
            ("near_high", [kind.piled.high for kind in kinds]),
        ):
            self.register_buffer(name, double([math.inf if near is None else near for near in nearest]))

    def bounds(self, kind: Any) -> tuple[float, float]:
        """Those of y, at the ends where values do not pile up."""
        found: tuple[float, float] = kind.piled.bounds_of_logarithms(*kind.bounds)
        return found

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and log |dy/dx|."""
        at_low, at_high = self.near_low.isfinite(), self.near_high.isfinite()
        below = _distance(codes - self.low, self.near_low)
        above = _distance(self.high - codes, self.near_high)
        log_below, log_above = (torch.where(at, part.log(), 0.0) for at, part in ((at_low, below), (at_high, above)))
        width = torch.where(at_low & at_high, (self.high - self.low).log(), 0.0)
        return log_below - log_above, width - log_below - log_above

    def decode(self, y: Tensor) -> Tensor:
        """x, from the nearer of the ends, so that a small distance keeps its digits."""
        at_low, at_high = self.near_low.isfinite(), self.near_high.isfinite()
        bent = y.clamp(-LARGEST_LOG, LARGEST_LOG)
        width = torch.where(at_low & at_high, self.high - self.low, 1.0)
        below = torch.where(at_high, width * torch.sigmoid(bent), bent.exp())
        above = torch.where(at_low, width * torch.sigmoid(-bent), (-bent).exp())
        from_low = at_low & (~at_high | (y < 0))
        return torch.where(from_low, self.low + below, self.high - above).clamp(self.low, self.high)


def _distance(distance: Tensor, near: Tensor) -> Tensor:
    """The distance from an end at which values pile up, above 0 on the end itself, and 1 from another end."""
    positive = torch.where(distance > 0, distance, ON_END * near)
    return torch.where(near.isfinite(), positive, 1.0)
