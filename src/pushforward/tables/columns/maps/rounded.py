"""The map of measurements that were rounded: a value stands for its cell."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import Map, double
from pushforward.tables.columns.maps.cell_lengths import CellLengths


class Rounded(Map):
    """y of a point of the value's cell, within half a step on either side and within the bounds; noise chooses it.

    The density of a value is the mean density over its cell, P(cell) / its length, also at a bound, where only a part
    of the cell is possible. Values beside the grid that were not rounded have points and densities of their own.

    Arguments:
        exact: makes the map of the same columns as if they had not been rounded.
        kinds: columns with `recorded`, `partly_recorded`, `bounds` and `support`.
    """

    low: Tensor
    high: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, exact: Callable[[Sequence[Any]], Map], kinds: Sequence[Any]) -> None:
        within = exact(kinds)
        super().__init__(within.filler.tolist())
        self.exact = within
        self.normal, self.linear = within.normal, within.linear
        self.cells = CellLengths([kind.recorded for kind in kinds], [kind.partly_recorded for kind in kinds])
        self.register_buffer("low", double([kind.bounds[0] for kind in kinds]))
        self.register_buffer("high", double([kind.bounds[1] for kind in kinds]))
        # The first and the last value within the bounds; a billionth of a step is rounding.
        ends = (double([kind.support[end] for kind in kinds]) for end in (0, 1))
        step, offset = self.cells.step, self.cells.offset
        places = [(end - offset) / step for end in ends]
        self.register_buffer("least", offset + (places[0] - 1e-9).ceil() * step)
        self.register_buffer("most", offset + (places[1] + 1e-9).floor() * step)

    def bounds(self, kind: Any) -> tuple[float, float]:
        """Those of numbers that were not rounded."""
        return self.exact.bounds(kind)

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y of a point of the cell, and log |dy/dx| with the log of the part of the cell within the bounds."""
        low, high = self._cell(codes)
        beside = self.cells.are_exact(codes)
        y, log_term = self.exact.encode(torch.where(beside, codes, low + noise * (high - low)), noise)
        return y, log_term + ((high - low) / self._lengths(codes)).log().masked_fill(beside, 0.0)

    def decode(self, y: Tensor) -> Tensor:
        """The value in whose cell the point lies."""
        x = self.exact.decode(y)
        return torch.where(self.cells.exact_beside, x, self.cells.nearest(x).clamp(self.least, self.most))

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ends of the cell, infinite at a bound, and minus the log of its length; of an exact value, its point."""
        low, high = self._cell(codes)
        middle = low + 0.5 * (high - low)
        ends = []
        for end, bound, beyond in ((low, self.low, -math.inf), (high, self.high, math.inf)):
            at_bound = end == bound
            y = self.exact.encode(torch.where(at_bound, middle, end), torch.zeros_like(codes))[0]
            ends.append(y.masked_fill(at_bound, beyond))
        beside = self.cells.are_exact(codes)
        y, log_term = self.exact.encode(torch.where(beside, codes, middle), torch.zeros_like(codes))
        low, high = (torch.where(beside, y, end) for end in ends)
        return low, high, torch.where(beside, log_term, -self._lengths(codes).log())

    def _lengths(self, codes: Tensor) -> Tensor:
        return self.cells.lengths(codes.clamp(self.least, self.most))

    def _cell(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of a value's cell, within the bounds; the first and the last cell reach up to them."""
        middle = self.cells.nearest(codes).clamp(self.least, self.most)
        low, high = self.cells.ends(middle)
        return torch.where(middle <= self.least, self.low, low), torch.where(middle >= self.most, self.high, high)


@cache
def rounded(exact: Callable[[Sequence[Any]], Map]) -> Callable[[Sequence[Any]], Map]:
    """Return what makes the map of rounded numbers from that of others; the same for the same."""
    return partial(Rounded, exact)
