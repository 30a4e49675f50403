"""Boosted trees: what the module says, and what is said of rows that they have not seen."""

import numpy as np
import pytest
import torch

from pushforward.zoo import boosted_trees as module
from pushforward.zoo.boosted_trees import boosted_trees


def rows(count=300, seed=0):
    random = np.random.default_rng(seed)
    context = random.uniform(-1, 1, size=(count, 3))
    return context, np.sin(3 * context[:, 0]) + (context[:, 1] > 0.2) + 0.1 * random.normal(size=count)


def divisions(count=300):
    return np.stack([np.arange(count) % 5, np.random.default_rng(1).permutation(count) % 5])


def test_the_module_says_what_the_sums_say_together():
    context, y = rows()
    context[:5, 0] = [-1e300, 1e300, 1e30, -5.0, 0.0]
    growing = module._Growing(y, context, divisions(), 0, 6)
    for _ in range(7):
        growing.grow()
    trees = growing.trees(7)
    assert np.isfinite(growing.u).all() and trees.depth == 6 and len(trees.roots) == 70
    np.testing.assert_allclose(trees(torch.from_numpy(context))[:, 0], growing.sums.mean(0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(growing.trees(0)(torch.from_numpy(context))[:, 0], growing.start.mean())


def test_a_row_has_no_say_in_what_is_said_of_it():
    context, y = rows()
    other = np.where(np.arange(300) == 7, y + 100.0, y)
    found, changed = (module._Growing(some, context, divisions(), 0, 6) for some in (y, other))
    for growing in (found, changed):
        for _ in range(5):
            growing.grow()
    same = found.out_of_part() == changed.out_of_part()
    assert same[7] and not same.all()


@pytest.mark.slow
def test_fresh_rows_are_predicted_as_well_as_those_out_of_part():
    context, y = rows(500)
    found = boosted_trees(y, context, divisions(500), seed=0, trees=100)
    fresh, truth = rows(2000, seed=1)
    left = truth - found.model(torch.from_numpy(fresh))[:, 0].numpy()
    assert found.explained > 0.9
    # The mean of ten sums is better than that of two.
    fresh_squares, squares = np.square(left), np.square(y - found.unseen)
    error = np.hypot(fresh_squares.std() / len(left) ** 0.5, squares.std() / len(y) ** 0.5)
    assert fresh_squares.mean() < squares.mean() + 5 * error


def test_noise_is_not_explained():
    context, _ = rows()
    found = boosted_trees(np.random.default_rng(2).normal(size=300), context, divisions(), seed=0, trees=50)
    assert found.explained < 0.05
    nothing = boosted_trees(np.ones(300), context, divisions(), seed=0, trees=5)
    assert nothing.explained == 0 and not len(nothing.model.roots)
