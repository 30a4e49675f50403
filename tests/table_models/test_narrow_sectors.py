"""Angles in narrow sectors: a fit starts where they are, whatever the place of the circle, and draws stay there."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import is_mean_of

import pushforward as pf

ROWS = 1000
ANGLE = {"kind": "periodic", "period": 360}
LONGITUDE = {**ANGLE, "low": -180}
NOISE = stats.norm(0, 4)


def angles(rows, sectors, seed=0):
    """Degrees from the middle of one of some sectors, and degrees of the circle."""
    random = np.random.default_rng(seed)
    off = NOISE.rvs(rows, random)
    return off, random.choice(sectors, rows) + off


def model_of(table, schema, steps=2, **options):
    return pf.fit_table(pa.table(table), schema=schema, max_steps=steps, progress=False, **options).model


def apart(one, other):
    return np.abs((one - other + 180) % 360 - 180)


@pytest.mark.slow
@pytest.mark.parametrize("sectors", [[180.0], [0.0], [250.0], [0.0, 180.0]])
def test_a_fit_starts_where_the_angles_are(sectors):
    lie = (angles(ROWS, sectors)[1] + 180) % 360 - 180
    model = model_of({"longitude": lie}, {"longitude": LONGITUDE})
    off, fresh = angles(ROWS, sectors, seed=1)
    found = model.log_prob(model.encode(pa.table({"longitude": (fresh + 180) % 360 - 180})))
    loss = NOISE.logpdf(off) - np.log(len(sectors)) - found
    # The marginal map knows each of some quantiles to a few hundredths of a nat.
    assert is_mean_of(loss, 0.0, allowance=0.1 * len(sectors))
    drawn = np.asarray(model.draw(20_000))[:, 0]
    outside = np.min([apart(drawn, sector) for sector in sectors], 0) > 25
    # Beyond the outermost rows of each lies as much as the next row would.
    share = 2 * len(sectors) / (0.9 * ROWS + 1) + 1e-4
    assert outside.mean() < share + 5 * np.sqrt(share / len(drawn))
    for sector in sectors:
        part = np.mean(apart(drawn, sector) < 90)
        assert abs(part - 1 / len(sectors)) < 5 * np.sqrt(0.25 / len(drawn) + 0.25 / ROWS)


@pytest.mark.parametrize("step", [1, 5])
def test_probabilities_of_angles_with_steps_start_there_as_well(step):
    lie = np.round(angles(ROWS, [90.0])[1] / step) * step
    model = model_of({"wind": lie}, {"wind": {**ANGLE, "step": step}})
    every = np.arange(0, 360, step, dtype=float)
    found = np.exp(model.log_prob(model.encode(pa.table({"wind": every}))))
    truth = NOISE.cdf(every + step / 2 - 90) - NOISE.cdf(every - step / 2 - 90)
    assert found.sum() == pytest.approx(1, abs=1e-3)
    assert np.abs(found - truth).max() < 0.05 * step**0.5 and (found > 0).all()


def test_calm_wind_beside_a_sector_keeps_its_probability():
    random = np.random.default_rng(0)
    lie = np.where(random.random(ROWS) < 0.3, 0.0, angles(ROWS, [200.0])[1])
    model = model_of({"wind": lie}, {"wind": ANGLE})
    calm = float(np.exp(model.log_prob(model.encode(pa.table({"wind": [0.0]}))))[0])
    assert abs(calm - 0.3) < 5 * np.sqrt(0.21 / ROWS) + 0.01


@pytest.mark.slow
def test_an_angle_in_a_sector_tells_others_what_it_knows():
    off, lie = angles(2 * ROWS, [180.0])
    x = off / 2 + stats.norm(0, 0.3).rvs(len(off), np.random.default_rng(2))
    table = pa.table({"x": x, "longitude": (lie + 180) % 360 - 180})
    options = {"given": ["longitude"], "arbitrary_conditions": True}
    model = model_of(table.slice(0, ROWS), {"longitude": LONGITUDE}, steps=40, **options)
    found = model.log_prob(model.encode(table.slice(ROWS)))
    # It tells log(2.02 / 0.3) = 1.9 nats, of which more than half is learned in so few steps.
    truth = stats.norm(0, 0.3).logpdf(x - off / 2)[ROWS:]
    assert is_mean_of(truth - found, 0.0, allowance=0.95)


def test_a_model_of_angles_is_saved_and_loaded(tmp_path):
    off, lie = angles(300, [180.0])
    model = model_of({"longitude": (lie + 180) % 360 - 180, "x": off}, {"longitude": LONGITUDE})
    model.save(tmp_path / "m.safetensors")
    loaded = pf.TableModel.load(tmp_path / "m.safetensors")
    rows = np.array([[-179.0, 1.0], [np.nan, 0.0], [10.0, np.nan]])
    assert np.array_equal(loaded.log_prob(rows), model.log_prob(rows))
    found, expected = (one.density.quantiles(torch.from_numpy(rows), 0, [0.1, 0.5]) for one in (loaded, model))
    assert torch.equal(found, expected)


def test_angles_of_the_usual_flow_start_there_as_well():
    off, lie = angles(2 * ROWS, [180.0])
    kinds = {0: {"kind": "periodic", "period": 360}}
    X = np.column_stack([lie, off / 2 + stats.norm(0, 0.3).rvs(len(off), np.random.default_rng(2))])
    density = pf.FlowDensity(kinds=kinds, max_steps=2, random_state=0).fit(X[:ROWS])
    truth = NOISE.logpdf(off) + stats.norm(0, 0.3).logpdf(X[:, 1] - off / 2)
    assert is_mean_of(truth[ROWS:] - density.score_samples(X[ROWS:]), 0.0, allowance=0.2)
    assert np.mean(apart(density.sample(10_000, random_state=0)[:, 0], 180) > 25) < 2e-3
