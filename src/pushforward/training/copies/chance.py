"""Whether chance, or columns that depend on each other, explain that rows are alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pushforward.support.hashing import hashes
from pushforward.training.copies.grid import Grid
from pushforward.training.copies.lattice import lattice_of

# Where every column takes fewer values than a share of the rows, rows may be alike because columns depend on each
# other. Then copies are evident if so many times more pairs agree in all columns than in all but a few of them: those
# that together agree in at most this share of pairs. There are at most so many such blocks of columns.
FEW_VALUES, TIMES_NEARLY_ALIKE, AGREEMENT_OF_BLOCK, MOST_BLOCKS = 0.65, 2, 0.25, 16
# A column follows from the others if at most this share of the pairs that are alike agrees in all others alone.
MOST_BESIDE = 0.05
# The share of ties is known from so many.
MANY_TIES = 100
# Of pairs of rows that agree in some columns so many are drawn, among at most so many rows.
DRAWN_PAIRS, DRAWN_ROWS = 2000, 5000
# Rows that agree in a column are examined for so many of the columns, those with the most values.
MOST_GIVEN = 30
# The density of values is that in cells so many times as wide.
WIDER = 8
# Where only some values are on a lattice, those that are repeated may be; so many of them tell.
FEWEST_REPEATED = 20


def chance(matrix: np.ndarray, counts: np.ndarray, grid: Grid, left_out: int | None = None) -> float:
    """Half the probability that two independent rows are alike, from rows no two of which are copies.

    The probabilities that two rows agree in a column, given that they agree in the columns before it, are multiplied:
    a function of other columns adds nothing. 1 where no column varies.

    Arguments:
        matrix: (n, columns), different rows.
        counts: how many rows each stands for, (n,).
        grid: on which rows are alike.
        left_out: a column that is not compared, by its place; default none.
    """
    cells = grid.labels(matrix)
    compared = [column for column in range(len(cells)) if column != left_out]
    order = sorted(compared, key=lambda column: -int(cells[column].max()))
    labels = np.zeros(len(matrix), np.int64)
    pairs = _pairs_of_different(labels, counts)
    given: Given | None = None
    probability = 0.5
    for place, column in enumerate(order):
        if not pairs or not cells[column].max():
            break
        alone = _agreement_of_values(matrix, column, cells[column], counts, grid)
        joined = _joined(labels, cells[column])
        left = _pairs_of_different(joined, counts)
        if left < MANY_TIES:
            # Of the few pairs that are left in the end hardly one may agree.
            given = given or Given(cells, np.isnan(matrix), counts, labels)
            alone = max(alone, given.agreement(column, order[:place]))
        if pairs < MANY_TIES:
            alone = max(alone, 1 / (pairs + 1))
        probability *= max(left / pairs, alone)
        labels, pairs = joined, left
    return probability if probability < 0.5 else 1.0


class Given:
    """How often rows agree in a column where they agree in others, from some pairs of rows that are not alike.

    Of pairs both of which have a value.

    Arguments:
        cells: of each column, counted from 0, (n,).
        missing: where there is no value, (n, columns).
        counts: how many rows each stands for, (n,).
        labels: of rows that agree in the columns in which many pairs do, (n,).
    """

    def __init__(
        self, cells: Sequence[np.ndarray], missing: np.ndarray, counts: np.ndarray, labels: np.ndarray
    ) -> None:
        self.random = np.random.default_rng(0)
        rows = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
        if len(rows) > DRAWN_ROWS:
            rows = self.random.choice(rows, DRAWN_ROWS, replace=False)
        self.rows, self.cells, self.present = rows, np.column_stack(cells)[rows], ~missing[rows]
        self.by_column: dict[int, np.ndarray] = {}
        self.by_many = self._agreements(labels[rows])

    def agreement(self, column: int, others: Sequence[int]) -> float:
        """The largest share of pairs that agree in a column, given that they agree in one of some others, or in many.

        Arguments:
            column: its place.
            others: the places of the others.
        """
        others = others[:MOST_GIVEN]
        for other in others:
            if other not in self.by_column:
                self.by_column[other] = self._agreements(self.cells[:, other])
        return float(max([self.by_many[column], *(self.by_column[other][column] for other in others)]))

    def _agreements(self, labels: np.ndarray) -> np.ndarray:
        """The share of pairs with the same label that agree in each column; 0 where there are few such pairs."""
        order = labels.argsort(kind="stable")
        _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
        pairs = sizes * (sizes - 1.0) / 2
        nothing = np.zeros(self.cells.shape[1])
        if pairs.sum() < MANY_TIES:
            return nothing
        group = self.random.choice(len(pairs), DRAWN_PAIRS, p=pairs / pairs.sum())
        one = (self.random.random(DRAWN_PAIRS) * sizes[group]).astype(np.int64)
        other = (one + 1 + (self.random.random(DRAWN_PAIRS) * (sizes[group] - 1)).astype(np.int64)) % sizes[group]
        one, other = order[starts[group] + one], order[starts[group] + other]
        different = self.rows[one] != self.rows[other]
        one, other = one[different], other[different]
        present = self.present[one] & self.present[other]
        agree = present & (self.cells[one] == self.cells[other])
        return np.where(present.sum(0) < MANY_TIES, 0.0, agree.sum(0) / np.maximum(present.sum(0), 1))


def alike_by_dependence(matrix: np.ndarray, counts: np.ndarray, grid: Grid) -> bool:
    """Whether rows of columns with few values may be alike because their columns depend on each other.

    Then about as many pairs of rows agree in all columns but one, or but a few, as in all. Copies agree in all of them.

    Arguments:
        matrix: (n, columns), different rows.
        counts: how many rows each stands for, (n,).
        grid: on which rows are alike.
    """
    cells = [column for column in grid.labels(matrix) if column.max()]
    if any(column.max() + 1 > FEW_VALUES * len(matrix) for column in cells):
        return False
    alike = float((counts * (counts - 1.0)).sum() / 2)
    blocks = _blocks(sorted(cells, key=lambda column: -int(column.max())), counts)
    if len(blocks) < 2 or not alike:
        return False
    return alike < TIMES_NEARLY_ALIKE * sum(_pairs_but_for_one(blocks, counts))


def columns_that_follow(matrix: np.ndarray, counts: np.ndarray, grid: Grid) -> list[int]:
    """The places of columns that may be functions of the others: hardly any rows are alike but for one of them.

    Arguments:
        matrix: (n, columns), different rows.
        counts: how many rows each stands for, (n,).
        grid: on which rows are alike.
    """
    cells = grid.labels(matrix)
    most = MOST_BESIDE * float((counts * (counts - 1.0)).sum() / 2)
    return [place for place, pairs in enumerate(_pairs_but_for_one(cells, counts)) if pairs <= most]


def _pairs_but_for_one(labels: Sequence[np.ndarray], counts: np.ndarray) -> Iterator[float]:
    """How many pairs of rows that are not alike agree in all columns but one, column by column."""
    hashed = [hashes(column.astype(np.uint64), place) for place, column in enumerate(labels)]
    total = np.sum(hashed, axis=0, dtype=np.uint64)
    for column in hashed:
        yield _pairs_of_different(np.unique(total - column, return_inverse=True)[1], counts)


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


def _joined(labels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Labels of rows that agree in labels and in cells."""
    joined: np.ndarray = np.unique(labels * (int(cells.max()) + 1) + cells, return_inverse=True)[1]
    return joined.astype(np.int64)


def _pairs_of_different(labels: np.ndarray, counts: np.ndarray) -> float:
    """How many pairs of rows have the same label and are not alike."""
    together = np.bincount(labels, counts)
    return float(((together**2).sum() - (counts.astype(float) ** 2).sum()) / 2)


def _agreement_of_values(matrix: np.ndarray, column: int, cells: np.ndarray, counts: np.ndarray, grid: Grid) -> float:
    """The probability that two rows agree in a column where both have a value: by ties, or, without many, by places."""
    present = ~np.isnan(matrix[:, column])
    matrix, cells, counts = matrix[present], cells[present], counts[present]
    tied = _agreement(cells, counts)
    if _pairs_of_different(cells, counts) >= MANY_TIES:
        return tied
    # Where values are dense, such as near 0, more of them agree than where they are spread out.
    wider = np.floor(grid.cells(matrix, [column])[0] / WIDER)
    dense = _agreement(np.unique(wider, return_inverse=True)[1], counts) / WIDER
    repeated = matrix[counts > 1, column]
    places = min(
        _places(matrix[:, column], grid.places[column]),
        _places(repeated, grid.places[column]) if len(repeated) >= FEWEST_REPEATED else np.inf,
    )
    return max(tied, dense, 1 / places)


def _agreement(labels: np.ndarray, counts: np.ndarray) -> float:
    """The share of pairs of rows that are not alike and have the same label."""
    everything = _pairs_of_different(np.zeros(len(counts), np.int64), counts)
    return _pairs_of_different(labels, counts) / everything if everything else 0.0


def _places(column: np.ndarray, places: float) -> float:
    """How many values a column could take on a grid of so many places, from the lattice that its values are on."""
    lattice = lattice_of(column)
    return places if lattice is None else min(lattice.places, places)
