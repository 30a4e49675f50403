"""Ends of a column toward which its density grows without end."""

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from pushforward.tables.columns.detection import piles_up
from pushforward.tables.columns.reading import STRICT

Distance = Annotated[float, Field(gt=0)]
LARGEST_LOG = 700.0  # e to it is still finite, and above 0


class PiledEnds(BaseModel):
    """At which ends the logarithm of the distance from the end is modeled.

    Attributes:
        low: how far the nearest row lies from the lower end, or None where its distance is modeled as it is.
        high: likewise of the upper end.
    """

    model_config = STRICT

    low: Distance | None = None
    high: Distance | None = None

    def __bool__(self) -> bool:
        """Whether there is such an end."""
        return self.low is not None or self.high is not None

    def value(self, y: float, low: float, high: float) -> float:
        """Return the number between two ends whose logarithm is y, see `EndLogarithms`.

        >>> PiledEnds(low=1e-9).value(0.0, 2.0, math.inf), PiledEnds(low=1e-9, high=1e-9).value(0.0, 0.0, 1.0)
        (3.0, 0.5)
        """
        y = min(max(y, -LARGEST_LOG), LARGEST_LOG)
        if self.high is None:
            return low + math.exp(y)
        return high - math.exp(-y) if self.low is None else low + (high - low) / (1 + math.exp(-y))

    def bounds_of_logarithms(self, low: float, high: float) -> tuple[float, float]:
        """Return the bounds of y where x has some and piles up at an end, infinite at that end.

        >>> PiledEnds(low=1e-9).bounds_of_logarithms(0.0, 1.0)
        (-inf, 0.0)
        >>> PiledEnds(low=1e-9, high=1e-9).bounds_of_logarithms(0.0, 1.0)
        (-inf, inf)
        """
        if (self.low is None) == (self.high is None) or math.isinf(high - low):
            return -math.inf, math.inf
        furthest = math.log(high - low)
        return (-math.inf, furthest) if self.high is None else (-furthest, math.inf)


def piled_ends(numbers: np.ndarray, low: float, high: float) -> PiledEnds:
    """Return the ends at which numbers pile up, see `piles_up`; those on an end itself say nothing.

    Arguments:
        numbers: (n,) from low to high, spread over their cells if they were rounded.
        low: the lower end, infinite for none.
        high: the upper end, infinite for none.

    Example:
        >>> places = (np.arange(2000) + 0.5) / 2000
        >>> found = piled_ends(1 - places**4, 0.0, 1.0)
        >>> found.low is None, found.high is None
        (True, False)
    """
    nearest: list[float | None] = []
    for end in (low, high):
        distances = np.abs(numbers - end) if math.isfinite(end) else np.array([])
        distances = distances[distances > 0]
        nearest.append(float(distances.min()) if len(distances) and piles_up(distances) else None)
    return PiledEnds(low=nearest[0], high=nearest[1])
