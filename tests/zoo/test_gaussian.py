"""Gaussian flows in closed form, against scipy, and as the least that a default fit reaches."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.table_models.conditional_gaussian import covariance_of
from pushforward.table_models.gaussian import gaussian_held_out, gaussian_log_likelihood
from pushforward.zoo.gaussian import gaussian_like, gaussian_of, shrunk_covariance
from pushforward.zoo.units import gaussianized

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(5, 5))
ROWS = torch.from_numpy(100 + RANDOM.normal(size=(400, 5)) @ MIXING)


def test_the_gaussian_of_rows_is_that_of_maximum_likelihood():
    flow = gaussian_of(ROWS)
    expected = stats.multivariate_normal(ROWS.mean(0), np.cov(ROWS.T, ddof=0)).logpdf(ROWS)
    np.testing.assert_allclose(flow.log_prob(ROWS).detach(), expected, atol=2e-3)
    torch.manual_seed(0)
    draws = flow.sample((20_000,)).detach().numpy()
    deviations = np.sqrt(np.diag(np.cov(ROWS.T)))
    assert (abs(draws.mean(0) - ROWS.mean(0).numpy()) < 5 * deviations / np.sqrt(20_000)).all()
    np.testing.assert_allclose(np.corrcoef(draws.T), np.corrcoef(ROWS.T), atol=5 / np.sqrt(20_000))


@pytest.mark.parametrize("features", [1, 2, 5])
def test_a_conditional_gaussian_is_a_quotient_of_two(features):
    x, context = ROWS[:, :features], ROWS[:, features:] if features < 5 else None
    weights = torch.from_numpy(RANDOM.exponential(size=400))
    for some in (None, weights):
        flow = gaussian_of(x, context, some)
        value = float(np.average(flow.log_prob(x, context).detach(), weights=some))
        by_hand = gaussian_held_out(
            ROWS.numpy(), ROWS.numpy(), features, *(2 * [None if some is None else some.numpy()])
        )
        # Shrinking costs the rows of the fit a little.
        assert -0.01 < value - by_hand < 1e-6


def test_it_is_saved_and_loaded(tmp_path):
    flow = gaussian_like(gaussianized(pf.maf(features=5), ROWS.exp().sqrt(), knots=8), ROWS.exp().sqrt())
    pf.save(flow, tmp_path / "f.safetensors")
    again = pf.load(tmp_path / "f.safetensors")
    assert torch.equal(again.log_prob(ROWS), flow.log_prob(ROWS))


def test_shrinking_leaves_much_data_alone_and_helps_little_data():
    random = np.random.default_rng(1)
    truth = np.eye(40) + 0.5 * (random.normal(size=(40, 40)) / 8) ** 2
    truth = truth @ truth.T
    few = random.multivariate_normal(np.zeros(40), truth, 60)
    _, covariance = shrunk_covariance(torch.from_numpy(few))
    loss = [np.square(found - truth).sum() for found in (covariance.numpy(), np.cov(few.T))]
    assert loss[0] < 0.9 * loss[1]
    from sklearn.covariance import ledoit_wolf

    np.testing.assert_allclose(covariance.numpy(), ledoit_wolf(few)[0], rtol=1e-9)


def test_a_column_with_heavy_tails_does_not_take_the_correlations_of_the_others():
    normal = torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.stack([normal[:, 0], normal.sum(1) / 2**0.5], 1)
    heavy = torch.cat([x, torch.zeros(100, 1, dtype=torch.float64)], 1)
    heavy[0, 2] = 10.0  # the whole deviation of the column is one row
    plain, tamed = (shrunk_covariance(heavy, None, within)[1][0, 1] for within in (float("inf"), 3.0))
    whole = torch.cov(x.T, correction=0)[0, 1]
    assert float(plain / whole) < 0.6 and float(tamed / whole) > 0.85


def wide(rows, columns, seed=0):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(3, columns))
    return pd.DataFrame(random.normal(size=(rows, 3)) @ factors + random.normal(size=(rows, columns))).rename(
        columns=str
    )


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 15])
def test_more_columns_than_the_time_allows_leave_a_fit_as_good_as_a_gaussian(steps):
    fit = pf.fit_table(wide(200, 40), max_steps=steps, progress=False)
    assert fit.gaussian is not None and fit.held_out >= fit.gaussian
    assert fit.held_out == pytest.approx(fit.model.notes["held_out_nats"])
    # More than by the choice between two on twenty held-out rows.
    fresh = wide(220, 40)[200:]
    full = gaussian_log_likelihood(wide(200, 40), fresh).mean()
    assert fit.model.log_prob(fresh.to_numpy()).mean() > full - 5


@pytest.mark.parametrize("kind", ["dense", "given", "categories"])
def test_what_beats_the_flow_takes_its_place(kind, tmp_path, monkeypatch):
    # A flow that is no good: its training is replaced by none, and its start by a wrong one.
    monkeypatch.setattr("pushforward.zoo.recipe.decorrelate", lambda *arguments: None)
    monkeypatch.setattr("pushforward.zoo.recipe.regress", lambda *arguments: None)
    table = wide(300, 6)
    if kind == "categories":
        table["k"] = np.where(table["0"] > 0, "u", "v")
    given = ["4", "5"] if kind == "given" else []
    lines = []
    fit = pf.fit_table(table, given=given, max_steps=1, progress=False, announce=lines.append)
    assert any("a Gaussian of the" in line and "it is the model" in line for line in lines)
    assert fit.model.notes["flow"] == "gaussian" and fit.held_out == fit.history.best_held_out
    if fit.gaussian is not None:
        assert fit.held_out >= fit.gaussian - 2e-3
    fit.model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    codes = fit.model.encode(table)
    np.testing.assert_array_equal(again.log_prob(codes), fit.model.log_prob(codes))
    draws = again.draw(given=codes[:, len(again.columns) :]) if given else again.draw(50)
    assert np.isfinite(draws).all()


def test_an_estimator_keeps_the_gaussian_that_its_flow_does_not_beat(monkeypatch):
    monkeypatch.setattr("pushforward.zoo.recipe.decorrelate", lambda *arguments: None)
    x = wide(300, 6).to_numpy()
    density = pf.FlowDensity(max_steps=1, random_state=0).fit(x)
    assert any("Gaussian" in event for event in density.history_.events)
    assert density.score(x) > gaussian_log_likelihood(x, x).mean() - 0.3


@pytest.mark.slow
def test_arbitrary_conditions_end_no_worse_than_the_covariance_that_they_start_from():
    for table in (wide(200, 12), np.exp(0.3 * wide(300, 6))):
        fit = pf.fit_table(table, arbitrary_conditions=True, max_steps=3, progress=False)
        assert fit.held_out == fit.history.best_held_out >= fit.history.held_out[0]
        if table.min().min() < 0:  # without bounds the Gaussian of the columns can take the place of the flow
            assert fit.held_out >= fit.gaussian - 1e-3


@pytest.mark.slow
def test_a_table_with_gaps_is_no_worse_than_a_gaussian_of_the_values_that_are_present():
    x = wide(2300, 6).to_numpy()
    x = np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x)
    rows, fresh = x[:300], x[300:]
    fit = pf.fit_table(pd.DataFrame(rows, columns=list("abcdef")), max_steps=3, progress=False)
    assert fit.model.roles.allows_gaps
    mean, deviation = np.nanmean(rows, 0), np.nanstd(rows, 0)
    covariance = covariance_of(torch.from_numpy((rows - mean) / deviation)).numpy()
    expected = []
    for row in (fresh - mean) / deviation:
        at = ~np.isnan(row)
        normal = stats.multivariate_normal(np.zeros(at.sum()), covariance[np.ix_(at, at)]) if at.any() else None
        expected.append(normal.logpdf(row[at]) - np.log(deviation[at]).sum() if at.any() else 0.0)
    gained = fit.model.log_prob(fit.model.encode(pd.DataFrame(fresh, columns=list("abcdef")))) - expected
    # The Gaussian of the test knows the held-out rows as well, a tenth of all.
    parameters = 6 * 9 / 2 / 300
    assert gained.mean() > -parameters - 5 * gained.std() / len(gained) ** 0.5
