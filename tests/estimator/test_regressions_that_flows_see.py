"""Flows of one target are shown trees and a Gaussian process: steps and waves are learned in few steps."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.regression_trees import RegressionTrees

NOISE = 0.1
ENTROPY = 0.5 * math.log(2 * math.pi * math.e * NOISE**2)
TRUTHS = {"steps": lambda x: np.sign(np.sin(9 * x)), "waves": lambda x: np.sin(9 * x)}


def rows(truth, count, seed):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, size=(count, 2))
    return x, TRUTHS[truth](x[:, 0]) + NOISE * random.normal(size=count)


@pytest.fixture(autouse=True)
def enough(monkeypatch):
    for name, value in {"TREES": 60, "STEPS": 40}.items():
        monkeypatch.setattr(f"pushforward.estimator.regressions.{name}", value)


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
def test_few_steps_learn_what_no_straight_line_says(truth):
    density = pf.ConditionalFlowDensity(max_steps=40, random_state=0).fit(*rows(truth, 200, 0))
    x, y = rows(truth, 500, 1)
    found = density.score_samples(x, y)
    # The loss is at least 0; a line with normal noise loses log(deviation / noise), about 2 nats.
    loss, error = -found.mean() - ENTROPY, found.std() / math.sqrt(len(y))
    assert -5 * error < loss < 0.5 * math.log(y.std() / NOISE)
    assert any("have not seen" in line for line in density.history_.events)


@pytest.mark.slow
def test_one_file_holds_them(tmp_path):
    density = pf.ConditionalFlowDensity(max_steps=10, random_state=0).fit(*rows("waves", 100, 0))
    x, y = rows("waves", 50, 1)
    pf.save(density.flow_, tmp_path / "density.safetensors")
    again = pf.load(tmp_path / "density.safetensors").double()
    assert {type(one) for one in again.regressions} == {RegressionTrees, KernelRegression}
    assert again.context_features == 2
    points = density._kinds.points(density._kinds.encode(y[:, None]), 0)
    context = points.new_tensor(x)
    expected = density._evaluated_by(np.dtype(np.float64)).log_prob(points, context)
    np.testing.assert_allclose(again.log_prob(points, context).detach(), expected.detach(), rtol=1e-12)


def test_what_helps_on_no_unseen_row_is_not_shown(monkeypatch):
    monkeypatch.setattr("pushforward.zoo.cross_fitted.STANDARD_ERRORS", 1e9)
    density = pf.ConditionalFlowDensity(max_steps=3, random_state=0).fit(*rows("waves", 100, 0))
    assert len(density.flow_.regressions) == 0 and density.flow_.context_features == 2
    assert not any("have not seen" in line for line in density.history_.events)


def line_and_noise(slope, count, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3))
    return x, slope * x[:, 0] + random.normal(size=count)


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_noise_about_a_line_is_told_as_well_as_by_the_line(slope):
    x, y = line_and_noise(slope, 300, seed=3)
    density = pf.ConditionalFlowDensity(max_steps=20, random_state=0).fit(x, y)
    # Nothing but the line is explained, and nothing is shown.
    assert not len(density.flow_.regressions)
    assert not any("have not seen" in line for line in density.history_.events)
    fresh, truth = line_and_noise(slope, 2_000, seed=4)
    design = np.column_stack([np.ones(300), x])
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    deviation = np.sqrt(np.square(y - design @ coefficients).sum() / (300 - 4))
    expected = stats.norm.logpdf(truth, np.column_stack([np.ones(2_000), fresh]) @ coefficients, deviation)
    gain = density.score_samples(fresh, truth) - expected
    assert gain.mean() > -5 * gain.std() / math.sqrt(len(gain))


def test_copies_and_rows_by_themselves_have_the_same_numbers():
    x, y = rows("steps", 300, 0)
    density = pf.ConditionalFlowDensity(max_steps=20, random_state=0).fit(x, y)
    assert len(density.flow_.regressions)
    expected, draws = density.score_samples(x, y), density.sample(x, 2, random_state=0)
    for again in (copy.deepcopy(density), pickle.loads(pickle.dumps(density))):
        np.testing.assert_array_equal(again.score_samples(x, y), expected)
        np.testing.assert_array_equal(again.sample(x, 2, random_state=0), draws)
    alone = np.concatenate([density.score_samples(x[k : k + 1], y[k : k + 1]) for k in range(5)])
    np.testing.assert_allclose(alone, expected[:5], rtol=1e-9)
    repeated = density.score_samples(np.repeat(x[:5], 3, 0), np.repeat(y[:5], 3))
    np.testing.assert_allclose(repeated, np.repeat(expected[:5], 3), rtol=1e-9)
    # Seen steps lie at other places for numbers that were rounded to float32, in few rows.
    single = density.score_samples(x.astype(np.float32), y.astype(np.float32))
    assert np.median(np.abs(single - expected)) < 1e-3


def test_there_is_no_trend_along_what_regressions_say():
    x, y = rows("waves", 100, 0)
    density = pf.ConditionalFlowDensity(max_steps=3, random_state=0).fit(x, y)
    shown = len(density.flow_.regressions)
    for flow in density.flow_.flows:
        trend = flow.bijection.context_trend
        assert shown and not trend.slope[:, 2:].any() and not trend.precision[2:].any()
        assert not trend.precision[:, 2:].any() and (trend.slope[:, :2] != 0).all()


def test_what_gaps_mean_is_seen_by_regressions():
    x, y = rows("steps", 300, 0)
    gap = np.random.default_rng(1).random(300) < 0.2
    y[gap] = 3.0 + NOISE * np.random.default_rng(2).normal(size=gap.sum())
    x[gap, 0] = np.nan
    density = pf.ConditionalFlowDensity(max_steps=3, random_state=0).fit(x, y)
    given = torch.from_numpy(density._context_columns(x))
    assert density.flow_.context_features == 3
    for regression in density.flow_.regressions:
        said = regression(given)[:, 0].numpy()
        # In units of the normal-scored target: rows with gaps are the largest fifth.
        assert said[gap].min() > np.quantile(said[~gap], 0.9)
