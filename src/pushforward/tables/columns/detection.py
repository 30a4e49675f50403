"""What numbers look like: evidence that more than one kind of column asks for."""

import numpy as np

# Whole numbers beyond this are too large for noise of one step: it would be lost in the rounding of float64.
LARGEST_INTEGER = 2**40
# Bounds are believed from this many rows on, if the smallest lies at most half as far from the bound as the tenth.
ROWS_FOR_BOUNDS, NEAR_BOUND, NEAR_END = 200, 10, 0.02
INTERVALS = ((0.0, 1.0), (0.0, 100.0))
# A tail is the outermost twentieth of the rows, and at least this many; it is heavy if its index exceeds HEAVY by two
# standard errors.
TAIL_SHARE, TAIL_ROWS, HEAVY = 0.05, 50, 0.1


def bounds_of(numbers: np.ndarray, every: np.ndarray) -> tuple[float | None, float | None]:
    """Return the natural interval or half-line that numbers fill up to its ends.

    Arguments:
        numbers: (n,) those that must come near the ends.
        every: (m,) those that must lie inside, which include the atoms of a mixed column.

    Returns:
        The lower and the upper bound, None for none.

    Example:
        >>> bounds_of(np.linspace(0, 1, 500), np.linspace(0, 1, 500))
        (0.0, 1.0)
    """
    if len(numbers) < ROWS_FOR_BOUNDS:
        return None, None
    ordered = np.sort(numbers)
    for low, high in INTERVALS:
        ends = ordered - low, (high - ordered)[::-1]
        inside = low <= every.min() and every.max() <= high
        # Both ends must be near, because an interval may fit by chance.
        if inside and all(_reached(end) and end[0] < NEAR_END * (high - low) for end in ends):
            return low, high
    if ordered[0] > 0 and every.min() >= 0 and _reached(ordered):
        return 0.0, None
    return None, None


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


def _reached(distances: np.ndarray) -> bool:
    """Whether increasing distances from a bound begin near it."""
    return bool(distances[0] <= 0.5 * distances[NEAR_BOUND - 1])
