"""The step to which numbers were recorded, and the cells of that length for which they stand."""

from typing import NamedTuple

import numpy as np

from pushforward.tables.columns.grids import MOST_DECIMALS, MOST_STEPS, Grid, decimals_of, grid_of, has_decimals

# A step matters if most values occur again, and a deviation is at most so many steps: a finer one is seen by no density
# that is learned.
STEPS_OF_DEVIATION = 32
# A normal distribution of one deviation has as many even chances as so many cells of equal probability and length 1.
CELLS_OF_DEVIATION = 2 * np.sqrt(np.pi)
# Where most values occur again, more empty steps than this lie between clusters.
EMPTY_STEPS = 16
# Numbers were rounded if at least this share of the rows has a value that other rows have too.
TIED_ROWS = 0.5
# Numbers lie on the grid of so many of the rows, if some of the others lie beside it: the coarsest with the first
# share; without any grid of all, the finest with the second.
MOST_ROWS, HALF_THE_ROWS = 0.75, 0.5
# It is looked for among the most frequent values that have these shares of the rows, and has so many values.
SHARES, LEAST_VALUES = (0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5), 4

# So many values tell whether it is worth looking at all.
PROBE = 256


class Recorded(NamedTuple):
    """A grid on which numbers lie.

    Attributes:
        grid: the grid.
        on: (n,) which of the numbers lie on it: all, or those of most rows.
    """

    grid: Grid
    on: np.ndarray


def is_tied(counts: np.ndarray) -> bool:
    """Whether most rows have a value that other rows have too."""
    return bool(counts[counts > 1].sum() >= TIED_ROWS * counts.sum() > 0)


def grid_of_rows(different: np.ndarray, counts: np.ndarray) -> Recorded | None:
    """Return the coarsest grid on which all or most rows lie, or None if they are no multiples of anything.

    A row with more digits than the others undoes no step: three quarters of the rows say what it is, beside those that
    have the most frequent value, which may be an atom.

    Arguments:
        different: (n,) distinct numbers, increasing, n at least 2.
        counts: (n,) how many rows have each.

    Example:
        >>> halves = np.arange(10, 20) / 2
        >>> grid_of_rows(np.append(halves, 10.123), np.append(np.full(10, 50), 1)).grid
        Grid(step=0.5, offset=0.0)
    """
    found, whole, known = None, grid_of(different), set()
    counts = np.where(np.arange(len(counts)) == counts.argmax(), 1, counts)
    rows, most_frequent = counts.sum(), np.sort(counts)[::-1]
    for share in SHARES:
        # Of all values that are equally frequent, all are asked.
        least = most_frequent[np.searchsorted(most_frequent.cumsum(), share * rows)]
        core = different[counts >= least]
        if least in known or len(core) == len(different) or len(core) < 2:
            continue
        known.add(least)
        grid = grid_of(core)
        if grid is None or (whole is not None and grid.step < 1.5 * whole.step):
            continue
        on = grid.has(different)
        most = counts[on].sum() / rows
        if on.sum() >= LEAST_VALUES and (
            most >= MOST_ROWS or (whole is None and found is None and most >= HALF_THE_ROWS)
        ):
            found = Recorded(grid, on)
    return found or (None if whole is None else Recorded(whole, np.full(len(different), True)))


def recorded_grid(different: np.ndarray, counts: np.ndarray, any_step: bool = False) -> Grid | None:
    """Return the grid to which measurements were rounded, if that matters: see `STEPS_OF_DEVIATION`.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        any_step: whether a fine step matters too, as where rounding put values on a bound; default False.

    Example:
        >>> heights = np.round(np.random.default_rng(0).normal(170, 8, 1000))
        >>> recorded_grid(*np.unique(heights, return_counts=True))
        Grid(step=1.0, offset=0.0)
    """
    if len(different) < 2 or not is_tied(counts):
        return None
    found = grid_of_rows(different, counts)
    if found is None or any_step:
        return None if found is None else found.grid
    matters = steps_of_deviation(different[found.on], counts[found.on], found.grid.step) <= STEPS_OF_DEVIATION
    return found.grid if matters else None


def step_of_ties(different: np.ndarray, counts: np.ndarray) -> float:
    """Return the step of numbers of which most occur again, whether it matters or not; 0 for none.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> step_of_ties(np.array([0.5, 1.0, 2.0]), np.array([9, 9, 1])), step_of_ties(np.arange(3.0), np.ones(3))
        (0.5, 0.0)
    """
    found = grid_of_rows(different, counts) if len(different) > 1 and is_tied(counts) else None
    return 0.0 if found is None else found.grid.step


def cells_of(counts: np.ndarray) -> float:
    """Return the number of cells of equal probability in which two rows are equal as often, infinite for no ties."""
    rows, pairs = counts.sum(), (counts * (counts - 1.0)).sum()
    return float(rows * (rows - 1.0) / pairs) if pairs else float("inf")


def steps_of_deviation(different: np.ndarray, counts: np.ndarray, step: float) -> float:
    """Return how many steps the deviation has of the cluster of the middle row, clusters from narrow to wide.

    Of a cluster it is that of a normal distribution in which two rows are equal as often.

    Arguments:
        different: (n,) distinct numbers of a grid, increasing.
        counts: (n,) how many rows have each.
        step: of the grid.
    """
    firsts = np.flatnonzero(np.diff(different, prepend=-np.inf) > EMPTY_STEPS * step)
    rows = np.add.reduceat(counts, firsts).astype(float)
    pairs = np.add.reduceat(counts * (counts - 1.0), firsts)
    cells = np.divide(rows * (rows - 1), pairs, out=np.full(len(rows), np.inf), where=pairs > 0)
    order = np.argsort(cells)
    middle = np.searchsorted(rows[order].cumsum(), 0.5 * rows.sum())
    return float(cells[order][middle] / CELLS_OF_DEVIATION)


def written_step(different: np.ndarray, counts: np.ndarray) -> float | None:
    """Return the decimal number of which all numbers are multiples, or those of most rows; None if they are of none.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> once = np.ones(4, dtype=int)
        >>> written_step(np.array([0.25, 0.35, 0.4, 0.4123]), once), written_step(np.arange(4) / 3, once)
        (0.05, None)
    """
    if len(different) < 2:
        return None
    least, largest = MOST_ROWS * counts.sum(), np.abs(different).max()
    # Some values soon tell that a column has no decimals.
    some = different[:: max(1, len(different) // PROBE)]
    candidates = [decimals for decimals in range(MOST_DECIMALS + 1) if has_decimals(some, decimals).mean() > 0.5]
    for decimals in candidates:
        if largest * 10.0**decimals >= MOST_STEPS:
            break
        on = has_decimals(different, decimals)
        if on.sum() > 1 and counts[on].sum() >= least:
            different = different[on]
            break
    # In another unit, be it a power of ten, they may still be multiples of a decimal number.
    grid = grid_of(np.union1d(different, 0.0))
    return None if grid is None or decimals_of(grid.step) is None else grid.step


def spread(different: np.ndarray, counts: np.ndarray, step: float | np.ndarray) -> np.ndarray:
    """Return rounded numbers spread evenly over their cells, increasing: what they may have been before.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        step: the length of a cell, or of each, (n,); 0 leaves the numbers as they are.

    Example:
        >>> spread(np.array([1.0, 2.0]), np.array([2, 1]), 1.0)
        array([0.75, 1.25, 2.  ])
    """
    numbers = np.repeat(different, counts)
    if not np.any(step):
        return numbers
    firsts = np.repeat(counts.cumsum() - counts, counts)
    places: np.ndarray = (np.arange(len(numbers)) - firsts + 0.5) / np.repeat(counts, counts) - 0.5
    return numbers + np.repeat(np.broadcast_to(step, counts.shape), counts) * places
