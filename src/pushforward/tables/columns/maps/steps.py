"""The map of whole numbers without a probability of their own."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import Map, double, within
from pushforward.tables.numbers import LARGEST_EXACT


class Steps(Map):
    """y = (x - offset) / step + v, v the noise: each value has an interval of length 1.

    Arguments:
        kinds: columns with a `lattice` of step and offset, and `bounds`.
    """

    linear = True
    step: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        lattices = [kind.lattice for kind in kinds]
        ends = [self.bounds(kind) for kind in kinds]
        super().__init__(
            [offset + step * math.floor(within(*end)) for (step, offset), end in zip(lattices, ends, strict=True)]
        )
        self.register_buffer("step", double([step for step, _ in lattices]))
        self.register_buffer("offset", double([offset for _, offset in lattices]))
        self.register_buffer("low", double([low for low, _ in ends]))
        self.register_buffer("high", double([high - 1 for _, high in ends]))

    def bounds(self, kind: Any) -> tuple[float, float]:
        """The lower end of the first interval, and the upper end of the last."""
        (low, high), (step, offset) = kind.bounds, kind.lattice
        return math.ceil((low - offset) / step) if low > -math.inf else low, (
            math.floor((high - offset) / step) + 1 if high < math.inf else high
        )

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A point of the interval, and 0, the log of its length."""
        return ((codes - self.offset) / self.step).round() + noise, torch.zeros_like(codes)

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ends; those of the first and the last interval are infinite."""
        first = ((codes - self.offset) / self.step).round()
        low = first.masked_fill(first <= self.low, -math.inf)
        high = (first + 1).masked_fill(first >= self.high, math.inf)
        return low, high, torch.zeros_like(codes)

    def decode(self, y: Tensor) -> Tensor:
        """The value whose interval it is."""
        # Beyond the largest exact integer float64 has no neighbors at distance 1.
        exact = y.floor().clamp(self.low, self.high).clamp(-float(LARGEST_EXACT), float(LARGEST_EXACT))
        return exact * self.step + self.offset
