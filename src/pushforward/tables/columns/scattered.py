"""Few different numbers, each of many rows, that no grid explains: they are levels, and not measurements."""

import numpy as np

from pushforward.tables.columns.recording import grid_of_rows

# So many levels a category has at most, be they numbers or text.
MOST_LEVELS = 1_000
# Scattered numbers have so many rows on average, most of them have at least so many, and at most this share has one.
ROWS_ON_AVERAGE, ROWS_OF_MOST, SHARE_OF_SINGLES = 20, 10, 0.1
# The next row has a value that no row has with at most this probability, two standard errors included.
CHANCE_OF_UNSEEN = 0.01
# Numbers that take up this share of an equally spaced grid were rounded to it.
SHARE_OF_GRID = 0.125
# So were numbers of which this share lie as in a grid, whose step may change: one step from another, or in the middle
# of two others, up to this ratio of the distances.
SHARE_IN_ORDER, ALIKE = 0.5, 1.25


def are_scattered(different: np.ndarray, counts: np.ndarray) -> bool:
    """Whether different numbers are levels: hardly any other occurs, and their neighbors do not predict them.

    Numbers that were measured and rounded fill a grid where they are frequent, and have values of few rows where they
    are rare.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> levels = np.sort(np.random.default_rng(0).random(30))
        >>> are_scattered(levels, np.full(30, 80)), are_scattered(np.arange(30) / 2, np.full(30, 80))
        (True, False)
    """
    if len(different) > MOST_LEVELS or counts.sum() < ROWS_ON_AVERAGE * len(different):
        return False
    repeated = np.median(counts) >= ROWS_OF_MOST and (counts == 1).mean() <= SHARE_OF_SINGLES
    return bool(repeated) and chance_of_unseen(counts) <= CHANCE_OF_UNSEEN and not _in_order(different, counts)


def chance_of_unseen(counts: np.ndarray) -> float:
    """Return the probability that the next row has a value that no row has, plus two standard errors.

    Arguments:
        counts: (n,) how many rows have each value.

    Source: Good 1953, doi:10.1093/biomet/40.3-4.237; its error, Esty 1983, doi:10.1214/aos/1176346256.

    Example:
        >>> chance_of_unseen(np.array([50, 49, 1])), chance_of_unseen(np.array([50, 50]))
        (0.0298997487421324, 0.0)
    """
    rows, singles, doubles = counts.sum(), np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    share = singles / rows
    return float(share + 2 * np.sqrt((share * (1 - share) + 2 * doubles / rows) / rows))


def _in_order(different: np.ndarray, counts: np.ndarray) -> bool:
    """Whether numbers take up an equally spaced grid, or lie as in one whose step changes from place to place."""
    found, step = grid_of_rows(different, counts), 0.0
    if found is not None:
        step = found.grid.step
        if len(different) >= SHARE_OF_GRID * ((different[-1] - different[0]) / step + 1):
            return True
    if len(different) < 3:
        return False
    gaps = np.diff(different)
    shorter, longer = np.minimum(gaps[:-1], gaps[1:]), np.maximum(gaps[:-1], gaps[1:])
    return bool(((shorter < 1.5 * step) | (longer <= ALIKE * shorter)).mean() >= SHARE_IN_ORDER)
