"""A number above 0."""

import math
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from pushforward.tables.columns.base import Column
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.detection import heavy_tails
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class Positive(Column):
    """A number above 0.

    Attributes:
        log: whether its logarithm is modeled, for heavy tails; inferred if None.
    """

    kind: Literal["positive"] = "positive"
    log: bool | None = None

    @property
    def dense(self) -> bool:
        """True."""
        return True

    @property
    def declares_support(self) -> bool:
        """True."""
        return True

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def describe(self) -> str:
        """The kind, and whether its logarithm is modeled."""
        return "positive, heavy tail: its logarithm is modeled" if self.log else "positive"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers that fill a half-line from 0 on."""
        return cls().complete(values) if values.bounds == (0.0, None) else None

    def complete(self, values: Values) -> Self:
        """Find whether the upper tail is heavy."""
        observed = values.observed
        return self if self.log is not None else self.model_copy(update={"log": heavy_tails(observed)[1] > 0})

    def encode(self, values: Values) -> np.ndarray:
        """The numbers."""
        values.refuse(values.numbers <= 0, "which is not positive")
        return values.numbers

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 on."""
        return 0.0, math.inf

    @property
    def support(self) -> tuple[float, float]:
        """From the smallest number above 0 on."""
        return math.ulp(0.0), math.inf

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Equal steps, or equal steps of the score if the logarithm is modeled."""
        return spread if asked is None and self.log else super().grid(spread, asked)

    @property
    def map(self) -> type["Map"]:
        """The identity, or the logarithm."""
        if not self.log:
            return super().map
        from pushforward.tables.columns.maps.logarithm import Logarithm

        return Logarithm
