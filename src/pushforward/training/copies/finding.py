"""Which rows are copies of one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pushforward.training.copies.chance import alike_by_dependence, chance, columns_that_follow
from pushforward.training.copies.grid import Grid
from pushforward.training.copies.jitter import jittered
from pushforward.training.copies.rounding import steps_of_rounding

# Rows are alike if each of their numbers is, up to 2^-bits of its column's spread. Coarse grids are tried first; where
# chance explains what is alike on them, as with one column of many rows, finer ones are.
BITS = (20, 32, 44)
BITS_OF_SINGLE = (20,)
# Rows are copies if this many times more pairs are alike than chance explains.
TIMES_CHANCE = 20
# A column that follows from others makes rows no less often alike by chance, up to so many times.
MOST_BY_COLUMN = 2**20
# A row that occurs more often than this, and makes up more than this share of a table, is frequent and no copy.
MOST_COPIES, LARGEST_SHARE = 20, 0.01
# Nor are rows copies where each occurs so many times in the mean.
MOST_TIMES = 20
# Among rows that were rounded in part, so many pairs must be alike.
FEWEST_ROUNDED = 5


def copies_of(
    matrix: np.ndarray, measured: Sequence[int] | None = None, blank: np.ndarray | None = None
) -> np.ndarray | None:
    """Find the rows that are copies of one another.

    Identical rows are copies only where ties are evidence: if the columns together take so many values that independent
    draws would hardly be alike. In a table of two categories, rows are alike by themselves; a row that makes up more
    than a hundredth of a table is frequent, and not copied. Nearly identical rows are copies too: those whose numbers
    agree to a millionth of the spread of each column, or, where chance makes rows so alike, to finer parts of it; those
    some of which were rounded to fewer decimals; and those that are nearer to each other than independent rows come.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        measured: the columns of numbers, default all; the others hold levels, by their places.
        blank: (n,) which rows have no number that is evidence, default those without any number. They are compared with
            each other if there are levels, and are no copies otherwise.

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
    numbers = list(range(matrix.shape[1]) if measured is None else measured)
    levels = sorted(set(range(matrix.shape[1])) - set(numbers))
    if blank is None:
        blank = np.isnan(matrix[:, numbers]).all(1) if numbers else np.zeros(len(matrix), bool)
    if not blank.any():
        return _copies_of(matrix, numbers)
    labels, found = np.arange(len(matrix)), False
    for part, columns in [(~blank, numbers), (blank & bool(levels), [])]:
        rows = np.flatnonzero(part)
        own = _copies_of(matrix[rows], columns)
        if own is not None:
            _, first, places = np.unique(own, return_index=True, return_inverse=True)
            labels[rows], found = rows[first[places]], True
    return labels if found else None


def share_of_copies(labels: np.ndarray | None) -> float:
    """The share of rows that repeat another one.

    >>> share_of_copies(np.array([0, 1, 1, 2])), share_of_copies(None)
    (0.25, 0.0)
    """
    return 0.0 if labels is None or not len(labels) else 1 - len(np.unique(labels)) / len(labels)


def _copies_of(matrix: np.ndarray, numbers: Sequence[int]) -> np.ndarray | None:
    """Labels of rows, some of which have numbers in some columns."""
    if len(matrix) < 2 or not matrix.shape[1]:
        return None
    labels = _identical(matrix)
    if numbers:
        labels = _more(matrix, labels, lambda rows: jittered(rows, numbers))
    steps = steps_of_rounding(matrix, numbers)
    if steps:
        labels = _more(matrix, labels, lambda rows: _alike(rows, Grid(rows, BITS[0], steps), FEWEST_ROUNDED)[0])
    return labels


def _more(
    matrix: np.ndarray, labels: np.ndarray | None, find: Callable[[np.ndarray], np.ndarray | None]
) -> np.ndarray | None:
    """Labels of copies, of which some are found, with those that are found among the different rows."""
    if labels is None:
        return find(matrix)
    _, first, places = np.unique(labels, return_index=True, return_inverse=True)
    found = find(matrix[first])
    return labels if found is None else found[places]


def _identical(matrix: np.ndarray) -> np.ndarray | None:
    """Labels of rows that are identical, up to a small part of the spread of each column."""
    for bits in BITS_OF_SINGLE if matrix.dtype == np.float32 else BITS:
        labels, different = _alike(matrix, Grid(matrix, bits))
        if labels is not None or different:
            return labels
    return None


def _alike(matrix: np.ndarray, grid: Grid, fewest: int = 1) -> tuple[np.ndarray | None, bool]:
    """Labels of rows that are alike on a grid, None where chance explains it; and whether no two rows are alike."""
    rows = len(matrix)
    _, first, labels, counts = np.unique(
        grid.hashes(matrix), return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == rows:
        return None, True
    distinct = matrix[first]
    single = counts > max(LARGEST_SHARE * rows, MOST_COPIES)
    counts = np.where(single, 1, counts)
    alike = float((counts * (counts - 1.0)).sum() / 2)
    if alike < fewest or rows > len(first) * MOST_TIMES:
        return None, False
    by_chance = TIMES_CHANCE * chance(distinct, counts, grid) * rows**2
    if alike < by_chance or alike_by_dependence(distinct, counts, grid):
        return None, False
    # An amount that is price times quantity agrees wherever these do, and is not evidence beside them.
    following = columns_that_follow(distinct, counts, grid) if alike < MOST_BY_COLUMN * by_chance else []
    if any(alike < TIMES_CHANCE * chance(distinct, counts, grid, column) * rows**2 for column in following):
        return None, False
    return np.where(single[labels], len(first) + np.arange(rows), labels), False
