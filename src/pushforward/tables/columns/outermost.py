"""Few equal rows at an end of a column, or far from all other values."""

import re
from typing import Any

import numpy as np

# So many equal rows are enough there, if chance gives so many with at most this probability: at an end that nothing
# but the rows tells of, and at 0 or far away.
LEAST_ROWS, CHANCE_AT_END, CHANCE_APART = 2, 1e-3, 1e-2
# So many levels at most are far from all others.
MOST_FAR_LEVELS = 20
# They go on like the others if the logarithm of the ratio to the one before is at most so many times theirs.
SAME_RATIO = 1.25
# A far level with at least so much of an equal share of the rows is one as the others are.
USUAL_SHARE = 0.5


def far_from(numbers: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Which numbers are far: further from all others than these are from each other, (n,) booleans.

    Arguments:
        numbers: (n,) any.
        rest: (m,) the others, m at least 1.

    Example:
        >>> far_from(np.array([-999.0, -20.0, 0.0]), np.array([0.5, 30.0]))
        array([ True, False, False])
    """
    low, high = rest.min(), rest.max()
    return np.asarray(_is_far(np.maximum(low - numbers, numbers - high), high - low))


def far_places(different: np.ndarray, counts: np.ndarray, most: int, beside: int) -> np.ndarray:
    """Which repeated values are far from all that are not, as many as possible, (n,) booleans.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        most: so many of them at most.
        beside: so many other values at least.

    Example:
        >>> far_places(np.array([-999.0, -99.0, 1.0, 2.0, 3.0]), np.full(5, 2), 8, 3)
        array([ True,  True, False, False, False])
    """
    most = min(most, len(counts) - beside)
    if most <= 0:
        return np.zeros(len(counts), dtype=bool)
    repeated = counts >= LEAST_ROWS
    lowest, highest = (int(np.logical_and.accumulate(side[:most]).sum()) for side in (repeated, repeated[::-1]))
    found = 0, 0
    for low in range(lowest + 1):
        for high in range(min(highest, most - low) + 1):
            first, last = different[low], different[-1 - high]
            below = first - different[low - 1] if low else np.inf
            above = different[-high] - last if high else np.inf
            if low + high > sum(found) and _is_far(min(below, above), last - first):
                found = low, high
    places = np.arange(len(counts))
    return (places < found[0]) | (places >= len(counts) - found[1])


def _is_far(away: Any, extent: Any) -> Any:
    """Whether something so far away from others is far, if these extend so far."""
    return away > extent


def far_levels(different: np.ndarray, counts: np.ndarray, beside: int, least_rows: int = LEAST_ROWS) -> np.ndarray:
    """Return which of few different values, at most half and at most 20, lie far from all others: likely marks.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        beside: so many other values at least.
        least_rows: so many rows has each; default 2.

    Example:
        >>> far_levels(np.array([-9.0, 1.0, 2.0, 3.0, 99.0]), np.full(5, 20), 3)
        array([-9., 99.])
        >>> far_levels(np.array([1.0, 10.0, 100.0, 1000.0]), np.full(4, 20), 3)
        array([], dtype=float64)
    """
    most = min(len(different) // 2, MOST_FAR_LEVELS)
    far = far_places(different, np.where(counts >= least_rows, counts, 1), most, beside)
    return different[far & ~_goes_on(different, far)]


def may_be_marks(far: np.ndarray, shares: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of some levels far from all others likely mark missing values, (k,) booleans.

    A level of as many rows as the others have is one, unless it looks like a mark: nines, also with an 8 or a 7 at the
    end, or a negative number where no other is.

    Arguments:
        far: (k,) the levels.
        shares: (k,) of the rows.
        others: (m,) all others.

    Example:
        >>> may_be_marks(np.array([3.9, 99.9, -1.0, 500.0]), np.array([0.25, 0.25, 0.25, 0.01]), np.array([3.1, 3.2]))
        array([False,  True,  True,  True])
    """
    written = [f"{abs(level):.12g}".replace(".", "") for level in far.tolist()]
    nines = np.array([bool(re.fullmatch("9*[789]", digits)) for digits in written], dtype=bool)
    negative = (far < 0) & bool((others >= 0).all())
    return nines | negative | (shares < USUAL_SHARE / (len(far) + len(others)))


def _goes_on(different: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Which of the largest levels go on like the others in ratio, such as 1000 after 1, 10 and 100, (n,) booleans."""
    positive, found = different > 0, np.zeros(len(far), dtype=bool)
    ratios, after = np.diff(np.log(different[positive])), far[positive][1:]
    if after.any() and not after.all():
        found[np.flatnonzero(positive)[1:]] = after & (ratios <= SAME_RATIO * np.median(ratios[~after]))
    return found


def few_outermost(
    different: np.ndarray, counts: np.ndarray, usual: np.ndarray, far: np.ndarray, unit: float, neighbors: int
) -> np.ndarray:
    """Return the places of the ends, and of far values, that repeat where chance explains no tie.

    Chance explains ties where the next value is near, and where values that stand alone elsewhere repeat, as in copies
    of rows.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        usual: (n,) the same, 1 for atoms that are known.
        far: (n,) which lie far from all others.
        unit: the distance between neighbors, 0 for none.
        neighbors: a value stands alone that has no other within so many units.

    Example:
        >>> numbers = np.append(np.sqrt(np.arange(2, 1000)), 0.0)
        >>> counts = np.append(2, np.ones(998, dtype=int))
        >>> few_outermost(np.sort(numbers), counts, counts, np.zeros(999, dtype=bool), 0.0, 0)
        array([0])
    """
    from scipy.special import pdtrc

    gaps = np.concatenate([[np.inf], np.diff(different), [np.inf]])
    gaps = np.minimum(gaps[:-1], gaps[1:])
    alone = gaps > (neighbors + 0.5) * unit
    first, last = np.flatnonzero(~far)[[0, -1]]
    elsewhere = alone & ~far
    elsewhere[[first, last]] = False
    of_copies = (usual[elsewhere] - 1).sum() / max(elsewhere.sum(), 1)
    found = []
    for place in np.union1d(np.flatnonzero(far), [first, last]):
        if counts[place] < LEAST_ROWS or not alone[place]:
            continue
        # Nobody has the values up to the next one, where more rows are expected than further out.
        rate, rows = max(of_copies, 0.5 * unit / gaps[place]), counts[place] - 1
        if far[place]:
            likely = pdtrc(rows - 1, rate) > CHANCE_APART
        elif place == first and different[place] == 0:
            # Here the first row does not say where the end is: it is known.
            likely = pdtrc(rows, rate) > CHANCE_APART
        else:
            likely = pdtrc(rows - 1, max(rate, 0.5 / counts.sum())) > CHANCE_AT_END
        if not likely:
            found.append(place)
    return np.array(found, dtype=np.int64)
