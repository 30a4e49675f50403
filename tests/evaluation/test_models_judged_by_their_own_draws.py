"""Whatever its architecture and columns, a model is right about its own draws: no test of a report may deny it."""

import numpy as np
import pyarrow as pa
import pytest
from small_fits import default_steps, small_flows, stacks

import pushforward as pf
from pushforward.support.seeding import seeded

ROWS = 1200


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 30)


def numbers(count, seed=0):
    generator = np.random.default_rng(seed)
    a = generator.normal(size=count)
    return pa.table({"a": a, "b": a**2 + generator.exponential(size=count), "c": generator.normal(size=count) - a})


def kinds(count, seed=0):
    generator = np.random.default_rng(seed)
    level = generator.integers(0, 3, count)
    return pa.table(
        {
            "a": generator.normal(size=count) + level,
            "kind": np.array(["x", "y", "z"])[level],
            "count": generator.poisson(3.0, count),
            "rain": np.where(generator.random(count) < 0.4, 0.0, generator.exponential(size=count)),
        }
    )


def own_draws(model, rows, given=None):
    """Rows that the model draws, as a table; given columns from a table."""
    with seeded(12345):
        if given is None:
            return model.decode(model.draw(rows), columns=model.columns)
        codes = model.encode(given, columns=model.given)
        drawn = model.decode(model.draw(given=codes), columns=model.columns)
    return pa.table({**{name: drawn[name] for name in model.columns}, **{name: given[name] for name in model.given}})


def check(model, rows):
    found = pf.report(model, rows, progress=False)
    tests = [test for test in found.verdict.tests if test.p_value is not None and test.p_value == test.p_value]
    worst = min(tests, key=lambda test: test.p_value)
    assert worst.p_value > 1e-6, worst
    for one in found.verdict.coverage:
        assert abs(one.share.value - one.level) < 5 * one.share.error
    assert found.to_json()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["maf", "nsf", None])
def test_numbers(flow):
    model = pf.fit_table(numbers(500), flow=flow).model
    check(model, own_draws(model, ROWS))


@pytest.mark.slow
def test_a_stack_of_densities(monkeypatch):
    stacks(monkeypatch)
    model = pf.fit_table(numbers(150)).model
    assert "parts" in model.notes
    check(model, own_draws(model, ROWS))


@pytest.mark.slow
def test_levels_whole_numbers_and_atoms():
    model = pf.fit_table(kinds(500), flow="nsf").model
    check(model, own_draws(model, 600))


@pytest.mark.slow
def test_levels_whole_numbers_and_atoms_with_gaps():
    rows = kinds(500)
    gaps = np.random.default_rng(1).random((500, 2)) < 0.2
    for place, name in enumerate(("a", "kind")):
        column = pa.array(
            [None if gap else value for gap, value in zip(gaps[:, place], rows[name].to_pylist(), strict=True)]
        )
        rows = rows.set_column(rows.column_names.index(name), name, column)
    model = pf.fit_table(rows).model
    assert model.arbitrary_conditions
    drawn = own_draws(model, ROWS)
    missing = np.random.default_rng(2).random(ROWS) < 0.2
    column = pa.array([None if gap else value for gap, value in zip(missing, drawn["a"].to_pylist(), strict=True)])
    found = check(model, drawn.set_column(0, "a", column))
    marginal = next(one for one in found.dependence.marginals if one.column == "a")
    assert marginal.gaps_data.value == marginal.gaps_draws.value == pytest.approx(missing.mean())


@pytest.mark.slow
@pytest.mark.parametrize("given", [["kind"], ["kind", "a"]])
def test_conditions(given):
    model = pf.fit_table(kinds(500).drop_columns(["rain"]), given=given, flow="nsf").model
    check(model, own_draws(model, 600, kinds(600, seed=5)))


@pytest.mark.slow
def test_measurement_errors():
    rows = numbers(400).select(["a", "c"]).append_column("error", pa.array(np.full(400, 0.3)))
    model = pf.fit_table(rows, errors={"a": "error"}).model
    with seeded(3):
        codes = model.draw(500)
    generator = np.random.default_rng(4)
    measured = codes[:, model.columns.index("a")] + 0.3 * generator.normal(size=500)
    check(model, pa.table({"a": measured, "c": codes[:, model.columns.index("c")], "error": np.full(500, 0.3)}))
