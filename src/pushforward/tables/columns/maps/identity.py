"""The map of numbers that need none."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import Map, double, within


class Identity(Map):
    """y = x, within the bounds of x.

    Arguments:
        kinds: columns with `bounds` and `support`.
    """

    trivial = linear = True
    low: Tensor
    high: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([within(*kind.bounds) for kind in kinds])
        self.register_buffer("low", double([kind.support[0] for kind in kinds]))
        self.register_buffer("high", double([kind.support[1] for kind in kinds]))

    def bounds(self, kind: Any) -> tuple[float, float]:
        """Those of x."""
        return kind.bounds

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The codes, and 0."""
        return codes, torch.zeros_like(codes)

    def decode(self, y: Tensor) -> Tensor:
        """The nearest codes of the support."""
        return y.clamp(self.low, self.high)
