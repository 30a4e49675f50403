"""p-values against their definition, and against what they promise."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from significance import FIVE_SIGMA, is_mean_of

import pushforward as pf
from pushforward.table_models.calibration import EVERY, Calibration
from pushforward.table_models.patterns import patterns_of
from pushforward.table_models.roles import ColumnRoles
from pushforward.tables.columns.kinds import Mixed


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
    np.testing.assert_allclose(
        model.calibration.ranks[EVERY].log_prob, np.sort(model.log_prob(rows[held_out])), rtol=1e-5
    )


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


def fake_rows(generator, count, unit=1.0):
    """Rows of three columns with gaps and an atom, their patterns, and exact log-densities in a unit of the second."""
    features = generator.normal(size=(count, 3))
    features[:, 1] *= unit
    features[generator.random(count) < 0.4, 1] = 0.0
    features[generator.random(count) < 0.3, 0] = np.nan
    features[generator.random(count) < 0.02, 2] = np.nan
    features[np.isnan(features[:, [0, 2]]).all(1), 2] = 0.5
    scales = np.array([1.0, unit, 1.0])
    terms = stats.norm(0, scales).logpdf(features)
    terms[:, 1] = np.where(features[:, 1] == 0, np.log(0.4), np.log(0.6) + terms[:, 1])
    roles = ColumnRoles(["a", "b", "c"], [], {}, {"b": Mixed(atoms=[0.0], shares=[0.4])}, allows_gaps=True)
    return features, patterns_of(features, roles), np.nansum(terms, axis=1)


def test_rows_are_ranked_among_those_of_their_pattern():
    generator = np.random.default_rng(0)
    features, patterns, log_prob = fake_rows(generator, 2000)
    _, new_patterns, new = fake_rows(generator, 500)
    calibration = Calibration.by_pattern(log_prob, patterns, features)
    assert set(calibration.ranks) == {"ddd", "dpd", "-dd", "-pd"} and calibration.rows == 2000
    found = calibration.p_values(new, new_patterns)
    for pattern in calibration.ranks:
        of_pattern = new_patterns == pattern
        expected = conformal(log_prob[patterns == pattern], new[of_pattern])
        np.testing.assert_array_equal(found[of_pattern], expected)
    least = calibration.p_values(np.full(1, -np.inf), np.array(["dpd"]))
    assert least == 1 / ((patterns == "dpd").sum() + 1)
    with pytest.raises(pf.InputError, match=r"TableModel\.p_values"):
        calibration.p_values(new)


def test_a_rare_pattern_is_ranked_among_the_nearest_ones_and_no_unit_changes_that():
    found = []
    for unit in (1.0, 1e4, 1e-2):
        generator = np.random.default_rng(0)
        features, patterns, log_prob = fake_rows(generator, 1000, unit)
        calibration = Calibration.by_pattern(log_prob, patterns, features)
        _, new_patterns, new = fake_rows(generator, 20_000, unit)
        rare = ~calibration.alone(new_patterns)
        assert set(new_patterns[rare]) == {"dd-", "dp-"}
        found.append(calibration.p_values(new, new_patterns))
        again = Calibration.parse(json.loads(json.dumps(calibration.as_json())), source="m.safetensors")
        np.testing.assert_array_equal(again.p_values(new, new_patterns), found[-1])
        # A pattern that no row had.
        assert 0 < calibration.p_values(np.zeros(1), np.array(["---"]))[0] <= 1
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    np.testing.assert_allclose(found[0], found[2], atol=1e-9)


def test_rows_of_a_rare_pattern_are_unusual_about_as_often_as_others():
    generator, shares = np.random.default_rng(0), []
    for _ in range(50):
        features, patterns, log_prob = fake_rows(generator, 1000)
        calibration = Calibration.by_pattern(log_prob, patterns, features)
        _, new_patterns, new = fake_rows(generator, 5000)
        rare = ~calibration.alone(new_patterns)
        shares.append((calibration.p_values(new, new_patterns)[rare] <= 0.05).mean())
    # Not exact: rows with one column less are ranked among whole ones.
    assert is_mean_of(np.array(shares), 0.05, allowance=0.02)


@pytest.mark.parametrize("damage", [{"others": None}, {"patterns": 3}, {"patterns": {"ddd": 1}}])
def test_damaged_patterns_are_refused(damage):
    features, patterns, log_prob = fake_rows(np.random.default_rng(0), 300)
    found = {**Calibration.by_pattern(log_prob, patterns, features).as_json(), **damage}
    with pytest.raises(pf.InputError, match=r"m\.safetensors is damaged"):
        Calibration.parse(found, source="m.safetensors")


def test_weights_count_within_each_pattern():
    generator = np.random.default_rng(0)
    features, patterns, log_prob = fake_rows(generator, 400)
    weights = generator.uniform(0.5, 2, 400)
    found = Calibration.by_pattern(log_prob, patterns, features, weights)
    of_pattern = patterns == "ddd"
    expected = Calibration.of(log_prob[of_pattern], weights[of_pattern])
    values = np.linspace(-12, 0, 50)
    np.testing.assert_array_equal(found.p_values(values, np.full(50, "ddd")), expected.p_values(values))


@pytest.mark.slow
def test_no_unit_of_a_column_changes_the_p_values_of_rows_with_gaps():
    """A fifth of the incomes is missing at random: a share of at most α of the rows of either sort has p at most α."""
    generator = np.random.default_rng(0)

    def rows(count, unit):
        income = generator.normal(5, 1, count) * unit
        return pa.table(
            {"x": generator.normal(size=count), "income": np.where(generator.random(count) < 0.2, None, income)}
        )

    shares, odd = [], []
    for unit in (2.0**13, 1.0, 2.0**-7):
        generator = np.random.default_rng(0)
        model = pf.fit_table(rows(3000, unit), max_steps=2, progress=False).model
        fresh = model.encode(rows(3000, unit))
        p_values = model.p_values(fresh)
        gap = np.isnan(fresh[:, 1])
        shares.append([(p_values[part] <= 0.05).mean() for part in (gap, ~gap)])
        odd.append(model.p_values(np.array([[4.0, np.nan], [4.0, 5 * unit]])))
    # What is ranked among n held-out rows varies by as much as their own share does.
    held_out = [(len(ranks.log_prob)) for ranks in (model.calibration.ranks["d-"], model.calibration.ranks["dd"])]
    for count, new, found in zip(held_out, (gap.sum(), (~gap).sum()), np.transpose(shares), strict=True):
        error = np.sqrt(0.05 * 0.95 * (1 / count + 1 / new))
        assert (np.abs(found - 0.05) < 5 * error).all()
        assert found.max() - found.min() < 2 / count  # rounding may move single rows
    assert (np.ptp(odd, axis=0) < 2 / np.array(held_out)).all()


def test_a_rare_atom_is_not_odd_because_it_is_one():
    """Two independent normal columns; the first is an atom in 4 % of the rows, too few to be ranked by themselves."""
    generator = np.random.default_rng(0)

    def rows(count, atom):
        x = generator.normal(size=(count, 2))
        log_prob = -0.5 * x**2 - 0.5 * np.log(2 * np.pi) + [np.log(0.96), 0.0]
        log_prob[atom, 0] = np.log(0.04)
        x[atom, 0] = -999.0
        return x, log_prob.sum(1), np.where(atom, "pd", "dd")

    shares = []
    for _ in range(50):
        held_out, log_prob, patterns = rows(500, np.arange(500) % 25 == 0)
        calibration = Calibration.by_pattern(log_prob, patterns, held_out)
        _, log_prob, patterns = rows(2000, np.ones(2000, dtype=bool))
        p = calibration.p_values(log_prob, patterns)
        shares.append([(p <= 0.05).mean(), (p <= 0.5).mean()])
    low, half = np.transpose(shares)
    # Among rows with two densities: P(χ²(1) / 2 - 1/2 > -log 0.05 - 1) = 0.025; half of them lie below -log 0.5 - 1.
    # Not exact: 20 of the 500 rows are alike, and the quartiles are theirs.
    assert is_mean_of(low, 0.025, allowance=0.01)
    assert is_mean_of(half, 0.53, allowance=0.1)
