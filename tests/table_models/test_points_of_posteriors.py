"""The points at which a posterior is shown hold its mass, of columns of every shape; what lies outside is said."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import stats

import pushforward as pf
from pushforward.table_models.posterior import posterior
from pushforward.tables.columns.shown_points import points_on_circle, points_on_line

ROWS = 800
TRUTHS = {
    "normal": stats.norm(3, 2),
    "lognormal": stats.lognorm(1.5),
    "exponential": stats.expon(),
    "heavy": stats.t(1.5),
    "between bounds": stats.uniform(),
    "at a bound": stats.beta(1, 8),
}


@pytest.fixture(scope="module")
def model():
    random = np.random.default_rng(0)
    columns = {name: truth.rvs(ROWS, random) for name, truth in TRUTHS.items()}
    columns["angle"] = random.normal(180, 4, ROWS)
    columns["count"] = random.negative_binomial(1, 0.02, ROWS)
    schema = {"angle": {"kind": "periodic", "period": 360}}
    options = {"schema": schema, "max_steps": 2, "arbitrary_conditions": True, "progress": False}
    return pf.fit_table(pa.table(columns), **options).model


def shown(model, tmp_path, of, **options):
    """Values, densities and lines of p(of), for a row that knows nothing."""
    lines, rows = [], tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"normal": [None, None]}, pa.schema([("normal", pa.float64())])), rows)
    posterior(model, rows, tmp_path / "p.parquet", of=of, given=[], announce=lines.append, **options)
    table = pa.parquet.read_table(tmp_path / "p.parquet")
    value, density = (table[name].to_numpy() for name in table.column_names[1:])
    half = len(value) // 2
    return value[:half], density[:half], lines


@pytest.mark.parametrize("of", TRUTHS)
def test_the_default_points_hold_the_mass(model, tmp_path, of):
    value, density, lines = shown(model, tmp_path, of)
    assert not lines and len(value) <= 200 and (np.diff(value) > 0).all()
    truth = TRUTHS[of]
    # By the model it is below 0.001, which `not lines` says; by the truth, as well as the rows tell.
    assert truth.cdf(value[0]) + truth.sf(value[-1]) < 1e-3 + 5 * np.sqrt(1e-3 / ROWS)
    # Half of it, and all of it, by the trapezoidal rule.
    assert np.trapezoid(density, value) == pytest.approx(1, abs=0.01)
    middle = value < truth.median()
    assert np.trapezoid(density[middle], value[middle]) == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / ROWS))
    assert len(value[middle]) > 40


def test_an_atom_has_a_probability_and_the_other_points_a_density(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=ROWS)
    zero = random.random(ROWS) < 0.4
    table = pa.table({"x": x, "z": np.where(zero, 0.0, np.exp(random.normal(size=ROWS)))})
    mixed = pf.fit_table(table, max_steps=2, arbitrary_conditions=True, progress=False).model
    pa.parquet.write_table(table[:3], tmp_path / "rows.parquet")
    posterior(mixed, tmp_path / "rows.parquet", tmp_path / "p.parquet", of="z", given=[], grid=(0, 40, 8001))
    found = pa.parquet.read_table(tmp_path / "p.parquet").to_pandas()
    assert list(found) == ["row", "z", "density", "probability"]
    one = found[found["row"] == 2]
    at = one["z"] == 0
    assert at.sum() == 1 and one["probability"].notna().eq(at).all() and one["density"].isna().eq(at).all()
    share = float(one["probability"][at].iloc[0])
    assert share == pytest.approx(zero.mean(), abs=5 * np.sqrt(0.24 / ROWS))
    assert np.trapezoid(one["density"][~at], one["z"][~at]) == pytest.approx(1 - share, abs=0.01)


def test_whole_numbers_are_all_shown_where_they_are_few_enough(model, tmp_path):
    value, probability, lines = shown(model, tmp_path, "count")
    assert not lines and len(value) <= 200
    dense = value < 50
    # All of them, or evenly spaced ones.
    between = np.ceil((value[-1] - value[0]) / (len(value) - 1))
    assert np.array_equal(value[dense], np.arange(dense.sum())) or np.diff(value[dense]).max() <= between
    assert np.interp(50, value, probability) == pytest.approx(stats.nbinom(1, 0.02).pmf(50), rel=0.5)


def test_half_of_the_points_lie_in_a_narrow_sector(model, tmp_path):
    value, density, _ = shown(model, tmp_path, "angle")
    assert np.sum(np.abs(value - 180) < 16) >= 95 and value[0] == 0 and value[-1] > 355
    assert np.trapezoid(density, value) == pytest.approx(1, abs=0.01)


def test_what_lies_outside_of_a_grid_is_said(model, tmp_path):
    *_, lines = shown(model, tmp_path, "normal", grid=(3.0, 20.0, 50))
    (line,) = lines
    assert line.startswith('of 2 of 2 rows more than 0.10% of the probability of "normal" lies outside')
    share = float(line.split("at most ")[1].split("%")[0])
    # Half of it, as well as 800 rows tell.
    assert abs(share / 100 - 0.5) < 5 * np.sqrt(0.25 / ROWS)
    assert not shown(model, tmp_path, "normal", grid=(-20.0, 30.0, 50))[2]
    assert not shown(model, tmp_path, "exponential", grid=(-5.0, 40.0, 50))[2]
    assert shown(model, tmp_path, "exponential", grid=(0.5, 40.0, 50))[2]
    assert not shown(model, tmp_path, "angle", grid=(0.0, 10.0, 5))[2]


def test_steps_are_equal_where_they_show_the_column():
    scores = np.linspace(-4.5, 4.5, 200)
    plain, skewed = (scores, 100 + 3 * scores), (np.exp(scores), np.sinh(2 * scores))
    for spread, equal in [*((one, True) for one in plain), *((one, False) for one in skewed)]:
        steps = np.diff(points_on_line(spread))
        assert (steps.std() < 1e-9 * steps.mean()) == equal
    around = np.linspace(0, 360, 200, endpoint=False)
    assert np.array_equal(points_on_circle(0, 360, around), around)
    assert len(points_on_circle(0, 360, 180.07 + around / 36)) == 200
