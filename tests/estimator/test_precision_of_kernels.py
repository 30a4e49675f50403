"""Where there are kernels, estimators score and draw by them: rows in float64 by those for float64."""

import numpy as np
import pytest

from pushforward.estimator import FlowDensity
from pushforward.kernels import autoregressive, native


@pytest.fixture
def calls(monkeypatch):
    """Which kernels of autoregressive layers ran."""
    seen = []

    def counted(name, function):
        return lambda *arguments: (seen.append(name), function(*arguments))[1]

    for name in ("_autoregressive", "_autoregressive_float64"):
        monkeypatch.setattr(autoregressive, name, counted(name, getattr(autoregressive, name)))
    return seen


@pytest.mark.skipif(native is None, reason="The kernels were not built.")
def test_kernels_score_float64_in_double_precision_and_draw_in_that_of_the_network(calls):
    rows = np.random.default_rng(0).normal(size=(200, 2))
    density = FlowDensity("maf", max_steps=5, random_state=0).fit(rows)
    layers = density.flow_.config["flow"]["layers"]
    for run, kernel in (
        (lambda: density.score_samples(rows), "_autoregressive_float64"),
        (lambda: density.score_samples(rows.astype(np.float32)), "_autoregressive"),
        (lambda: density.sample(50, random_state=1), "_autoregressive"),
    ):
        calls.clear()
        run()
        assert calls == layers * [kernel]
