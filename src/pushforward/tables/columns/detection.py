"""What numbers look like: evidence that more than one kind of column asks for."""

from functools import cache

import numpy as np

from pushforward.tables.columns.recording import spread
from pushforward.tables.numbers import LARGEST_EXACT

# Beyond this float64 has whole numbers alone, which say nothing of what was counted.
LARGEST_INTEGER = LARGEST_EXACT
# Bounds are believed from this many rows on, if the smallest lies at most half as far from the bound as the tenth.
ROWS_FOR_BOUNDS, NEAR_BOUND, NEAR_END = 200, 10, 0.02
INTERVALS = ((0.0, 1.0), (0.0, 100.0), (-1.0, 1.0))
# Bounds of one side: those from which numbers go on, and those at which they pile up.
HALF_LINE, UPPER_ENDS = 0.0, (1.0, 100.0)
ENDS = sorted({end for interval in INTERVALS for end in interval})
# Rounded numbers end abruptly if the outermost cell has so many rows, and this share of the mean of the next cells.
ROWS_OF_END, SHARE_OF_NEXT, NEXT_CELLS = 10, 0.5, 3
# A tail is the outermost twentieth of the rows, and at least this many; it is heavy if its index exceeds HEAVY by two
# standard errors.
TAIL_SHARE, TAIL_ROWS, HEAVY = 0.05, 50, 0.1
# Numbers pile up at 0 if their density rises toward it like x^(a - 1), with a below this by two standard errors, as at
# least so many of them say.
PILED, LEAST_OF_PILE = 0.75, 20


def bounds_of(different: np.ndarray, counts: np.ndarray, step: float = 0.0) -> tuple[float | None, float | None]:
    """Return the natural interval or half-line that numbers fill up to its ends.

    Rows on an end itself are no evidence that the others come near it. Numbers that pile up at 1 or 100 have a bound
    there, however far from the other end of the interval they are. Fewer than 200 say nothing, unless they pile up.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        step: the length of their cells if they were rounded; default 0, for not.

    Returns:
        The lower and the upper bound, None for none.

    Example:
        >>> bounds_of(np.linspace(0, 1, 500), np.ones(500, dtype=int))
        (0.0, 1.0)
    """
    few = counts.sum() < ROWS_FOR_BOUNDS
    smallest, largest = different[0], different[-1]

    @cache
    def distances(end: float) -> np.ndarray:
        return _distances(different, counts, step, end)

    for low, high in INTERVALS:
        # Both ends must be near, because an interval may fit by chance.
        if low <= smallest and largest <= high:
            of_ends = [distances(end) for end in (low, high)]
            near = all(_reached(end) and end[0] < NEAR_END * (high - low) for end in of_ends)
            if near and (not few or any(map(_pile_up, of_ends))):
                return low, high
    near_zero = False
    if smallest >= HALF_LINE or largest <= HALF_LINE:
        near_zero = _reached(distances(HALF_LINE)) and (not few or _pile_up(distances(HALF_LINE)))
    if largest <= HALF_LINE and near_zero:
        return None, HALF_LINE
    piled = (end for end in UPPER_ENDS if largest <= end and _pile_up(distances(end)))
    return (HALF_LINE if smallest >= HALF_LINE and near_zero else None), next(piled, None)


def abrupt_ends(different: np.ndarray, counts: np.ndarray, step: float) -> tuple[float | None, float | None]:
    """Return the outer edges of the first and the last cell of rounded numbers, None where they tail off.

    Numbers end abruptly where the outermost cell has many rows, and at least half as many as the next ones on average.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        step: the length of a cell.

    Example:
        >>> abrupt_ends(np.arange(2, 11) / 2, np.full(9, 30), 0.5)
        (0.75, 5.25)
    """
    found: list[float | None] = []
    for numbers, rows, side in ((different, counts, -1), (different[::-1], counts[::-1], 1)):
        near = np.abs(numbers - numbers[0]) < (NEXT_CELLS + 0.5) * step
        next_to_it = rows[near][1:].sum() / NEXT_CELLS
        abrupt = len(numbers) > NEXT_CELLS and rows[0] >= max(ROWS_OF_END, SHARE_OF_NEXT * next_to_it)
        found.append(float(numbers[0] + side * step / 2) if abrupt else None)
    return found[0], found[1]


def heavy_tails(values: np.ndarray, always: bool = False) -> tuple[float, float]:
    """Return the index of each heavy tail, lower and upper, and 0 for a tail that is not heavy.

    The index is that of a generalized Pareto distribution of the excesses y over a threshold, by probability-weighted
    moments: 2 - b0 / (b0 - 2 b1) with b0 = mean y and b1 = mean (1 - F(y)) y.

    Arguments:
        values: (n,) finite numbers.
        always: return the index of light tails too; default False.

    Source: Hosking and Wallis 1987, doi:10.1080/00401706.1987.10488243.
    """
    count = max(int(TAIL_SHARE * len(values)), TAIL_ROWS)
    if len(values) < 4 * count:
        return 0.0, 0.0
    found = []
    for side in (-values, values):
        largest = np.sort(np.partition(side, len(side) - count - 1)[-count - 1 :])
        excess = largest[1:] - largest[0]
        if excess[-1] <= 0:
            found.append(0.0)
            continue
        excess = excess / excess[-1]
        weight = 1 - (np.arange(1, count + 1) - 0.35) / count
        first, second = excess.mean(), (weight * excess).mean()
        index = 2 - first / (first - 2 * second)
        error = (1 + max(index, 0.0)) / np.sqrt(count)
        found.append(float(index) if always or index - 2 * error > HEAVY else 0.0)
    return found[0], found[1]


def piles_up(numbers: np.ndarray) -> bool:
    """Whether the density of numbers above 0 grows without end toward 0: see `PILED`.

    a is one over the mean of the log of the twentieth smallest over the others that are smaller still.

    Arguments:
        numbers: (n,) above 0.

    Source: Hill 1975, doi:10.1214/aos/1176343247, for 1 / x.

    Example:
        >>> places = (np.arange(2000) + 0.5) / 2000
        >>> piles_up(places), piles_up(places**2)
        (False, True)
    """
    # Of few rows a quarter.
    count = max(int(TAIL_SHARE * len(numbers)), min(TAIL_ROWS, len(numbers) // 4))
    if count < LEAST_OF_PILE or not numbers.min() > 0:
        return False
    smallest = np.log(np.partition(numbers, count)[: count + 1])
    exponent = 1 / (smallest.max() - smallest).sum() * count
    return bool(exponent * (1 + 2 / np.sqrt(count)) < PILED)


def _pile_up(distances: np.ndarray) -> bool:
    """Whether numbers with increasing distances from an end come near it, and pile up there."""
    return _reached(distances) and piles_up(distances[distances > 0])


def _distances(different: np.ndarray, counts: np.ndarray, step: float, end: float) -> np.ndarray:
    """The distances of numbers, spread over their cells, from an end, or from the cell of those that lie on it."""
    on_end = different == end
    cell = 0.5 * step if on_end.any() else 0.0
    distances: np.ndarray = np.sort(np.abs(spread(different[~on_end], counts[~on_end], step) - end)) - cell
    return distances


def _reached(distances: np.ndarray) -> bool:
    """Whether increasing distances from a bound begin near it."""
    return len(distances) >= NEAR_BOUND and bool(distances[0] <= 0.5 * distances[NEAR_BOUND - 1])
