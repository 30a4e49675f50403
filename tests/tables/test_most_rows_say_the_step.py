"""Steps that most rows say: rows with more digits, significant figures, and any unit."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from significance import is_mean_of

import pushforward as pf
from pushforward.table_models import streamed
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.figures import Figures, figures_of
from pushforward.tables.columns.kinds import Continuous, Mixed, Positive
from pushforward.tables.schema.inference import infer_schema

ROWS = 3000
DRAWS = np.random.default_rng(0)
NORMAL, LOGNORMAL, TURN = DRAWS.normal(15, 1, ROWS), DRAWS.lognormal(3, 1, ROWS), DRAWS.uniform(0, 360, ROWS)
ROW = np.arange(ROWS)
# The mean log-density of a normal distribution of deviation 1; that of its cells is less, by up to 0.002 here.
OF_NORMAL = -0.5 * math.log(2 * math.pi * math.e)


def to_figures(values, figures):
    return np.array([float(f"{value:.{figures}g}") for value in values])


def column_of(values, name="x"):
    return infer_schema(pa.table({name: values}), source="t")[name]


QUARTERS, TENTHS, THIRDS = np.round(4 * NORMAL) / 4, np.round(NORMAL, 1), np.round(3 * NORMAL) / 3
BESIDE = {
    "one row of quarters": (np.where(ROW == 7, 15.123456, QUARTERS), "recorded to 0.25 (99.967% of the rows)"),
    "one row with one digit more": (np.where(ROW == 7, 15.1, QUARTERS), "recorded to 0.25 (99.967% of the rows)"),
    "one row of thirds": (np.where(ROW == 7, 15.1, THIRDS), "recorded to 0.333333 (99.967% of the rows)"),
    "single precision": (np.where(ROW == 7, 15.12345, TENTHS).astype("f4"), "recorded to 0.1 (99.967% of the rows)"),
    "thousandths": (np.where(ROW % 100, TENTHS, np.round(NORMAL, 3) + 1e-3), "recorded to 0.1 (99.0% of the rows)"),
    "measurements": (np.where(ROW % 10 == 0, NORMAL, TENTHS), "recorded to 0.1 (90.0% of the rows)"),
    "half of them measurements": (np.where(ROW % 5 < 2, NORMAL, TENTHS), "recorded to 0.1 (60% of the rows)"),
    "beside zeros": (
        np.where(ROW % 3 == 0, 0, np.where(ROW == 7, 15.123456, QUARTERS)),
        "mixed, 33% 0, recorded to 0.25 (99.967% of the rows)",
    ),
    "figures": (np.where(ROW == 7, 12.3456, to_figures(LOGNORMAL, 2)), "2 significant figures (99.967% of the rows)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BESIDE)
def test_rows_with_other_digits_undo_no_step_and_make_no_atoms(case):
    values, words = BESIDE[case]
    column = column_of(values)
    # A value of the thousandths may lie on a tenth by chance.
    assert column.describe().replace("99.03%", "99.0%").endswith(words)
    assert column.atom_codes == ([0.0] if "zeros" in case else [])
    assert parse_schema({"x": column.as_json()})["x"] == column
    # Each has the density of the cell in which it lies.
    columns, cells = Columns({"x": column}, ["x"]), column.cells
    codes = encode(pa.table({"x": values}), {"x": column}, ["x"], source="t")
    np.testing.assert_array_equal(codes[:, 0], values)
    found, of_cells = (
        columns.intervals(torch.from_numpy(rows)) for rows in (codes, cells.nearest(codes.clip(*column.support)))
    )
    for one, other in zip(found, of_cells, strict=True):
        torch.testing.assert_close(one, other)
    drawn = np.asarray(decode(columns.decode(found.low.clamp(-5, 60)).numpy(), {"x": column}, ["x"])["x"])
    assert (cells.has(drawn) | np.isin(drawn, column.atom_codes)).all()


def test_a_direction_with_more_digits_counts_as_the_nearest_step():
    values = np.where(ROW == 7, 123.456, np.mod(np.round(TURN / 10) * 10, 360))
    column = column_of(values, "wind_direction")
    assert column.describe() == "periodic, 360 from 0, steps of 10 (99.967% of the rows)"
    rows = pa.table({"wind_direction": [123.456, 359.0]})
    codes = encode(rows, {"wind_direction": column}, ["wind_direction"], source="t")
    assert codes[:, 0].tolist() == [120, 0]


def test_digits_of_draws_are_those_of_most_rows():
    values = np.where(ROW == 7, 3.14159, np.round(np.exp(DRAWS.normal(8, 1, ROWS)), 2))
    assert column_of(values).written_step == 0.01
    column = column_of(to_figures(np.exp(DRAWS.normal(8, 1, ROWS)), 4) / 100)
    assert column.cells is None and column.figures == 4
    drawn = np.asarray(column.decode(column.as_written(LOGNORMAL)))
    np.testing.assert_array_equal(drawn, to_figures(LOGNORMAL, 4))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["in memory", "streamed", "estimator"])
def test_no_row_lets_the_density_of_others_climb(way, tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    rows, fresh = (np.round(generator.normal(15, 1, (1000, 2)) * 4) / 4 for _ in range(2))
    rows[7, 0] = 15.123456
    few = {"max_steps": 40}
    if way == "estimator":
        model = pf.FlowDensity(random_state=0, **few).fit(rows)
        values = model.score_samples(fresh)
    else:
        table = pa.table({"x": rows[:, 0], "y": rows[:, 1]})
        if way == "streamed":
            monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
            pa.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=500)
            table = tmp_path / "t.parquet"
        fitted = pf.fit_table(table, progress=False, **few)
        model = fitted.model
        assert model.schema["x"].step == 0.25 and 0.998 < model.schema["x"].rows_on_grid < 1
        values = model.log_prob(model.encode(pa.table({"x": fresh[:, 0], "y": fresh[:, 1]})))
    # Short training leaves some; nothing lies above what is possible.
    assert is_mean_of(values, 2 * OF_NORMAL, allowance=0.05)


FIGURES = {
    "amounts": (to_figures(LOGNORMAL, 2), "recorded to 2 significant figures"),
    "one figure": (to_figures(LOGNORMAL / 10, 1), "recorded to 1 significant figure"),
    "with zeros": (np.where(ROW % 5, to_figures(LOGNORMAL, 2), 0.0), "mixed, 20% 0, recorded to 2 significant figures"),
    "of both signs": (to_figures(LOGNORMAL, 2) * np.where(ROW % 2, 1, -1), "recorded to 2 significant figures"),
    "small": (to_figures(LOGNORMAL / 1000, 2), "recorded to 2 significant figures"),
    "three": (to_figures(np.exp(0.3 * (NORMAL - 15) + 2.3), 3), "recorded to 3 significant figures"),
}  # fmt: skip


@pytest.mark.parametrize("case", FIGURES)
def test_significant_figures_are_cells_that_grow(case):
    values, words = FIGURES[case]
    column = column_of(values)
    assert column.describe().endswith(words)
    assert column.atom_codes == ([0.0] if case == "with zeros" else [])
    schema = {"x": column}
    codes = encode(pa.table({"x": values}), schema, ["x"], source="t")
    np.testing.assert_array_equal(np.asarray(decode(codes, schema, ["x"])["x"]), values)
    columns, rows = Columns(schema, ["x"]), torch.from_numpy(codes)
    for noise in (0.0, 0.5, 1.0):
        y, log_term = columns.encode(rows, torch.full_like(rows, noise))
        assert bool(y.isfinite().all()) and bool(log_term.isfinite().all())
        torch.testing.assert_close(columns.decode(y), rows, rtol=1e-6, atol=1e-9)
    drawn = np.asarray(decode(columns.decode(1.01 * columns.encode(rows, rows[0] * 0)[0]).numpy(), schema, ["x"])["x"])
    np.testing.assert_array_equal(drawn, to_figures(drawn, column.figures))


@pytest.mark.parametrize("kind", [Continuous, Positive])
def test_density_of_significant_figures_is_the_mean_over_their_cells(kind):
    column = kind(step=0.1, figures=2, **({"log": False} if kind is Positive else {"heavy": False}))
    values = np.array([0.1, 0.3, 9.9, 10.0, 11.0, 99.0, 100.0, 110.0])
    ends = np.array(
        [[0.05, 0.15], [0.25, 0.35], [9.85, 9.95], [9.95, 10.5], [10.5, 11.5], [98.5, 99.5], [99.5, 105], [105, 115]]
    )
    if kind is Positive:
        ends[0, 0] = 0.0
    found = Columns({"x": column}, ["x"]).intervals(torch.from_numpy(values)[:, None])
    lengths = np.array([0.1, 0.1, 0.1, 0.55, 1, 1, 5.5, 10])
    low = found.low[:, 0].numpy()
    np.testing.assert_allclose(np.where(np.isinf(low), 0, low), ends[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found.high[:, 0].numpy(), ends[:, 1], rtol=1e-12)
    np.testing.assert_allclose(found.log_term[:, 0].numpy(), -np.log(lengths), rtol=1e-9)


def test_probabilities_of_significant_figures_beside_atoms_sum_to_one():
    values, _ = FIGURES["with zeros"]
    column = column_of(values)
    assert isinstance(column, Mixed)
    every = np.concatenate([np.arange(1, 100) * 10.0**power for power in range(-2, 8)])
    every = np.unique([0, *column.cells.nearest(every)])  # 0 is the atom
    found = Columns({"x": column}, ["x"]).intervals(torch.from_numpy(every)[:, None])
    mass = torch.special.ndtr(found.high) - torch.special.ndtr(found.low)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-6)
    assert float(mass[0]) == pytest.approx(column.shares[0])


@pytest.mark.slow
def test_a_fit_to_significant_figures_says_what_is_known():
    generator = np.random.default_rng(2)
    rows, fresh = (to_figures(generator.lognormal(3, 1, 1000), 2) for _ in range(2))
    model = pf.fit_table(pa.table({"x": rows}), max_steps=40, progress=False).model
    values = model.log_prob(model.encode(pa.table({"x": fresh})))
    assert is_mean_of(values, OF_NORMAL - 3, allowance=0.05)


def test_figures_are_told_from_steps():
    for values in (TENTHS, QUARTERS, np.round(NORMAL - 5, 1), np.round(10 * (NORMAL - 5)) / 2, NORMAL, LOGNORMAL):
        assert figures_of(*np.unique(values, return_counts=True)) is None
    assert figures_of(*np.unique(to_figures(LOGNORMAL, 3), return_counts=True)).figures == 3
    assert Figures(0.1, 2).places(np.array([-0.2, 0.0, 0.1, 9.9, 10.0, 11.0, 100.0])).tolist() == [
        -2, 0, 1, 99, 100, 101, 190
    ]  # fmt: skip
    declared = parse_schema({"x": {"kind": "continuous", "figures": 3}})
    column = infer_schema(pa.table({"x": to_figures(LOGNORMAL, 2)}), declared, source="t")["x"]
    assert column.cells.figures == 3


@pytest.mark.parametrize("power", [-12, -9, -6, -3, 0, 3, 6, 9, 12, 14])
def test_no_unit_changes_a_step(power):
    unit = 10.0**power
    for values, step in ((QUARTERS, 0.25), (TENTHS, 0.1), (THIRDS, 1 / 3)):
        column = column_of(values * unit)
        found = column.step if column.cells is None else column.cells.step  # whole numbers have a lattice
        assert found == pytest.approx(step * unit) and not column.atom_codes
        assert column.kind == ("integer" if step == 0.25 and power >= 3 else "continuous")
        written = np.asarray(column.decode(values * unit)).astype(float)
        np.testing.assert_allclose(written, values * unit, rtol=1e-12)
    column = column_of(to_figures(LOGNORMAL, 2) * unit * 1.0)
    assert column.kind == "integer" or column.cells.figures == 2
