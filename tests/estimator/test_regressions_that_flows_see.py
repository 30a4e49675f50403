"""Flows of one target are shown trees and a Gaussian process: steps and waves are learned in few steps."""

import math

import numpy as np
import pytest

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


@pytest.mark.parametrize("truth", TRUTHS)
def test_few_steps_learn_what_no_straight_line_says(truth):
    density = pf.ConditionalFlowDensity(max_steps=40, random_state=0).fit(*rows(truth, 200, 0))
    x, y = rows(truth, 500, 1)
    found = density.score_samples(x, y)
    # The loss is at least 0; a line with normal noise loses log(deviation / noise), about 2 nats.
    loss, error = -found.mean() - ENTROPY, found.std() / math.sqrt(len(y))
    assert -5 * error < loss < 0.5 * math.log(y.std() / NOISE)
    assert any("have not seen" in line for line in density.history_.events)


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
