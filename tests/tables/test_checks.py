"""What is a number, and for which matrices a density exists."""

import pickle
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.errors import InputError
from pushforward.tables import TableReader, check_columns, check_independent, check_varying, numeric_matrix
from pushforward.tables.checks import check_scale
from pushforward.tables.numbers import BadValue


def refusal(column: pa.Array, **options) -> str:
    with pytest.raises(InputError) as caught:
        numeric_matrix(pa.table({"good": np.ones(len(column)), "bad": column}), ["good", "bad"], source="s", **options)
    assert 'column "bad" of s' in str(caught.value)
    return str(caught.value)


NUMERIC = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(10, 2), pa.decimal256(40, 3)),
]


@pytest.mark.parametrize("kind", NUMERIC, ids=str)
@pytest.mark.parametrize("form", ["batch", "table", "chunks"])
def test_numeric_types(kind, form):
    values = [Decimal(1), Decimal(2), Decimal(120)] if pa.types.is_decimal(kind) else [1, 2, 120]
    values = [np.float16(value) for value in values] if kind == pa.float16() else values
    batch = pa.record_batch({"x": pa.array(values, kind), "y": pa.array([0.5, 1.5, 2.5])})
    data = {
        "batch": batch,
        "table": pa.Table.from_batches([batch]),
        "chunks": pa.Table.from_batches([batch.slice(0, 1), batch.slice(1)]),
    }[form]
    matrix = numeric_matrix(data, ["y", "x"], source="s")
    assert matrix.dtype == np.float64 and matrix.flags.c_contiguous
    assert matrix.tolist() == [[0.5, 1.0], [1.5, 2.0], [2.5, 120.0]]


NOT_NUMERIC = {
    "bool": pa.array([True, False]),
    "date32": pa.array([0, 1], pa.date32()),
    "time64": pa.array([0, 1], pa.time64("us")),
    "timestamp": pa.array([0, 1], pa.timestamp("s")),
    "duration": pa.array([0, 1], pa.duration("s")),
    "list": pa.array([[1.0], [2.0]]),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "binary": pa.array([b"a", b"b"]),
    "categorical": pa.array([1, 2]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", NOT_NUMERIC)
def test_other_types(kind):
    message = refusal(NOT_NUMERIC[kind])
    assert f"type {kind}" in message and "where numbers are needed" in message
    assert "leave it out with --columns" in message


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_text(kind):
    message = refusal(pa.array(["1", "b"], kind))
    assert 'the text "b" in row 2' in message and "leave the column out with --columns" in message
    assert numeric_matrix(pa.table({"x": pa.array(["1", " 2.5"], kind)}), ["x"], source="s").tolist() == [[1.0], [2.5]]


def test_column_without_values():
    assert "no values at all" in refusal(pa.array([None, None]))


@pytest.mark.parametrize("kind", [pa.float64(), pa.int8(), pa.decimal128(5, 1), pa.float32()], ids=str)
def test_null(kind):
    one = Decimal(1) if pa.types.is_decimal(kind) else 1
    message = refusal(pa.array([one, None, one, None], kind), first_row=101)
    assert "no value in row 102;" in message and "remove or fill" in message


def test_nan_and_infinity():
    assert "no value in row 2;" in refusal(pa.array([1.0, np.nan, np.inf]))
    assert "infinite in row 2;" in refusal(pa.array([1.0, -np.inf, np.nan]))
    assert "infinite in row 12;" in refusal(pa.array([1.0, np.inf, None]), first_row=11)
    assert "no value in row 2;" in refusal(pa.array([1.0, None, np.inf]))
    assert "infinite in row 1;" in refusal(pa.array([np.float16(np.inf)], pa.float16()))


def test_the_first_row_of_all_columns_is_named():
    table = pa.table({"x": [1.0, 2.0, np.inf], "y": [1.0, None, 3.0]})
    with pytest.raises(InputError, match='column "y" of s has no value in row 2'):
        numeric_matrix(table, ["x", "y"], source="s")


def test_null_in_the_second_chunk():
    column = pa.chunked_array([[1.0, 2.0], [3.0, None]])
    with pytest.raises(InputError, match="row 4"):
        numeric_matrix(pa.table({"x": column}), ["x"], source="s")


@pytest.mark.parametrize(
    ("kind", "value"), [(pa.int64(), 2**53 + 1), (pa.int64(), -(2**63) + 1), (pa.uint64(), 2**64 - 1)]
)
def test_integers_that_float64_would_change(kind, value):
    message = refusal(pa.array([2**53, value], kind) if value > 0 else pa.array([-(2**53), value], kind))
    assert f"the integer {value} in row 2" in message


def test_large_integers_that_float64_holds():
    values = [2**53, 2**60, -(2**63), 2**53 + 2]
    assert numeric_matrix(pa.table({"x": values}), ["x"], source="s")[:, 0].astype(object).tolist() == values


# --- fitting -----------------------------------------------------------------------------------------------------


def check(matrix: np.ndarray, names: list[str], minimum_rows: int = 2) -> None:
    """What a fit asks of columns with a density."""
    check_varying(matrix, names, source="t.csv", minimum_rows=minimum_rows)
    check_independent(matrix, names, source="t.csv")


def unfit(*columns: np.ndarray, minimum_rows: int = 2) -> str:
    names = [f"c{index}" for index in range(len(columns))]
    with pytest.raises(InputError) as caught:
        check(np.stack(columns, axis=1), names, minimum_rows)
    assert "t.csv" in str(caught.value)
    return str(caught.value)


NOISE = np.random.default_rng(3).normal(size=1000)
OTHER = np.random.default_rng(4).normal(size=1000)


def test_too_few_rows():
    assert "has 5 rows, and at least 20 are needed" in unfit(NOISE[:5], minimum_rows=20)
    assert "has 0 rows, and at least 1" in unfit(NOISE[:0], minimum_rows=0)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e300, 5e-324])
def test_constant_column(value):
    message = unfit(NOISE, np.full(1000, value))
    assert f'column "c1" of t.csv is {value} in every row' in message and "--columns" in message


def test_column_constant_up_to_rounding():
    assert 'column "c0"' in (message := unfit(1e6 + 1e-9 * np.sign(NOISE)))
    assert "up to rounding" in message


def test_equal_columns():
    assert 'columns "c1" and "c2" of t.csv are equal in every row' in unfit(OTHER, NOISE, NOISE)


@pytest.mark.parametrize(("slope", "shift"), [(1.8, 32.0), (-1.0, 0.0), (1e200, 0.0), (1e-200, 0.0)])
def test_linearly_dependent_columns(slope, shift):
    assert 'columns "c0" and "c2" of t.csv determine each other' in unfit(NOISE, OTHER, slope * NOISE + shift)


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1.0, 1e307])
def test_good_matrices_pass(scale):
    check(scale * np.stack([NOISE, OTHER], axis=1), ["a", "b"], minimum_rows=1000)


def test_nearly_dependent_columns_pass():
    matrix = np.stack([NOISE, NOISE + 1e-4 * OTHER, np.round(NOISE, 2)], axis=1)
    check(matrix, ["a", "b", "c"])


@pytest.mark.parametrize("scale", [1e300, 1e200, 1e-200, 1e-300])
def test_columns_whose_variance_no_float_holds_are_refused_truthfully(scale):
    x = np.random.default_rng(0).normal(size=(100, 2)) * [1.0, scale]
    with pytest.raises(InputError, match=r'column "b" of .* square') as caught:
        check_scale(x, ["a", "b"], source="s")
    assert ("larger" if scale > 1 else "smaller") + " unit" in str(caught.value)
    for fit in (lambda: pf.fit_table(pa.table(list(x.T), ["a", "b"]), max_steps=1), lambda: pf.FlowDensity().fit(x)):
        with pytest.raises(InputError, match="square"):
            fit()


def test_columns_at_the_ends_of_what_can_be_fitted():
    x = np.random.default_rng(0).normal(size=300)
    ends = {}
    for scale in (1e149, 1e-149):
        fitted = pf.fit_table(pa.table({"x": scale * x}), max_steps=2, progress=False)
        ends[scale] = fitted.gaussian + np.log(scale)
    plain = pf.fit_table(pa.table({"x": x}), max_steps=2, progress=False).gaussian
    np.testing.assert_allclose(list(ends.values()), plain, rtol=1e-10)


def test_a_bad_value_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(BadValue(3, "row 3 is bad")))
    assert (str(error), error.row) == ("row 3 is bad", 3)


def test_all_missing_columns_are_named_in_the_order_wanted():
    with pytest.raises(InputError, match=r'^s has no columns "z", "b", "y"; there are a, c\.$'):
        check_columns(["z", "a", "b", "y"], ["a", "c"], source="s")
    with pytest.raises(InputError, match=r'"7" and 3 more; there are a\.$'):
        check_columns([str(number) for number in range(11)], ["a"], source="s")
    with pytest.raises(InputError, match=r'^s has no column "aa"; did you mean "a"\?'):
        check_columns(["aa"], ["a"], source="s")


def test_a_reader_names_all_needed_columns_before_the_numbers_among_them(tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    with pytest.raises(InputError, match='has no columns "kind", "y"; there are x'):
        TableReader(tmp_path / "t.csv", ["x", "y"], needed=["kind", "x", "y"])
