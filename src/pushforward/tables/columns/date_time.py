"""A date, or a date and time."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.tables.columns.base import Column
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue, to_numpy

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map

STEPS = {  # in nanoseconds
    "day": 86_400_000_000_000,
    "hour": 3_600_000_000_000,
    "minute": 60_000_000_000,
    "second": 1_000_000_000,
    "millisecond": 1_000_000,
    "microsecond": 1_000,
    "nanosecond": 1,
}
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # of pyarrow, in nanoseconds
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO = rf"^{_DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_WITHOUT_ZONE = r"^[0-9-]{10}([T ][0-9:.]+)?$"


class DateTime(Column):
    """A date, or a date and time.

    The code of a value is how many steps it lies after the origin.

    Attributes:
        step: day, hour, minute, second, millisecond, microsecond or nanosecond; inferred if None, the longest of which
            all values are multiples.
        origin: steps from 1970 to what is counted as 0; inferred.
        zone: the time zone of the values, or None.
        date: whether values are written as dates alone; inferred.
    """

    kind: Literal["date-time"] = "date-time"
    step: Literal["day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"] | None = None
    origin: int | None = None
    zone: str | None = None
    date: bool | None = None

    @property
    def discrete(self) -> bool:
        """True: every step has a probability."""
        return True

    @property
    def numeric(self) -> bool:
        """False."""
        return False

    @property
    def kept_as_text(self) -> bool | None:
        """True."""
        return True

    def describe(self) -> str:
        """The kind and its step."""
        return f"date-time, to the {self.step}" if self.step else "date-time"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Dates, timestamps, and text in which every value is an ISO date or date-time."""
        if values.is_text:
            dates = not values.is_numeric and pc.all(pc.match_substring_regex(values.column, _ISO)).as_py()
        else:
            dates = values.is_dates
        return cls().complete(values) if dates else None

    def complete(self, values: Values) -> Self:
        """Find the step, the origin, the zone, and whether values are dates alone."""
        ticks, present, nanoseconds = _ticks(values)
        ticks = ticks[present]
        step: Any = self.step or next(
            step
            for step, length in STEPS.items()
            if length <= nanoseconds or not (ticks % (length // nanoseconds)).any()
        )
        length, smallest = STEPS[step], int(ticks.min())
        origin = smallest * (nanoseconds // length) if nanoseconds >= length else smallest // (length // nanoseconds)
        if values.is_text:
            zoned = not pc.all(pc.match_substring_regex(values.column, _WITHOUT_ZONE)).as_py()
            date = step == "day" and bool(pc.all(pc.equal(pc.utf8_length(values.column), 10)).as_py())
            zone = "UTC" if zoned else None
        else:
            date = pa.types.is_date(values.type)
            zone = None if date else values.type.tz
        return type(self)(
            step=step,
            origin=self.origin if self.origin is not None else origin,
            zone=self.zone or zone,
            date=date if self.date is None else self.date,
        )

    @property
    def arrow_type(self) -> Any:
        """Dates, or timestamps in the coarsest unit that holds the steps."""
        return pa.date32() if self.date else pa.timestamp(self._unit, self.zone)

    def encode(self, values: Values) -> np.ndarray:
        """Steps after the origin."""
        ticks, present, nanoseconds = _ticks(values)
        length = STEPS[self.step or "second"]
        if nanoseconds >= length:
            steps = ticks * (nanoseconds // length)
        else:
            steps, rest = np.divmod(ticks, length // nanoseconds)
            broken = np.flatnonzero((rest != 0) & present)
            values.unseen[broken] = True
            if len(broken) and values.strict:
                place = int(broken[0])
                shown, problem = str(values.column[place].as_py()), f"which is not a whole {self.step}"
                remedy = "round it, or fit with a schema whose step is shorter"
                raise values.bad_value(place, shown, problem, remedy)
        return np.where(present, (steps - (self.origin or 0)).astype(np.float64), np.nan)

    def decode(self, codes: np.ndarray) -> Any:
        """Dates or timestamps."""
        present = ~np.isnan(codes)
        steps = np.where(present, codes, 0).astype(np.int64) + (self.origin or 0)
        if self.date:
            return pa.array(steps.astype(np.int32), pa.int32(), mask=~present).cast(self.arrow_type)
        units = steps * (STEPS[self.step or "second"] // UNITS[self._unit])
        return pa.array(units, pa.int64(), mask=~present).cast(self.arrow_type)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The steps nearest to equal ones."""
        return np.unique(np.round(super().grid(spread, asked)))

    @property
    def map(self) -> type["Map"]:
        """Steps of equal length."""
        from pushforward.tables.columns.maps.steps import Steps

        return Steps

    @property
    def _unit(self) -> str:
        """The coarsest unit of pyarrow that holds the steps."""
        length = STEPS[self.step or "second"]
        return next(unit for unit, nanoseconds in UNITS.items() if nanoseconds <= length)


def _ticks(values: Values) -> tuple[np.ndarray, np.ndarray, int]:
    """Return date-times as whole numbers since 1970, int64; which are present; and the nanoseconds of one tick."""
    column = _parsed(values) if values.is_text else values.column
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        raise BadValue(values.first_row, f"{values.what} is of type {column.type}, where date-times are needed.")
    present = to_numpy(pc.is_valid(column))
    return to_numpy(pc.fill_null(pc.cast(column, pa.int64()), 0)), present, UNITS[column.type.unit]


def _parsed(values: Values) -> Any:
    """Text as timestamps."""
    column = values.column
    good = pc.fill_null(pc.match_substring_regex(column, _ISO), True)
    zone = "UTC" if pc.any(pc.match_substring_regex(column, _ZONE)).as_py() else None
    try:
        if not pc.all(good).as_py():
            raise pa.ArrowInvalid("not ISO 8601")
        return pc.cast(column, pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        place = next((place for place, ok in enumerate(good.to_pylist()) if not ok), 0)
        raise values.bad_value(
            place,
            f'the text "{column[place].as_py()}"',
            "where a date-time such as 2024-02-29 or 2024-02-29 13:05:00 is needed",
            "correct it",
        ) from None
