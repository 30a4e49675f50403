"""The same value in every row."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.detection import LARGEST_INTEGER
from pushforward.tables.columns.levels import Level, arrow_type_of, is_number, positions, same, same_text, short
from pushforward.tables.columns.timestamps import (
    UNITS,
    check_zone,
    iso,
    may_be_moments,
    tick_of,
    ticks_of,
    zone_and_date,
)
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue


class Constant(Column):
    """The same value in every row: its probability is 1, and it is written into draws.

    The code of the value is 0.

    Attributes:
        value: inferred if None; a date or a time in ISO 8601, in UTC where it has a zone.
        moment: whether the value is a date, or a date and time; inferred, None for another value.
        zone: the time zone of a time, or None.
    """

    kind: Literal["constant"] = "constant"
    value: Level | None = None
    moment: Literal["date", "time"] | None = None
    zone: str | None = None

    @property
    def modeled(self) -> bool:
        """False."""
        return False

    @property
    def own_levels(self) -> Sequence[Level]:
        """The value."""
        return () if self.value is None else (self.value,)

    @property
    def numeric(self) -> bool:
        """Whether the value is a number."""
        return self.value is not None and is_number(self.value)

    @property
    def kept_as_text(self) -> bool | None:
        """False if the value is a number, and True if it is a moment."""
        return True if self.moment else False if self.numeric else None

    def describe(self) -> str:
        """The kind and the value."""
        if self.value is None:
            return "constant"
        return f"constant, {self.value if self.moment else short(self.value)}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """One value in every row that has one."""
        if may_be_moments(values):
            return cls._of_moments(values)
        if not values.is_numeric:
            column = values.column.drop_null()
            different = pc.unique(same_text(column) if values.is_text else column)
            return (
                cls(value=same(values.first()) if values.is_text else values.first()) if len(different) == 1 else None
            )
        low, high = float(values.observed.min()), float(values.observed.max())
        if low != high:
            return None
        return cls(value=int(low) if low.is_integer() and abs(low) <= LARGEST_INTEGER else low)

    @classmethod
    def _of_moments(cls, values: Values) -> Self | None:
        """One moment in every row that has one."""
        ticks, present, nanoseconds = ticks_of(values)
        zone, date = zone_and_date(values, ticks[present], nanoseconds)
        first = int(ticks[present][0])
        constant = cls(value=_shown(first, nanoseconds), moment="date" if date else "time", zone=zone)
        return None if np.ptp(ticks[present]) else constant

    def complete(self, values: Values) -> Self:
        """Take the first value."""
        if self.value is not None:
            return self
        first = Values(values.column.drop_null()[:1], values.name, values.source, marks=values.marks)
        return type(self).infer(first) or type(self)(value=values.first())

    @property
    def arrow_type(self) -> Any:
        """That of the value."""
        if self.moment is None:
            return arrow_type_of(self.value)
        return pa.date32() if self.moment == "date" else pa.timestamp(_unit_of(str(self.value)), self.zone)

    def encode(self, values: Values) -> np.ndarray:
        """0."""
        assert self.value is not None
        if self.moment is not None:
            return self._encode_moments(values, str(self.value))
        try:
            return positions(values, [self.value])
        except BadValue as bad:
            raise self._another(values, bad.row) from None

    def _encode_moments(self, values: Values, moment: str) -> np.ndarray:
        """0 for the moment itself, however finely its time is counted."""
        ticks, present, nanoseconds = ticks_of(values)
        check_zone(values, present, self.zone)
        tick = tick_of(moment, nanoseconds)
        # A second does not hold a moment between two of them.
        others = present & ((ticks != tick) | (_shown(tick, nanoseconds) != moment))
        if values.strict and others.any():
            raise self._another(values, values.first_row + int(others.argmax()))
        values.unseen |= others
        return np.where(present, 0.0, np.nan)

    def _another(self, values: Values, row: int) -> BadValue:
        return BadValue(
            row,
            f"{values.what} is {self.value} in every row that the model was fitted to, and something else in row "
            f"{row}: its probability is 0 there; correct that row, or leave it out.",
        )

    def decode(self, codes: np.ndarray) -> Any:
        """The value in every row."""
        if self.moment is None:
            return pa.array([self.value] * len(codes), self.arrow_type)
        unit = _unit_of(str(self.value))
        ticks = pa.array([tick_of(str(self.value), UNITS[unit])] * len(codes), pa.int64())
        return ticks.cast(pa.timestamp(unit, self.zone)).cast(self.arrow_type)


def _shown(tick: int, nanoseconds: int) -> str:
    """A tick in ISO 8601, with as many decimals of a second as it has."""
    shown = iso(tick, nanoseconds)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _unit_of(moment: str) -> str:
    """The coarsest unit of pyarrow that holds a moment."""
    digits = len(moment.partition(".")[2])
    return "s" if not digits else "ms" if digits <= 3 else "us" if digits <= 6 else "ns"
