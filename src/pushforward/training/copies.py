"""Copies among rows: rows that are alike, where chance does not explain that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.support.hashing import hashes

# Rows are alike if each of their numbers is, up to 2^-bits of its column's spread. Coarse grids are tried first; where
# chance explains what is alike on them, as with one column of many rows, finer ones are.
BITS = (20, 32, 44)
BITS_OF_SINGLE = (20,)
# Rows are copies if this many times more pairs are alike than chance explains.
TIMES_CHANCE = 10
# A row that occurs more often than this, and makes up more than this share of a table, is frequent and no copy.
MOST_COPIES, LARGEST_SHARE = 20, 0.01
# Nor are rows copies where there are fewer different ones than this, and each occurs so many times in the mean.
FEWEST_DISTINCT, MOST_TIMES = 100, 20
# A column is measured finely enough for ties to be evidence if it takes this many values, or a fourth as many as rows.
FEWEST_VALUES, ROWS_OF_VALUE = 100, 4
# Values are on a lattice if so many of their small distances are whole multiples of the least, up to this error.
SHARE_ON_LATTICE, OFF_LATTICE, LARGEST_MULTIPLE = 0.9, 0.05, 100
# Distances are measured on a grid of this many bits; a few of its steps are rounding.
BITS_OF_DISTANCES, ROUNDING_STEPS = 32, 3
# A column tells apart rows that other columns do not if it makes so many times as many different ones.
GAIN = 1.05


def copies_of(matrix: np.ndarray, measured: Sequence[int] | None = None) -> np.ndarray | None:
    """Find the rows that are copies of one another.

    Identical rows are copies only where ties are evidence: if some columns take so many values that independent draws
    would hardly be alike. In a table of two categories, rows are alike by themselves; a row that makes up more than a
    hundredth of a table is frequent, and not copied. Nearly identical rows are copies too: those whose numbers agree to
    a millionth of the spread of each column, or, where chance makes rows so alike, to finer parts of it.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        measured: the columns in which ties may be evidence, default all; never those of categories.

    Returns:
        (n,) whole numbers, equal for copies and only for them; None where no row is a copy.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(100, 2))
        >>> copies_of(rows) is None
        True
        >>> labels = copies_of(np.concatenate([rows, rows[:3]]))
        >>> bool((labels[:3] == labels[100:]).all()), len(np.unique(labels))
        (True, 100)
    """
    columns = list(range(matrix.shape[1]) if measured is None else measured)
    rows = len(matrix)
    if not columns:
        return None
    for bits in BITS_OF_SINGLE if matrix.dtype == np.float32 else BITS:
        grid = Grid(matrix, bits)
        _, first, labels, counts = np.unique(
            grid.hashes(matrix), return_index=True, return_inverse=True, return_counts=True
        )
        if len(first) == rows:
            return None
        single = (counts > max(LARGEST_SHARE * rows, MOST_COPIES)) | np.isnan(matrix[first][:, columns]).all(1)
        counts = np.where(single, 1, counts)
        alike = float((counts * (counts - 1.0)).sum() / 2)
        few = len(first) < min(FEWEST_DISTINCT, rows / MOST_TIMES)
        if alike and not few and alike >= TIMES_CHANCE * chance(matrix[first][:, columns], bits) * rows**2:
            return np.where(single[labels], len(first) + np.arange(rows), labels)
    return None


def share_of_copies(labels: np.ndarray | None) -> float:
    """The share of rows that repeat another one.

    >>> share_of_copies(np.array([0, 1, 1, 2])), share_of_copies(None)
    (0.25, 0.0)
    """
    return 0.0 if labels is None or not len(labels) else 1 - len(np.unique(labels)) / len(labels)


class Grid:
    """A grid over the rows of a matrix, and hashes of the cells that rows lie in.

    Arguments:
        matrix: (n, columns), whose spreads give the steps: the largest powers of 2 below 2^-bits of the interquartile
            range, or of the range where that is 0.
        bits: of the steps.
    """

    def __init__(self, matrix: np.ndarray, bits: int) -> None:
        self.steps = [_step(column[~np.isnan(column)].astype(np.float64), bits) for column in matrix.T]

    def cells(self, matrix: np.ndarray, columns: Sequence[int]) -> list[np.ndarray]:
        """The cells of some columns of rows, whole numbers, NaN where a value is missing; (n,) for each column."""
        # An outlier may be infinitely many steps away. Adding 0 makes -0 equal to 0.
        with np.errstate(over="ignore"):
            return [np.rint(matrix[:, column].astype(np.float64) / self.steps[column]) + 0.0 for column in columns]

    def hashes(self, matrix: np.ndarray) -> np.ndarray:
        """A hash of each row, (n,): equal for rows in the same cells."""
        found = np.zeros(len(matrix), np.uint64)
        for column in range(matrix.shape[1]):
            (cell,) = self.cells(matrix, [column])
            found += hashes(np.where(np.isnan(cell), np.nan, cell).view(np.uint64), column)
        return found


def chance(matrix: np.ndarray, bits: int) -> float:
    """Half the probability that two independent rows are alike, from rows no two of which are copies.

    The probabilities that two rows agree in a column are multiplied, but only those of columns that tell apart rows
    which the other columns do not: a function of another column adds nothing. 1 where no column is measured finely.

    Arguments:
        matrix: (n, columns).
        bits: of the grid on which rows are alike.
    """
    columns = range(matrix.shape[1])
    cells = [np.unique(cell, return_inverse=True) for cell in Grid(matrix, bits).cells(matrix, columns)]
    order = sorted(columns, key=lambda column: -len(cells[column][0]))
    probability, labels, distinct = 0.5, np.zeros(len(matrix), np.int64), 1
    for column in order:
        values, of_row = cells[column]
        if len(values) < min(FEWEST_VALUES, len(matrix) / ROWS_OF_VALUE):
            break
        _, together = np.unique(labels * len(values) + of_row, return_inverse=True)
        found = int(together.max()) + 1
        if found >= GAIN * distinct:
            probability *= _agreement(matrix[:, column], bits)
            labels, distinct = together, found
    return probability if distinct > 1 else 1.0


def _agreement(column: np.ndarray, bits: int) -> float:
    """The probability that two rows agree in a column on a grid: by ties, and by the lattice that values are on."""
    present = column[~np.isnan(column)][:, None]
    counts = np.unique(Grid(present, bits).cells(present, [0])[0], return_counts=True)[1]
    tied = float((counts * (counts - 1.0)).sum()) / max(len(present) * (len(present) - 1.0), 1.0)
    values = np.unique(Grid(present, BITS_OF_DISTANCES).cells(present, [0])[0])
    quarter = len(values) // 4
    gaps = np.diff(values[quarter : len(values) - quarter])
    gaps = gaps[gaps >= ROUNDING_STEPS]
    if not len(gaps):
        return 1.0
    multiples = gaps / gaps.min()
    small = multiples[multiples < LARGEST_MULTIPLE]
    on_lattice = np.abs(small - np.rint(small)) < OFF_LATTICE
    places = min(multiples.sum() + 1, 2.0**bits) if on_lattice.mean() > SHARE_ON_LATTICE else 2.0**bits
    return max(tied, 1 / places)


def _step(values: np.ndarray, bits: int) -> float:
    if not len(values):
        return 1.0
    low, high = np.quantile(values, [0.25, 0.75])
    if low == high:
        low, high = values.min(), values.max()
    # Halved, because the difference of the largest numbers would overflow.
    spread = high / 2 - low / 2 or abs(float(high)) / 2
    return float(2.0 ** max(np.floor(np.log2(spread)) + 1 - bits, -1074)) if spread > 0 else 1.0
