"""Conditional values of shapiq against those of a Gaussian, which are known."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf

shapiq = pytest.importorskip("shapiq", reason="pip install 'pushforward[shapiq]' brings it")

from pushforward.integrations.shapiq import FlowImputer  # noqa: E402

WEIGHTS = np.array([1.0, 2.0, -1.0])
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 1.0]])


def linear(rows):
    return rows @ WEIGHTS


def value(x, present):
    """E(w · x | present) of the Gaussian."""
    mean = np.zeros(3)
    if present.any():
        known = COVARIANCE[np.ix_(present, present)]
        mean = COVARIANCE[:, present] @ np.linalg.solve(known, x[present])
    return linear(np.where(present, x, mean))


@pytest.fixture(scope="module")
def density():
    rows = np.random.default_rng(0).multivariate_normal(np.zeros(3), COVARIANCE, size=2_000)
    return pf.fit_table(rows, arbitrary_conditions=True, max_steps=200, seed=0).model


@pytest.mark.slow
def test_values_of_coalitions_and_shapley_values_are_those_of_the_gaussian(density):
    x = np.array([1.0, -0.5, 0.8])
    imputer = FlowImputer(linear, density, x=x, sample_size=1_000, random_state=0)
    coalitions = np.array([[bool(n & 1), bool(n & 2), bool(n & 4)] for n in range(8)])
    truth = np.array([value(x, present) for present in coalitions])
    # 1,000 draws have an error of at most 0.09; the rest is that of a short fit.
    np.testing.assert_allclose(imputer.value_function(coalitions), truth, atol=0.45)
    assert imputer.value_function(coalitions[-1:]) == pytest.approx(linear(x))
    values = shapiq.ExactComputer(imputer, n_players=3)("SV").get_n_order_values(1)
    assert values.sum() == pytest.approx(linear(x) - imputer.empty_prediction)


def test_what_does_not_fit_is_refused():
    rows = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(pf.InputError, match="arbitrary"):
        FlowImputer(linear, pf.fit_table(rows, flow="maf", max_steps=2).model)
    density = pf.fit_table(rows, arbitrary_conditions=True, max_steps=2).model
    with pytest.raises(pf.InputError, match=r"row of shape \(2,\), got \(3,\)"):
        FlowImputer(lambda x: x.sum(1), density, x=np.zeros(3))
    with pytest.raises(pf.InputError, match=r"one number for each row, \(1000,\); it gave \(1000, 2\)"):
        FlowImputer(lambda x: x, density)
    for size in (0, -1, 1.5, None):
        with pytest.raises(pf.InputError, match="sample_size is the number of draws for each coalition, at least 1"):
            FlowImputer(lambda x: x.sum(1), density, sample_size=size)
    with pytest.raises(pf.InputError, match=r"coalitions of shape \(n, 2\), got \(4, 3\)"):
        FlowImputer(lambda x: x.sum(1), density, x=np.zeros(2)).value_function(np.ones((4, 3), dtype=bool))
    table = pd.DataFrame(rows, columns=["x", "y"]).assign(label=["a", "b"] * 50)
    with pytest.raises(pf.InputError, match='column "label" of the density is not of numbers'):
        FlowImputer(lambda x: x.sum(1), pf.fit_table(table, arbitrary_conditions=True, max_steps=2).model)
