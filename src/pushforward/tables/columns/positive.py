"""A number above 0."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from pushforward.tables.columns.base import Column
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.detection import heavy_tails, piles_up
from pushforward.tables.columns.measured import Measured
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class Positive(Measured):
    """A number above 0.

    Attributes:
        log: whether its logarithm is modeled, for heavy tails, and for densities that grow without end toward 0;
            inferred if None.
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
        return Continuous(**self.reading, heavy=False)

    def describe(self) -> str:
        """The kind, whether its logarithm is modeled, and the step to which values were rounded."""
        return ("positive, its logarithm is modeled" if self.log else "positive") + self.rounding()

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers that fill a half-line from 0 on."""
        filled = values.tally.bounds == (0.0, None) and values.observed.min() > 0
        return cls().complete(values) if filled else None

    def complete(self, values: Values) -> Self:
        """Find the step, and whether the upper tail is heavy or values pile up at 0."""
        _ = values.numbers  # which refuses what is not a number
        stepped = self.with_step(values)
        if self.log is not None:
            return stepped
        numbers = values.tally.spread_near(stepped.step or 0.0)
        return stepped.model_copy(update={"log": heavy_tails(numbers)[1] > 0 or piles_up(numbers)})

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
        """From the smallest number above 0 on, that of the grid if all are on one."""
        return (0.0 if self.exact_beside else self.offset or self.step) or math.ulp(0.0), math.inf

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "logarithm" if self.log else "identity"

    @property
    def exact_map(self) -> Callable[[Sequence[Any]], "Map"]:
        """The identity, or the logarithm."""
        if not self.log:
            return super().exact_map
        from pushforward.tables.columns.maps.logarithm import Logarithm

        return Logarithm
