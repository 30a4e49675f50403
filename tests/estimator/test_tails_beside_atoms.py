"""Tails of targets with atoms are those of their continuous part, and their scores are those of their draws."""

import numpy as np
import pytest
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.estimator.forecast import Forecast, normal_nodes

ROWS, DRAWS, STEPS = 400, 250, 20


def rows_of(case):
    random = np.random.default_rng(0)
    X = random.uniform(-2, 2, (ROWS, 1))
    amounts, atom = np.exp(X[:, 0] + 0.5 * random.normal(size=ROWS)), random.random(ROWS) < 0.4
    if case == "zeros among amounts":
        return X, np.where(atom, 0.0, amounts)
    if case == "zeros among cents":
        return X, np.where(atom, 0.0, np.round(amounts, 2))
    return X, np.where(atom, -999.0, X[:, 0] + random.normal(size=ROWS))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["zeros among amounts", "zeros among cents", "a mark beside normal values"])
def test_draws_quantiles_and_scores_stay_near_the_data(case):
    X, y = rows_of(case)
    density = pf.ConditionalFlowDensity("nsf", max_steps=STEPS, random_state=0).fit(X, y)
    draws = density.sample(X, DRAWS, random_state=0)
    # Of as many amounts as draws the largest is about three times as large as the largest row.
    assert draws.max() < 6 * y.max()
    assert density.predict_quantiles(X, [0.99999]).max() < 10 * y.max()
    ordered, place = np.sort(draws, 1), np.arange(1, DRAWS + 1)
    apart = (ordered * (2 * place - DRAWS - 1)).sum(1) / (DRAWS * (DRAWS - 1))
    truth = np.abs(draws - y[:, None]).mean(1) - apart
    assert is_mean_of(density.crps(X, y) - truth, 0)


@pytest.mark.slow
def test_draws_of_rows_with_an_atom_stay_near_the_data():
    X, y = rows_of("zeros among amounts")
    density = pf.FlowDensity(max_steps=STEPS, random_state=0).fit(np.column_stack([X, y]))
    assert density.sample(20_000, random_state=0).max(0)[1] < 6 * y.max()


def test_scores_count_nothing_far_beyond_the_data():
    z, weights = (part.numpy() for part in normal_nodes())
    # exp(exp(3 z)) has no mean, and overflows.
    with np.errstate(over="ignore"):
        forecast = Forecast.of(np.exp(np.exp(3 * z))[None], weights)
    score = forecast.crps(np.array([2.0]), 0.0, 100.0)
    grid = np.linspace(1.0001, 100, 200_001)
    below = stats.norm.cdf(np.log(np.log(grid)) / 3)
    assert score == pytest.approx(np.trapezoid((below - (grid >= 2)) ** 2, grid), rel=0.02)
    # A value beyond the ends is as far away as it is.
    point = Forecast.of(np.array([[3.0]]), np.ones(1))
    assert point.crps(np.array([1000.0]), 0.0, 100.0) == 997
    assert point.crps(np.array([-1000.0]), 0.0, 100.0) == 1003
