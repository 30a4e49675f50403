"""Flows in continuous time by the name of an architecture: tables, commands, and the error beside each log-density."""

import copy
import csv
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.table_models import scoring
from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import Scores

QUICK = {"flow": "continuous", "max_steps": 5, "progress": False}


def frame(count=120, seed=0):
    random = np.random.default_rng(seed)
    mass = random.normal(size=count)
    return pd.DataFrame(
        {
            "mass": mass,
            "radius": np.exp(0.5 * mass + 0.3 * random.normal(size=count)),
            "count": random.poisson(3, count),
            "kind": np.array(["a", "b", "c"])[random.integers(3, size=count)],
        }
    )


@pytest.fixture
def solver():
    pytest.importorskip("torchdiffeq")


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("columns", [["mass", "radius"], None])
def test_scores_have_an_error_beside_each_log_density(tmp_path, columns):
    found = pf.fit_table(frame(), columns=columns, **QUICK)
    assert found.model.notes["flow"] == "continuous" and "flow matching" in found.model.notes["chosen"][0]
    found.model.save(tmp_path / "m.safetensors")
    model = TableModel.load(tmp_path / "m.safetensors")
    model.flow.bijection.inner.tolerance = 1e-2
    frame(20, seed=1).assign(count=2).to_csv(tmp_path / "t.csv", index=False)
    scores = model.score(tmp_path / "t.csv", tmp_path / "s.csv")
    written = pd.read_csv(tmp_path / "s.csv")
    assert list(written)[4:] == ["log_prob", "log_prob_error", "p_value", "unseen"]
    exact = copy.deepcopy(model)
    exact.flow.bijection.inner.tolerance = 1e-9
    exact.score(tmp_path / "t.csv", tmp_path / "exact.csv")
    truth = pd.read_csv(tmp_path / "exact.csv")["log_prob"]
    assert bool(((written["log_prob"] - truth).abs() <= written["log_prob_error"]).all())
    assert scores.mean_error == pytest.approx(written["log_prob_error"].mean())
    assert scores.largest_error == pytest.approx(written["log_prob_error"].max()) and scores.largest_error > 0


@pytest.mark.usefixtures("solver")
def test_a_row_without_a_density_has_no_error(tmp_path):
    model = pf.fit_table(frame(), columns=["kind"], **QUICK).model
    pd.DataFrame({"kind": ["a", "never", "b"]}).to_csv(tmp_path / "t.csv", index=False)
    scores = model.score(tmp_path / "t.csv", tmp_path / "s.csv")
    written = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [row["log_prob_error"] == "" for row in written] == [False, True, False]
    assert [row["unseen"] for row in written] == ["false", "true", "false"] and scores.seen == 2
    pd.DataFrame({"kind": ["never"]}).to_csv(tmp_path / "t.csv", index=False)
    assert model.score(tmp_path / "t.csv", tmp_path / "s.csv").mean_error is None


def test_errors_in_sum():
    scores, errors = Scores(), np.random.default_rng(0).random(100)
    log_prob = np.where(np.arange(100) % 10 == 3, -np.inf, 1.0)
    for part in np.array_split(np.arange(100), 7):
        scores.add(log_prob[part], np.where(np.isinf(log_prob[part]), np.nan, errors[part]))
    assert scores.mean_error == pytest.approx(errors[np.isfinite(log_prob)].mean())
    assert scores.largest_error == errors[np.isfinite(log_prob)].max()


def test_other_scores_have_no_errors(tmp_path):
    frame(40).to_csv(tmp_path / "t.csv", index=False)
    model = pf.fit_table(tmp_path / "t.csv", **(QUICK | {"flow": "nice"})).model
    assert model.score(tmp_path / "t.csv", tmp_path / "s.csv").mean_error is None
    assert "log_prob_error" not in (tmp_path / "s.csv").read_text()


@pytest.mark.usefixtures("solver")
def test_estimates_have_errors_that_repeat(tmp_path):
    model = pf.fit_table(frame(), columns=["mass", "radius"], **(QUICK | {"flow": "residual"})).model
    for module in model.flow.modules():
        if isinstance(module, pf.bijections.Residual):
            module.estimates = True
    frame(30, seed=1).to_csv(tmp_path / "t.csv", index=False)
    scores = [model.score(tmp_path / "t.csv", tmp_path / f"{name}.csv") for name in "ab"]
    assert scores[0].mean_error > 0 and (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


@pytest.mark.usefixtures("solver")
def test_measurement_errors_are_refused():
    rows = frame(50).assign(mass_error=0.1)
    with pytest.raises(pf.InputError, match='"continuous" is fitted to values as they were measured, without their'):
        pf.fit_table(rows, columns=["mass"], errors={"mass": "mass_error"}, **QUICK)


def test_without_the_solver_a_fit_says_what_to_install_before_it_trains(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    told = []
    with pytest.raises(pf.InputError, match=r"pip install 'pushforward\[ode\]' brings it"):
        pf.fit_table(frame(50), announce=told.append, **QUICK)
    assert told == []
    with pytest.raises(pf.InputError, match=r"pip install 'pushforward\[ode\]' brings it"):
        pf.FlowDensity(flow="continuous", max_steps=3).fit(np.random.default_rng(0).normal(size=(50, 2)))
    with pytest.raises(pf.InputError, match=r"pip install 'pushforward\[ode\]' brings it"):
        pf.fit(pf.continuous(2), torch.randn(50, 2), objective="flow_matching", max_steps=1)


@pytest.mark.slow
@pytest.mark.usefixtures("solver")
def test_a_table_with_counts_is_learned():
    rows = frame(4000)[["mass", "count"]]
    options = {"max_steps": 600, "learning_rate": 5e-3, "average_decay": 0.98, "seed": 1}
    model = pf.fit_table(rows, **(QUICK | options)).model
    new = frame(500, seed=5)[["mass", "count"]]
    truth = stats.norm.logpdf(new["mass"]) + stats.poisson.logpmf(new["count"], 3)
    difference = truth - model.log_prob(new)
    # Nats that the fit loses, beside five standard errors.
    assert difference.mean() < 0.1 + 5 * difference.std() / 500**0.5


@pytest.mark.slow
@pytest.mark.usefixtures("solver")
def test_an_estimator_and_a_context():
    density = pf.FlowDensity(flow="continuous", max_steps=20, random_state=0)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    assert np.isfinite(density.fit(rows).score_samples(rows)).all()
    given = pf.fit_table(frame(), columns=["radius"], given=["mass"], **QUICK).model
    assert np.isfinite(given.log_prob(frame(20, seed=2)[given.names].to_numpy())).all()


@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_an_error_without_bound_leaves_the_log_density(monkeypatch, error):
    model = pf.fit_table(frame()[["mass", "radius"]], flow="maf", max_steps=5, progress=False).model
    codes = torch.tensor([[0.0, 1.0], [0.5, 1.5], [np.inf, 1.0]], dtype=torch.float64)

    def estimate(density, x, context, batch_size):
        return torch.tensor([-2.0, -torch.inf]), torch.tensor([error, 0.1])

    monkeypatch.setattr(scoring, "log_prob_with_error", estimate)
    found, errors = scoring.log_prob_with_error_of_rows(model.density, model.roles, codes)
    # The last row holds a value that was never seen.
    assert found.tolist() == [-2.0, -np.inf, -np.inf]
    assert not errors.isfinite().any()
