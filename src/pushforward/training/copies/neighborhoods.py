"""The rows of a table around some of its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from pushforward.training.copies.grid import spreads
from pushforward.training.copies.lattice import lattice_of

# In spreads of the columns, as the largest difference in any of them: rows are near each other up to NEAR, and the same
# up to SAME.
NEAR, SAME = 2.0**-8, 2.0**-30
# Columns have ranks for numbers if more pairs of them than this share are near each other and not the same.
LARGEST_SHARE_NEAR = 0.05
# What is known of a column from so many rows: its spread, and how few rows are near each other in it.
SOME_ROWS = 5000
# So many pairs are compared at a time.
MOST_PAIRS = 2**20
# No distance: between a number and a gap.
FAR = 2.0**100


class Neighborhoods:
    """The rows around rows.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        numbers: the columns of numbers; levels of the others are at least 1 apart.

    Attributes:
        columns: from that in which the fewest rows are near each other to that with the most.

    Cost: one sort of a column, and of each in which values are concentrated.
    """

    def __init__(self, matrix: np.ndarray, numbers: Sequence[int]) -> None:
        self.matrix = matrix
        self.units, self.ranks = np.ones(matrix.shape[1]), dict[int, np.ndarray]()
        some = np.random.default_rng(0).choice(len(matrix), min(SOME_ROWS, len(matrix)), replace=False)
        self.units[list(numbers)] = spreads(matrix[some][:, list(numbers)])
        self.ranks = {
            column: _ranks(matrix[:, column]) for column in numbers if _concentrated(self.column(column, some))
        }
        shares = [_share_near(np.sort(self.column(column, some))) for column in range(matrix.shape[1])]
        self.columns = [int(column) for column in np.argsort(shares, kind="stable")]
        self.orders: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def column(self, column: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The numbers of a column in units of its spread; ranks where many are much nearer to each other."""
        if column in self.ranks:
            return self.ranks[column][rows]
        with np.errstate(over="ignore"):
            found = self.matrix[rows, column].astype(np.float64) / self.units[column]
        return np.nan_to_num(found, copy=False, nan=FAR, posinf=2 * FAR, neginf=-2 * FAR)

    def compared(self, reach: float) -> float:
        """How many rows a search around a row compares in the mean."""
        values = self._sorted(self.columns[0])[1]
        some = values[:: max(len(values) // SOME_ROWS, 1)]
        return float((np.searchsorted(values, some + reach, "right") - np.searchsorted(values, some - reach)).mean())

    def within(self, ones: np.ndarray, others: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Which of some pairs of rows are within reach of each other, and their distances."""
        kept, distance = np.arange(len(ones)), np.zeros(len(ones))
        for column in self.columns:
            apart = self._apart(column, ones[kept], others[kept])
            inside = apart <= reach
            kept, distance = kept[inside], np.maximum(distance[inside], apart[inside])
        return kept, distance

    def around(self, rows: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pairs of one of some rows and another row within reach: the place, the other row, and the distance."""
        parts = []
        for which, others in self._candidates(rows, reach, self.columns[0]):
            kept, distance = self.within(rows[which], others, reach)
            parts.append((which[kept], others[kept], distance))
        which, others, distance = (np.concatenate(found) for found in zip(*parts, strict=True))
        return which, others, distance

    def nearly_around(self, rows: np.ndarray, reach: float, columns: Collection[int]) -> int:
        """How many pairs of one of some rows and another row are within reach in all columns but one of some."""
        found = 0
        first = self.columns[0]
        for search in self.columns[:2] if first in columns else [first]:
            for which, others in self._candidates(rows, reach, search):
                ones = rows[which]
                # The second search finds the pairs that are apart in the column of the first.
                missed = self._apart(first, ones, others) > reach
                kept = missed | (search == first)
                for column in self.columns[1:]:
                    ones, others, missed = ones[kept], others[kept], missed[kept]
                    apart = self._apart(column, ones, others) > reach
                    kept = ~(apart & missed) if column in columns else ~apart
                    missed = missed | apart
                found += int(missed[kept].sum())
        return found

    def tied(self, ones: np.ndarray, others: np.ndarray) -> list[int]:
        """The columns in which most of some pairs of rows are the same."""
        return [column for column in self.columns if np.mean(self._apart(column, ones, others) <= SAME) > 0.5]

    def steps_apart(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """By how many steps of its lattice pairs of rows differ in any column; infinite if one is on no lattice."""
        found = np.zeros(len(ones))
        for column in self.columns:
            apart = self._apart(column, ones, others) > SAME
            if apart.any():
                lattice = lattice_of(self.matrix[:, column])
                numbers = self.matrix[:, column].astype(np.float64)
                steps = np.inf if lattice is None else np.abs(numbers[ones] - numbers[others]) / lattice.step
                found = np.maximum(found, np.where(apart, steps, 0.0))
        return found

    def _apart(self, column: int, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        apart: np.ndarray = np.abs(self.column(column, ones) - self.column(column, others))
        return apart

    def _sorted(self, column: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of a column and its numbers in that order."""
        if column not in self.orders:
            numbers = self.column(column)
            order = numbers.argsort(kind="stable")
            self.orders[column] = order, numbers[order]
        return self.orders[column]

    def _candidates(self, rows: np.ndarray, reach: float, column: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The places among some rows, and the other rows, of pairs within reach in a column."""
        order, numbers = self._sorted(column)
        center = self.column(column, rows)
        start = np.searchsorted(numbers, center - reach, "left")
        sizes = np.searchsorted(numbers, center + reach, "right") - start
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(sizes.cumsum() // MOST_PAIRS)) + 1):
            which = np.repeat(part, sizes[part])
            before = np.repeat(sizes[part].cumsum() - sizes[part], sizes[part])
            others = order[start[which] + np.arange(len(which)) - before]
            different = others != rows[which]
            yield which[different], others[different]


def _concentrated(numbers: np.ndarray) -> bool:
    """Whether many numbers are near each other without being the same, as amounts over many decades are near 0."""
    numbers = np.sort(numbers[np.abs(numbers) < FAR])
    if not len(numbers):
        return False
    same = np.searchsorted(numbers, numbers + SAME, "right") - np.arange(len(numbers))
    return _share_near(numbers) - float(same.mean()) / len(numbers) > LARGEST_SHARE_NEAR


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """The ranks of the different numbers in units of half their count."""
    different, places = np.unique(numbers, return_inverse=True)
    return np.where(np.isnan(numbers), FAR, 2 * places / len(different))


def _share_near(numbers: np.ndarray) -> float:
    """The share of pairs of sorted numbers that are near each other."""
    return float((np.searchsorted(numbers, numbers + NEAR, "right") - np.arange(len(numbers))).mean()) / len(numbers)
