"""p-values against their definition, and against what they promise."""

import json

import numpy as np
import pytest
from scipy import stats
from significance import FIVE_SIGMA

import pushforward as pf
from pushforward.table_models.calibration import EVERY, Calibration


def conformal(held_out, log_prob):
    return np.array([(1 + (held_out <= value).sum()) / (len(held_out) + 1) for value in log_prob])


def test_up_to_two_thousand_held_out_rows_ranks_are_exact():
    generator = np.random.default_rng(0)
    held_out = generator.normal(size=2000).round(2)  # with ties
    log_prob = np.concatenate([generator.normal(size=500).round(2), held_out[:50], [-np.inf, np.inf, -99.0]])
    calibration = Calibration.of(held_out)
    np.testing.assert_array_equal(calibration.p_values(log_prob), conformal(held_out, log_prob))
    assert calibration.p_values(np.array([-1e9])) == 1 / 2001


def test_of_many_held_out_rows_the_lowest_ranks_are_exact_and_the_others_rounded_up():
    generator = np.random.default_rng(0)
    held_out = generator.normal(size=50_000)
    log_prob = generator.normal(size=3000)
    found, exact = Calibration.of(held_out).p_values(log_prob), conformal(held_out, log_prob)
    low = exact < 1000 / 50_001
    assert low.sum() > 20
    np.testing.assert_array_equal(found[low], exact[low])
    assert (found >= exact).all() and (found - exact < 1e-3).all()


def test_what_is_kept_is_small_and_survives_a_file():
    calibration = Calibration.of(np.random.default_rng(0).normal(size=100_000) * 1e3)
    text = json.dumps(calibration.as_json())
    assert len(text) < 60_000
    again = Calibration.parse(json.loads(text), source="m.safetensors")
    log_prob = np.linspace(-4e3, 4e3, 999)
    np.testing.assert_array_equal(again.p_values(log_prob), calibration.p_values(log_prob))


@pytest.mark.parametrize(
    "damage",
    [
        {"log_prob": []},
        {"log_prob": [1.0, 0.0, 2.0]},
        {"log_prob": [0.0, 1.0, float("nan")]},
        {"log_prob": ["a", 1.0, 2.0]},
        {"log_prob": 7},
        {"below": [0, 1]},
        {"below": [0, 1, 4]},
        {"below": [0, 1, -1]},
        {"below": [0, 1, True]},
        {"below": [0, 1, 1.5]},
        {"rows": 2},
        {"rows": "many"},
    ],
)
def test_damage_is_said(damage):
    sound = {"rows": 3, "log_prob": [-1.0, 0.0, 1.0], "below": [0, 1, 2]}
    Calibration.parse(sound, source="m.safetensors")
    with pytest.raises(pf.InputError, match=r"m\.safetensors is damaged"):
        Calibration.parse({**sound, **damage}, source="m.safetensors")


@pytest.mark.parametrize("found", [None, [], {}, "text", {"rows": 3}])
def test_something_else_is_damage_too(found):
    with pytest.raises(pf.InputError, match=r"m\.safetensors is damaged"):
        Calibration.parse(found, source="m.safetensors")


def test_p_values_of_fresh_rows_are_uniform_however_badly_the_model_fits():
    generator = np.random.default_rng(0)
    rows, fresh = (np.exp(generator.normal(size=(count, 2))) for count in (20_000, 5000))
    model = pf.fit_table(rows, flow="nice", max_steps=3, progress=False).model
    assert model.calibration.rows == 2000
    p_values = model.calibration.p_values(model.log_prob(fresh))
    # The held-out rows are themselves a sample: the two-sample test is the one that applies.
    grid = (np.arange(2000) + 1) / 2001
    assert stats.ks_2samp(p_values, grid).pvalue > FIVE_SIGMA
    assert (p_values <= 0.05).mean() == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 * (1 / 2000 + 1 / 5000)))


def test_held_out_rows_are_those_of_the_fit():
    rows = np.random.default_rng(0).normal(size=(200, 2))
    model = pf.fit_table(rows, flow="nice", max_steps=3, progress=False).model
    held_out = pf.training.splitting.split_rows(200, 0.1, seed=0)[1].numpy()
    np.testing.assert_allclose(model.calibration.ranks[EVERY].log_prob, np.sort(model.log_prob(rows[held_out])), rtol=1e-5)


def test_models_keep_it_and_older_ones_have_none(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 2))
    model = pf.fit_table(rows, flow="nice", max_steps=3, progress=False).model
    model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.calibration.ranks[EVERY].log_prob, model.calibration.ranks[EVERY].log_prob)
    pf.save(model.flow, tmp_path / "older.safetensors", columns=model.columns, given=[], fit={})
    assert pf.TableModel.load(tmp_path / "older.safetensors").calibration is None


def test_rows_with_weights_count_as_what_they_are_worth():
    generator = np.random.default_rng(0)
    log_prob, repeats = generator.normal(size=200), generator.integers(1, 4, 200)
    weighted = Calibration.of(log_prob, repeats * 0.7)
    assert weighted.rows == int(repeats.sum() ** 2 / (repeats**2).sum())
    repeated = Calibration.of(np.repeat(log_prob, repeats))
    values = generator.normal(size=100)
    np.testing.assert_allclose(weighted.p_values(values), repeated.p_values(values), atol=1.5 / weighted.rows)
    alike = Calibration.of(log_prob, np.full(200, 3.0))
    np.testing.assert_array_equal(alike.p_values(values), Calibration.of(log_prob).p_values(values))
