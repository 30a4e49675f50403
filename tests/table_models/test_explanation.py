"""The oddest rows of a table, and the columns that are blamed."""

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.table_models.explanation import OddestRows, explain, explainable
from pushforward.tables import to_table

NAMES = ["mass", "radius", "flux"]


def make_rows(count, seed=0):
    """Radius follows mass closely, flux is by itself."""
    generator = np.random.default_rng(seed)
    mass = generator.normal(10, 1, count)
    return np.column_stack(
        [mass, mass**2 / 10 + 0.1 * generator.normal(size=count), np.exp(generator.normal(size=count))]
    )


@pytest.fixture(scope="module")
def model():
    table = to_table(make_rows(1500), NAMES)
    return pf.fit_table(table, max_steps=120, progress=False).model


def test_the_oddest_rows_of_a_stream_are_those_of_the_whole():
    log_prob = np.random.default_rng(0).normal(size=100).round(1)  # with ties
    matrix = np.arange(100)[:, None]
    oddest = OddestRows(7)
    for first in range(0, 100, 13):
        oddest.add(first + 1, matrix[first : first + 13], log_prob[first : first + 13])
    expected = np.argsort(log_prob, kind="stable")[:7]
    np.testing.assert_array_equal(oddest.numbers, expected + 1)
    np.testing.assert_array_equal(oddest.log_prob, log_prob[expected])
    np.testing.assert_array_equal(oddest.matrix[:, 0], expected)
    none = OddestRows(0)
    none.add(1, matrix, log_prob)
    assert len(none.numbers) == 0
    few = OddestRows(9)
    few.add(1, matrix[:3], log_prob[:3])
    assert len(few.numbers) == 3


def below(model, row, flux):
    """P(flux below a number | the row's other values), by quadrature of the model's density."""
    logs = np.linspace(-15, 15, 6001)
    lines = np.tile(row, (len(logs), 1))
    lines[:, 2] = np.exp(logs)
    density = model.log_prob(lines) + logs
    weight = np.exp(density - density.max())
    return weight[logs < np.log(flux)].sum() / weight.sum()


def test_a_value_that_was_put_in_is_blamed(model):
    rows = make_rows(40, seed=1)
    rows[:20, 2] = 60.0
    rows[20:, 1] += 1.0  # ten deviations from what mass says
    rows[20:, 2] = 1.0  # and flux is as usual
    oddest = OddestRows(40)
    oddest.add(1, rows, model.log_prob(rows))
    found = explain(model, oddest)
    assert [row.row for row in found] == oddest.numbers.tolist()
    for row in found:
        assert sum(one.share for one in row.columns) == pytest.approx(1)
        assert {one.column: one.value for one in row.columns} == dict(zip(NAMES, rows[row.row - 1], strict=True))
        shares = {one.column: one.share for one in row.columns}
        if row.row <= 20:
            flux = row.columns[0]
            assert flux.column == "flux" and flux.share > 0.5
            # Quantiles of the model itself, five standard errors of a thousand draws.
            assert abs(below(model, rows[row.row - 1], flux.low) - 0.05) < 5 * np.sqrt(0.05 * 0.95 / 1000)
            assert abs(below(model, rows[row.row - 1], flux.high) - 0.95) < 5 * np.sqrt(0.05 * 0.95 / 1000)
        else:  # mass and radius contradict each other, and nothing says which of the two is wrong
            assert shares["mass"] + shares["radius"] > 0.9


def test_a_line_names_the_columns_that_matter(model):
    rows = np.array([[10.0, 10.0, 1.0], [10.0, 10.0, 60.0], [10.0, 11.0, 1.0]])
    oddest = OddestRows(3)
    oddest.add(1, rows, model.log_prob(rows))
    lines = {row.row: str(row) for row in explain(model, oddest)}
    assert "no column stands out" in lines[1]
    assert "flux" in lines[2] and "p-value 0.0066" in lines[2] and "(60; " in lines[2]
    assert "flux" not in lines[3] and "radius" in lines[3] and "mass" in lines[3]
    model_of_before = pf.TableModel(model.flow, model.columns, schema=model.schema)
    assert "p-value" not in str(explain(model_of_before, oddest)[0])


def test_rows_beyond_single_precision_are_explained(model):
    odd = np.array([[10.0, 10.0, 1e30]])
    oddest = OddestRows(1)
    oddest.add(1, odd, model.log_prob(odd))
    row = explain(model, oddest)[0]
    assert all(np.isfinite([one.share, one.excess, one.low, one.high]).all() for one in row.columns)
    assert row.columns[0].column == "flux"


@pytest.mark.slow
def test_given_columns_are_conditions_and_not_blamed():
    table = to_table(make_rows(1000), NAMES)
    model = pf.fit_table(table, given=["mass"], max_steps=60, progress=False).model
    odd = np.array([[15.0, 1.0, 10.0], [10.0, 30.0, 10.0]])  # radius, flux, mass
    oddest = OddestRows(2)
    oddest.add(1, odd, model.log_prob(odd))
    found = {row.row: row.columns for row in explain(model, oddest)}
    assert [one.column for one in found[1]] == ["radius", "flux"] and found[2][0].column == "flux"


@pytest.mark.slow
def test_columns_of_other_kinds_are_explained_in_their_own_terms():
    generator = np.random.default_rng(0)
    first = np.datetime64("2024-01-01", "D")
    table = pa.table(
        {
            "size": generator.normal(size=400) + np.repeat([0.0, 3.0], 200),
            "sex": ["m"] * 200 + ["f"] * 200,
            "day": first + generator.integers(0, 900, 400),
            "rain": np.where(generator.random(400) < 0.4, 0.0, generator.exponential(size=400)),
        }
    )
    model = pf.fit_table(table, max_steps=100, progress=False).model
    codes = model.encode(table.slice(0, 3))
    oddest = OddestRows(3)
    oddest.add(1, codes, model.log_prob(codes))
    found = explain(model, oddest)
    # Rain has an atom: it is a condition.
    assert explainable(model) == ["size", "sex", "day"]
    other = codes.copy()
    other[:, 1] = 1 - codes[:, 1]
    for row in found:
        columns = {one.column: one for one in row.columns}
        assert columns["sex"].value == "m" and columns["sex"].high is None
        assert columns["day"].value == table["day"][row.row - 1].as_py().isoformat()
        assert "2024-01-01" <= columns["day"].low < columns["day"].high < "2026-07-01"
        # p(sex | others) from the density of the row with either sex.
        own, swapped = (model.log_prob(rows[row.row - 1 : row.row])[0] for rows in (codes, other))
        p = 1 / (1 + np.exp(swapped - own))
        assert columns["sex"].excess == pytest.approx(-np.log(p) + p * np.log(p) + (1 - p) * np.log(1 - p), abs=1e-6)


@pytest.mark.slow
def test_missing_values_are_not_blamed():
    rows = make_rows(300)
    rows[::5, 1] = np.nan
    table = pa.table({name: pa.array(rows[:, place], from_pandas=True) for place, name in enumerate(NAMES)})
    model = pf.fit_table(table, max_steps=30, progress=False).model
    odd = np.array([[10.0, np.nan, 60.0]])
    oddest = OddestRows(1)
    oddest.add(1, odd, model.log_prob(odd))
    columns = {one.column: one for one in explain(model, oddest)[0].columns}
    assert columns["radius"].value is None and columns["radius"].share == 0
    assert columns["mass"].share + columns["flux"].share == pytest.approx(1)
