"""Rows that are copies up to a jitter: much nearer to each other than to all others, as independent rows hardly are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pushforward.support.hashing import hashes
from pushforward.training.copies.neighborhoods import MOST_PAIRS, NEAR, SAME, Neighborhoods

# Copies have no other row within so many times their own distance.
GAP = 64
# Numbers on a lattice that differ by fewer of its steps than this are neighbors, such as days, and show no jitter.
FEWEST_STEPS = 8
# A row has at most so many copies.
MOST_COPIES = 20
# So many rows are examined, and so many of them closely, or as many as compare about MOST_PAIRS pairs, but not fewer
# than these.
EXAMINED, EXAMINED_CLOSELY, FEWEST_EXAMINED = 2000, 200, 100
# Copies must be so many of them, this share, and so many times what chance makes likely, beyond five standard errors.
FEWEST_COPIED, LEAST_COPIED, TIMES_CHANCE, STANDARD_ERRORS = 5, 0.005, 3, 5
# And so many times as many pairs must be as near as copies in all columns as are so in all but one in which they tie.
TIMES_NEARLY = 2
# Cells in which pairs are sought are so many times as wide as the distance of copies, or wider as long as there are few
# pairs in each; the grid is shifted so many times.
NARROWEST, WIDEST, PAIRS_OF_ROW, SHIFTS = 8, 0.25, 2, 4


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


def _reach_of_jitter(near: Neighborhoods) -> float | None:
    """A distance within which copies lie, if there are copies."""
    random = np.random.default_rng(0)
    compared = near.compared(NEAR)
    if compared * FEWEST_EXAMINED > MOST_PAIRS * FEWEST_COPIED:
        return None
    examined = int(min(len(near.matrix), EXAMINED, max(MOST_PAIRS / compared, FEWEST_EXAMINED)))
    rows = random.choice(len(near.matrix), examined, replace=False)
    which, _, distance = near.around(rows, NEAR)
    alone = np.bincount(which[distance <= SAME], minlength=examined) == 0
    close = np.flatnonzero(alone & (np.bincount(which, minlength=examined) > 0))
    fewest = max(FEWEST_COPIED, LEAST_COPIED * examined)
    if len(close) < fewest:
        return None
    closely = int(max(min(EXAMINED_CLOSELY, MOST_PAIRS / near.compared(GAP * NEAR)), FEWEST_EXAMINED))
    some = rows[random.permutation(close)[:closely]]
    ones, others, reaches = _copies_of(near, some)
    # Whether another row lies where a gap would be, from rows of any kind.
    which, _, distance = near.around(rows[:closely], GAP * NEAR)
    crowded = (len(np.unique(which[distance > NEAR])) + TIMES_CHANCE) / len(rows[:closely])
    by_chance = min(crowded, 1.0) / GAP
    copied = len(close) / examined * len(reaches) / len(some)
    error = STANDARD_ERRORS * (by_chance / min(examined, len(some) * examined / len(close))) ** 0.5
    if copied * examined < fewest or copied < TIMES_CHANCE * by_chance + error:
        return None
    reach = min(NEAR, 2 * float(np.quantile(reaches, 0.99)))
    nearly = near.nearly_around(some, reach, near.tied(ones, others))
    return None if len(reaches) < TIMES_NEARLY * nearly else reach


def _copies_of(near: Neighborhoods, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of some rows that have copies, the farthest copy of each, and its distance."""
    which, others, distance = near.around(rows, GAP * NEAR)
    order = np.lexsort((distance, which))
    which, others, distance = which[order], others[order], distance[order]
    found = []
    for places in np.split(np.arange(len(which)), np.flatnonzero(np.diff(which)) + 1):
        own = distance[places[:MOST_COPIES]]
        following = np.append(distance[places], np.inf)[1 : len(own) + 1]
        before = np.flatnonzero((own <= NEAR) & (following >= GAP * own))
        found += [places[before[0]]] if len(before) else []
    last = np.array(found, np.int64)
    last = last[near.steps_apart(rows[which[last]], others[last]) >= FEWEST_STEPS]
    return rows[which[last]], others[last], distance[last]


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
            kept, _ = near.within(order[same], order[same + lag], reach)
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
