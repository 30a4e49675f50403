"""Columns of two recordings: some rows on a coarse grid, the others with all their digits."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.schema.inference import infer_schema

ROWS = 3000
ROW = np.arange(ROWS)


def draws(seed=0):
    return np.random.default_rng(seed)


def rounded_in(share, values, decimals=1):
    return np.where(20 * share > ROW % 20, np.round(values, decimals), values)


def column_of(values):
    return infer_schema(pa.table({"x": values}), source="t")["x"]


NORMAL = draws().normal(15, 1, ROWS)
PARTLY = {
    "two fifths": (rounded_in(0.4, NORMAL), "continuous, recorded to 0.1 (40% of the rows), the others in full"),
    "a quarter": (rounded_in(0.25, NORMAL), "continuous, recorded to 0.1 (25% of the rows), the others in full"),
    "a tenth": (rounded_in(0.1, NORMAL), "continuous, recorded to 0.1 (10.0% of the rows), the others in full"),
    "halves": (
        np.where(ROW % 5 < 2, np.round(2 * NORMAL) / 2, NORMAL),
        "continuous, recorded to 0.5 (40% of the rows), the others in full",
    ),
    "micrometers": (
        np.round(rounded_in(0.4, NORMAL), 6),
        "continuous, recorded to 0.1 (40% of the rows), the others in full",
    ),
    "single precision": (
        rounded_in(0.4, NORMAL).astype("f4"),
        "continuous, recorded to 0.1 (40% of the rows), the others in full",
    ),
    "positive": (
        np.where(ROW == 0, 0, rounded_in(0.4, draws(1).gamma(2, 1, ROWS))),
        "bounded, from 0, recorded to 0.1 (40% of the rows), the others in full",
    ),
    "beside zeros": (
        np.where(ROW % 3 == 0, 0, rounded_in(0.4, NORMAL)),
        "mixed, 33% 0, recorded to 0.1 (60% of the rows), the others in full",
    ),
}


@pytest.mark.parametrize("case", PARTLY)
def test_a_coarse_grid_of_some_rows_is_a_step_and_no_atoms(case):
    values, words = PARTLY[case]
    column = column_of(values)
    assert column.describe() == words
    assert column.atom_codes == ([0.0] if "zeros" in case else [])
    assert parse_schema({"x": column.as_json()})["x"] == column


@pytest.mark.parametrize("case", ["two fifths", "beside zeros", "positive", "single precision"])
def test_each_row_has_the_cell_to_which_it_was_recorded(case):
    values = PARTLY[case][0]
    column = column_of(values)
    columns = Columns({"x": column}, ["x"])
    codes = torch.from_numpy(encode(pa.table({"x": values}), {"x": column}, ["x"], source="t"))
    low, high, _ = columns.intervals(codes)
    on = column.recorded.has(values) | np.isin(values, column.atom_codes)
    np.testing.assert_array_equal((high > low)[:, 0], on)
    assert (on[ROW % 20 < 8]).all() and on.mean() < 0.62
    noise = torch.rand(ROWS, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y, _ = columns.encode(codes, noise)
    assert ((y >= low - 1e-9) & (y <= high + 1e-9)).all()
    found = np.asarray(decode(columns.decode(y).numpy(), {"x": column}, ["x"])["x"])
    exact = (high == low)[:, 0].numpy()
    np.testing.assert_allclose(found[exact], values[exact], rtol=1e-6)
    np.testing.assert_allclose(found, values, atol=0.0500001)


def test_densities_are_those_of_cells_and_of_points():
    column = column_of(PARTLY["two fifths"][0])
    columns = Columns({"x": column}, ["x"])
    rows = torch.tensor([[15.3], [15.3123456]], dtype=torch.float64)
    low, high, term = columns.intervals(rows)
    cell = stats.norm(15, 1)
    found = [
        math.log(cell.cdf(float(high[0])) - cell.cdf(float(low[0]))) + float(term[0]),
        cell.logpdf(float(low[1])) + float(term[1]),
    ]
    truth = [math.log((cell.cdf(15.35) - cell.cdf(15.25)) / 0.1), cell.logpdf(15.3123456)]
    np.testing.assert_allclose(found, truth, rtol=1e-9)


def test_it_can_be_declared_of_any_share():
    declared = parse_schema({"x": {"kind": "continuous", "step": 0.1, "exact_beside": True}})
    column = infer_schema(pa.table({"x": np.where(ROW % 50, NORMAL, 15.3)}), declared, source="t")["x"]
    assert column.describe() == "continuous, recorded to 0.1 (2.0% of the rows), the others in full"
    assert Columns({"x": column}, ["x"]).rounded == ["x"] and column.cells is None


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_an_atom_on_the_grid_of_some_rows_is_one(seed):
    values = rounded_in(0.4, draws(seed).normal(15, 1, ROWS))
    assert column_of(np.where(ROW % 10 == 3, 14.0, values)).atom_codes == [14.0]
    assert column_of(np.where(ROW % 50 == 3, -999.0, values)).atom_codes == [-999.0]
    assert column_of(np.where(ROW % 10 == 3, 14.0371, values)).atom_codes == [14.0371]


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_no_step_is_found_by_chance(seed):
    generator = draws(seed)
    raw = generator.normal(15, 1, ROWS)
    for values in (raw, np.round(raw, 4), raw[generator.integers(0, ROWS // 2, ROWS)][:2000], np.round(raw, 3)):
        assert not column_of(values).partly_recorded


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_the_density_does_not_climb_onto_the_grid_of_some_rows(seed):
    rows, fresh = (rounded_in(0.4, draws(place).normal(15, 1, ROWS))[:1000] for place in (seed, seed + 1))
    model = pf.fit_table(pa.table({"x": rows}), max_steps=40, progress=False).model
    values = model.log_prob(model.encode(pa.table({"x": fresh})))
    # Of a normal distribution, for cells of a tenth of a deviation less by 0.0004.
    assert is_mean_of(values, -0.5 * math.log(2 * math.pi * math.e), allowance=0.05)
