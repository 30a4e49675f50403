"""The cells of rounded numbers: of one length, or as long as significant figures make them."""

from __future__ import annotations

from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.tables.columns.figures import EDGE
from pushforward.tables.columns.grids import MOST_ROUNDING, ROUNDING


class Cells:
    """Where the cells of a column lie, and how long they are: half a step on either side.

    Arguments:
        kind: of the column, with `recorded`.
        ends: between which its values lie.
    """

    def __init__(self, kind: Any, ends: Any) -> None:
        self.step, self.offset = float(kind.recorded.step), float(kind.recorded.offset)
        self.figures, self.exact_beside = int(getattr(kind.recorded, "figures", 0)), bool(kind.partly_recorded)
        low, high = ((end - self.offset) / self.step for end in ends)
        # A billionth of a step is rounding.
        self.least = float(self.offset + numpy.ceil(low - 1e-9) * self.step)
        self.most = float(self.offset + numpy.floor(high + 1e-9) * self.step)

    def _steps(self, n: Arrays, x: Any) -> Any:
        """The step from each number to the next one away from 0, which grows at powers of ten."""
        if not self.figures:
            return n.like(x, self.step)
        decade = n.floor(n.log10(n.abs(x) / self.step) + EDGE) - (self.figures - 1)
        return self.step * n(10.0) ** n.where(n.isfinite(decade), n.maximum(decade, n(0.0)), n(0.0))

    def _nearest(self, n: Arrays, x: Any) -> Any:
        step = self._steps(n, x)
        return self.offset + n.round((x - self.offset) / step) * step

    def nearest(self, n: Arrays, x: Any) -> Any:
        """Return the value in whose cell a number lies."""
        return n.clip(self._nearest(n, x), self.least, self.most)

    def ends(self, n: Arrays, middle: Any) -> tuple[Any, Any]:
        """Return the ends of the cells of values."""
        away, toward = self._steps(n, middle), self._steps(n, middle * (1 - 1e-7))
        below, above = n.where(middle > 0, toward, away), n.where(middle > 0, away, toward)
        return middle - 0.5 * below, middle + 0.5 * above

    def within(self, n: Arrays, middle: Any, low: float, high: float) -> tuple[Any, Any]:
        """Return them within bounds, up to which the first and the last cell reach."""
        ends = self.ends(n, middle)
        return n.where(middle <= self.least, n(low), ends[0]), n.where(middle >= self.most, n(high), ends[1])

    def lengths(self, n: Arrays, x: Any) -> Any:
        """Return the lengths of the cells in which numbers lie."""
        if not self.figures:
            return n.like(x, self.step)
        low, high = self.ends(n, self._nearest(n, n.clip(x, self.least, self.most)))
        return high - low

    def exact(self, n: Arrays, x: Any) -> Any:
        """Return which values lie beside the grid, and were not rounded."""
        if not self.exact_beside:
            return x != x
        step = self._steps(n, x)
        single = x.astype(n.float32).astype(n.dtype) == x
        bits = n.where(single, n(2.0**-23), n(16 * 2.0**-52))
        rounding = n.minimum(ROUNDING + bits * n.abs(x) / step, n(MOST_ROUNDING))
        return n.abs(x - self._nearest(n, x)) > rounding * step
