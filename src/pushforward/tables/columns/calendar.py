"""The steps of date-times: units of fixed length and months, several of them, and their places since 1970.

They are counted in UTC, or by the clocks of a time zone.
"""

from typing import Literal, NamedTuple

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.numbers import to_numpy

Unit = Literal["month", "day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"]
LENGTHS: dict[Unit, int] = {  # in nanoseconds
    "day": 86_400_000_000_000,
    "hour": 3_600_000_000_000,
    "minute": 60_000_000_000,
    "second": 1_000_000_000,
    "millisecond": 1_000_000,
    "microsecond": 1_000,
    "nanosecond": 1,
}
DAY = LENGTHS["day"]
# So many different values have a common divisor by chance in hardly any column.
LEAST_VALUES = 8
# Fewer have it where all of so many rows are multiples of what calendars and clocks count in: years, half-years and
# quarters, weeks, and parts of a day, of an hour and of a minute.
LEAST_ROWS = 8
PARTS_OF_HOUR = (30, 20, 15, 10, 5)
USUAL: dict[Unit, tuple[int, ...]] = {
    "month": (12, 6, 3),
    "day": (7,),
    "hour": (12, 6, 4, 3, 2),
    "minute": PARTS_OF_HOUR,
    "second": PARTS_OF_HOUR,
}
# So many date-times tell whether it is worth to look at their clocks.
PROBE = 1000
# Date-times lie on the step on which so many of the rows do, if some of the others have a time of day or other digits.
NEARLY_ALL = 0.99
ARROW_UNITS = {10**9: "s", 10**6: "ms", 10**3: "us", 1: "ns"}  # by their nanoseconds


def coarsest_unit(ticks: np.ndarray, nanoseconds: int) -> Unit:
    """Return the longest unit of which all date-times are multiples: months if all are the first or the last of one.

    Arguments:
        ticks: (n,) date-times in multiples of `nanoseconds` since 1970.
        nanoseconds: of one tick.
    """
    if not rest_of(ticks, "day", nanoseconds).any() and len(ticks) >= LEAST_ROWS:
        days = places_of(ticks, "day", nanoseconds)
        if not rest_of(days, "month", DAY).any() or not rest_of(days + 1, "month", DAY).any():
            return "month"
    return next(unit for unit in LENGTHS if not rest_of(ticks, unit, nanoseconds).any())


def places_of(ticks: np.ndarray, unit: Unit, nanoseconds: int) -> np.ndarray:
    """Return how many whole units after the beginning of 1970 date-times lie, (n,) int64.

    Example:
        >>> places_of(np.array([0, 31, 60]), "month", DAY)
        array([0, 1, 2])
    """
    if unit == "month":
        days = places_of(ticks, "day", nanoseconds)
        months: np.ndarray = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return months
    length = LENGTHS[unit]
    return ticks * (nanoseconds // length) if nanoseconds >= length else ticks // (length // nanoseconds)


def rest_of(ticks: np.ndarray, unit: Unit, nanoseconds: int) -> np.ndarray:
    """Return how many ticks date-times lie after the beginning of their unit, (n,) int64."""
    if unit == "month":
        days = places_of(ticks, "day", nanoseconds)
        return rest_of(ticks, "day", nanoseconds) + days - first_days(places_of(days, "month", DAY))
    length = LENGTHS[unit]
    return np.zeros_like(ticks) if nanoseconds >= length else ticks % (length // nanoseconds)


def first_days(months: np.ndarray) -> np.ndarray:
    """Return the first days of months since 1970, (n,) int64 days since then."""
    days: np.ndarray = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days


def clock_ticks(ticks: np.ndarray, zone: str, nanoseconds: int) -> np.ndarray:
    """Return what the clocks of a time zone show, as ticks without a zone, (n,) int64.

    Midnight stands for the first moment of a day whose midnight the clocks skip.

    Example:
        >>> clock_ticks(np.array([0, 86_400 * 181]), "Europe/Berlin", 10**9) / 3600
        array([1.000e+00, 4.345e+03])
    """
    moments = pa.array(ticks, pa.timestamp(ARROW_UNITS[nanoseconds], zone))
    shown = np.array(to_numpy(pc.cast(pc.local_timestamp(moments), pa.int64())))
    rest = rest_of(shown, "day", nanoseconds)
    late = np.flatnonzero(rest)
    midnights = shown[late] - rest[late]
    first = moments_of(midnights, zone, nanoseconds) == ticks[late]
    shown[late[first]] = midnights[first]
    return shown


def moments_of(shown: np.ndarray, zone: str, nanoseconds: int) -> np.ndarray:
    """Return the first moments at which the clocks of a time zone show some ticks, or later ones, (n,) int64."""
    clocks = pa.array(shown, pa.timestamp(ARROW_UNITS[nanoseconds]))
    moments = pc.assume_timezone(clocks, zone, ambiguous="earliest", nonexistent="latest")
    return np.array(to_numpy(pc.cast(moments, pa.int64())))


class CalendarGrid(NamedTuple):
    """Equally spaced date-times: every so many units of fixed length, or the first or the last days of months.

    Attributes:
        unit: of the steps.
        every: how many of them a step is.
        origin: units from 1970 to what is counted as 0.
        end: whether it has the last days of months.
        zone: the time zone whose clocks count; default None, for UTC.

    Example:
        >>> quarters = CalendarGrid("minute", 15, 0, False)
        >>> minutes = np.array([0, 45, 50]) * LENGTHS["minute"]
        >>> quarters.codes(minutes, 1), quarters.off(minutes, 1)
        (array([0., 3., 3.]), array([False, False,  True]))
    """

    unit: Unit
    every: int
    origin: int
    end: bool
    zone: str | None = None

    def codes(self, ticks: np.ndarray, nanoseconds: int) -> np.ndarray:
        """Whole steps from the origin to ticks, (n,) float64."""
        if self.zone is not None:
            ticks = clock_ticks(ticks, self.zone, nanoseconds)
        return np.asarray((self._units(ticks, nanoseconds) // self.every).astype(np.float64))

    def off(self, ticks: np.ndarray, nanoseconds: int) -> np.ndarray:
        """Which ticks, (n,), lie beside the grid."""
        if self.zone is not None:
            return np.asarray(self.ticks(self.codes(ticks, nanoseconds), nanoseconds) != ticks)
        rest = rest_of(ticks + self._day_after(nanoseconds), self.unit, nanoseconds) != 0
        return np.asarray(rest | (self._units(ticks, nanoseconds) % self.every != 0))

    def ticks(self, codes: np.ndarray, nanoseconds: int) -> np.ndarray:
        """The ticks, (n,) int64, so many steps after the origin."""
        places = codes.astype(np.int64) * self.every + self.origin
        if self.unit == "month":
            ticks = np.asarray((first_days(places + self.end) - self.end) * (DAY // nanoseconds))
        else:
            ticks = np.asarray(places * (LENGTHS[self.unit] // nanoseconds))
        return ticks if self.zone is None else moments_of(ticks, self.zone, nanoseconds)

    def describe(self) -> str:
        """The step, in a few words."""
        clocks = "" if self.zone is None else f" in {self.zone}"
        if self.unit == "month":
            months = "" if self.every == 1 else f", every {self.every} months"
            return f"{'last' if self.end else 'first'} days of months{clocks}{months}"
        return (f"to the {self.unit}" if self.every == 1 else f"every {self.every} {self.unit}s") + clocks

    @property
    def length(self) -> int:
        """Of a step, in nanoseconds, a month of 30 days."""
        return self.every * (30 * DAY if self.unit == "month" else LENGTHS[self.unit])

    def _units(self, ticks: np.ndarray, nanoseconds: int) -> np.ndarray:
        """Whole units from the origin."""
        return places_of(ticks + self._day_after(nanoseconds), self.unit, nanoseconds) - self.end - self.origin

    def _day_after(self, nanoseconds: int) -> int:
        """What makes the last days of months first days."""
        return DAY // nanoseconds if self.end else 0


def grid_through(
    ticks: np.ndarray,
    nanoseconds: int,
    unit: Unit | None = None,
    every: int | None = None,
    origin: int | None = None,
    end: bool | None = None,
    zone: str | None = None,
) -> CalendarGrid:
    """Return the coarsest grid on which date-times lie; what is known of it may be given.

    By the clocks of their zone, if there they have a longer step or lie on a step that they do not have in UTC.
    """
    known = unit, every, origin, end
    plain = _grid_of(ticks, nanoseconds, *known)
    if zone is None or zone == "UTC" or not len(ticks):
        return plain
    for some in (ticks[:: max(1, len(ticks) // PROBE)], ticks):
        grid = _grid_of(clock_ticks(some, zone, nanoseconds), nanoseconds, *known)._replace(zone=zone)
        in_utc = _grid_of(some, nanoseconds, *known)
        longer = grid.length > in_utc.length or bool(in_utc.off(some, nanoseconds).any())
        # To the day says more than every 24 hours.
        longer |= grid.length == in_utc.length and grid.every < in_utc.every
        if not longer or grid.off(some, nanoseconds).any():
            return plain
    return grid


def on_longest_step(ticks: np.ndarray, nanoseconds: int, zone: str | None = None) -> np.ndarray:
    """Return which date-times, (n,), have the longest unit of which nearly all are multiples, in UTC or by clocks.

    Example:
        >>> days = np.append(np.arange(200) * 86_400, 1)
        >>> int(on_longest_step(days, 10**9).sum())
        200
    """
    zoned = zone is not None and zone != "UTC"
    for shown in (ticks, clock_ticks(ticks, zone, nanoseconds)) if zone is not None and zoned else (ticks,):
        day = DAY // nanoseconds
        for moved in (shown, shown + day):
            on = rest_of(moved, "month", nanoseconds) == 0
            # Few dates of nearly all rows say nothing of the others.
            enough = len(on) >= LEAST_ROWS if on.all() else len(np.unique(ticks[on])) >= LEAST_VALUES
            if on.mean() >= NEARLY_ALL and enough:
                return on
        on = rest_of(shown, "day", nanoseconds) == 0
        if on.mean() >= NEARLY_ALL:
            return on
    rests = ((rest_of(ticks, unit, nanoseconds) == 0) for unit in LENGTHS)
    return next(on for on in rests if on.mean() >= NEARLY_ALL)


def _grid_of(
    ticks: np.ndarray,
    nanoseconds: int,
    unit: Unit | None,
    every: int | None,
    origin: int | None,
    end: bool | None,
) -> CalendarGrid:
    unit = unit or coarsest_unit(ticks, nanoseconds)
    if end is None:
        day = DAY // nanoseconds
        first, last = (not rest_of(some, "month", nanoseconds).any() for some in (ticks, ticks + day))
        end = unit == "month" and last and not first
    day = DAY // nanoseconds if end else 0
    places = places_of(ticks + day, unit, nanoseconds) - end
    origin = int(places.min()) if origin is None else origin
    return CalendarGrid(unit, every or common_multiple(places, unit), origin, end)


def common_multiple(places: np.ndarray, unit: Unit) -> int:
    """Return the greatest number of units of which all differences are multiples; for few different values a usual one.

    Arguments:
        places: (n,) of all rows, in units.
        unit: theirs.

    Example:
        >>> common_multiple(np.array([0, 24, 60, 120] * 2), "month"), common_multiple(np.array([0, 9] * 4), "day")
        (12, 1)
    """
    different = np.unique(places)
    divisor = max(int(np.gcd.reduce(np.diff(different))), 1) if len(different) > 1 else 1
    if len(different) >= LEAST_VALUES:
        return divisor
    usual = USUAL.get(unit, ()) if len(places) >= LEAST_ROWS and len(different) > 1 else ()
    return next((count for count in usual if divisor % count == 0), 1)
