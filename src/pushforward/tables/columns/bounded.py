"""A number within an interval."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import model_validator

from pushforward.tables.columns.base import Column, check_order, ends, interval
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.detection import abrupt_ends
from pushforward.tables.columns.measured import Measured
from pushforward.tables.columns.piled_ends import PiledEnds, piled_ends
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class Bounded(Measured):
    """A number within an interval, its ends included.

    Attributes:
        low: the lower end, or None for none.
        high: the upper end, or None for none.
        piled: at which ends values pile up, so that the logarithm of the distance is modeled; inferred if None.
    """

    kind: Literal["bounded"] = "bounded"
    low: float | None = None
    high: float | None = None
    piled: PiledEnds | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Bounded":
        if self.low is None and self.high is None:
            raise ValueError("a bounded column needs low, high or both")
        check_order(self.low, self.high)
        return self

    @property
    def dense(self) -> bool:
        """True."""
        return True

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(**self.reading, heavy=False)

    def describe(self) -> str:
        """The kind, its bounds, at which of them values pile up, and the step to which values were rounded."""
        piled = self.piled or PiledEnds()
        places = [f"{end:g}" for end, near in ((self.low, piled.low), (self.high, piled.high)) if near is not None]
        modeled = f", the logarithm of the distance from {' and '.join(places)} is modeled" if places else ""
        return f"bounded, {interval(self.low, self.high)}{modeled}{self.rounding()}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers that fill an interval or a half-line up to its ends, and rounded ones that end abruptly."""
        low, high = values.tally.bounds
        if low is None and high is None and values.tally.cells is not None:
            low, high = abrupt_ends(values.tally.different, values.tally.counts, values.tally.cells.step)
        return None if low is None and high is None else cls(low=low, high=high).complete(values)

    def complete(self, values: Values) -> Self:
        """Find the step, and at which ends values pile up."""
        _ = values.numbers  # which refuses what is not a number
        stepped = self.with_step(values)
        if self.piled is not None:
            return stepped
        found = piled_ends(values.tally.spread_near(stepped.step or 0.0), *self.bounds)
        return stepped.model_copy(update={"piled": found or None})

    def encode(self, values: Values) -> np.ndarray:
        """The numbers."""
        values.refuse_outside(*self.bounds)
        return values.numbers

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the interval."""
        return ends(self.low, self.high)

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "end_logarithms" if self.piled else "identity"

    @property
    def exact_map(self) -> Callable[[Sequence[Any]], "Map"]:
        """The identity, or logarithms of the distances from the ends at which values pile up."""
        if not self.piled:
            return super().exact_map
        from pushforward.tables.columns.maps.end_logarithms import EndLogarithms

        return EndLogarithms
