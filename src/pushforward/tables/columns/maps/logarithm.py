"""The map of positive numbers with a heavy tail."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward.tables.columns.maps.base import Map

LARGEST_LOG = 700.0  # e to it is still finite


class Logarithm(Map):
    """y = log x."""

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([1.0] * len(kinds))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log x, and log (1 / x)."""
        y = codes.log()
        return y, -y

    def decode(self, y: Tensor) -> Tensor:
        """exp y."""
        return y.clamp(-LARGEST_LOG, LARGEST_LOG).exp()
