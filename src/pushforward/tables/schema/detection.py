"""Evidence that numbers are something special: atoms, bounds, angles, heavy tails."""

import re

import numpy as np

from pushforward.tables.schema.kinds import Periodic

# An atom is a value that so large a share of the rows has, and so many times more rows than the next value.
ATOM_SHARE, ATOM_ROWS, ATOM_RATIO, MOST_ATOMS = 0.05, 10, 10, 8
LEAST_ROWS_BESIDE_ATOMS = 20
# Bounds are believed of so many rows whose smallest lies at most half as far from the bound as their tenth smallest.
ROWS_FOR_BOUNDS, NEAR_BOUND, NEAR_END = 200, 10, 0.02
INTERVALS = ((0.0, 1.0), (0.0, 100.0))
# The outermost twentieth of the rows, at least so many, tells of a tail; heavier than this by two standard errors.
TAIL_SHARE, TAIL_ROWS, HEAVY = 0.05, 50, 0.1
CIRCLES = ((0.0, 2 * np.pi), (-np.pi, 2 * np.pi), (0.0, 360.0), (-180.0, 360.0), (0.0, 24.0))
ANGLE_NAMES = re.compile(
    r"(^|[^a-z])(angle|phase|azimuth|bearing|heading|direction|longitude|lon|theta|phi|psi|hour)([^a-z]|$)", re.I
)


def atoms_of(different: np.ndarray, counts: np.ndarray) -> list[float]:
    """The values that so many rows share that they have a probability of their own."""
    rows = counts.sum()
    order = np.argsort(-counts, kind="stable")
    frequent = [place for place in order[: MOST_ATOMS + 1] if counts[place] >= max(ATOM_SHARE * rows, ATOM_ROWS)]
    if not frequent or len(frequent) > MOST_ATOMS:
        return []
    others = np.delete(counts, frequent)
    if others.sum() < LEAST_ROWS_BESIDE_ATOMS or len(others) < LEAST_ROWS_BESIDE_ATOMS // 2:
        return []
    if counts[frequent[-1]] < ATOM_RATIO * others.max():
        return []
    return sorted(float(different[place]) for place in frequent)


def bounds_of(rest: np.ndarray, values: np.ndarray) -> tuple[float | None, float | None]:
    """The natural interval, or half-line, that numbers fill up to its ends."""
    if len(rest) < ROWS_FOR_BOUNDS:
        return None, None
    ordered = np.sort(rest)
    for low, high in INTERVALS:
        ends = ordered - low, (high - ordered)[::-1]
        inside = low <= values.min() and values.max() <= high
        # Both ends are near, too: an interval may fit by chance.
        if inside and all(_reached(end) and end[0] < NEAR_END * (high - low) for end in ends):
            return low, high
    if ordered[0] > 0 and values.min() >= 0 and _reached(ordered):
        return 0.0, None
    return None, None


def _reached(distances: np.ndarray) -> bool:
    """Whether increasing distances from a bound begin near it."""
    return bool(distances[0] <= 0.5 * distances[NEAR_BOUND - 1])


def circle_of(values: np.ndarray, name: str) -> Periodic | None:
    """The circle that a column named like an angle fills."""
    if not ANGLE_NAMES.search(name) or len(values) < ROWS_FOR_BOUNDS:
        return None
    low, high = values.min(), values.max()
    for start, period in CIRCLES:
        edge = 0.05 * period
        if start <= low < start + edge and start + period - edge < high <= start + period:
            return Periodic(period=period, low=start)
    return None


def heavy_tails(values: np.ndarray, always: bool = False) -> tuple[float, float]:
    """The index of each tail that is heavy, 0 of one that is not.

    The generalised Pareto index of excesses y over a threshold by probability-weighted moments, 2 - b0 / (b0 - 2 b1)
    with b0 = mean y and b1 = mean (1 - F(y)) y: Hosking and Wallis 1987, doi:10.1080/00401706.1987.10488243.
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
