"""Few dates, one of which lies far from all others and hides the calendar on which these lie."""

import numpy as np

from pushforward.tables.columns.calendar import LEAST_ROWS, CalendarGrid, grid_through
from pushforward.tables.columns.outermost import LEAST_ROWS as LEAST_EQUAL
from pushforward.tables.columns.outermost import far_levels

# Far dates lie beside at least so many others.
DATES_BESIDE = 3


def far_dates(different: np.ndarray, counts: np.ndarray, nanoseconds: int, zone: str | None = None) -> np.ndarray:
    """Return the dates without which the others have a longer step, if they lie far from all others; ticks.

    So 9999-12-31 beside five first days of years is a mark, be it in a single row.

    Arguments:
        different: (n,) distinct ticks, increasing.
        counts: (n,) how many rows have each.
        nanoseconds: of one tick.
        zone: their time zone; default none.

    Example:
        >>> days = np.array([*"2018-01-01 2019-01-01 2020-01-01 9999-12-31".split()], dtype="datetime64[s]")
        >>> found = far_dates(days.astype(np.int64), np.full(4, 10), 10**9)
        >>> found.astype("datetime64[s]").astype("datetime64[D]").tolist()
        [datetime.date(9999, 12, 31)]
    """
    # Counted from the last one, where float64 is exact.
    places = (different - different[-1]).astype(np.float64)
    far = np.isin(places, far_levels(places, np.maximum(counts, LEAST_EQUAL), DATES_BESIDE))
    if not far.any():
        return different[:0]
    # More rows of a date say nothing more of its step.
    rows = np.minimum(counts, LEAST_ROWS)

    def calendar(some: np.ndarray) -> CalendarGrid:
        return grid_through(np.repeat(different[some], rows[some]), nanoseconds, zone=zone)

    far &= calendar(~far).off(different, nanoseconds)
    hides = far.any() and calendar(~far).length > calendar(np.full(len(far), True)).length
    return different[far] if hides else different[:0]
