"""Each kind of column given all others: transforms of a model's own draws are uniform, and masses sum to one."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from small_fits import default_steps, small_flows

import pushforward as pf
from pushforward.evaluation.report.calibration import randomized
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.full_conditionals import full_conditionals
from pushforward.evaluation.report.transforms import transforms
from pushforward.support.seeding import seeded

ROWS = 150


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 60)


def columns(name, count=800, seed=0):
    """A column of some kind that depends closely on another one."""
    generator = np.random.default_rng(seed)
    a, noise = generator.normal(size=count), generator.normal(size=count)
    made = {
        "rounded": np.round(a + 0.3 * noise, 0) / 2,
        "figures": np.array([float(f"{value:.1e}") for value in np.exp(2 * a + 0.5 * noise)]),
        "few counts": generator.poisson(np.exp(1 + 0.5 * a)),
        "counts": generator.poisson(np.exp(4 + a)),
        "narrow counts": np.round(500 * a + 2 * noise),
        "atoms": np.where(a + noise < 0, 0.0, np.exp(a + 0.5 * noise)),
        "rounded with atoms": np.where(a + noise < 0, 0.0, np.round(np.exp(a + 0.5 * noise) + 0.05, 1)),
        "counts with atoms": np.where(noise < -0.3, 0, generator.poisson(np.exp(4 + 0.5 * a)) * 5),
        "angle": np.mod(180 + 60 * a + 30 * noise, 360.0),
        "hour": np.mod(np.round(12 + 4 * a + 2 * noise), 24),
        "dates": (np.datetime64("2020-01-01") + np.round(200 * a + 30 * noise).astype(int)).astype("datetime64[D]"),
        "levels": np.array(["x", "y", "z"])[np.digitize(a + 0.5 * noise, [-0.5, 0.5])],
    }
    return pa.table({"a": a, "b": pa.array(made[name])})


SCHEMAS = {
    "angle": {"b": {"kind": "periodic", "period": 360.0}},
    "hour": {"b": {"kind": "periodic", "period": 24.0, "step": 1.0}},
    "rounded": {"b": {"kind": "continuous", "step": 0.5}},
    "figures": {"b": {"kind": "positive"}},
}


def fitted(name):
    return pf.fit_table(columns(name), flow="realnvp", max_steps=60, schema=SCHEMAS.get(name)).model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rounded", "figures", "counts", "narrow counts", "atoms", "rounded with atoms",
                                  "counts with atoms", "angle", "hour", "dates", "levels"])  # fmt: skip
def test_transforms_of_own_draws_are_uniform_for_every_kind_of_column(name):
    model = fitted(name)
    with seeded(7):
        rows = model.draw(ROWS)
    below, up_to = ends = full_conditionals(model, rows, "b", rows[:, 1]).ends
    assert (below <= up_to).all()
    pit = randomized(ends, np.random.default_rng(1))
    assert stats.kstest(pit, "uniform").pvalue > 1e-5
    scores = stats.norm.ppf(np.clip(pit, 1e-9, 1 - 1e-9))
    assert abs(scores.std() - 1) < 5 / math.sqrt(2 * ROWS)


@pytest.mark.slow
def test_no_column_is_left_out_of_the_calibration():
    model = fitted("atoms")
    with seeded(7):
        found = transforms(Evidence(model, model.draw(60), 0))
    assert "given all others" in found.method and set(found.ends) == {"a", "b"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counts with atoms", "hour", "levels"])
def test_probabilities_of_all_values_sum_to_one(name):
    model = fitted(name)
    with seeded(3):
        rows = model.draw(150)
    values = np.arange(24.0) if name == "hour" else np.unique(rows[:, 1])
    if name != "counts with atoms":
        row = np.tile(rows[:1], (len(values), 1))
        row[:, 1] = values
        found = full_conditionals(model, row, "b", rows[:, 1])
        assert np.exp(-found.nats).sum() == pytest.approx(1, abs=0.02)
        order = np.argsort(values)
        np.testing.assert_allclose(found.ends[0, order][1:], found.ends[1, order][:-1], atol=1e-6)
        return
    found = full_conditionals(model, rows, "b", rows[:, 1])
    np.testing.assert_allclose(found.ends[1] - found.ends[0], np.exp(-found.nats), rtol=1e-6)


def test_an_atom_given_others_has_its_probability_and_the_rest_its_density():
    generator = np.random.default_rng(0)
    b = np.where(generator.random(2000) < 0.4, 0.0, generator.exponential(size=2000))
    model = pf.fit_table(pa.table({"a": generator.normal(size=2000), "b": b}), flow="nice", max_steps=1).model
    values = np.array([0.0, 0.2, 1.0, 3.0])
    codes = np.column_stack([np.full(4, 0.3), values])
    found = full_conditionals(model, codes, "b", b)
    # Against a plain sum over a fine grid of the exponential's quantiles.
    grid = -np.log1p(-(np.arange(20_000) + 0.5) / 20_000 * (1 - 1e-9))
    heights = model.log_prob(np.column_stack([np.full(20_000, 0.3), grid])) + grid - np.log(20_000)
    atom, *densities = np.exp(model.log_prob(codes))
    rest = np.exp(heights).sum()
    below = np.array([np.exp(heights)[grid < value].sum() for value in values])
    np.testing.assert_allclose(found.ends[0], (below + atom * (values > 0)) / (rest + atom), atol=5e-3)
    assert found.ends[1, 0] == pytest.approx(atom / (rest + atom), abs=5e-3)
    assert (found.ends[1, 1:] == found.ends[0, 1:]).all()
    np.testing.assert_allclose(np.exp(-found.nats), np.array([atom, *densities]) / (rest + atom), rtol=0.01)


@pytest.mark.slow
def test_an_atom_that_depends_on_another_column_counts_once():
    model = pf.fit_table(columns("atoms"), flow="nsf", max_steps=100).model
    with seeded(2):
        rows = model.draw(300)
    some = rows[rows[:, 1] == 0][:4]
    found = full_conditionals(model, some, "b", rows[:, 1])
    edges = np.geomspace(1e-6, 200, 1500)
    middle, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    for place, row in enumerate(some):
        rest = np.exp(model.log_prob(np.column_stack([np.full(len(middle), row[0]), middle]))) @ width
        atom = np.exp(model.log_prob(row[None]))[0]
        assert found.ends[1, place] - found.ends[0, place] == pytest.approx(atom / (atom + rest), abs=0.01)


def test_an_angle_given_others_is_integrated_over_one_turn():
    generator = np.random.default_rng(0)
    angle = np.mod(generator.vonmises(np.pi, 2.0, 3000), 2 * np.pi)
    table = pa.table({"a": generator.normal(size=3000), "b": angle})
    schema = {"b": {"kind": "periodic", "period": 2 * np.pi}}
    model = pf.fit_table(table, flow="nsf", schema=schema, max_steps=1).model
    points = np.linspace(0, 2 * np.pi, 9)[:-1] + 0.1
    codes = np.column_stack([np.zeros(8), points])
    found = full_conditionals(model, codes, "b", angle)
    # Against a plain sum over a fine grid.
    grid = np.linspace(0, 2 * np.pi, 20_001)[:-1] + np.pi / 20_000
    heights = np.exp(model.log_prob(np.column_stack([np.zeros(20_000), grid])))
    truth = np.array([heights[grid < point].sum() for point in points]) / heights.sum()
    np.testing.assert_allclose(found.ends[0], truth, atol=5e-3)
    own = np.exp(model.log_prob(codes)) / (heights.mean() * 2 * np.pi)
    np.testing.assert_allclose(np.exp(-found.nats), own, rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "values"),
    [("rounded", np.arange(-24, 25) / 2), ("hour", np.arange(24.0)), ("few counts", np.arange(60.0))],
)
def test_values_on_a_grid_are_summed_as_all_of_them_are(name, values):
    model = fitted(name)
    with seeded(3):
        codes, drawn = model.draw(40), model.draw(400)[:, 1]
    found = full_conditionals(model, codes, "b", drawn)
    possible = model.encode(pa.table({"a": np.zeros(len(values)), "b": values}))[:, 1]
    possible = possible[np.isfinite(possible)]
    for place, row in enumerate(codes):
        masses = np.exp(model.log_prob(np.column_stack([np.full(len(possible), row[0]), possible])))
        below = [masses[possible < row[1] - 1e-9].sum(), masses[possible < row[1] + 1e-9].sum()]
        np.testing.assert_allclose(found.ends[:, place], np.array(below) / masses.sum(), atol=1e-4)
