"""Atoms, single values that more rows have than their neighbors predict."""

import numpy as np

from pushforward.tables.columns.recording import Grid

# An atom has at least so many rows, exceeds what its neighbors predict by so many deviations of a count, and is at
# least so many times as frequent.
LEAST_ROWS, DEVIATIONS, TIMES = 6, 5.0, 3.0
# Neighbors are the cells at most so many steps away, or so many of the nearest different values, on either side.
NEIGHBORS = 4
# The most frequent atoms are kept.
MOST_ATOMS = 8
# Beside the atoms there are at least so many rows and different values.
LEAST_ROWS_BESIDE, LEAST_VALUES_BESIDE = 20, 10


def atoms_of(different: np.ndarray, counts: np.ndarray, grid: Grid | None) -> list[float]:
    """Return the values that have a probability of their own, increasing; none if little is left beside them.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.
        grid: on which they lie, or None for measurements that were not rounded.

    Example:
        >>> numbers = np.append(np.linspace(1, 2, 100), np.zeros(30))
        >>> atoms_of(*np.unique(numbers, return_counts=True), None)
        [0.0]
    """
    predicted = _predicted(different, counts, grid)
    excess = counts - predicted
    atom = (counts >= LEAST_ROWS) & (excess >= DEVIATIONS * np.sqrt(predicted)) & (counts >= TIMES * predicted)
    places = np.flatnonzero(atom)
    places = places[np.argsort(-counts[places], kind="stable")][:MOST_ATOMS]
    if counts.sum() - counts[places].sum() < LEAST_ROWS_BESIDE or len(different) - len(places) < LEAST_VALUES_BESIDE:
        return []
    return sorted(different[places].tolist())


def _predicted(different: np.ndarray, counts: np.ndarray, grid: Grid | None) -> np.ndarray:
    """The rows that each value has by the mean of its neighbors; those of the same side alone if it has more there."""
    sides = []
    for side in (-1, 1):
        total = np.zeros(len(counts))
        cells = np.zeros(len(counts))
        for apart in range(1, NEIGHBORS + 1):
            neighbor = np.arange(len(counts)) + side * apart
            inside = (neighbor >= 0) & (neighbor < len(counts))
            neighbor = neighbor.clip(0, len(counts) - 1)
            if grid is not None:
                inside &= np.abs(different[neighbor] - different) <= (NEIGHBORS + 0.5) * grid.step
            total += np.where(inside, counts[neighbor], 0)
            cells += inside if grid is None else 1
        sides.append(total / np.maximum(cells, 1))
    # A distribution that begins at a value has no rows on its other side.
    return np.maximum(*sides)


def far_atoms(atoms: list[float], rest: np.ndarray) -> list[float]:
    """Return the atoms further from the other values than these are from each other: likely marks of missing values.

    Example:
        >>> far_atoms([-999.0, 0.0], np.array([0.5, 30.0]))
        [-999.0]
    """
    low, high = float(rest.min()), float(rest.max())
    return [atom for atom in atoms if max(low - atom, atom - high) > high - low]
