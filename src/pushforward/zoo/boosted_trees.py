"""Boosted trees, each sum of which has not seen a part of the rows."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from pushforward.networks.regression_trees import RegressionTrees
from pushforward.zoo.cross_fitted import CrossFitted

# Trees of a sum, at most, and how many may pass without a gain.
TREES, PATIENCE = 1_000, 60
# The share of rows that a tree is grown from, the most of them, and the fewest in a leaf.
SHARE, MOST_ROWS, LEAF = 0.6, 5_000, 3
# The share of its residuals that a tree takes.
RATE = 0.1


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
    """Fit a sum of trees to the rows outside each part, by gradient boosting of squares; their mean is the model.

    Rows are divided into parts several times. What is said of a row is the mean of the sums that have not seen it, one
    of each division, so that it is nearly as good as the model is on fresh rows, which is the mean of all.

    Each tree takes a share of the residuals of the trees before it and is grown from some rows drawn at random, by
    scikit-learn: of thresholds drawn at random, one in each column, a node takes the one that leaves least squares. So
    the sum is smoother than that of trees with the best thresholds. The number of trees is the one at which squares are
    smallest on the rows that the sums have not seen, which no class of scikit-learn does: they stop by rows that are
    then lost to the fit.

    Arguments:
        y: (n,) targets, in units in which squares are sensible.
        context: (n, C), of which every column varies.
        part: (R, n) whole numbers from 0 on, the part of each row in each of R divisions into as many, at least two.
        seed: of the rows that trees are grown from, and of their thresholds.
        depth: of a tree, default 6.
        trees: most trees of a sum, default 1,000.
        seconds: after which no tree is begun.

    Source: Friedman 2001, doi:10.1214/aos/1013203451, and 2002, doi:10.1016/S0167-9473(01)00065-2; Geurts, Ernst and
    Wehenkel 2006, doi:10.1007/s10994-006-6226-1, for random thresholds.

    Example:
        >>> c = np.random.default_rng(0).uniform(size=(400, 2))
        >>> y = np.sign(c[:, 0] - 0.5)
        >>> found = boosted_trees(y, c, np.arange(400)[None] % 5, seed=0, trees=100)
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


class _Growing:
    """The sums of trees while they grow, all of them at the same time."""

    def __init__(self, y: np.ndarray, context: np.ndarray, part: np.ndarray, seed: int, depth: int) -> None:
        self.y, self.depth, count = y.astype(np.float64), depth, int(part.max()) + 1
        self.random = np.random.default_rng(seed)
        # Between the quartiles u is nearly proportional to c, and beyond it grows by logarithms.
        low, self.shift, high = np.quantile(context.astype(np.float64), [0.25, 0.5, 0.75], axis=0)
        self.scale = 1 / np.where(high > low, high - low, np.ptp(context, 0))
        self.u = self._model(0, 0).units(torch.from_numpy(context.astype(np.float64))).numpy()
        self.seen = [np.flatnonzero(own != number) for own in part for number in range(count)]
        # Of each row and division the sum that has not seen it.
        self.without = part + count * np.arange(len(part))[:, None]
        self.start = np.array([self.y[rows].mean() for rows in self.seen])
        self.sums = np.repeat(self.start[:, None], len(y), 1)
        self.grown: list[list[Any]] = []

    def out_of_part(self) -> np.ndarray:
        """What is said of each row by the sums that have not seen it, (n,)."""
        found: np.ndarray = self.sums[self.without, np.arange(len(self.y))].mean(0)
        return found

    def error(self) -> float:
        """The mean square of what this leaves."""
        return float(np.square(self.y - self.out_of_part()).mean())

    def grow(self) -> None:
        """Add a tree to each sum."""
        # Imported only here: it takes its time.
        from sklearn.tree import ExtraTreeRegressor

        grown = []
        for sums, seen in zip(self.sums, self.seen, strict=True):
            rows = self.random.permutation(seen)[: max(1, min(int(SHARE * len(seen)), MOST_ROWS))]
            state = int(self.random.integers(2**31))
            tree = ExtraTreeRegressor(max_depth=self.depth, min_samples_leaf=LEAF, random_state=state)
            grown.append(tree.fit(self.u[rows], self.y[rows] - sums[rows]).tree_)
            sums += RATE * grown[-1].predict(self.u)[:, 0]
        self.grown.append(grown)

    def trees(self, count: int) -> RegressionTrees:
        """The mean of the sums of the first trees, as a module."""
        trees = [tree for grown in self.grown[:count] for tree in grown]
        first = np.cumsum([0, *(tree.node_count for tree in trees)])
        found = self._model(len(trees), int(first[-1]))
        found.start.fill_(float(self.start.mean()))
        found.roots.copy_(torch.from_numpy(first[:-1]))
        for tree, begin, end in zip(trees, first[:-1], first[1:], strict=True):
            leaf = tree.children_left < 0
            # scikit-learn grows the left child of a node next.
            right = np.where(leaf, 0, tree.children_right - np.arange(tree.node_count))
            found.right[begin:end] = torch.from_numpy(right)
            found.feature[begin:end] = torch.from_numpy(np.where(leaf, 0, tree.feature))
            said = RATE / len(self.seen) * tree.value[:, 0, 0]
            found.number[begin:end] = torch.from_numpy(np.where(leaf, said, below(tree.threshold)))
        return found

    def _model(self, trees: int, nodes: int) -> RegressionTrees:
        model = RegressionTrees(len(self.shift), trees, nodes, self.depth if trees else 0)
        model.shift.copy_(torch.from_numpy(self.shift))
        model.scale.copy_(torch.from_numpy(self.scale))
        return model


def below(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 numbers that are not above thresholds: they divide float32 numbers as these do.

    Example:
        >>> below(np.array([0.1, 0.5])).tolist()
        [0.09999999403953552, 0.5]
    """
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
