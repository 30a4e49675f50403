"""Tables in memory: every library's data frame gives the same matrix and the same sentences."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from pushforward.errors import InputError
from pushforward.tables import matrix_from_frame, to_table

COLUMNS = {"a": [1.0, 2.5, -3.0], "b": [1, 2, 3]}
TRUTH = np.array([[1.0, 1.0], [2.5, 2.0], [-3.0, 3.0]])

FRAMES = {
    "pandas": pd.DataFrame,
    "pandas with an index": lambda columns: pd.DataFrame(columns).rename(index=lambda row: f"row{-row}"),
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas pyarrow": lambda columns: pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "polars lazy": lambda columns: pl.LazyFrame(columns, strict=False),
    "pyarrow table": pa.table,
    "pyarrow batch": pa.record_batch,
}


@pytest.fixture(params=FRAMES)
def frame(request):
    return FRAMES[request.param]


def refusal(data, columns=None) -> str:
    with pytest.raises(InputError) as caught:
        matrix_from_frame(data, columns)
    assert "the table" in str(caught.value) and "--columns" not in str(caught.value)
    return str(caught.value)


def test_data_frames(frame):
    matrix, names = matrix_from_frame(frame(COLUMNS))
    assert names == ["a", "b"] and matrix.dtype == np.float64 and matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, TRUTH)
    matrix, names = matrix_from_frame(frame({**COLUMNS, "text": ["x", "y", "z"]}), ["b", "a"])
    assert names == ["b", "a"]
    np.testing.assert_array_equal(matrix, TRUTH[:, ::-1])


def test_missing_values(frame):
    assert 'column "a" of the table has no value in row 2;' in refusal(frame({"a": [1.0, None], "b": [1.0, 2.0]}))


def test_infinite_values(frame):
    assert 'column "b" of the table is infinite in row 3;' in refusal(frame({"b": [1.0, 2.0, np.inf]}))


def test_missing_columns(frame):
    assert 'no column "mas"; did you mean "mass"?' in refusal(frame({"mass": [1.0]}), ["mas"])


@pytest.mark.parametrize("values", [["x", "y"], [True, False], pd.to_datetime(["2024-01-01", "2024-01-02"])], ids=str)
def test_other_types(frame, values):
    message = refusal(frame({"a": [1.0, 2.0], "bad": values}))
    assert 'column "bad" of the table' in message and "out with columns=" in message


def test_categorical():
    assert "type categorical" in refusal(pd.DataFrame({"a": pd.Categorical(["x", "y"])}))
    assert "type categorical" in refusal(pl.DataFrame({"a": ["x", "y"]}, schema={"a": pl.Categorical}))


def test_pandas_peculiarities():
    assert 'several columns named "a"' in refusal(pd.DataFrame([[1, 2.0]], columns=["a", "a"]))
    assert 'column "a" of the table cannot be read as numbers' in refusal(pd.DataFrame({"a": [1.0, "x"]}))
    assert "no value in row 2" in refusal(pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}))
    assert matrix_from_frame(pd.DataFrame(TRUTH))[1] == ["0", "1"]
    matrix, names = matrix_from_frame(pd.Series([1.0, 2.0], name="a"))
    assert matrix.tolist() == [[1.0], [2.0]] and names == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        TRUTH,
        np.asfortranarray(TRUTH),
        TRUTH.astype(np.float16),
        TRUTH.astype(object),
        TRUTH.astype(np.longdouble),
        TRUTH.tolist(),
        tuple(map(tuple, TRUTH.tolist())),
        torch.tensor(TRUTH),
        torch.tensor(TRUTH, requires_grad=True),
        torch.tensor(TRUTH).bfloat16(),
        torch.tensor(TRUTH.T.copy()).T,
    ],
    ids=lambda data: f"{type(data).__name__} {getattr(data, 'dtype', '')}",
)
def test_data_without_names(data):
    matrix, names = matrix_from_frame(data)
    assert names is None and matrix.dtype == np.float64 and matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, TRUTH)
    assert matrix_from_frame(data, ["p", "q"])[1] == ["p", "q"]


@pytest.mark.parametrize("data", [np.array([1, 2]), [1, 2], torch.tensor([1, 2]), np.array([1, 2], np.uint8)])
def test_one_column(data):
    assert matrix_from_frame(data)[0].tolist() == [[1.0], [2.0]]


def test_the_matrix_is_a_copy():
    data = TRUTH.copy()
    matrix_from_frame(data)[0][:] = 0
    np.testing.assert_array_equal(data, TRUTH)


def test_arrays_and_lists_that_are_not_numbers():
    assert 'column "2" of the table has no value in row 2' in refusal(np.array([[1.0, 2.0], [3.0, np.nan]]))
    assert 'column "q" of the table is infinite in row 1' in refusal(torch.tensor([[1.0, np.inf]]), ["p", "q"])
    assert 'column "2" of the table has no value in row 1' in refusal([[1.0, None], [1.0, 2.0]])
    assert 'column "2" of the table holds the text "a" in row 1' in refusal([[1.0, "a"], [1.0, "b"]])
    assert 'column "1" of the table cannot be read' in refusal([["a"], [1.0]])
    assert 'column "1" of the table is of type bool' in refusal(np.array([[True], [False]]))
    assert 'column "1" of the table' in refusal(np.array([[1j]]))
    assert 'column "1" of the table is of type' in refusal(np.array([["2024-01-01"]], dtype="datetime64[D]"))
    assert 'column "1" of the table holds the integer 9007199254740993 in row 1' in refusal(np.array([[2**53 + 1]]))


def test_shapes():
    assert "different lengths" in refusal([[1.0, 2.0], [3.0]])
    assert "shape (2, 2, 2)" in refusal(np.zeros((2, 2, 2)))
    assert "shape ()" in refusal(np.array(1.0))
    assert "shape (2, 3), and 2 names" in refusal(np.zeros((2, 3)), ["a", "b"])
    assert 'columns named "a"' in refusal(np.zeros((2, 2)), ["a", "a"])
    assert "is a str; give a data frame" in refusal("t.csv")
    assert "is a dict; give a data frame" in refusal({"a": [1.0]})


def test_to_table():
    table = to_table(np.asfortranarray(TRUTH), ["a", "b"])
    assert table.schema == pa.schema([("a", pa.float64()), ("b", pa.float64())])
    assert table.to_pydict() == COLUMNS
    with pytest.raises(InputError, match="3 names"):
        to_table(TRUTH, ["a", "b", "c"])
