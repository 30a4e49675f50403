"""Every type that numpy, pandas, polars and pyarrow have is read right, or refused in a sentence that names it."""

import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import decode, encode, infer_schema
from pushforward.tables.frames import matrix_from_frame, table_from_frame

ROWS = 300
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=ROWS)
K = GENERATOR.integers(0, 5, ROWS)
LETTERS = ["a", "b", "c"] * 100
DATES = [dt.date(2022, 1, 1 + k) for k in K.tolist()]
TIMES = [dt.time(3 * k, 30) for k in K.tolist()]
DECIMALS = [Decimal(k) / 4 for k in K.tolist()]
ENDS, RUNS = pa.array([100, 200, 300], pa.int32()), pa.array([1.5, 2.5, 1.5])
GAPS = [None if k == 4 else k for k in K.tolist()]


def days(unit):
    return np.array(GENERATOR.integers(0, 50, ROWS)).astype(f"datetime64[{unit}]")


def records(*types):
    return np.array(list(zip(X, LETTERS, strict=True)), dtype=list(zip("xk", types, strict=True)))


def pandas(values, **options):
    return pd.DataFrame({"x": pd.Series(values, **options)})


def polars(values, kind=None):
    return pl.DataFrame({"x": pl.Series("x", values, dtype=kind, strict=False)})


def arrow(values, kind=None):
    return pa.table({"x": values if kind is None else pa.array(values, kind)})


# What it is, the kind that it is read as, and the values that draws have.
READ = {
    "numpy float16": (lambda: K.astype(np.float16) / 10, "category", K / 10),
    "numpy float32": (lambda: K.astype(np.float32) / 10, "category", K / 10),
    "numpy longdouble": (lambda: X.astype(np.longdouble), "continuous", X),
    "pandas big-endian": (lambda: pd.DataFrame({"x": X.astype(">f8")}), "continuous", X),
    "numpy big-endian": (lambda: X.astype(">f8"), "continuous", X),
    "numpy big-endian integers": (lambda: K.astype(">i4"), "integer", K),
    "numpy uint64": (lambda: K.astype("u8"), "integer", K),
    "numpy int8": (lambda: K.astype("i1"), "integer", K),
    "numpy bool": (lambda: K > 2, "category", K > 2),
    "numpy text": (lambda: np.array(LETTERS), "category", LETTERS),
    "numpy bytes": (lambda: np.array(LETTERS, dtype="S3"), "category", LETTERS),
    "numpy StringDType": (lambda: np.array(LETTERS, dtype=np.dtypes.StringDType()), "category", LETTERS),
    "numpy StringDType with gaps": (
        lambda: np.array([*LETTERS[1:], np.nan], dtype=np.dtypes.StringDType(na_object=np.nan)),
        "category",
        [*LETTERS[1:], None],
    ),
    "numpy StringDType of numbers": (
        lambda: np.array([str(x) for x in X], dtype=np.dtypes.StringDType()),
        "continuous",
        X,
    ),
    "numpy masked StringDType": (
        lambda: np.ma.array(np.array(LETTERS, dtype=np.dtypes.StringDType()), mask=K == 4),
        "category",
        [None if k == 4 else letter for k, letter in zip(K, LETTERS, strict=True)],
    ),
    "numpy objects": (lambda: np.array(GAPS, dtype=object), "integer", GAPS),
    "numpy decimals": (lambda: np.array(DECIMALS, dtype=object), "category", K / 4),
    "numpy mask": (lambda: np.ma.array(K, mask=K == 4), "integer", GAPS),
    "numpy masked floats": (lambda: np.ma.array(K / 10, mask=K == 4), "category", [k and k / 10 for k in GAPS]),
    "numpy months": (lambda: np.datetime64("2022-01") + K, "date-time", [dt.date(2022, 1 + k, 1) for k in K.tolist()]),
    "numpy hours": (
        lambda: np.datetime64("2022-01-01T00", "h") + K,
        "date-time",
        [dt.datetime(2022, 1, 1, k) for k in K.tolist()],
    ),
    "numpy durations": (lambda: K.astype("m8[h]"), "integer", 3600 * K),
    "pandas Int64": (lambda: pandas(GAPS, dtype="Int64"), "integer", GAPS),
    "pandas boolean": (lambda: pandas(K > 2, dtype="boolean"), "category", K > 2),
    "pandas string": (lambda: pandas(LETTERS, dtype="string"), "category", LETTERS),
    "pandas string[pyarrow]": (lambda: pandas(LETTERS, dtype="string[pyarrow]"), "category", LETTERS),
    "pandas object": (lambda: pandas(LETTERS, dtype=object), "category", LETTERS),
    "pandas categories": (lambda: pandas(pd.Categorical(LETTERS, ordered=True)), "category", LETTERS),
    "pandas categories of numbers": (lambda: pandas(pd.Categorical(K)), "integer", K),
    "pandas cut": (lambda: pandas(pd.cut(X, 4)), "category", pd.cut(X, 4).astype(str)),
    "pandas intervals": (
        lambda: pandas(pd.arrays.IntervalArray.from_arrays(K, K + 1)),
        "category",
        [f"({k}, {k + 1}]" for k in K],
    ),
    "pandas categories of dates": (lambda: pandas(pd.Categorical(DATES)), "date-time", DATES),
    "pandas categories of date-times": (
        lambda: pandas(pd.Categorical(pd.to_datetime(DATES))),
        "date-time",
        pd.to_datetime(DATES).tolist(),
    ),
    "pandas periods of months": (
        lambda: pandas(pd.PeriodIndex([f"2022-{1 + k:02d}" for k in K], freq="M")),
        "date-time",
        [dt.datetime(2022, 1 + k, 1) for k in K.tolist()],
    ),
    "pandas periods of quarters": (
        lambda: pandas(pd.PeriodIndex([f"{2020 + k}Q2" for k in K], freq="Q")),
        "date-time",
        [dt.datetime(2020 + k, 4, 1) for k in K.tolist()],
    ),
    "pandas days": (
        lambda: pandas(pd.PeriodIndex([str(day) for day in DATES], freq="D")),
        "date-time",
        pd.to_datetime(DATES).tolist(),
    ),
    "pandas sparse": (lambda: pandas(pd.arrays.SparseArray(K)), "integer", K),
    "pandas durations": (lambda: pandas(pd.to_timedelta(K, unit="h")), "integer", 3600 * K),
    "pandas times": (lambda: pandas(TIMES), "category", TIMES),
    "pandas float16": (lambda: pandas((K / 10).astype(np.float16)), "category", K / 10),
    "pandas decimals of Arrow": (
        lambda: pandas(DECIMALS, dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
        "category",
        K / 4,
    ),
    "polars Decimal": (lambda: polars(DECIMALS), "category", K / 4),
    "polars Date": (lambda: polars(DATES), "date-time", DATES),
    "polars Time": (lambda: polars(TIMES), "category", TIMES),
    "polars Duration": (lambda: polars(K.tolist(), pl.Duration("ms")), "category", K / 1000),
    "polars Categorical": (lambda: polars(LETTERS, pl.Categorical), "category", LETTERS),
    "polars Enum": (lambda: polars(LETTERS, pl.Enum(["c", "b", "a"])), "category", LETTERS),
    "polars Null": (lambda: polars([None] * ROWS), "all-missing", [None] * ROWS),
    "pyarrow string_view": (lambda: arrow(LETTERS, pa.string_view()), "category", LETTERS),
    "pyarrow large_string": (lambda: arrow(LETTERS, pa.large_string()), "category", LETTERS),
    "pyarrow json": (lambda: arrow(LETTERS, pa.json_(pa.string())), "category", LETTERS),
    "pyarrow dictionary": (lambda: arrow(pa.array(LETTERS).dictionary_encode()), "category", LETTERS),
    "pyarrow dictionary of integers": (lambda: arrow(pa.array(K).dictionary_encode()), "integer", K),
    "pyarrow dictionary of dates": (lambda: arrow(pa.array(DATES).dictionary_encode()), "date-time", DATES),
    "pyarrow decimal32": (lambda: arrow(DECIMALS, pa.decimal32(6, 2)), "category", K / 4),
    "pyarrow decimal128": (lambda: arrow(DECIMALS, pa.decimal128(10, 2)), "category", K / 4),
    "pyarrow decimal256": (lambda: arrow(DECIMALS, pa.decimal256(50, 2)), "category", K / 4),
    "pyarrow time32": (lambda: arrow(TIMES, pa.time32("s")), "category", TIMES),
    "pyarrow time64": (lambda: arrow(TIMES, pa.time64("ns")), "category", TIMES),
    "pyarrow duration": (lambda: arrow(K, pa.duration("s")), "integer", K),
    "pyarrow date64": (lambda: arrow(DATES, pa.date64()), "date-time", DATES),
    "pyarrow half": (lambda: arrow((K / 10).astype(np.float16), pa.float16()), "category", K / 10),
    "pyarrow bool8": (
        lambda: arrow(pa.ExtensionArray.from_storage(pa.bool8(), pa.array(K > 2).cast(pa.int8()))),
        "category",
        K > 2,
    ),
    "pyarrow runs": (
        lambda: arrow(pa.RunEndEncodedArray.from_arrays(ENDS, RUNS)),
        "category",
        [1.5] * 100 + [2.5] * 100 + [1.5] * 100,
    ),
    "pyarrow null": (lambda: arrow(pa.nulls(ROWS)), "all-missing", [None] * ROWS),
}


@pytest.mark.parametrize("case", READ)
def test_types_that_are_read(case):
    make, kind, truth = READ[case]
    table = table_from_frame(make())
    (name,) = table.column_names
    schema = infer_schema(table, source="the table")
    # Which numbers are whole, or levels, is a question of their kind and not of their type.
    assert schema[name].kind in {kind, "integer", "category", "date-time"}
    codes = encode(table, schema, [name], source="the table")
    drawn = decode(codes, schema, [name])
    assert drawn.schema.field(0).type == schema[name].written_type
    np.testing.assert_array_equal(encode(drawn, schema, [name], source="the table"), codes)
    assert drawn.column(0).to_pylist() == [x.item() if hasattr(x, "item") else x for x in truth]


def test_records_have_names():
    table = table_from_frame(records(">f8", "U3"))
    assert table.to_pydict() == {"x": X.tolist(), "k": LETTERS}
    masked = np.ma.array(np.rec.fromarrays([X, K], names="x,k"), mask=[(k == 4, False) for k in K])
    assert table_from_frame(masked).column("x").null_count == (K == 4).sum()
    matrix, names = matrix_from_frame(np.rec.fromarrays([X, K], names="x,k"))
    assert names == ["x", "k"]
    np.testing.assert_array_equal(matrix, np.column_stack([X, K]))


def test_masked_numbers_are_gaps_in_a_matrix():
    masked = np.ma.array(np.c_[X, X], mask=np.c_[X > 1, X < -9])
    np.testing.assert_array_equal(matrix_from_frame(masked, gaps=True)[0][:, 0], np.where(X > 1, np.nan, X))
    with pytest.raises(pf.InputError, match="no value in row"):
        matrix_from_frame(masked)


def test_no_time_is_a_gap():
    days = np.array(DATES, dtype="M8[D]")
    days[3] = "NaT"
    assert table_from_frame(days).column(0).null_count == 1


# What it is, and words of the sentence.
REFUSED = {
    "numpy complex": (lambda: X * 1j, "complex128"),
    "numpy void": (lambda: np.array([b"abc"] * ROWS, dtype="V3"), "|V3"),
    "numpy picoseconds": (lambda: K.astype("M8[ps]"), "datetime64[ps]"),
    "numpy months of duration": (lambda: K.astype("m8[M]"), "timedelta64[M]"),
    "numpy nested records": (lambda: np.zeros(ROWS, dtype=[("0", "f8", 2)]), "float64, (2,) values in a row"),
    "numpy mixed objects": (lambda: np.array([1, "a"] * 150, dtype=object), "type object"),
    "numpy dates beside date-times": (
        lambda: np.array([dt.date(2022, 1, 1), dt.datetime(2022, 1, 2, 3)] * 150, dtype=object),
        "type object",
    ),
    "numpy too large": (lambda: K.astype("u8") + np.uint64(2**63 + 1), "which float64 cannot hold exactly"),
    "pandas complex": (lambda: pandas(X * 1j), "complex128"),
    "pandas mixed objects": (lambda: pandas([1, "a"] * 150), "type object"),
    "pandas dates beside date-times": (
        lambda: pandas([dt.date(2022, 1, 1), dt.datetime(2022, 1, 2, 3)] * 150, dtype=object),
        "type object",
    ),
    "pandas sets": (lambda: pandas([{1}] * ROWS), "list<item: int64>"),
    "polars List": (lambda: polars([[1], [2]] * 150), "list<item: int64>"),
    "polars Array": (lambda: polars([[1, 2]] * ROWS, pl.Array(pl.Int64, 2)), "fixed_size_list<item: int64>[2]"),
    "polars Struct": (lambda: polars([{"a": 1}] * ROWS), "struct<a: int64>"),
    "polars Binary": (lambda: polars([b"a", b"b"] * 150), "binary"),
    "polars Object": (lambda: polars([object()] * ROWS, pl.Object), "type"),
    "polars Int128": (lambda: polars(K.tolist(), pl.Int128), "Int128"),
    "polars UInt128": (lambda: polars(K.tolist(), pl.UInt128), "UInt128"),
    "pyarrow large_list": (lambda: arrow([[1]] * ROWS, pa.large_list(pa.int64())), "large_list<item: int64>"),
    "pyarrow sparse union": (
        lambda: arrow(pa.UnionArray.from_sparse(pa.array(K % 2, pa.int8()), [pa.array(K), pa.array(X)])),
        "sparse_union<",
    ),
    "pyarrow dense union": (
        lambda: arrow(
            pa.UnionArray.from_dense(
                pa.array(K % 2, pa.int8()), pa.array(np.arange(ROWS), pa.int32()), [pa.array(K), pa.array(X)]
            )
        ),
        "dense_union<",
    ),
    "pyarrow list": (lambda: arrow([[1]] * ROWS, pa.list_(pa.int64())), "list<item: int64>"),
    "pyarrow list_view": (lambda: arrow([[1]] * ROWS, pa.list_view(pa.int64())), "list_view<item: int64>"),
    "pyarrow struct": (lambda: arrow([{"a": 1}] * ROWS, pa.struct({"a": pa.int64()})), "struct<a: int64>"),
    "pyarrow map": (lambda: arrow([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())), "map<string, int64>"),
    "pyarrow fixed_size_binary": (lambda: arrow([b"ab", b"cd"] * 150, pa.binary(2)), "fixed_size_binary[2]"),
    "pyarrow binary_view": (lambda: arrow([b"ab", b"cd"] * 150, pa.binary_view()), "binary_view"),
    "pyarrow uuid": (lambda: arrow([uuid.UUID(int=k).bytes for k in K.tolist()], pa.uuid()), "extension<arrow.uuid>"),
    "pyarrow months, days and nanoseconds": (
        lambda: arrow([(1, 2, 3)] * ROWS, pa.month_day_nano_interval()),
        "month_day_nano_interval",
    ),
    "pyarrow dictionary of bytes": (lambda: arrow(pa.array([b"a", b"b"] * 150).dictionary_encode()), "binary"),
    "pyarrow too large": (
        lambda: arrow(K.astype("u8") + np.uint64(2**63 + 1), pa.uint64()),
        "which float64 cannot hold exactly",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_types_that_are_refused(case):
    make, words = REFUSED[case]
    data = make()
    with pytest.raises(pf.InputError) as caught:
        infer_schema(table_from_frame(data), source="the table")
    name = "0" if case.startswith("numpy") else "x"
    assert f'column "{name}" of the table' in str(caught.value) and words in str(caught.value)
    assert "columns=" in str(caught.value)
