"""Regression trees in torch against scikit-learn's, and a loop over nodes."""

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor

from pushforward.networks import regression_trees
from pushforward.networks.regression_trees import RegressionTrees


def one_tree(tree):
    """A tree of scikit-learn by the attributes that it documents."""
    found = RegressionTrees(tree.n_features, 1, tree.node_count, tree.max_depth)
    leaf, place = tree.children_left < 0, np.arange(tree.node_count)
    np.testing.assert_array_equal(tree.children_left[~leaf], place[~leaf] + 1)
    found.right.copy_(torch.from_numpy(np.where(leaf, 0, tree.children_right - place)))
    found.feature.copy_(torch.from_numpy(np.where(leaf, 0, tree.feature)))
    found.number.copy_(torch.from_numpy(np.where(leaf, tree.value[:, 0, 0], tree.threshold)))
    return found


@pytest.fixture(scope="module")
def fitted():
    random = np.random.default_rng(0)
    context = random.normal(size=(200, 3)) * [1.0, 1e-3, 1e3]
    y = np.sin(context[:, 0]) + (context[:, 1] > 0) + 0.1 * random.normal(size=200)
    u = np.arcsinh(context).astype(np.float32)
    tree = DecisionTreeRegressor(max_depth=5, random_state=0).fit(u, y)
    return context, tree.predict(u), one_tree(tree.tree_)


def test_it_says_what_the_tree_says(fitted, monkeypatch):
    context, expected, trees = fitted
    given = torch.from_numpy(context)
    assert trees.roots.tolist() == [0] and torch.equal(trees.start, torch.zeros(()).double())
    np.testing.assert_allclose(trees(given)[:, 0], expected, rtol=1e-6, atol=1e-6)
    expected = trees(given)[:, 0]
    np.testing.assert_array_equal(trees(given.reshape(4, 50, 3)).reshape(-1), expected)
    monkeypatch.setattr(regression_trees, "PLACES", 7)
    np.testing.assert_array_equal(trees(given)[:, 0], expected)
    assert trees(given.float()).dtype == torch.float32
    assert not trees(given.requires_grad_()).requires_grad


def test_numbers_in_other_units_and_a_start(fitted):
    context, expected, trees = fitted
    trees = RegressionTrees(**trees.sizes)
    trees.load_state_dict(fitted[2].state_dict())
    trees.shift.fill_(2.0)
    trees.scale.fill_(8.0)
    trees.start.fill_(3.0)
    np.testing.assert_allclose(trees(torch.from_numpy(2.0 + context / 8.0))[:, 0], 3.0 + expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 0, 3)])
def test_batches_of_any_shape(fitted, shape):
    assert fitted[2](torch.zeros(shape)).shape == (*shape[:-1], 1)


def test_without_trees_it_is_a_constant():
    nothing = RegressionTrees(features=3, trees=0, nodes=0, depth=0)
    nothing.start.fill_(2.5)
    assert nothing(torch.randn(3, 3, dtype=torch.float64)).tolist() == [[2.5]] * 3
