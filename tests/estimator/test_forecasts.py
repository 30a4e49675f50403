"""Means, intervals, scores and probabilities of forecasts, against closed forms of normal distributions."""

import numpy as np
import pytest
from scipy import stats

import pushforward as pf
from pushforward.estimator.forecast import Forecast, normal_nodes

RANDOM = np.random.default_rng(0)


def normal_crps(y, mean, deviation):
    z = (y - mean) / deviation
    return deviation * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


def test_scores_of_a_normal_forecast_are_those_in_closed_form():
    z, weights = (part.numpy() for part in normal_nodes())
    y = np.linspace(-4, 4, 33)
    forecast = Forecast.of(np.tile(3 + 2 * z, (33, 1)), weights)
    np.testing.assert_allclose(forecast.mean(), 3, atol=1e-12)
    np.testing.assert_allclose(forecast.crps(3 + 2 * y), normal_crps(3 + 2 * y, 3, 2), atol=2e-3)
    np.testing.assert_allclose(forecast.pit(3 + 2 * y), stats.norm.cdf(y), atol=0.02)
    assert abs(forecast.begin_of_shortest(0.9) - 0.05).max() < 3e-3


def test_crps_is_the_mean_distance_of_any_points():
    values, weights, y = RANDOM.normal(size=(5, 7)), RANDOM.dirichlet(np.ones(7)), RANDOM.normal(size=5)
    away = np.abs(values - y[:, None]) @ weights
    apart = np.einsum("npq,p,q->n", np.abs(values[:, :, None] - values[:, None]), weights, weights)
    np.testing.assert_allclose(Forecast.of(values, weights).crps(y), away - 0.5 * apart, atol=1e-12)


@pytest.fixture(scope="module")
def fitted():
    X = RANDOM.normal(size=(400, 2))
    y = np.exp(0.5 * X[:, 0] + 0.3 * RANDOM.normal(size=400))
    return pf.ConditionalFlowDensity(max_steps=20, random_state=0, kinds="continuous").fit(X, y), X[:50], y[:50]


def test_all_that_is_said_of_a_target_agrees_with_its_density(fitted):
    density, X, y = fitted
    grid = np.linspace(0, 12, 3001)[1:]
    for row in range(3):
        at = np.repeat(X[row : row + 1], len(grid), 0)
        p = np.exp(density.score_samples(at, grid))
        below = np.concatenate([[0], np.cumsum(0.5 * (p[1:] + p[:-1]) * np.diff(grid))])
        assert density.predict(X, "mean")[row] == pytest.approx(np.trapezoid(grid * p, grid), rel=2e-2)
        assert density.pit(X, y)[row] == pytest.approx(np.interp(y[row], grid, below), abs=5e-3)
        score = np.trapezoid((below - (grid >= y[row])) ** 2, grid)
        assert density.crps(X, y)[row] == pytest.approx(score, abs=1e-2)
        assert p.max() == pytest.approx(np.exp(density.score_samples(X, density.predict(X, "mode")))[row], rel=2e-2)
        low, high = density.predict_interval(X, 0.8, kind="highest-density")[row]
        assert np.interp(high, grid, below) - np.interp(low, grid, below) == pytest.approx(0.8, abs=0.02)
        equal = density.predict_interval(X, 0.8)[row]
        np.testing.assert_allclose(np.interp(equal, grid, below), [0.1, 0.9], atol=5e-3)
        assert high - low <= np.diff(equal)[0] * 1.001
    covered = density.coverage(X, y, [0.5, 0.9])
    interval = density.predict_interval(X, 0.9)
    assert covered[1] == pytest.approx(((interval[:, 0] <= y) & (y <= interval[:, 1])).mean(), abs=0.021)


def test_the_probability_of_a_recorded_value_is_that_of_its_cell():
    X = RANDOM.normal(size=(300, 1))
    y = np.round(X[:, 0] + 0.5 * RANDOM.normal(size=300), 1)
    kinds = {"y0": {"kind": "continuous", "step": 0.1}}
    density = pf.ConditionalFlowDensity(max_steps=10, random_state=0, kinds=kinds).fit(X, y)
    every = np.round(np.arange(-60, 61) * 0.1, 1)
    total = np.exp(density.recorded_log_prob(np.repeat(X[:1], len(every), 0), every)).sum()
    assert total == pytest.approx(1, abs=2e-3)
    # The mean density over the cell, which `score_samples` gives from a few points of it.
    found = density.recorded_log_prob(X, y) - np.log(0.1)
    np.testing.assert_allclose(found, density.score_samples(X, y), atol=0.05)
    plain = pf.ConditionalFlowDensity(max_steps=1, random_state=0, kinds="continuous").fit(X, X[:, 0])
    with pytest.raises(pf.InputError, match="no step"):
        plain.recorded_log_prob(X, y)


def test_several_targets_are_judged_one_by_one():
    X = RANDOM.normal(size=(200, 2))
    y = X @ [[1.0, 0.0], [0.0, 2.0]] + 0.3 * RANDOM.normal(size=(200, 2))
    density = pf.ConditionalFlowDensity(max_steps=5, random_state=0).fit(X, y)
    assert density.crps(X, y).shape == density.pit(X, y).shape == density.predict(X, "mean").shape == (200, 2)
    assert density.coverage(X, y, [0.9]).shape == (1, 2) and density.predict_interval(X).shape == (200, 2, 2)
    draws = density.sample(X[:3], 4000, random_state=0)
    error = draws.std(1) / np.sqrt(4000)
    assert (abs(density.predict(X[:3], "mean") - draws.mean(1)) < 6 * error + 0.02).all()
    for refused in (lambda: density.predict(X, "mode"), lambda: density.predict(X, "modes")):
        with pytest.raises(pf.InputError):
            refused()
