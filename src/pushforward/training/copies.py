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
# Where every column takes fewer values than a share of the rows, rows may be alike because columns depend on each
# other. Then copies are evident if so many times more pairs agree in all columns than in all but a few of them: those
# that together agree in at most this share of pairs. There are at most so many such blocks of columns.
FEW_VALUES, TIMES_NEARLY_ALIKE, AGREEMENT_OF_BLOCK, MOST_BLOCKS = 0.5, 2, 0.1, 8
# The share of ties is known from so many.
MANY_TIES = 100
# Values are on a lattice if so many of their small distances are whole multiples of the least, up to this error.
SHARE_ON_LATTICE, OFF_LATTICE, LARGEST_MULTIPLE = 0.9, 0.05, 100
# Distances are measured on a grid of this many bits; a few of its steps are rounding.
BITS_OF_DISTANCES, ROUNDING_STEPS = 32, 3


def copies_of(matrix: np.ndarray, measured: Sequence[int] | None = None) -> np.ndarray | None:
    """Find the rows that are copies of one another.

    Identical rows are copies only where ties are evidence: if the columns together take so many values that independent
    draws would hardly be alike. In a table of two categories, rows are alike by themselves; a row that makes up more
    than a hundredth of a table is frequent, and not copied. Nearly identical rows are copies too: those whose numbers
    agree to a millionth of the spread of each column, or, where chance makes rows so alike, to finer parts of it.

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
        distinct = matrix[first][:, columns]
        explained = few or alike < TIMES_CHANCE * chance(distinct, counts, bits) * rows**2
        if alike and not explained and not alike_by_dependence(distinct, counts, bits):
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


def chance(matrix: np.ndarray, counts: np.ndarray, bits: int) -> float:
    """Half the probability that two independent rows are alike, from rows no two of which are copies.

    The probabilities that two rows agree in a column, given that they agree in the columns before it, are multiplied:
    a function of other columns adds nothing. 1 where no column varies.

    Arguments:
        matrix: (n, columns), different rows.
        counts: how many rows each stands for, (n,).
        bits: of the grid on which rows are alike.
    """
    cells = _cells(matrix, bits)
    order = sorted(range(len(cells)), key=lambda column: -int(cells[column].max()))
    labels = np.zeros(len(matrix), np.int64)
    pairs = _pairs_of_different(labels, counts)
    probability = 0.5
    for column in order:
        if not pairs or not cells[column].max():
            break
        alone = _agreement_of_values(matrix[:, column], cells[column], counts, bits)
        labels = _joined(labels, cells[column])
        left = _pairs_of_different(labels, counts)
        # Of the few pairs that are left in the end hardly one may agree.
        probability *= max(left / pairs, alone)
        pairs = left
    return probability if probability < 0.5 else 1.0


def alike_by_dependence(matrix: np.ndarray, counts: np.ndarray, bits: int) -> bool:
    """Whether rows of columns with few values may be alike because their columns depend on each other.

    Then about as many pairs of rows agree in all columns but a few as in all. Copies agree in all of them.

    Arguments:
        matrix: (n, columns), different rows.
        counts: how many rows each stands for, (n,).
        bits: of the grid on which rows are alike.
    """
    cells = [column for column in _cells(matrix, bits) if column.max()]
    if any(column.max() + 1 > FEW_VALUES * len(matrix) for column in cells):
        return False
    alike = float((counts * (counts - 1.0)).sum() / 2)
    blocks = _blocks(sorted(cells, key=lambda column: -int(column.max())), counts)
    if len(blocks) < 2 or not alike:
        return False
    hashed = [hashes(block.astype(np.uint64), place) for place, block in enumerate(blocks)]
    total = np.sum(hashed, axis=0, dtype=np.uint64)
    others = (np.unique(total - block, return_inverse=True)[1] for block in hashed)
    nearly = min(_pairs_of_different(labels, counts) for labels in others)
    return alike < TIMES_NEARLY_ALIKE * nearly


def _blocks(cells: Sequence[np.ndarray], counts: np.ndarray) -> list[np.ndarray]:
    """Columns together, so that few pairs of rows agree in each block."""
    blocks: list[np.ndarray] = []
    block = np.zeros(len(counts), np.int64)
    for place, column in enumerate(cells):
        block = _joined(block, column)
        last = len(blocks) == MOST_BLOCKS - 1 and place < len(cells) - 1
        if not last and _agreement(block, counts) <= AGREEMENT_OF_BLOCK:
            blocks.append(block)
            block = np.zeros(len(counts), np.int64)
    if block.any() and blocks:
        blocks[-1] = _joined(blocks[-1], block)
    return blocks


def _cells(matrix: np.ndarray, bits: int) -> list[np.ndarray]:
    """The cells of each column, counted from 0."""
    cells = Grid(matrix, bits).cells(matrix, range(matrix.shape[1]))
    return [np.unique(cell, return_inverse=True)[1].astype(np.int64) for cell in cells]


def _joined(labels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Labels of rows that agree in labels and in cells."""
    joined: np.ndarray = np.unique(labels * (int(cells.max()) + 1) + cells, return_inverse=True)[1]
    return joined.astype(np.int64)


def _pairs_of_different(labels: np.ndarray, counts: np.ndarray) -> float:
    """How many pairs of rows have the same label and are not alike."""
    together = np.bincount(labels, counts)
    return float(((together**2).sum() - (counts.astype(float) ** 2).sum()) / 2)


def _agreement_of_values(column: np.ndarray, cells: np.ndarray, counts: np.ndarray, bits: int) -> float:
    """The probability that two rows agree in a column where both have a value: by ties, or, without many, by places."""
    present = ~np.isnan(column)
    tied = _agreement(cells[present], counts[present])
    if _pairs_of_different(cells[present], counts[present]) >= MANY_TIES:
        return tied
    return max(tied, 1 / _places(column, bits))


def _agreement(labels: np.ndarray, counts: np.ndarray) -> float:
    """The share of pairs of rows that are not alike and have the same label."""
    everything = _pairs_of_different(np.zeros(len(counts), np.int64), counts)
    return _pairs_of_different(labels, counts) / everything if everything else 0.0


def _places(column: np.ndarray, bits: int) -> float:
    """How many values a column could take on a grid, from the lattice that its values are on."""
    present = column[~np.isnan(column)][:, None]
    values = np.unique(Grid(present, BITS_OF_DISTANCES).cells(present, [0])[0])
    quarter = len(values) // 4
    gaps = np.diff(values[quarter : len(values) - quarter])
    gaps = gaps[gaps >= ROUNDING_STEPS]
    if not len(gaps):
        return 1.0
    multiples = gaps / gaps.min()
    small = multiples[multiples < LARGEST_MULTIPLE]
    on_lattice = np.abs(small - np.rint(small)) < OFF_LATTICE
    return float(min(multiples.sum() + 1, 2.0**bits)) if on_lattice.mean() > SHARE_ON_LATTICE else 2.0**bits


def _step(values: np.ndarray, bits: int) -> float:
    if not len(values):
        return 1.0
    low, high = np.quantile(values, [0.25, 0.75])
    if low == high:
        low, high = values.min(), values.max()
    # Halved, because the difference of the largest numbers would overflow.
    spread = high / 2 - low / 2 or abs(float(high)) / 2
    return float(2.0 ** max(np.floor(np.log2(spread)) + 1 - bits, -1074)) if spread > 0 else 1.0
