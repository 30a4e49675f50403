"""Boosted trees, each sum of which has not seen a part of the rows."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from pushforward.networks.oblivious_trees import ObliviousTrees
from pushforward.zoo.cross_fitted import CrossFitted

# Trees of a sum, at most, and how many may pass without a gain.
TREES, PATIENCE = 1_000, 60
# Thresholds of a feature, the share of rows that a tree is grown from and the most of them.
THRESHOLDS, SHARE, MOST_ROWS = 63, 0.8, 5_000
# The share of its residuals that a tree takes, and how many rows without a residual each leaf has besides its own.
RATE, MORE_ROWS = 0.1, 3.0


def boosted_trees(
    y: np.ndarray,
    context: np.ndarray,
    part: np.ndarray,
    seed: int,
    *,
    depth: int = 6,
    trees: int = TREES,
    seconds: float = math.inf,
) -> CrossFitted:
    """Fit a sum of trees to the rows outside each part, by gradient boosting of squares.

    Each tree takes a share of the residuals of the trees before it, is grown from some rows drawn at random, and asks
    at each depth the question that leaves least squares. The number of trees is the one at which squares are smallest
    on the rows that the sums have not seen.

    Arguments:
        y: (n,) targets, in units in which squares are sensible.
        context: (n, C).
        part: (n,) whole numbers from 0 on, the part of each row; at least two parts.
        seed: of the rows that trees are grown from.
        depth: questions of a tree, default 6.
        trees: most trees of a sum, default 1,000.
        seconds: after which no tree is begun.

    Source: Friedman 2001, doi:10.1214/aos/1013203451, and 2002, doi:10.1016/S0167-9473(01)00065-2.

    Example:
        >>> c = np.random.default_rng(0).uniform(size=(400, 2))
        >>> y = np.sign(c[:, 0] - 0.5)
        >>> found = boosted_trees(y, c, np.arange(400) % 5, seed=0, trees=100)
        >>> found.explained > 0.95
        True
    """
    growing = _Growing(y, context, part, seed, depth)
    until = time.monotonic() + seconds
    found, best, best_count = growing.out_of_part(), growing.error(), 0
    while len(growing.grown) < min(trees, best_count + PATIENCE) and time.monotonic() < until:
        growing.grow()
        if growing.error() < best:
            found, best, best_count = growing.out_of_part(), growing.error(), len(growing.grown)
    return CrossFitted.of("boosted trees", growing.trees(best_count), found, y)


@dataclass(frozen=True, eq=False)
class _Tree:
    """A tree of each sum: (K, depth) features and numbers of thresholds, (K, 2^depth) values."""

    feature: np.ndarray
    number: np.ndarray
    values: np.ndarray


class _Growing:
    """The sums of trees while they grow, all of them at the same time."""

    def __init__(self, y: np.ndarray, context: np.ndarray, part: np.ndarray, seed: int, depth: int) -> None:
        self.y, self.part, self.depth = y.astype(np.float64), part, depth
        self.random = np.random.default_rng(seed)
        self.thresholds = [_thresholds(column) for column in context.T.astype(np.float64)]
        self.size = max(map(len, self.thresholds)) + 1
        self.cells = np.stack(
            [np.searchsorted(ends, column) for ends, column in zip(self.thresholds, context.T, strict=True)], 1
        )
        self.exists = np.arange(self.size) < np.array([len(ends) for ends in self.thresholds])[:, None]
        self.seen = [np.flatnonzero(part != number) for number in range(int(part.max()) + 1)]
        self.start = np.array([self.y[rows].mean() for rows in self.seen])
        self.sums = np.repeat(self.start[:, None], len(y), 1)
        self.rows = max(1, min(int(SHARE * min(map(len, self.seen))), MOST_ROWS))
        self.grown: list[_Tree] = []

    def out_of_part(self) -> np.ndarray:
        """What is said of each row by the sum that has not seen it, (n,)."""
        found: np.ndarray = self.sums[self.part, np.arange(len(self.y))]
        return found

    def error(self) -> float:
        """The mean square of what this leaves."""
        return float(np.square(self.y - self.out_of_part()).mean())

    def grow(self) -> None:
        """Add a tree to each sum."""
        rows = np.stack([self.random.permutation(some)[: self.rows] for some in self.seen])
        left = self.y[rows] - np.take_along_axis(self.sums, rows, 1)
        cells, leaf = self.cells[rows], np.zeros(rows.shape, dtype=np.int64)
        questions = []
        for asked in range(self.depth):
            feature, number = self._best_question(cells, leaf, left, 2**asked)
            questions.append((feature, number))
            leaf = 2 * leaf + (np.take_along_axis(cells, feature[:, None, None], 2)[..., 0] > number[:, None])
        of_sum = 2**self.depth * np.arange(len(self.seen))[:, None]
        place = (of_sum + leaf).ravel()
        size = len(self.seen) * 2**self.depth
        values = RATE * np.bincount(place, left.ravel(), size) / (np.bincount(place, minlength=size) + MORE_ROWS)
        leaf = np.zeros((len(self.seen), len(self.y)), dtype=np.int64)
        for feature, number in questions:
            leaf = 2 * leaf + (number[:, None] < self.cells[:, feature].T)
        self.sums += values[of_sum + leaf]
        feature, number = (np.stack(parts, 1) for parts in zip(*questions, strict=True))
        self.grown.append(_Tree(feature, number, values.reshape(len(self.seen), -1)))

    def _best_question(
        self, cells: np.ndarray, leaf: np.ndarray, left: np.ndarray, leaves: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Feature and number of the threshold that leave least squares in all leaves together, (K,) each."""
        sums, features = len(cells), cells.shape[2]
        shape = (sums, leaves, features, self.size)
        place = (np.arange(sums)[:, None] * leaves + leaf)[..., None] * features + np.arange(features)
        place = (place * self.size + cells).ravel()
        total = np.bincount(place, np.repeat(left.ravel(), features), math.prod(shape)).reshape(shape).cumsum(-1)
        count = np.bincount(place, minlength=math.prod(shape)).reshape(shape).cumsum(-1)
        above, others = total[..., -1:] - total, count[..., -1:] - count
        gain = (total**2 / (count + MORE_ROWS) + above**2 / (others + MORE_ROWS)).sum(1)
        best = np.where(self.exists, gain, -np.inf).reshape(sums, -1).argmax(1)
        return best // self.size, best % self.size

    def trees(self, count: int) -> ObliviousTrees:
        """The first trees, as a module."""
        found = ObliviousTrees(len(self.thresholds), len(self.seen), count, self.depth)
        found.start.copy_(torch.from_numpy(self.start))
        ends = np.zeros(self.exists.shape)
        for place, own in enumerate(self.thresholds):
            ends[place, : len(own)] = own
        for place, tree in enumerate(self.grown[:count]):
            found.feature[:, place] = torch.from_numpy(tree.feature)
            found.threshold[:, place] = torch.from_numpy(ends[tree.feature, tree.number])
            found.values[:, place] = torch.from_numpy(tree.values)
        return found


def _thresholds(column: np.ndarray) -> np.ndarray:
    """Numbers between the values of a column, about as many rows between one and the next."""
    values = np.unique(column)
    after = np.arange(1, len(values))
    if len(after) > THRESHOLDS:
        quantiles = np.quantile(column, np.arange(1, THRESHOLDS + 1) / (THRESHOLDS + 1))
        after = np.unique(np.searchsorted(values, quantiles).clip(1, len(values) - 1))
    found: np.ndarray = 0.5 * values[after - 1] + 0.5 * values[after]
    return found
