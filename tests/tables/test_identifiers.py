"""Columns that name or number the rows are left out of a fit, and measurements never are."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import pushforward as pf
from pushforward.tables.schema.identifiers import identifiers

ROWS = 300
GENERATOR = np.random.default_rng(0)
DAYS = pd.date_range("2022-01-01", periods=ROWS)
MIXED = [f"{x:.4f} kg" if k % 2 else f"{x:.4f}".replace(".", ",") for k, x in enumerate(GENERATOR.normal(size=ROWS))]

LEFT_OUT = {
    "from 1": np.arange(1, ROWS + 1),
    "downward": np.arange(ROWS)[::-1],
    "whole floats": np.arange(ROWS, dtype=float),
    "unsigned": np.arange(ROWS, dtype=np.uint64),
    "tens": 10 * np.arange(ROWS) + 7,
    "shuffled": GENERATOR.permutation(ROWS),
    "shuffled tens": 10 * GENERATOR.permutation(ROWS),
    "half of all, sorted": np.sort(GENERATOR.choice(int(1.8 * ROWS), ROWS, replace=False)),
    "a time axis": 0.1 * np.arange(ROWS),
    "a time axis in single precision": (5 + 0.1 * np.arange(ROWS)).astype(np.float32),
    "a grid of fractions": np.linspace(0, 1, ROWS)[::-1],
    "a grid, rounded": np.round(np.linspace(0, 1, ROWS), 5),
    "text of a time axis": [f"{k / 10:.1f}" for k in range(ROWS)],
    "sorted whole numbers": np.sort(GENERATOR.choice(10**6, ROWS, replace=False)),
    "sorted whole numbers, downward": np.sort(GENERATOR.choice(10**6, ROWS, replace=False))[::-1],
    "times, sorted": pd.Timestamp("2022-01-01")
    + pd.to_timedelta(np.sort(GENERATOR.choice(10**7, ROWS, replace=False)), unit="s"),
    "first days of months": pd.date_range("1990-01-01", periods=ROWS, freq="MS"),
    "last days of months": pd.date_range("1990-01-31", periods=ROWS, freq="ME").strftime("%Y-%m-%d").tolist(),
    "different numbers where chance would repeat some": GENERATOR.choice(4500, ROWS, replace=False),
    "text of numbers": [str(k) for k in range(ROWS)],
    "too long": GENERATOR.integers(2**60, 2**62, ROWS),
    "too long, as text": [str(k) for k in GENERATOR.integers(2**60, 2**62, ROWS)],
    "codes": [f"{k:05d}" for k in GENERATOR.permutation(ROWS)],
    "names": [f"name {k}" for k in range(ROWS)],
    "hashes": [hashlib.sha1(bytes(str(k), "ascii")).hexdigest() for k in range(ROWS)],
    "bytes": pa.array([bytes(f"{k:4d}", "ascii") for k in range(ROWS)]),
    "days": DAYS,
    "days as text": [str(day.date()) for day in DAYS],
    "days in German": [day.strftime("%d.%m.%Y") for day in DAYS],
    "minutes in UTC": pd.date_range("2022-01-01", periods=ROWS, freq="min", tz="UTC"),
    "Unnamed: 0": GENERATOR.normal(size=ROWS),
    "__index_level_0__": GENERATOR.normal(size=ROWS),
    "": GENERATOR.normal(size=ROWS),
}
KEPT = {
    "normal": GENERATOR.normal(size=ROWS),
    "sorted": np.sort(GENERATOR.normal(size=ROWS)),
    "nearly a grid": np.arange(ROWS) / 10 + 0.01 * GENERATOR.normal(size=ROWS),
    "a grid in any order": GENERATOR.permutation(ROWS) / 10,
    "sorted lengths": np.sort(np.round(GENERATOR.normal(size=ROWS), 5)),
    "text of numbers": [f"{x:.6f}" for x in GENERATOR.normal(size=ROWS)],
    "different whole numbers": GENERATOR.choice(10**6, ROWS, replace=False),
    "amounts": [f"${x:,.2f}" for x in GENERATOR.lognormal(8, 2, ROWS)],
    "numbers in two dresses": MIXED,
    "counts": GENERATOR.poisson(3, ROWS),
    "levels": GENERATOR.choice(["a", "b"], ROWS),
    "times": pd.Timestamp("2022-01-01") + pd.to_timedelta(GENERATOR.permutation(10**6)[:ROWS], unit="s"),
    "gaps": pa.array([None if k % 7 == 0 else k for k in range(ROWS)]),
    "one": np.ones(ROWS),
    "nothing": pa.nulls(ROWS),
    "empty text": [""] * ROWS,
    "decimals": pa.array(np.arange(ROWS) % 7).cast(pa.decimal128(20, 1)),
    "durations": pa.array(GENERATOR.permutation(10**6)[:ROWS], pa.duration("ms")),
    "lists": pa.array([[1]] * ROWS),
    "booleans": GENERATOR.random(ROWS) < 0.5,
}


def left_out(values, name="x", rows=None, total=ROWS):
    table = pa.table({name: values})
    return identifiers(table, np.arange(len(table)) if rows is None else rows, total, source="t")


@pytest.mark.parametrize("case", LEFT_OUT)
def test_names_and_numbers_of_rows(case):
    assert list(left_out(LEFT_OUT[case], case)) == [case]


@pytest.mark.parametrize("case", KEPT)
def test_measurements(case):
    assert left_out(KEPT[case]) == {}


def test_some_rows_of_a_larger_table():
    rows = np.sort(GENERATOR.choice(5000, 200, replace=False))
    assert left_out(3 * rows + 1, rows=rows, total=5000)
    assert left_out(GENERATOR.permutation(5000)[rows], rows=rows, total=5000)
    assert not left_out(GENERATOR.choice(10**6, 200, replace=False), rows=rows, total=5000)


def test_different_numbers_name_rows_where_chance_would_repeat_some():
    # exp(-5000² / 2·900000) = 9e-7, and exp(-1000² / 2·900000) = 0.57.
    ids = 100_000 + GENERATOR.choice(900_000, 5000, replace=False)
    rows = np.arange(5000)
    reason = "it names the rows: every number is different, which chance does not explain"
    assert left_out(ids, rows=rows, total=5000) == {"x": reason}
    assert left_out(ids.astype(float), rows=rows, total=5000) == {"x": reason}
    assert not left_out(ids[:1000], rows=rows[:1000], total=1000)


def test_an_axis_of_some_rows_of_a_larger_table():
    rows = np.sort(GENERATOR.choice(5000, 200, replace=False))
    assert left_out(0.1 * rows + 3, rows=rows, total=5000)
    assert not left_out(0.1 * np.sort(GENERATOR.choice(5000, 200, replace=False)), rows=rows, total=5000)


def test_a_fit_leaves_out_the_index_of_pandas_in_a_file(tmp_path):
    frame = pd.DataFrame(GENERATOR.normal(size=(ROWS, 2)), columns=["x", "y"])
    frame.index = pd.Index(GENERATOR.normal(size=ROWS), name="star")
    frame.to_parquet(tmp_path / "t.parquet")
    said = []
    options = {"max_steps": 2, "progress": False}
    assert pf.fit_table(tmp_path / "t.parquet", announce=said.append, **options).model.columns == ["x", "y"]
    assert 'column "star" is left out: it is the index of a data frame (--columns keeps it)' in said
    kept = pf.fit_table(tmp_path / "t.parquet", columns=["star", "x"], **options).model
    assert kept.columns == ["star", "x"]


def test_few_rows_say_nothing():
    assert not left_out(np.arange(10), total=10)


def test_the_index_of_pandas_in_the_metadata_of_a_file(tmp_path):
    frame = pd.DataFrame(
        {"x": GENERATOR.normal(size=ROWS)}, index=pd.Index(GENERATOR.integers(0, 9, ROWS), name="star")
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert identifiers(table, np.arange(ROWS), ROWS, source="t") == {"star": "it is the index of a data frame"}


@pytest.mark.slow
def test_a_fit_says_what_it_leaves_out_and_keeps_what_is_named(tmp_path):
    table = {"id": np.arange(1, ROWS + 1), "x": GENERATOR.normal(size=ROWS), "y": GENERATOR.normal(size=ROWS)}
    pd.DataFrame(table).to_csv(tmp_path / "t.csv")
    said = []
    options = {"max_steps": 2, "progress": False}
    model = pf.fit_table(tmp_path / "t.csv", announce=said.append, **options).model
    assert model.columns == ["x", "y"]
    assert said[:2] == [
        'column "" is left out: it is the index of a data frame (--columns keeps it)',
        'column "id" is left out: it numbers the rows (--columns keeps it)',
    ]
    model.score(tmp_path / "t.csv", tmp_path / "scored.csv")
    assert pd.read_csv(tmp_path / "scored.csv")["id"].tolist() == table["id"].tolist()
    assert pf.fit_table(pd.DataFrame(table), columns=["id", "x"], **options).model.columns == ["id", "x"]
    assert pf.fit_table(pd.DataFrame(table), schema={"id": "integer"}, **options).model.columns == ["id", "x", "y"]
    assert pf.fit_table(pd.DataFrame(table), given=["id"], **options).model.given == ["id"]
    with pytest.raises(pf.InputError, match="no columns to model: all of them name or number its rows"):
        pf.fit_table(pa.table({"id": table["id"]}), **options)


MANY = 1000
IDS = 100 + GENERATOR.permutation(MANY)


def entered_twice(values, times=1):
    """The values, of which some stand in the next row too, in place of others."""
    found = np.array(values)
    for place in range(times):
        found[100 + 50 * place] = found[99 + 50 * place]
    return found


REPEATS = {
    "text": ([f"HD {k}" for k in IDS], "it names the rows: all but 1 of 1,000 texts are different"),
    "codes": ([f"{k:06d}" for k in 7 * IDS], "it names the rows: all but 1 of 1,000 texts are different"),
    "in order": (np.arange(MANY), "it numbers the rows: its numbers are in their order"),
    "dense": (IDS, "it numbers the rows"),
    "too few ties": (
        100_000 + GENERATOR.choice(30_000, MANY, replace=False),
        "it names the rows: all but 1 of 1,000 numbers are different, which chance does not explain",
    ),
    "too long": (
        GENERATOR.integers(2**60, 2**62, MANY),
        "it names the rows: all but 1 of 1,000 numbers are different, and too long to be exact",
    ),
    "times": (
        pd.date_range("2022-01-01", periods=MANY, freq="17min").to_numpy(),
        "it is a clock: its times are in the order of the rows",
    ),
}


@pytest.mark.parametrize("case", REPEATS)
def test_a_row_that_was_entered_twice_hides_no_identifier(case):
    values, reason = REPEATS[case]
    assert left_out(entered_twice(values), total=MANY) == {"x": reason}
    # More than a hundredth of the rows are no slip.
    assert not left_out(np.tile(np.array(values)[:500], 2), total=MANY)


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_measurements_with_few_ties_are_kept(seed):
    generator = np.random.default_rng(seed)
    # Two of a thousand among a hundred thousand are equal in five tables, on average.
    assert not left_out(generator.integers(0, 100_000, MANY), total=MANY)
    assert not left_out(generator.integers(0, 60_000, MANY), total=MANY)
    assert not left_out(entered_twice(generator.normal(size=MANY).round(6)), total=MANY)
    assert not left_out(entered_twice(np.sort(generator.normal(size=MANY))), total=MANY)
    assert not left_out(entered_twice([f"{x:.6f}" for x in generator.normal(size=MANY)]), total=MANY)
