"""A few values at the ends of a column that are far from all others: other units, mistakes, or rare events."""

import math

import numpy as np

# The outermost values are far if the gap before them is so many times as wide as the space of the next ten values. Of
# m values, if these are few, it must be T^(1 / m) times as wide, which it is with a probability of about 1 / T under a
# tail like 1 / x; values beyond another such gap do not count among them.
TIMES_NEIGHBORS, TIMES_OF_ONE, NEIGHBORS = 3.0, 1000.0, 10
# A gap is at least this share of the narrower of the two parts that it divides: readings on a grid, and the turning
# points of a path, have narrow gaps between many others.
LEAST_OF_PART = 0.5
# Of few rows the piece of a spline up to one far value would hold many: the gap need be no wider than this.
FEW_ROWS, MOST_TIMES_OF_FEW = 320, 10.0
# At most so many values at an end, and at most this share of them, are far.
MOST_FAR, MOST_SHARE = 20, 0.05


def most_times_of(rows: int) -> float:
    """How many times as wide a gap need be at most, see `far_ends`, for a spline through the quantiles of some rows.

    >>> most_times_of(100), most_times_of(1000)
    (10.0, inf)
    """
    return MOST_TIMES_OF_FEW if rows < FEW_ROWS else math.inf


def far_ends(values: np.ndarray, most_times: float = math.inf) -> tuple[int, int]:
    """Return how many of the smallest values, and of the largest ones, are far from all others.

    At each end these are as many as possible. Heavy tails have next to none.

    Arguments:
        values: (n,) distinct numbers, increasing.
        most_times: how many times as wide as the space a gap need be at most, default unlimited.

    Example:
        >>> column = np.linspace(0, 1, 100)
        >>> far_ends(np.append(column, [50.0, 80.0])), far_ends(column**5)
        ((0, 2), (0, 0))
    """
    most = min(max(MOST_FAR, int(MOST_SHARE * len(values))), (len(values) - NEIGHBORS) // 2)
    if most < 1:
        return 0, 0
    number = most + NEIGHBORS + 1
    # Halved, because the difference of the largest numbers would overflow.
    # Those that may be far at the other end do not widen the part that is not.
    first, last = values[most] / 2, values[-most - 1] / 2
    return (
        _far(values[:number] / 2, last, most_times),
        _far(-values[: -number - 1 : -1] / 2, -first, most_times),
    )


def _far(values: np.ndarray, last: float, most_times: float) -> int:
    """How many of the first of increasing values, of which the others go on to the last, are far from them."""
    gaps = np.diff(values)[:-NEIGHBORS]
    spaces = values[1 + NEIGHBORS :] - values[1:-NEIGHBORS]
    found = 0
    for place in np.flatnonzero(gaps > TIMES_NEIGHBORS * spaces).tolist():
        # Those that are far by themselves make none of the next ones so.
        times = min(max(TIMES_OF_ONE ** (1 / (place + 1 - found)), TIMES_NEIGHBORS), most_times)
        parts = values[place] - values[0], last - values[place + 1]
        if gaps[place] > times * spaces[place] and gaps[place] >= LEAST_OF_PART * min(parts):
            found = place + 1
    return found
