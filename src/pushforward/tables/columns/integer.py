"""A whole number, or another multiple of a step."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from pushforward.support.wording import percent
from pushforward.tables.arrow import pa
from pushforward.tables.columns.atoms import remark_of_marks
from pushforward.tables.columns.base import PSEUDO_ROWS, Column, Share, check_order, ends, interval, smoothed
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.declarations import WHOLE_NUMBERS, check_declared, check_reach, check_step
from pushforward.tables.columns.detection import LARGEST_INTEGER
from pushforward.tables.columns.outermost import far_levels
from pushforward.tables.columns.tally import FEW_COUNTS
from pushforward.tables.columns.values import Values
from pushforward.tables.columns.whole_steps import common_step, on_step_of_nearly_all

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map

# Observed values within so few steps have a probability each; others are made continuous by uniform noise.
FEW_VALUES = FEW_COUNTS
# A far value among them that so many rows have is likely a mark, if at least so many others are observed.
ROWS_OF_MARK, LEVELS_BESIDE = 6, 3
# Between declared bounds so many values may have a probability each.
MOST_VALUES = 4_096


class Integer(Column):
    """A whole number, or another multiple of a step.

    Attributes:
        low: the smallest value, or None for none.
        high: the largest value, or None for none.
        step: the distance between neighbors; inferred if None, 1 unless all or nearly all values are multiples of more.
        offset: a value, from which the others are multiples of the step away.
        rows_on_grid: the share of the rows that are such multiples, inferred; None for all. A whole number beside them
            counts as the nearest.
        frequencies: of all values from low to high, smoothed; inferred where there are few.
    """

    kind: Literal["integer"] = "integer"
    low: int | None = None
    high: int | None = None
    step: Annotated[int, Field(ge=1)] | None = None
    offset: int = 0
    rows_on_grid: Share | None = None
    frequencies: list[Share] | None = None

    @field_validator("low", "high", "step", mode="before")
    @classmethod
    def _whole(cls, number: Any) -> Any:
        if isinstance(number, float) and not number.is_integer():
            raise ValueError('steps and bounds of an integer are whole numbers; declare "bounded" or "continuous"')
        return number

    @model_validator(mode="after")
    def _ordered(self) -> "Integer":
        if self.frequencies is not None and (
            self.low is None
            or self.high is None
            or self.step is None
            or len(self.frequencies) != (self.high - self.low) // self.step + 1
        ):
            raise ValueError("frequencies need low, high and step, and there must be one for each value")
        check_order(self.low, self.high)
        return self

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(**self.reading, heavy=False)

    def describe(self) -> str:
        """The kind, its bounds and its step."""
        share = "" if self.rows_on_grid is None else f" ({percent(self.rows_on_grid)} of the rows)"
        step = "" if self.step in (None, 1) else f", steps of {self.step}{share}"
        bounds = "" if self.low is None and self.high is None else f", {interval(self.low, self.high)}"
        return f"integer{bounds}{step}"

    @property
    def remark(self) -> str | None:
        """That a value far from all others is likely a mark of missing values."""
        codes = self.all_codes()
        if codes is None or self.frequencies is None:
            return super().remark
        # Beside a far value lie values that no row has, which are the rarest.
        rows = PSEUDO_ROWS * (np.array(self.frequencies) / min(self.frequencies) - 1)
        seen = rows > PSEUDO_ROWS
        far = far_levels(codes[seen], rows[seen].round(), LEVELS_BESIDE, ROWS_OF_MARK)
        return super().remark or (remark_of_marks([str(code) for code in far]) if len(far) else None)

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers that are all whole and not too large, without atoms, and no codes far apart."""
        if not values.is_numeric:
            return None
        observed = values.observed
        whole = np.abs(observed).max() <= LARGEST_INTEGER and bool((observed == np.floor(observed)).all())
        if not whole:
            return None
        column = cls().complete(values)
        if column.frequencies is not None:
            return column
        return None if values.tally.few or values.tally.scattered or values.tally.atoms else column

    def check_declared(self, values: Values) -> None:
        """Refuse numbers beyond the whole ones of float64, and steps longer than the range of the values."""
        declared = {"low": self.low, "high": self.high, "step": self.step, "offset": self.offset}
        check_declared(values.what, declared, WHOLE_NUMBERS)
        check_reach(values.what, {"low": self.low, "high": self.high}, values.observed)
        check_step(values.what, self.step, float(np.ptp(values.observed)))

    def complete(self, values: Values) -> Self:
        """Find the step, the bounds, and the frequencies of few values."""
        stepped = self if self.step is not None else self._with_step(values)
        observed, (step, offset) = stepped._on_step(values.observed), stepped.lattice
        smallest, largest = int(values.observed.min()), int(values.observed.max())
        low, high = self.low, self.high
        # Whole steps that have the values beside them, too.
        first, last = (smallest - offset) // step * step + offset, offset - (offset - largest) // step * step
        few = low is None and high is None and (last - first) // step < FEW_VALUES
        if few:
            low, high = first, last
            if low == high:  # declared as an integer, and constant
                return stepped
        elif low is None and high is None and smallest >= 0:
            low = 0
        frequencies = None
        if low is not None and high is not None and (high - low) // step < MOST_VALUES:
            offset = offset if few else low
            high = low + (high - low) // step * step
            frequencies = _frequencies(observed, low, high, step)
        update = {"low": low, "high": high, "offset": offset, "frequencies": frequencies}
        return stepped.model_copy(update=update)

    def _with_step(self, values: Values) -> Self:
        """Find the step of all values, or of nearly all where each has no probability of its own."""
        different, counts = values.tally.different, values.tally.counts
        step, offset = common_step(different, self.low)
        found = self.model_copy(update={"step": step, "offset": offset})
        bounded = self.low is not None and self.high is not None
        if bounded or np.ptp(different) // step < FEW_VALUES or values.tally.atoms:
            return found
        on = on_step_of_nearly_all(different, counts)
        longer, offset = common_step(different[on], self.low)
        if longer == step:
            return found
        share = float(1 - counts[~on].sum() / counts.sum())
        return self.model_copy(update={"step": longer, "offset": offset, "rows_on_grid": share})

    def _on_step(self, numbers: np.ndarray) -> np.ndarray:
        """Whole numbers, those beside the step as the nearest that it has within the bounds."""
        if self.rows_on_grid is None:
            return numbers
        step, offset = self.lattice
        low, high = (-np.inf if self.low is None else -((offset - self.low) // step)), np.inf
        if self.high is not None:
            high = (self.high - offset) // step
        return offset + np.clip(np.round((numbers - offset) / step), low, high) * step

    @property
    def arrow_type(self) -> Any:
        """64-bit integers."""
        return pa.int64()

    def encode(self, values: Values) -> np.ndarray:
        """The numbers."""
        step, offset = self.lattice if self.rows_on_grid is None else (1, 0)
        values.refuse(
            ((values.numbers - offset) % step != 0) & ~np.isnan(values.numbers),
            f"which is not a multiple of {step} above {offset}" if step > 1 else "which is not a whole number",
        )
        values.refuse_outside(*self.bounds)
        return self._on_step(values.numbers)

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return ends(self.low, self.high)

    @property
    def lattice(self) -> tuple[int, int]:
        """Step and offset."""
        return self.step or 1, self.offset

    def all_codes(self) -> np.ndarray | None:
        """All values, if their frequencies are known."""
        if self.frequencies is None:
            return None
        return (self.low or 0) + (self.step or 1) * np.arange(len(self.frequencies))

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """All values, or those nearest to some points where their frequencies are not known and there are too many."""
        every, (step, offset) = self.all_codes(), self.lattice
        if every is None and spread[-1] - spread[0] < step * len(spread):
            every = np.arange(spread[0], spread[-1] + step, step)
        points = every if asked is None and every is not None else super().grid(spread, asked)
        return np.unique(offset + np.round((points - offset) / step) * step)

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "steps" if self.frequencies is None else "cells"

    @property
    def map(self) -> type["Map"]:
        """Cells of known probability if the frequencies are known, else steps of equal length."""
        if self.frequencies is None:
            from pushforward.tables.columns.maps.steps import Steps

            return Steps
        from pushforward.tables.columns.maps.cells import Cells

        return Cells


def _frequencies(observed: np.ndarray, low: int, high: int, step: int) -> list[float]:
    """Of the values from low to high; others do not count."""
    count = (high - low) // step + 1
    places = ((observed - low) / step).astype(np.int64)
    return smoothed(np.bincount(places[(places >= 0) & (places < count)], minlength=count))
