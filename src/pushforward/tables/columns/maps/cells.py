"""The map of values whose probabilities are known."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.tables.columns.maps.base import Map, double, log_normal, probit


class Cells(Map):
    """y = Φ⁻¹(u), u uniform in an interval of [0, 1] as wide as the value is frequent.

    Arguments:
        kinds: columns with `all_codes`, equally spaced, and the `frequencies` of each.
    """

    normal = True
    below: Tensor
    above: Tensor
    width: Tensor
    edges: Tensor
    step: Tensor
    first: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        widths = [double(kind.frequencies or [1.0]) for kind in kinds]
        codes = [kind.all_codes()[:2].tolist() or [0] for kind in kinds]
        super().__init__([first for first, *_ in codes])
        most = max(len(width) for width in widths)
        below, above, width = (torch.zeros(len(widths), most, dtype=torch.float64) for _ in range(3))
        # The inner edges of the intervals on the line of y, infinite beyond the last value.
        edges = torch.full((len(widths), most - 1), math.inf, dtype=torch.float64)
        for row, shares in enumerate(widths):
            shares = shares / shares.sum()
            count = len(shares)
            width[row, :count] = shares
            below[row, 1:count] = shares.cumsum(0)[:-1]
            above[row, : count - 1] = shares.flip(0).cumsum(0).flip(0)[1:]
            edges[row, : count - 1] = probit(below[row, 1:count], above[row, : count - 1])
        for name, value in (("below", below), ("above", above), ("width", width), ("edges", edges)):
            self.register_buffer(name, value)
        self.register_buffer("step", double([two[-1] - two[0] or 1 for two in codes]))
        self.register_buffer("first", double([first for first, *_ in codes]))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A point of the interval, and the log of the interval's width over the normal density there."""
        level = self._level(codes)
        below, above, width = (table.gather(1, level).t() for table in (self.below, self.above, self.width))
        y = probit(below + noise * width, above + (1 - noise) * width)
        return y, width.log() - log_normal(y)

    def decode(self, y: Tensor) -> Tensor:
        """The value whose interval it is."""
        level = torch.searchsorted(self.edges, y.t().contiguous(), right=True).t()
        return level.to(y.dtype) * self.step + self.first

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ends, infinite for the first and the last value."""
        level = self._level(codes)
        below, above, width = (table.gather(1, level).t() for table in (self.below, self.above, self.width))
        # Exactly infinite, without rounding, where nothing is left beyond an end.
        low = probit(below, above + width).masked_fill(below <= 0, -math.inf)
        high = probit(below + width, above).masked_fill(above <= 0, math.inf)
        return low, high, torch.zeros_like(codes)

    def _level(self, codes: Tensor) -> Tensor:
        """The position of each value among all, (columns, n)."""
        level = ((codes - self.first) / self.step).round().long().t()
        # A GPU that trains need not wait for the answer: training rows were encoded by these columns.
        known = self.training and not level.is_cpu
        if not known and bool(((level < 0) | (level >= (self.width > 0).sum(1, keepdim=True))).any()):
            raise InputError("A value is not one of those that its discrete column can have; see the model's schema.")
        return level
