"""A grid on which some of the numbers lie, beside others with more digits: a mixture of two recordings."""

import numpy as np

from pushforward.tables.columns.grids import Grid, grid_of
from pushforward.tables.columns.recording import STEPS_OF_DEVIATION, grid_of_rows, is_tied, steps_of_deviation

# So many different values occur again on a grid that some of the numbers were rounded to, and its step is at least so
# many times that of the others: fewer lie on a coarser grid by chance.
LEAST_TIED, COARSER = 8, 8.0
# So large a share of the rows lies on it, and so large a share of it between the quartiles of these has rows: a few
# frequent values do not fill the grid that they lie on.
LEAST_SHARE, FILLED = 0.05, 0.5


def grid_of_some(different: np.ndarray, counts: np.ndarray) -> Grid | None:
    """Return the grid on which the numbers that occur again lie, where they are less than half of the rows.

    Numbers of many digits do not occur again, so those that do were recorded otherwise than the others.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> draws = np.random.default_rng(0).normal(15, 1, 1000)
        >>> some = np.where(np.arange(1000) % 5 < 2, np.round(draws, 1), draws)
        >>> grid_of_some(*np.unique(some, return_counts=True))
        Grid(step=0.1, offset=0.0)
    """
    # The most frequent value may be an atom, which says nothing of the others.
    counts = np.where(np.arange(len(counts)) == counts.argmax(), 1, counts)
    if np.count_nonzero(counts > 1) < LEAST_TIED or is_tied(counts):
        return None
    # Two of the others may be equal by chance, three hardly.
    candidates = (_grid_of_tied(different, counts, least) for least in (2, 3))
    return next((grid for grid in candidates if grid is not None), None)


def _grid_of_tied(different: np.ndarray, counts: np.ndarray, least: int) -> Grid | None:
    """The grid of the numbers with so many rows at least, if it is coarser than that of the others and filled."""
    tied = counts >= least
    found = grid_of_rows(different[tied], counts[tied]) if np.count_nonzero(tied) >= LEAST_TIED else None
    if found is None or np.count_nonzero(found.on) < LEAST_TIED:
        return None
    whole = grid_of(different)
    if whole is not None and found.grid.step < COARSER * whole.step:
        return None
    on = found.grid.has(different)
    if counts[on].sum() < LEAST_SHARE * counts.sum():
        return None
    first, last = np.searchsorted(counts[on].cumsum() / counts[on].sum(), [0.25, 0.75])
    steps = np.ptp(different[on][[first, last]]) / found.grid.step
    return found.grid if last - first >= FILLED * steps else None


def cells_of_some(different: np.ndarray, counts: np.ndarray) -> Grid | None:
    """Return that grid if its step matters to the density, as that of a grid of all would.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
    """
    grid = grid_of_some(different, counts)
    if grid is None:
        return None
    on = grid.has(different)
    return grid if steps_of_deviation(different[on], counts[on], grid.step) <= STEPS_OF_DEVIATION else None
