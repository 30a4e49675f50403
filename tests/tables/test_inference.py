"""What columns are taken for, what they become as codes, and back."""

import datetime
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import as_json, decode, encode, infer_schema, parse_schema
from pushforward.tables.columns.kinds import KINDS

GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(size=300)
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k)) for k in GENERATOR.integers(0, 60, 300)]
UTC = pa.array(np.datetime64("2024-01-01", "ms") + GENERATOR.integers(0, 10**6, 300) * 60_000).cast(
    pa.timestamp("ms", "UTC")
)


def learned(values, name="x", **declared):
    return infer_schema(pa.table({name: values}), parse_schema(declared), source="t")[name]


COLUMNS = {
    "plain": (NUMBERS, "continuous"),
    "few rows above 0": (np.abs(NUMBERS[:100]), "continuous"),
    "far above 0": (NUMBERS + 20, "continuous"),
    "near 0": (np.abs(NUMBERS), "positive"),
    "text of numbers": ([f" {x}" for x in NUMBERS], "continuous"),
    "whole": (np.round(NUMBERS * 1000).astype(int), "integer"),
    "whole text": ([str(k) for k in range(300)], "integer, from 0"),
    "ratings": (GENERATOR.integers(1, 6, 300), "integer, 1 to 5"),
    "hundreds": (GENERATOR.integers(1, 6, 300) * 100, "integer, 100 to 500, steps of 100"),
    "halves": (GENERATOR.integers(1, 6, 300) / 2, "category, 5 levels: 0.5, 1.0, 1.5, 2.0"),
    "up to 2^50": (GENERATOR.integers(-(2**50), 2**50, 300), "integer"),
    "half zeros": (np.where(np.arange(300) % 2, NUMBERS, 0.0), "mixed, 50% 0"),
    "a grid": (np.round(NUMBERS, 1), "continuous"),
    "text": (["b", "a", "b"] * 100, "category, 2 levels: b, a"),
    "pandas categories": (pa.array(["b", "a", "b"] * 100).dictionary_encode(), "category, 2 levels: b, a"),
    "booleans": ([True, False, True] * 100, "category, 2 levels: True, False"),
    "dates": (DAYS, "date-time, to the day"),
    "dates as text": ([str(day) for day in DAYS], "date-time, to the day"),
    "times in UTC": (UTC, "date-time, to the minute"),
    "one number": ([2.5] * 300, "constant, 2.5"),
    "one text": (["a"] * 299 + [None], "constant, a"),
    "nothing": ([None] * 300, "all-missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", COLUMNS)
def test_kinds_and_round_trips(case):
    values, words = COLUMNS[case]
    table = pa.table({"x": values if isinstance(values, pa.Array | np.ndarray | pa.ChunkedArray) else pa.array(values)})
    schema = infer_schema(table, source="t")
    assert schema["x"].describe().startswith(words)
    again = parse_schema(json.loads(json.dumps(as_json(schema))))
    assert again == schema
    back = decode(encode(table, schema, ["x"], source="t"), schema, ["x"]).column("x").to_pylist()
    before = table.column("x").to_pylist()
    if words == "all-missing":
        assert back == [None] * 300
    elif words.startswith("continuous"):
        np.testing.assert_array_equal(back, np.array(before, dtype=float))
    elif case == "one text":
        assert set(back) == {"a"}
    else:
        assert [str(value) for value in back] == [str(value) for value in before]


@pytest.mark.parametrize("name", ["angle", "Wind_Direction", "hour of day", "phase"])
def test_names_of_angles_need_values_that_fill_the_circle(name):
    period = 24 if "hour" in name else 360
    assert learned(GENERATOR.random(300) * period, name).describe() == f"periodic, {period} from 0"
    assert learned(GENERATOR.random(300) * period / 2, name).kind != "periodic"
    assert learned(GENERATOR.random(300) * period, "weight").kind != "periodic"


def test_gaps_are_counted_and_are_no_value():
    values = np.where(GENERATOR.random(300) < 0.25, np.nan, GENERATOR.integers(1, 6, 300))
    column = learned(values)
    assert column.describe() == "integer, 1 to 5" and column.missing_share == np.isnan(values).mean()
    assert sum(column.frequencies) == pytest.approx(1)


DECLARED = {
    "continuous": {}, "positive": {}, "bounded": {"low": 0, "high": 9}, "integer": {"low": 0, "high": 9},
    "category": {},
    "periodic": {"period": 6},
}  # fmt: skip


@pytest.mark.parametrize("kind", DECLARED)
def test_a_declared_kind_is_kept_and_completed(kind):
    values = GENERATOR.integers(1, 6, 300)
    column = learned(values, x={"kind": kind, **DECLARED[kind]})
    assert column.kind == kind and all(getattr(column, key) == value for key, value in DECLARED[kind].items())
    if kind == "integer":
        assert len(column.frequencies) == 10 and min(column.frequencies) > 0
    if kind == "category":
        assert column.levels == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([*map(str, range(40)), "high"], 'the text "high" in row 41'),
        ([f"name {k}" for k in range(100)], "100 different texts in 100 rows"),
        ([1.0, np.inf] * 50, "infinite in row 2"),
        (pa.array([[1], [2]] * 50), "of type list<item: int64>"),
    ],
)
def test_columns_that_cannot_be_learned_are_refused(values, words):
    with pytest.raises(pf.InputError, match=words):
        learned(values)


def test_every_kind_can_be_declared_and_says_what_it_needs():
    assert set(KINDS) == {
        "continuous", "positive", "bounded", "integer", "category", "date-category", "periodic", "date-time",
        "constant", "all-missing", "mixed",
    }  # fmt: skip
    for declared, words in (
        ({"x": {"kind": "periodic"}}, "period cannot be"),
        ({"x": {"kind": "mixed", "atoms": [1, 0]}}, "atoms must increase"),
        ({"x": {"kind": "category", "levels": ["a", 1]}}, "all text, all numbers"),
        ({"x": {}}, "needs a kind"),
        ({"x": 3}, "needs a kind"),
        ([], "must be an object"),
    ):
        with pytest.raises(pf.InputError, match=words):
            parse_schema(declared)


def test_tables_in_memory_of_every_sort_give_the_same_schema():
    frame = pd.DataFrame({"x": NUMBERS, "sex": ["f", "m", "f"] * 100, "day": pd.to_datetime(DAYS)})
    from pushforward.tables.frames import table_from_frame

    schema = infer_schema(table_from_frame(frame), source="t")
    arrow = infer_schema(pa.Table.from_pandas(frame), source="t")
    assert schema == arrow and schema["day"].step == "day" and not schema["day"].date


ZONED = ["2024-01-01T10:00:00Z", "2024-01-02T11:30:00+01:00", "2024-01-03T10:00:00Z"]
BARE = [text[:19] for text in ZONED]
TYPED = pa.array(np.array(BARE, dtype="datetime64[s]"))


@pytest.mark.parametrize("bare", [BARE, TYPED])
@pytest.mark.parametrize("zoned", [ZONED, TYPED.cast(pa.timestamp("s", "UTC"))])
def test_a_zone_in_one_table_and_none_in_the_other_is_said(bare, zoned):
    for fitted, other, words in ((bare, zoned, "with a time zone"), (zoned, bare, "without a time zone")):
        schema = infer_schema(pa.table({"x": fitted}), source="t")
        assert np.isfinite(encode(pa.table({"x": fitted}), schema, ["x"], source="t")).all()
        with pytest.raises(
            pf.InputError, match=f'column "x" of u holds times {words}, and the model was fitted to times'
        ):
            encode(pa.table({"x": other}), schema, ["x"], source="u")


def test_a_zone_in_some_rows_is_said():
    with pytest.raises(
        pf.InputError, match="holds 2024-01-02T11:30:00 in row 2, without a time zone, and others have one"
    ):
        learned([ZONED[0], BARE[1], ZONED[2]])
