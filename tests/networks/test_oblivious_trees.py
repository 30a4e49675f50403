"""Oblivious trees against a loop over rows, sums and trees."""

import numpy as np
import pytest
import torch

from pushforward.networks import oblivious_trees
from pushforward.networks.oblivious_trees import ObliviousTrees


def some_trees(features=3, sums=2, trees=4, depth=3):
    found = ObliviousTrees(features, sums, trees, depth)
    found.start.normal_()
    found.feature.random_(features)
    found.threshold.normal_()
    found.values.normal_()
    return found


def by_hand(trees, row):
    total = 0.0
    for k in range(trees.sums):
        total += float(trees.start[k])
        for t in range(trees.trees):
            answers = [row[f] > s for f, s in zip(trees.feature[k, t].tolist(), trees.threshold[k, t], strict=True)]
            total += float(trees.values[k, t, sum(2**place for place, yes in enumerate(answers[::-1]) if yes)])
    return total / trees.sums


def test_leaves_are_those_of_the_answers(monkeypatch):
    trees, context = some_trees(), torch.randn(5, 4, 3, dtype=torch.float64)
    expected = np.reshape([by_hand(trees, row) for row in context.reshape(-1, 3)], (5, 4, 1))
    np.testing.assert_allclose(trees(context), expected, rtol=1e-12)
    monkeypatch.setattr(oblivious_trees, "LEAVES", 24)  # three rows at a time
    np.testing.assert_allclose(trees(context), expected, rtol=1e-12)
    assert trees(context.float()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 0, 3)])
def test_batches_of_any_shape(shape):
    assert some_trees()(torch.zeros(shape)).shape == (*shape[:-1], 1)


def test_without_trees_or_questions_it_is_a_constant():
    nothing = some_trees(trees=0)
    assert nothing(torch.randn(3, 3, dtype=torch.float64)).unique().item() == pytest.approx(float(nothing.start.mean()))
    leaf = some_trees(depth=0)
    expected = float(leaf.start.mean() + leaf.values.sum() / leaf.sums)
    assert leaf(torch.randn(3, 3, dtype=torch.float64)).unique().item() == pytest.approx(expected)
