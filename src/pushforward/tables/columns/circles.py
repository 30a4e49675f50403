"""Circles on which numbers lie, recognized by the name of a column and by values that fill one turn."""

import re

import numpy as np

from pushforward.tables.columns.detection import ROWS_FOR_BOUNDS
from pushforward.tables.columns.outermost import LEAST_ROWS, far_from
from pushforward.tables.columns.values import Values

# Where the values of an angle begin, and its period; a column fills a circle if it reaches within EDGE of both ends.
CIRCLES = ((0.0, 2 * np.pi), (-np.pi, 2 * np.pi), (0.0, 360.0), (-180.0, 360.0), (0.0, 24.0))
DAY = ((0.0, 86_400.0),)
EDGE = 0.05
NAMES = re.compile(
    r"(^|[^a-z])(angle|phase|azimuth|bearing|heading|direction|dir|longitude|lon|theta|phi|psi|hour)([^a-z]|$)", re.I
)
# So many different values outside of a circle that all others fill may be marks of missing values.
MOST_MARKS = 3


def circle_of(values: Values) -> tuple[float, float] | None:
    """Return where the circle begins that numbers in a column named like an angle fill, and its period, or None."""
    if not _may_be_angle(values):
        return None
    circles = DAY if values.times_of_day else CIRCLES
    return next((circle for circle in circles if _fills(values.observed, circle, values)), None)


def beside_circle(values: Values) -> list[float]:
    """Return the few numbers outside of a circle that all others fill: likely marks of missing values.

    A number of one row alone must be far from the others.

    Example:
        >>> import pyarrow as pa
        >>> column = pa.array([*np.linspace(0, 359, 500), -99.0, -99.0])
        >>> beside_circle(Values(column, "wind_direction", "the table"))
        [-99.0]
    """
    if not _may_be_angle(values) or values.times_of_day:
        return []
    different, counts = values.tally.different, values.tally.counts
    for low, period in CIRCLES:
        outside = (different < low) | (different > low + period)
        if not 0 < outside.sum() <= MOST_MARKS:
            continue
        inner = different[~outside]
        marked = np.all((counts[outside] >= LEAST_ROWS) | far_from(different[outside], inner))
        if marked and _fills(inner, (low, period), values) and counts[~outside].sum() >= ROWS_FOR_BOUNDS:
            return list(different[outside].tolist())
    return []


def _may_be_angle(values: Values) -> bool:
    """Whether the name says so, and there are enough numbers to tell."""
    named = values.times_of_day or NAMES.search(values.name)
    return bool(named) and values.is_numeric and len(values.observed) >= ROWS_FOR_BOUNDS


def _fills(numbers: np.ndarray, circle: tuple[float, float], values: Values) -> bool:
    """Whether numbers lie within a turn and reach both of its ends."""
    low, period = circle
    smallest, largest = numbers.min(), numbers.max()
    if not low <= smallest <= largest <= low + period:
        return False
    # The last of rounded values lies a step before the end.
    edge = max(EDGE * period, 1.5 * (values.tally.cells.step if values.tally.cells else 0.0))
    return bool(smallest < low + edge and low + period - edge < largest)
