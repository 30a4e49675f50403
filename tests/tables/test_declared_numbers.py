"""Steps and bounds that a schema declares: those that no density can have are refused in one sentence."""

import re

import numpy as np
import pyarrow as pa
import pytest

from pushforward.errors import InputError
from pushforward.tables import infer_schema, parse_schema

ROWS = 100
PLACES = np.linspace(0, 1, ROWS)
TABLE = pa.table(
    {
        "x": np.round(200 * PLACES - 100, 2),
        "mark": np.where(np.arange(ROWS) % 5 == 0, -999.0, np.round(6 * PLACES, 1)),
        "amount": np.round(6 * PLACES + 0.1, 1),
        "count": np.arange(ROWS),
        "angle": np.round(359 * PLACES),
        "day": np.datetime64("2022-01-01") + np.arange(ROWS),
    }
)
BOUNDED, ANGLE = {"kind": "bounded", "low": -1000}, {"kind": "periodic", "period": 360}
REFUSED = [
    ("x", {"kind": "continuous", "step": 1000}, '"step": 1000', "longer than the range of its values, 200;"),
    ("x", {"kind": "continuous", "step": 200.1}, '"step": 200.1', "longer than the range of its values, 200;"),
    ("x", {"kind": "continuous", "step": 1e300}, '"step": 1e+300', "beyond 1e+150;"),
    ("x", {"kind": "continuous", "step": 1e-300}, '"step": 1e-300', "less than the 2e-11 .* values up to 100;"),
    ("x", {"kind": "continuous", "step": 0.01, "offset": 1e12}, '"step": 0.01', "less than the 0.2 .* up to 1e\\+12;"),
    ("x", {**BOUNDED, "step": 1e300}, '"step": 1e+300', "beyond 1e+150;"),
    ("x", {**BOUNDED, "high": 1e151}, '"high": 1e+151', "beyond 1e+150;"),
    ("x", {"kind": "bounded", "low": -1e300, "high": 1e300}, '"low": -1e+300', "beyond 1e+150;"),
    ("x", {"kind": "bounded", "high": 1e20}, '"high": 1e+20', "more than 1e\\+09 times the range of its values, 200,"),
    ("count", {"kind": "integer", "high": 2**52}, '"high": 45', "more than 1e\\+09 times the range"),
    ("amount", {"kind": "positive", "step": 7}, '"step": 7', "longer than the range of its values, 6;"),
    ("amount", {"kind": "positive", "step": 1e-16}, '"step": 1e-16', "float64 can tell apart"),
    ("mark", {"kind": "mixed", "step": 10}, '"step": 10', "longer than the range of its values, 5.9;"),
    ("mark", {"kind": "mixed", "atoms": [-999], "step": 10}, '"step": 10', "range of its values, 5.9;"),
    ("mark", {"kind": "mixed", "low": -1e300}, '"low": -1e+300', "beyond 1e+150;"),
    ("count", {"kind": "integer", "step": 100}, '"step": 100', "longer than the range of its values, 99;"),
    ("count", {"kind": "integer", "step": 10**400}, '"step": 10^400', "beyond 9007199254740992;"),
    ("count", {"kind": "integer", "low": 0, "high": 10**20}, '"high": 1', "beyond 9007199254740992;"),
    ("angle", {**ANGLE, "step": 400}, '"step": 400', "longer than the range of its values, 360;"),
    ("angle", {**ANGLE, "step": 1e-300}, '"step": 1e-300', "float64 can tell apart"),
    ("angle", {**ANGLE, "period": 1e300}, '"period": 1e+300', "beyond 1e+150;"),
    ("angle", {**ANGLE, "period": 1e-20}, '"period": 1e-20', "float64 can tell apart"),
    ("angle", {**ANGLE, "low": 1e20}, '"period": 360', "float64 can tell apart"),
    ("day", {"kind": "date-time", "step": "day", "every": 100}, '"every": 100', "range of its values, 99;"),
    ("day", {"kind": "date-time", "step": "day", "every": 10**30}, '"every": 10', "beyond 9007199254740992;"),
]


def completed(name, declared):
    schema = parse_schema({name: declared})
    return infer_schema(TABLE.select([name]), schema, source="t.csv")[name]


@pytest.mark.parametrize(("name", "declared", "option", "problem"), REFUSED)
def test_a_number_that_no_density_can_have_is_refused(name, declared, option, problem):
    problem = problem.replace("1e+150", r"1e\+150")
    start = f'^The schema declares {re.escape(option)}.* for column "{name}" of t.csv'
    with pytest.raises(InputError, match=f"{start}.*{problem} .*declare .*[.]$"):
        completed(name, declared)


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("x", {"kind": "continuous", "step": 200}),
        ("x", {"kind": "continuous", "step": 1e-9}),
        ("x", {"kind": "bounded", "low": -1e11, "high": 1e11}),
        ("mark", {"kind": "mixed", "atoms": [-999], "step": 0.1}),
        ("count", {"kind": "integer", "step": 1, "high": 10**10}),
        ("angle", {**ANGLE, "step": 1}),
        ("day", {"kind": "date-time", "step": "day", "every": 1}),
    ],
)
def test_what_the_values_can_have_is_kept(name, declared):
    column = completed(name, declared)
    assert {option: getattr(column, option) for option in declared} == declared


def test_values_beyond_the_bounds_of_a_column_with_atoms_are_refused():
    with pytest.raises(InputError, match=r'column "x" of t.csv holds -100 in row 1, below its bound 0[.]0; correct it'):
        completed("x", {"kind": "mixed", "low": 0, "atoms": [50]})


def test_one_value_alone_has_no_range_that_a_step_could_exceed():
    table = pa.table({"x": np.full(ROWS, 5.0)})
    assert infer_schema(table, parse_schema({"x": {"kind": "continuous", "step": 7}}), source="t")["x"].step == 7
