"""Means, intervals, scores and probabilities of forecasts, against closed forms of normal distributions."""

import functools

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


def fitted_to(X, y, **options):
    return pf.ConditionalFlowDensity(random_state=0, **options).fit(X, y)


@pytest.fixture(scope="module")
def fitted():
    X = RANDOM.normal(size=(400, 2))
    y = np.exp(0.5 * X[:, 0] + 0.3 * RANDOM.normal(size=400))
    return fitted_to(X, y, max_steps=10, kinds="continuous"), X[:50], y[:50]


def test_all_that_is_said_of_a_target_agrees_with_its_density(fitted):
    density, X, y = fitted
    X, y, step = X[:3], y[:3], 0.01
    grid = np.arange(0, 12, step) + step / 2
    p = np.exp(density.score_samples(np.repeat(X, len(grid), 0), np.tile(grid, 3))).reshape(3, -1)
    # Up to the ends of the cells.
    ends, below = np.append(grid - step / 2, 12), np.hstack([np.zeros((3, 1)), np.cumsum(p, 1) * step])
    means, places, scores = density.predict(X, "mean"), density.pit(X, y), density.crps(X, y)
    tops = np.exp(density.score_samples(X, density.predict(X, "mode")))
    shortest, equal = density.predict_interval(X, 0.8, kind="highest-density"), density.predict_interval(X, 0.8)
    for row in range(3):
        assert means[row] == pytest.approx((grid * p[row]).sum() * step, rel=2e-2)
        assert places[row] == pytest.approx(np.interp(y[row], ends, below[row]), abs=5e-3)
        score = np.trapezoid((below[row] - (ends >= y[row])) ** 2, ends)
        assert scores[row] == pytest.approx(score, abs=1e-2)
        assert p[row].max() == pytest.approx(tops[row], rel=2e-2)
        low, high = shortest[row]
        assert np.interp(high, ends, below[row]) - np.interp(low, ends, below[row]) == pytest.approx(0.8, abs=0.02)
        np.testing.assert_allclose(np.interp(equal[row], ends, below[row]), [0.1, 0.9], atol=5e-3)
        assert high - low <= np.diff(equal[row])[0] * 1.001


@pytest.mark.slow
def test_coverage_is_the_share_of_rows_within_their_intervals(fitted):
    density, X, y = fitted
    covered = density.coverage(X, y, [0.5, 0.9])
    for level, found in zip((0.5, 0.9), covered, strict=True):
        interval = density.predict_interval(X, level)
        assert found == ((interval[:, 0] <= y) & (y <= interval[:, 1])).mean()
    np.testing.assert_array_equal(density.coverage(X, y, 0.9), covered[1:])
    np.testing.assert_array_equal(density.predict_quantiles(X, 0.5), density.predict_quantiles(X, [0.5]))


COUNTS = RANDOM.normal(size=(200, 1))


@functools.cache
def fitted_to_kind(kind):
    """A density and its targets: counts, levels, with an atom, positive or rounded ones."""
    mean = COUNTS[:, 0]
    counts = np.random.default_rng(1).poisson(np.exp(0.5 * mean + 0.5)).astype(float)
    sizes = np.exp(mean + 0.2 * np.random.default_rng(2).normal(size=200))
    targets = {
        "integer": counts,
        "category": counts.clip(0, 3),
        "mixed": np.where(counts < 2, 0.0, sizes),
        "positive": sizes,
        "continuous": np.round(mean, 1),
    }
    declared = {"kind": "continuous", "step": 0.1} if kind == "continuous" else kind
    return fitted_to(COUNTS, targets[kind], max_steps=2, kinds={"y0": declared}), targets[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["integer", "category", "mixed", "positive", "continuous"])
def test_coverage_is_that_of_intervals_for_every_kind_of_target(kind):
    density, y = fitted_to_kind(kind)
    # Intervals of continuous targets take most of the time, and have as much probability in every row.
    rows = slice(None) if density._kinds.discrete[0] else slice(60)
    given, y = COUNTS[rows], y[rows]
    levels = (0.3, 0.5, 0.9)
    tolerance = 1e-9 * (kind == "continuous")  # of numbers that are rounded to 0.1
    expected = []
    for level in levels:
        low, high = density.predict_interval(given, level).T
        expected.append(((low - tolerance <= y) & (y <= high + tolerance)).mean())
    np.testing.assert_array_equal(density.coverage(given, y, levels), expected)
    if density._kinds.discrete[0]:
        assert (np.array(expected) > levels).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "above"), [("integer", 1.0), ("category", np.nan), ("mixed", 1.0), ("positive", 1.0)])
def test_values_that_a_target_cannot_have_lie_where_smaller_values_end(kind, above):
    density, _ = fitted_to_kind(kind)
    rows = COUNTS[:3]
    below = np.nan if np.isnan(above) else 0.0
    np.testing.assert_allclose(density.pit(rows[:1], [1e9]), [above])
    np.testing.assert_allclose(density.pit(rows, [-1.0, -1.0, -1e300]), [below] * 3, atol=1e-5)
    assert density.coverage(rows[:1], [-1.0], 0.9) == [0.0]
    if kind == "integer":
        two, three = (np.exp(density.score_samples(rows, np.full(3, value))) for value in (2.0, 3.0))
        at = density.pit(rows, np.full(3, 2.5))
        np.testing.assert_allclose(at, density.pit(rows, np.full(3, 2.0)) + 0.5 * two, atol=5e-3)
        np.testing.assert_allclose(at, density.pit(rows, np.full(3, 3.0)) - 0.5 * three, atol=5e-3)
        assert density.coverage(rows, np.full(3, 2.5), 0.999) == [0.0]
        assert (density.recorded_log_prob(rows, [2.5, -1.0, 1e6]) == -np.inf).all()


@pytest.mark.slow
def test_the_probability_of_a_recorded_value_is_that_of_its_cell():
    X = RANDOM.normal(size=(300, 1))
    y = np.round(X[:, 0] + 0.5 * RANDOM.normal(size=300), 1)
    kinds = {"y0": {"kind": "continuous", "step": 0.1}}
    density = fitted_to(X, y, max_steps=5, kinds=kinds)
    every = np.round(np.arange(-60, 61) * 0.1, 1)
    total = np.exp(density.recorded_log_prob(np.repeat(X[:1], len(every), 0), every)).sum()
    assert total == pytest.approx(1, abs=2e-3)
    # The mean density over the cell, which `score_samples` gives from a few points of it.
    found = density.recorded_log_prob(X, y) - np.log(0.1)
    np.testing.assert_allclose(found, density.score_samples(X, y), atol=0.05)
    plain = fitted_to(X, X[:, 0], max_steps=1, kinds="continuous")
    with pytest.raises(pf.InputError, match="no step"):
        plain.recorded_log_prob(X, y)


@pytest.mark.slow
def test_several_targets_are_judged_one_by_one():
    X = RANDOM.normal(size=(200, 2))
    y = X @ [[1.0, 0.0], [0.0, 2.0]] + 0.3 * RANDOM.normal(size=(200, 2))
    density = fitted_to(X, y, max_steps=5)
    X, y = X[:40], y[:40]
    assert density.crps(X, y).shape == density.pit(X, y).shape == density.predict(X, "mean").shape == (40, 2)
    assert density.coverage(X, y, [0.9]).shape == (1, 2) and density.predict_interval(X).shape == (40, 2, 2)
    interval = density.predict_interval(X, 0.9)
    within = ((interval[:, 0] <= y) & (y <= interval[:, 1])).mean(0)
    np.testing.assert_array_equal(density.coverage(X, y, 0.9)[0], within)
    draws = density.sample(X[:3], 4000, random_state=0)
    error = draws.std(1) / np.sqrt(4000)
    assert (abs(density.predict(X[:3], "mean") - draws.mean(1)) < 6 * error + 0.02).all()
    for refused in (lambda: density.predict(X, "mode"), lambda: density.predict(X, "modes")):
        with pytest.raises(pf.InputError):
            refused()
