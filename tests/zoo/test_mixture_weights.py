"""Weights of a mixture by expectation-maximization."""

import numpy as np
from scipy import optimize

from pushforward.zoo.mixture_weights import mixed, mixture_weights


def test_weights_have_most_likelihood():
    log_prob = np.random.default_rng(0).normal(size=(2, 60))
    best = optimize.minimize_scalar(
        lambda share: -mixed(log_prob, np.array([share, 1 - share])).sum(), bounds=(0, 1), method="bounded"
    )
    np.testing.assert_allclose(mixture_weights(log_prob, 0.0)[0], best.x, atol=1e-4)


def test_further_rows_of_each_part_keep_it():
    assert mixture_weights(np.array([[0.0] * 8, [-700.0] * 8]))[1] == 0.1
    assert mixture_weights(np.array([[0.0] * 8, [-np.inf] * 8]))[1] == 0.1
    assert mixture_weights(np.array([[0.0] * 8, [np.nan] * 8]), 0.5)[1] == 0.5 / 9


def test_rows_that_no_part_explains_are_left_out():
    log_prob = np.array([[0.0, -1.0, -np.inf], [-1.0, 0.0, -np.inf]])
    np.testing.assert_allclose(mixture_weights(log_prob), [0.5, 0.5])
