"""The step to which numbers were recorded, and the cells of that length for which they stand."""

from typing import NamedTuple

import numpy as np

# Numbers are written with at most so many decimals, and with fewer than this many steps between them.
MOST_DECIMALS, MOST_STEPS = 9, 2.0**45
# In single precision every number is a multiple of some step; one that was chosen leaves some bits unused.
MOST_SINGLE_STEPS = 2.0**21
# A step matters if most values occur again, and a deviation is at most so many steps: a finer one is seen by no density
# that is learned.
STEPS_OF_DEVIATION = 32
# A normal distribution of one deviation has as many even chances as so many cells of equal probability and length 1.
CELLS_OF_DEVIATION = 2 * np.sqrt(np.pi)
# Where most values occur again, more empty steps than this lie between clusters.
EMPTY_STEPS = 16
# The smallest difference is the step of numbers that are no decimal fractions, if others are multiples up to rounding,
# which must be a small part of a step.
ROUNDING, MOST_ROUNDING = 1e-6, 1e-3
# Numbers were rounded if at least this share of the rows has a value that other rows have too.
TIED_ROWS = 0.5


class Grid(NamedTuple):
    """Equally spaced numbers.

    Attributes:
        step: the distance between neighbors.
        offset: one of them, at least 0 and less than the step.
    """

    step: float
    offset: float

    def nearest(self, numbers: np.ndarray) -> np.ndarray:
        """The number of the grid nearest to each, free of the rounding of sums of steps.

        Example:
            >>> Grid(0.1, 0.0).nearest(np.array([0.26, 1.0000001]))
            array([0.3, 1. ])
        """
        near: np.ndarray = self.offset + np.round((numbers - self.offset) / self.step) * self.step
        # 3 * 0.1 is not 0.3, but rounded to one decimal it is.
        decimals = next((n for n in range(MOST_DECIMALS + 1) if self._has_decimals(n)), None)
        return near if decimals is None else np.round(near, decimals)

    def _has_decimals(self, count: int) -> bool:
        return all(round(number, count) == number for number in self)


def is_tied(counts: np.ndarray) -> bool:
    """Whether most rows have a value that other rows have too."""
    return bool(counts[counts > 1].sum() >= TIED_ROWS * counts.sum() > 0)


def grid_of(different: np.ndarray) -> Grid | None:
    """Return the coarsest grid on which all numbers lie, or None if they are no multiples of anything.

    Decimal fractions have the greatest common divisor of their differences; others, such as thirds, the smallest
    difference if all are multiples of it.

    Arguments:
        different: (n,) distinct numbers, increasing, n at least 2.

    Example:
        >>> grid_of(np.array([0.5, 1.0, 3.5])), grid_of(np.array([0.25, 0.3, 0.4]))
        (Grid(step=0.5, offset=0.0), Grid(step=0.05, offset=0.0))
        >>> grid_of(np.array([0.0, 1.0, np.pi]))
    """
    largest = np.abs(different).max()
    with np.errstate(over="ignore"):  # beyond the range of float32
        single = np.array_equal(different.astype(np.float32), different)
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10.0**decimals
        if largest * scale >= MOST_STEPS:
            return None
        whole = np.round(different * scale)
        written = whole / scale
        if np.array_equal(written, different) or (
            single and largest * scale < MOST_SINGLE_STEPS and np.array_equal(written.astype(np.float32), different)
        ):
            divisor = int(np.gcd.reduce(np.diff(whole).astype(np.int64)))
            return Grid(divisor / scale, (int(whole[0]) % divisor) / scale) if divisor else None
    step = float(np.diff(different).min())
    places = (different - different[0]) / step
    rounding = ROUNDING + 16 * np.finfo(float).eps * largest / step
    if np.abs(places - np.round(places)).max() <= rounding < MOST_ROUNDING:
        # All differences together say what the step is.
        step = float((different[-1] - different[0]) / np.round(places[-1]))
        return Grid(step, float(np.mod(different[0], step)))
    return None


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
    grid = grid_of(different)
    if grid is None or any_step:
        return grid
    return grid if _steps_of_deviation(different, counts, grid.step) <= STEPS_OF_DEVIATION else None


def step_of_ties(different: np.ndarray, counts: np.ndarray) -> float:
    """Return the step of numbers of which most occur again, whether it matters or not; 0 for none.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> step_of_ties(np.array([0.5, 1.0, 2.0]), np.array([9, 9, 1])), step_of_ties(np.arange(3.0), np.ones(3))
        (0.5, 0.0)
    """
    grid = grid_of(different) if len(different) > 1 and is_tied(counts) else None
    return 0.0 if grid is None else grid.step


def _steps_of_deviation(different: np.ndarray, counts: np.ndarray, step: float) -> float:
    """How many steps the deviation has of the cluster in which the middle row lies, clusters from narrow to wide.

    Of a cluster it is that of a normal distribution in which two rows are equal as often.
    """
    firsts = np.flatnonzero(np.diff(different, prepend=-np.inf) > EMPTY_STEPS * step)
    rows = np.add.reduceat(counts, firsts).astype(float)
    pairs = np.add.reduceat(counts * (counts - 1.0), firsts)
    cells = np.divide(rows * (rows - 1), pairs, out=np.full(len(rows), np.inf), where=pairs > 0)
    order = np.argsort(cells)
    middle = np.searchsorted(rows[order].cumsum(), 0.5 * rows.sum())
    return float(cells[order][middle] / CELLS_OF_DEVIATION)


def written_step(different: np.ndarray) -> float | None:
    """Return the decimal number of which all numbers are multiples, or None if they are of none.

    Arguments:
        different: (n,) distinct numbers, increasing.

    Example:
        >>> written_step(np.array([0.25, 0.35])), written_step(np.array([0.0, 1 / 3, 2 / 3]))
        (0.05, None)
    """
    grid = grid_of(np.union1d(different, 0.0)) if len(different) > 1 else None
    return grid.step if grid is not None and round(grid.step, MOST_DECIMALS) == grid.step else None


def spread(different: np.ndarray, counts: np.ndarray, step: float) -> np.ndarray:
    """Return rounded numbers spread evenly over their cells, increasing: what they may have been before.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        step: the length of a cell; 0 leaves the numbers as they are.

    Example:
        >>> spread(np.array([1.0, 2.0]), np.array([2, 1]), 1.0)
        array([0.75, 1.25, 2.  ])
    """
    numbers = np.repeat(different, counts)
    if not step:
        return numbers
    firsts = np.repeat(counts.cumsum() - counts, counts)
    places: np.ndarray = (np.arange(len(numbers)) - firsts + 0.5) / np.repeat(counts, counts) - 0.5
    return numbers + step * places
