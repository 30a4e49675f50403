"""Numbers that only some rows write in one way: read where that is clear, else refused with an example of each way."""

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import encode, infer_schema
from pushforward.tables.missing import WRITTEN
from pushforward.tables.number_format import NumberFormat, in_detail
from pushforward.tables.schema.identifiers import identifiers

X = np.random.default_rng(0).normal(20, 5, 150).round(1)


def learned(texts, name="x"):
    return infer_schema(pa.table({name: texts}), source="t.csv", marks=WRITTEN)[name]


WAYS = {
    "two units": ([f"{x} {'kg' if k else 'lb'}" for k, x in enumerate(X)], f'"{X[0]} lb" and "{X[1]} kg"'),
    "a unit in some rows": ([f"{x}{' kg' if k else ''}" for k, x in enumerate(X)], f'"{X[0]}" and "{X[1]} kg"'),
    "thousands and millions": ([f"${x}{'k' if k else 'M'}" for k, x in enumerate(X)], f'"${X[0]}M" and "${X[1]}k"'),
    "directions": ([f"{x}{'W' if k else 'E'}" for k, x in enumerate(X)], f'"{X[0]}E" and "{X[1]}W"'),
    "errors": ([f"{x} ± 0.3" for x in X], f'"{X[0]} ± 0.3": '),
}


@pytest.mark.parametrize("case", WAYS)
def test_all_different_numbers_in_several_ways_are_shown_and_are_no_names(case):
    texts, shown = WAYS[case]
    with pytest.raises(pf.InputError, match="they look like numbers or dates, but not all") as error:
        learned(texts)
    assert f"most of them such as {shown}" in str(error.value)


def test_names_of_rows_are_called_so():
    with pytest.raises(pf.InputError, match="levels of a category: they look like names of rows; leave it out"):
        learned([f"HD {k}b" for k in range(150)])


@pytest.mark.parametrize("space", ["\u00a0", "\u202f"])
def test_spaces_that_do_not_break_are_spaces(space):
    texts = [f"{x}{space}" for x in X]
    column = learned(texts)
    assert column.numeric and column.format == NumberFormat(decimals=1)
    np.testing.assert_array_equal(encode(pa.table({"x": texts}), {"x": column}, ["x"], source="t")[:, 0], X)


def test_the_sign_of_an_exponent_is_none_of_the_number():
    for texts in (["3.02E+01", "-7.22E+00"], ["1e-5", "2.5e-3"]):
        assert in_detail(pa.array(texts), NumberFormat()) == NumberFormat()


@pytest.mark.parametrize("error", ["#DIV/0!", "#VALUE!", "#NAME?", "#REF!", "#NUM!"])
def test_errors_of_spreadsheets_are_named_as_marks(error):
    with pytest.raises(pf.InputError, match=f'"{error[:-1]}.* in row 5, .* say so with --missing "{error[:-1]}'):
        learned([*map(str, X[:4]), error, *map(str, X[4:])])


def test_a_row_of_units_and_a_remark_at_the_end_are_called_so():
    with pytest.raises(pf.InputError, match=r'"kg" in row 1, .*: if that row has units or a title, remove it; if it'):
        learned(["kg", *map(str, X)])
    with pytest.raises(
        pf.InputError, match=r'"Source" in row 151, .*: if that row is a remark, remove it; if it stands'
    ):
        learned([*map(str, X), "Source"])
    with pytest.raises(pf.InputError, match=r'"\?" in row 3, .* such text\): if it stands for a missing value'):
        learned([*map(str, X[:2]), "?", *map(str, X)])


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M"])
def test_spaces_around_dates_do_not_make_them_names(form):
    days = np.arange("2020-01-01", "2020-06-01", dtype="M8[D]")
    shuffled = np.random.default_rng(0).permutation(days).astype("M8[m]").astype(object)
    texts = [f" {day.strftime(form)} " for day in shuffled]
    table = pa.table({"x": texts})
    assert identifiers(table, np.arange(len(texts)), len(texts), source="t") == {}
    column = learned(texts)
    assert column.kind == "date-time" and column.step == "day"


def test_a_header_that_stands_again_is_called_so():
    with pytest.raises(pf.InputError, match=r'column "x" of t.csv holds its own name in row 5, where the header'):
        learned([*map(str, X[:4]), "x", *map(str, X[4:])])


def test_a_column_without_a_name_that_is_not_the_first_is_no_index():
    table = pa.table([X, np.arange(150) % 5, X[::-1]], names=["a", "", "b"])
    assert identifiers(table, np.arange(150), 150, source="t") == {"": "it has no name"}
    first = pa.table([np.arange(150) % 5, X], names=["", "a"])
    assert identifiers(first, np.arange(150), 150, source="t") == {"": "it is the index of a data frame"}
