"""The map of numbers with heavy tails."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward.bijections import TailTransform
from pushforward.tables.columns.maps.base import Map, double


class Tails(Map):
    """y is x without its heavy tails: a fixed transform turns a normal number into one with tails like those of x.

    Arguments:
        kinds: columns with a `tail`.
    """

    def __init__(self, kinds: Sequence[Any]) -> None:
        tails = [kind.tail for kind in kinds]
        super().__init__([tail.shift for tail in tails])
        self.transform = TailTransform.of_tails(
            double([[tail.lower, tail.upper] for tail in tails]),
            double([tail.shift for tail in tails]),
            double([tail.scale for tail in tails]),
        )

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of the transform, and its log-derivative."""
        return self.transform.each_inverse(codes)

    def decode(self, y: Tensor) -> Tensor:
        """The transform."""
        return self.transform.each_forward(y)[0]
