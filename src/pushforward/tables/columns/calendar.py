"""The steps of date-times: units of fixed length and months, several of them, and their places since 1970."""

from typing import Literal

import numpy as np

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
# Steps of several units need so many different values: fewer have a common divisor by chance.
LEAST_VALUES = 8


def coarsest_unit(ticks: np.ndarray, nanoseconds: int) -> Unit:
    """Return the longest unit of which all date-times are multiples: months if all are the first or the last of one.

    Arguments:
        ticks: (n,) date-times in multiples of `nanoseconds` since 1970.
        nanoseconds: of one tick.
    """
    if not rest_of(ticks, "day", nanoseconds).any() and len(np.unique(ticks)) >= LEAST_VALUES:
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


def common_multiple(places: np.ndarray) -> int:
    """Return the greatest number of units of which all differences are multiples, 1 for few different values."""
    different = np.unique(places)
    return max(int(np.gcd.reduce(np.diff(different))), 1) if len(different) >= LEAST_VALUES else 1
