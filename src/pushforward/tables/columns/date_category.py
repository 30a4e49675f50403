"""One of some dates."""

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pushforward.tables.columns.base import Column, Share, smoothed
from pushforward.tables.columns.calendar import grid_through
from pushforward.tables.columns.date_time import DateTime, refuse_moments
from pushforward.tables.columns.far_dates import far_dates
from pushforward.tables.columns.leveled import MOST_DECLARED, Leveled
from pushforward.tables.columns.moments import Moment, Moments
from pushforward.tables.columns.scattered import MOST_LEVELS, are_scattered
from pushforward.tables.columns.timestamps import (
    UNITS,
    arrow_unit,
    check_zone,
    iso,
    may_be_moments,
    tick_of,
    ticks_of,
    zone_and_date,
)
from pushforward.tables.columns.values import Values


class DateCategory(Leveled, Moments):
    """One of some dates, or dates and times, that no calendar explains.

    The code of a value is the position of its level.

    Attributes:
        levels: in ISO 8601, increasing; inferred if None.
        frequencies: of the levels, smoothed; inferred.
    """

    kind: Literal["date-category"] = "date-category"
    levels: Annotated[list[Moment], Field(min_length=1, max_length=MOST_DECLARED)] | None = None
    frequencies: list[Share] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "DateCategory":
        ticks = [tick_of(level, UNITS["us"]) for level in self.levels or ()]
        if self.frequencies is None and len(set(ticks)) < len(ticks):
            raise ValueError("two of the levels are equal; name one of them")
        if self.frequencies is not None and len(self.frequencies) != len(ticks):
            raise ValueError("there must be one frequency for each level")
        return self

    @property
    def level_count(self) -> int:
        """How many dates there are."""
        return len(self.levels or ())

    @property
    def cells(self) -> None:
        """None: the codes are places."""
        return None

    def as_condition(self) -> Column:
        """Any date on the calendar of the levels."""
        return DateTime(**{name: getattr(self, name) for name in Moments.model_fields if name != "kind"})

    def describe(self) -> str:
        """The kind and its levels."""
        if self.levels is None:
            return "date-category"
        shown = ", ".join(self.levels[:4])
        return f"category of dates, {len(self.levels)} levels: {shown}{', …' if len(self.levels) > 4 else ''}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Few dates, each of many rows, that lie on no calendar."""
        if not may_be_moments(values):
            return None
        ticks, present, nanoseconds = ticks_of(values)
        different, counts = np.unique(ticks[present], return_counts=True)
        if not 2 < len(different) <= MOST_LEVELS:
            return None
        if len(far_dates(different, counts, nanoseconds)):
            return None
        # In steps of the calendar on which all lie.
        places = grid_through(ticks[present], nanoseconds).codes(different, nanoseconds)
        return cls().complete(values) if are_scattered(places, counts) else None

    def complete(self, values: Values) -> Self:
        """Find the levels and their frequencies, the calendar, the zone, and whether values are dates alone."""
        ticks, present, nanoseconds = ticks_of(values)
        ticks = ticks[present]
        zone, date = zone_and_date(values, ticks, nanoseconds)
        zone, date = self.zone or zone, date if self.date is None else self.date
        if self.levels is None:
            different = np.unique(ticks)
        else:
            different = np.unique([tick_of(level, nanoseconds) for level in self.levels])
        known = self.step, self.every, self.origin, self.end
        unit, every, origin, end, clocks = grid_through(different, nanoseconds, *known, zone)
        update: dict[str, Any] = {"step": unit, "every": every, "origin": origin, "end": end, "zone": zone}
        update |= {"date": date, "by_clock": None if clocks is None else True, "atoms": []}
        found, rows = np.unique(ticks, return_counts=True)
        counts = np.array([rows[found == tick].sum() for tick in different])
        update["levels"] = [iso(tick, nanoseconds) for tick in different.tolist()]
        return self.model_copy(update={**update, "frequencies": smoothed(counts)})

    def encode(self, values: Values) -> np.ndarray:
        """The positions of the levels."""
        ticks, present, nanoseconds = ticks_of(values)
        check_zone(values, present, self.zone)
        levels = self._level_ticks(nanoseconds)
        # A tick of seconds holds no level between two of them.
        shown = [iso(tick, nanoseconds) for tick in levels.tolist()]
        held = np.array(shown) == np.array(self.levels)
        places = np.searchsorted(levels, ticks).clip(max=len(levels) - 1)
        unknown = present & ((levels[places] != ticks) | ~held[places])
        refuse_moments(values, unknown, f"which is not one of its {len(levels)} dates")
        return np.where(present, places.astype(np.float64), np.nan)

    def _level_ticks(self, nanoseconds: int) -> np.ndarray:
        """The levels in ticks, increasing."""
        return np.array([tick_of(level, nanoseconds) for level in self.levels or ()], dtype=np.int64)

    def _ticks(self, codes: np.ndarray, nanoseconds: int) -> np.ndarray:
        """The ticks of codes, (n,) int64; anything where a code is NaN."""
        return self._level_ticks(nanoseconds)[np.where(np.isnan(codes), 0, codes).astype(np.int64)]

    @property
    def _unit(self) -> str:
        """The coarsest unit of pyarrow that holds the levels."""
        digits = max(len(level.partition(".")[2]) for level in self.levels or ("",))
        return arrow_unit(10 ** max(9 - 3 * -(-digits // 3), 0))
