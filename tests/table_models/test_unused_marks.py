"""Marks of missing values that are given for a whole table and that no value is are said."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.table_models import streamed
from pushforward.tables.missing import Marks
from pushforward.tables.unused_marks import UnusedMarks

ROWS = 300
GENERATOR = np.random.default_rng(0)
FEW = {"max_steps": 2, "progress": False}
TOLD = "no value read from"


def table(rows=ROWS):
    words = np.where(np.arange(rows) % 7 == 3, "?", GENERATOR.normal(size=rows).round(3).astype(str))
    return pd.DataFrame({"x": GENERATOR.normal(size=rows).round(4), "y": words, "z": GENERATOR.normal(size=rows)})


def said(data, **options):
    lines = []
    pf.fit_table(data, announce=lines.append, **options, **FEW)
    return [line for line in lines if line.startswith(TOLD)]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["frame", "file", "streamed"])
def test_a_mark_that_no_value_is_is_said(way, tmp_path, monkeypatch):
    source = data = table()
    if way != "frame":
        data = tmp_path / "t.csv"
        source.to_csv(data, index=False)
    if way == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    named, option = ("the table", "missing=") if way == "frame" else ("t.csv", "--missing")
    words = f"which {option} names: capitals count, spaces around do not"
    assert said(data, missing=["?", "N.A."]) == [f'{TOLD} {named} is "N.A.", {words}'.replace("t.csv", str(data))]
    assert said(data, missing=["?", "N.A.", -999]) == [
        f'{TOLD} {named} is "N.A." or -999, {words}'.replace("t.csv", str(data))
    ]
    assert said(data, missing=["?"]) == []


@pytest.mark.slow
def test_a_mark_of_one_column_is_no_evidence_for_the_others():
    declared = {"y": {"missing": ["?"]}}
    assert said(table(), schema=declared, missing=["-"]) == [
        f'{TOLD} the table is "-", which missing= names: capitals count, spaces around do not'
    ]
    assert said(table(), schema=declared, missing=["?"]) == [
        f'{TOLD} the table is "?", which missing= names: capitals count, spaces around do not'
    ]


@pytest.mark.slow
def test_marks_in_dress_and_of_other_types_are_found():
    dressed = [f"{x:.2f} kg" for x in GENERATOR.normal(60, 5, ROWS)]
    dressed[4] = "-999 kg"
    days = pd.Series(pd.date_range("2020-01-01", periods=ROWS).to_numpy()[GENERATOR.integers(0, ROWS, ROWS)])
    days[5] = pd.Timestamp("1900-01-01")
    frame = pd.DataFrame({"w": dressed, "d": days, "x": GENERATOR.normal(size=ROWS)})
    assert said(frame, missing=[-999, "1900-01-01"]) == []
    assert said(frame, missing=[-99, "1900-01-02"]) != []


def test_columns_that_hold_no_marks_are_passed_over():
    unused = UnusedMarks(Marks(listed=("?",)), {})
    unused.see(pa.table({"a": [[1]], "b": [1.0]}), ["a", "b"])
    assert unused.left == ["?"]
    unused.see(pa.table({"c": ["?"]}), ["c"])
    assert unused.lines("t") == []
