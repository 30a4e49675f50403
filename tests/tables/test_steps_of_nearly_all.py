"""Whole numbers of which nearly all are multiples of more than 1: a slip of the pen undoes no step."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from significance import is_mean_of

import pushforward as pf
from pushforward.errors import InputError
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.whole_steps import on_step_of_nearly_all
from pushforward.tables.schema.inference import infer_schema

ROWS = 1000
ROW = np.arange(ROWS)


def draws(offset=0):
    return np.random.default_rng(offset)


def column_of(values, declared=None):
    return infer_schema(pa.table({"x": values}), parse_schema(declared or {}), source="t")["x"]


def codes_of(values, column, **options):
    return encode(pa.table({"x": values}), {"x": column}, ["x"], source="t", **options)[:, 0]


def with_slip(values, slip=153):
    return np.where(ROW == 7, slip, values)


TENS = 10 * draws().integers(0, 100, ROWS)
SPREAD = {
    "tens": (with_slip(TENS), "integer, from 0, steps of 10 (99.90% of the rows)"),
    "hundreds that hardly repeat": (
        with_slip(100 * draws(1).integers(0, 10**6, ROWS), 123_456),
        "integer, from 0, steps of 100 (99.90% of the rows)",
    ),
    "tens and a five, below 0 too": (with_slip(TENS - 500, -77), "integer, steps of 10 (99.90% of the rows)"),
    "elevens": (with_slip(11 * draws(2).integers(0, 300, ROWS)), "integer, from 0"),
    "dozens": (with_slip(12 * draws(3).integers(0, 300, ROWS)), "integer, from 0, steps of 12 (99.90% of the rows)"),
    "beside zeros": (
        np.where(ROW % 3 == 0, 0, with_slip(TENS + 200)),
        "mixed, 33% 0, whole numbers, steps of 10 (99.90% of the rows)",
    ),
    "few tens": (with_slip(10 * draws(4).integers(0, 25, ROWS)), "integer, 0 to 240, steps of 10 (99.90% of the rows)"),
    "a fiftieth beside": (np.where(ROW % 50, TENS, TENS + 3), "integer, from 0"),
    "counts": (with_slip(draws(5).poisson(40, ROWS)), "integer, from 0"),
    "few packs": (np.where(ROW % 100, draws(6).choice([6, 12, 24, 48, 96], ROWS), 7), "category"),
}


@pytest.mark.parametrize("case", SPREAD)
def test_a_whole_number_beside_the_step_of_nearly_all_undoes_it_not(case):
    values, words = SPREAD[case]
    column = column_of(values)
    assert column.describe().startswith(words) and (column.describe() == words or words == "category")
    assert parse_schema({"x": column.as_json()})["x"] == column
    codes = codes_of(values, column)
    found = np.asarray(decode(codes[:, None], {"x": column}, ["x"])["x"].to_numpy())
    if column.kind == "integer":
        step, offset = column.lattice
        assert (np.mod(found - offset, step) == 0).all() and np.abs(found - values).max() <= step / 2
    if case == "beside zeros":
        columns = Columns({"x": column}, ["x"])
        found, of_cell = (columns.intervals(torch.tensor([[x]], dtype=torch.float64)) for x in (153, 150))
        for one, other in zip(found, of_cell, strict=True):
            torch.testing.assert_close(one, other)


def test_few_steps_have_the_probabilities_of_their_rows():
    values = SPREAD["few tens"][0]
    column = column_of(values)
    columns = Columns({"x": column}, ["x"])
    rows = torch.tensor([[150.0], [153.0], [240.0]], dtype=torch.float64)
    codes = torch.from_numpy(codes_of(rows[:, 0].numpy(), column))[:, None]
    y, term = columns.encode(codes, torch.full_like(codes, 0.3))
    found = (-0.5 * (y.square() + np.log(2 * np.pi)) + term).exp()[:, 0]
    near = np.abs(values[:, None] - rows.numpy()[None, :, 0].round(-1)) <= 5
    # Each of the 25 values has half a row more.
    np.testing.assert_allclose(found, (near.sum(0) + 0.5) / (ROWS + 12.5), rtol=1e-6)


def test_later_values_are_whole_and_within_the_bounds():
    column = column_of(SPREAD["few tens"][0])
    assert codes_of(np.array([7.0, 238.0]), column).tolist() == [10, 240]
    with pytest.raises(InputError, match="in row 1, which is not a whole number"):
        codes_of(np.array([7.5]), column)
    assert codes_of(np.array([250.0, -3.0, 0.5]), column, strict=False).tolist() == [np.inf] * 3
    # A slip beyond the last step is within the bounds, too.
    beyond = column_of(with_slip(10 * draws(4).integers(0, 25, ROWS), 243))
    assert beyond.describe() == "integer, 0 to 250, steps of 10 (99.90% of the rows)"
    assert codes_of(np.array([243.0]), beyond).tolist() == [240]
    declared = column_of(with_slip(TENS + 5), {"x": {"kind": "integer", "low": 5}})
    assert declared.lattice == (10, 5) and codes_of(np.array([6.0, 5.0]), declared).tolist() == [5, 5]


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_chance_finds_no_longer_step(seed):
    generator = draws(seed)
    for values in (
        generator.poisson(60, ROWS), generator.geometric(0.01, ROWS), generator.integers(0, 10**6, ROWS),
        np.where(generator.random(ROWS) < 0.95, 0, generator.integers(0, 500, ROWS)),
    ):  # fmt: skip
        assert on_step_of_nearly_all(*np.unique(values, return_counts=True)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_the_probability_is_that_of_steps(seed):
    rows, fresh = (10 * draws(place).integers(0, 100, ROWS) for place in (seed, seed + 1))
    model = pf.fit_table(pa.table({"x": with_slip(rows)}), max_steps=40, progress=False).model
    values = model.log_prob(model.encode(pa.table({"x": fresh})))
    assert is_mean_of(values, -np.log(100), allowance=0.1)
    assert (np.asarray(model.decode(model.draw(200))["x"]) % 10 == 0).all()
