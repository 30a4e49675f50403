"""Rows that are copies up to a jitter: much nearer to each other than to all others, as independent rows hardly are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pushforward.support.hashing import hashes
from pushforward.training.copies.grid import spreads
from pushforward.training.copies.lattice import lattice_of

# In spreads of the columns, as the largest difference in any of them: rows are near each other up to NEAR, and the same
# up to SAME. Copies have no other row within GAP times their own distance.
NEAR, SAME, GAP = 2.0**-8, 2.0**-30, 64
# Numbers on a lattice that differ by fewer of its steps than this are neighbors, such as days, and show no jitter.
FEWEST_STEPS = 8
# Columns have ranks for numbers if more pairs of them than this share are near each other and not the same.
LARGEST_SHARE_NEAR = 0.05
# A row has at most so many copies.
MOST_COPIES = 20
# So many rows are examined, and so many of them closely; fewer where the search would compare more pairs than this.
EXAMINED, EXAMINED_CLOSELY, MOST_PAIRS, FEWEST_EXAMINED = 2000, 200, 2**20, 100
# Copies must be so many of them, this share, and so many times what chance makes likely, beyond five standard errors.
FEWEST_COPIED, LEAST_COPIED, TIMES_CHANCE, STANDARD_ERRORS = 5, 0.005, 3, 5
# The columns in which few rows are near each other are known from so many rows.
ROWS_OF_ORDER = 5000
# Cells in which pairs are sought are so many times as wide as the distance of copies, or wider as long as there are few
# pairs in each; the grid is shifted so many times.
NARROWEST, WIDEST, PAIRS_OF_ROW, SHIFTS = 8, 0.25, 2, 4
# No distance: between a number and a gap.
FAR = 2.0**100


def jittered(matrix: np.ndarray, numbers: Sequence[int]) -> np.ndarray | None:
    """Find rows that differ by a small jitter alone.

    In m dimensions, the second nearest of independent rows is more than GAP times as far away as the nearest with a
    probability of GAP^-m, wherever the density is smooth; copies nearly always have such a gap around them. m is that
    of the rows, 1 on a curve, and taken as 1; the probability is less where the gap reaches no other row.

    Arguments:
        matrix: (n, columns) different rows; NaN where a value is missing.
        numbers: the columns that may differ by a jitter; in all others copies agree.

    Returns:
        (n,) whole numbers, equal for copies; None where there are none.

    Source: the ratio of the distances of the two nearest neighbors is that of Facco, d'Errico, Rodriguez and Laio 2017,
    doi:10.1038/s41598-017-11873-y.

    Example:
        >>> random = np.random.default_rng(0)
        >>> x = random.normal(size=(300, 4))
        >>> jittered(x, range(4)) is None
        True
        >>> labels = jittered(np.concatenate([x, x[:30] + 1e-5 * random.normal(size=(30, 4))]), range(4))
        >>> bool((labels[:30] == labels[300:]).all()), len(np.unique(labels))
        (True, 300)
    """
    near = Neighborhoods(matrix, numbers)
    reach = _reach_of_jitter(near)
    return None if reach is None else _labels(near, reach)


class Neighborhoods:
    """The rows around rows.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        numbers: the columns of numbers; levels of the others are at least 1 apart.
    """

    def __init__(self, matrix: np.ndarray, numbers: Sequence[int]) -> None:
        self.matrix, self.ranks = matrix, {}
        self.units = np.ones(matrix.shape[1])
        some = np.random.default_rng(0).permutation(len(matrix))[:ROWS_OF_ORDER]
        self.units[list(numbers)] = spreads(matrix[np.sort(some)][:, list(numbers)])
        self.ranks = {
            column: _ranks(matrix[:, column]) for column in numbers if _concentrated(self.column(column, some))
        }
        shares = [_share_near(np.sort(self.column(number, some))) for number in range(matrix.shape[1])]
        self.columns = [int(column) for column in np.argsort(shares, kind="stable")]
        first = self.column(self.columns[0])
        self.order = first.argsort(kind="stable")
        self.sorted = first[self.order]

    def column(self, column: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The numbers of a column in units of its spread; ranks where many are much nearer to each other."""
        if column in self.ranks:
            return self.ranks[column][rows]
        with np.errstate(over="ignore"):
            found = self.matrix[rows, column].astype(np.float64) / self.units[column]
        return np.nan_to_num(found, nan=FAR, posinf=2 * FAR, neginf=-2 * FAR)

    def distances(self, ones: np.ndarray, others: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Which of some pairs of rows are within reach of each other, and their distances."""
        kept, distance = np.arange(len(ones)), np.zeros(len(ones))
        for column in self.columns:
            apart = np.abs(self.column(column, ones[kept]) - self.column(column, others[kept]))
            within = apart <= reach
            kept, distance = kept[within], np.maximum(distance[within], apart[within])
        return kept, distance

    def around(self, rows: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pairs of one of some rows and another row within reach: the place, the other row, and the distance."""
        center = self.column(self.columns[0], rows)
        start = np.searchsorted(self.sorted, center - reach, "left")
        sizes = np.searchsorted(self.sorted, center + reach, "right") - start
        parts = []
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(sizes.cumsum() // MOST_PAIRS)) + 1):
            which = np.repeat(part, sizes[part])
            before = np.repeat(sizes[part].cumsum() - sizes[part], sizes[part])
            others = self.order[start[which] + np.arange(len(which)) - before]
            different = np.flatnonzero(others != rows[which])
            which, others = which[different], others[different]
            kept, distance = self.distances(rows[which], others, reach)
            parts.append((which[kept], others[kept], distance))
        which, others, distance = (np.concatenate(found) for found in zip(*parts, strict=True))
        return which, others, distance

    def steps_apart(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """How many steps of its lattice pairs of rows differ by in any column; infinite if one is not on a lattice."""
        found = np.zeros(len(ones))
        for column in self.columns:
            apart = np.abs(self.column(column, ones) - self.column(column, others))
            if (apart > SAME).any():
                lattice = lattice_of(self.matrix[:, column])
                steps = np.inf if lattice is None else apart * self.units[column] / lattice.step
                found = np.maximum(found, np.where(apart > SAME, steps, 0.0))
        return found

    def pairs(self, reach: float) -> float:
        """How many pairs a search around a row compares in the mean."""
        some = self.sorted[:: max(len(self.sorted) // EXAMINED_CLOSELY, 1)]
        within = np.searchsorted(self.sorted, some + reach, "right") - np.searchsorted(self.sorted, some - reach, "left")
        return float(within.mean())


def _concentrated(values: np.ndarray) -> bool:
    """Whether many numbers are near each other without being the same, as amounts over many decades are near 0."""
    values = np.sort(values[np.abs(values) < FAR])
    same = np.searchsorted(values, values + SAME, "right") - np.arange(len(values))
    return len(values) > 0 and _share_near(values) - float(same.mean()) / len(values) > LARGEST_SHARE_NEAR


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks of the different numbers in units of half their count."""
    different, places = np.unique(values, return_inverse=True)
    return np.where(np.isnan(values), FAR, 2 * places / len(different))


def _share_near(values: np.ndarray) -> float:
    """The share of pairs of sorted numbers that are near each other."""
    return float((np.searchsorted(values, values + NEAR, "right") - np.arange(len(values))).mean()) / len(values)


def _reach_of_jitter(near: Neighborhoods) -> float | None:
    """A distance within which copies lie, if there are copies."""
    random = np.random.default_rng(0)
    count = len(near.matrix)
    if near.pairs(NEAR) * FEWEST_EXAMINED > MOST_PAIRS * FEWEST_COPIED:
        return None
    examined = int(min(count, EXAMINED, max(MOST_PAIRS / near.pairs(NEAR), FEWEST_EXAMINED)))
    rows = random.choice(count, examined, replace=False)
    which, others, distance = near.around(rows, NEAR)
    alone = np.bincount(which[distance <= SAME], minlength=examined) == 0
    close = np.flatnonzero(alone & (np.bincount(which, minlength=examined) > 0))
    fewest = max(FEWEST_COPIED, LEAST_COPIED * examined)
    if len(close) < fewest:
        return None
    closely = int(max(min(EXAMINED_CLOSELY, MOST_PAIRS / near.pairs(GAP * NEAR)), FEWEST_EXAMINED))
    some = random.permutation(close)[:closely]
    reaches = _distances_before_gaps(near, rows[some])
    # Whether another row lies where a gap would be, from rows of any kind.
    any_rows = rows[:closely]
    which, _, distance = near.around(any_rows, GAP * NEAR)
    crowded = (len(np.unique(which[distance > NEAR])) + TIMES_CHANCE) / len(any_rows)
    by_chance = min(crowded, 1.0) / GAP
    copied = len(close) / examined * len(reaches) / len(some)
    error = STANDARD_ERRORS * (by_chance / min(examined, len(some) * examined / len(close))) ** 0.5
    if copied * examined < fewest or copied < TIMES_CHANCE * by_chance + error:
        return None
    return min(NEAR, 2 * float(np.quantile(reaches, 0.99)))


def _distances_before_gaps(near: Neighborhoods, rows: np.ndarray) -> np.ndarray:
    """The distance of the farthest of the few rows near a row, of each row with a gap beyond them."""
    which, others, distance = near.around(rows, GAP * NEAR)
    order = np.lexsort((distance, which))
    which, others, distance = which[order], others[order], distance[order]
    pairs = []
    for places in np.split(np.arange(len(which)), np.flatnonzero(np.diff(which)) + 1):
        own = distance[places[:MOST_COPIES]]
        following = np.append(distance[places], np.inf)[1 : len(own) + 1]
        before = np.flatnonzero((own <= NEAR) & (following >= GAP * own))
        if len(before):
            pairs.append(places[before[0]])
    found = np.array(pairs, np.int64)
    moved = near.steps_apart(rows[which[found]], others[found]) >= FEWEST_STEPS
    reaches: np.ndarray = distance[found[moved]]
    return reaches


def _labels(near: Neighborhoods, reach: float) -> np.ndarray:
    """Labels of rows within reach of each other, directly or through others."""
    count = len(near.matrix)
    ones, others = [], []
    width = _width_of_cells(near, reach)
    for shift in range(SHIFTS):
        hashed = _cells(near, width, shift)
        order = hashed.argsort(kind="stable")
        hashed = hashed[order]
        for lag in range(1, MOST_COPIES + 1):
            same = np.flatnonzero(hashed[lag:] == hashed[:-lag])
            if not len(same):
                break
            kept, _ = near.distances(order[same], order[same + lag], reach)
            ones.append(order[same][kept])
            others.append(order[same + lag][kept])
    one, other = np.concatenate(ones), np.concatenate(others)
    moved = near.steps_apart(one, other) >= FEWEST_STEPS
    one, other = one[moved], other[moved]
    graph = coo_matrix((np.ones(len(one), bool), (one, other)), (count, count))
    labels = connected_components(graph, directed=False)[1].astype(np.int64)
    sizes = np.bincount(labels)
    return np.where(sizes[labels] > MOST_COPIES, len(sizes) + np.arange(count), labels)


def _width_of_cells(near: Neighborhoods, reach: float) -> float:
    """The widest cells that hold few pairs."""
    width = WIDEST
    while width > NARROWEST * reach:
        sizes = np.unique(_cells(near, width, 0), return_counts=True)[1]
        if float((sizes * (sizes - 1.0)).sum() / 2) <= PAIRS_OF_ROW * len(near.matrix):
            return width
        width /= 4
    return NARROWEST * reach


def _cells(near: Neighborhoods, width: float, shift: int) -> np.ndarray:
    """Hashes of the cells of a shifted grid that the rows lie in."""
    found = np.zeros(len(near.matrix), np.uint64)
    offsets = np.random.default_rng(shift).random(len(near.columns))
    for column in near.columns:
        cell = np.floor(near.column(column) / width + offsets[column]) + 0.0
        found += hashes(cell.view(np.uint64), column)
    return found
