"""Fits of recorded tables from the command line: cells, groups, the last rows, orders of dates, rare patterns."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

import pushforward as pf
from pushforward.cli.score import _calibration

ROWS = 300
RANDOM = np.random.default_rng(0)


def table(**columns):
    plain = {"a": RANDOM.normal(size=ROWS), "b": RANDOM.normal(size=ROWS)}
    pd.DataFrame({**plain, **columns}).to_csv("t.csv", index=False)


def test_info_and_score_say_which_columns_stand_for_cells(run):
    table(warm=RANDOM.normal(15, 1, ROWS).round(1))
    assert run("fit", "t.csv", "-o", "m.safetensors", "-q").status == 0
    info, score = run("info", "m.safetensors"), run("score", "m.safetensors", "t.csv", "-o", "s.csv")
    assert "recorded to 0.1" in info.out
    assert "warm" in next(line for line in score.err.splitlines() if line.startswith("log_prob is that of"))


def test_groups_are_held_out_together_and_the_last_rows_on_request(run):
    table(patient=np.repeat([f"p{n}" for n in range(ROWS // 5)], 5))
    done = run("fit", "t.csv", "-o", "m.safetensors", "--group", "patient", "--columns", "a,b")
    assert done.status == 0
    # Whole groups of five are held out, which rows by chance are not.
    assert pf.TableModel.load("m.safetensors").notes["rows"]["held_out"] % 5 == 0
    assert run("fit", "t.csv", "-o", "m.safetensors", "--hold-out", "last", "--columns", "a,b").status == 0
    refused = run("fit", "t.csv", "-o", "m.safetensors", "--hold-out", "first", "--columns", "a,b")
    assert refused.status == 2 and "first" in refused.err
    assert run("fit", "t.csv", "-o", "m.safetensors", "--group", "nobody").status == 2


def test_the_order_of_dates_is_what_the_option_says(run):
    days = RANDOM.integers(1, 13, ROWS)
    table(day=[f"{day:02}/{month:02}/2022" for day, month in zip(days, RANDOM.integers(1, 13, ROWS), strict=True)])
    refused = run("fit", "t.csv", "-o", "m.safetensors")
    assert refused.status == 2 and "--date-format" in refused.err
    assert run("fit", "t.csv", "-o", "m.safetensors", "--date-format", "%d/%m/%Y", "-q").status == 0
    assert "date-time" in run("info", "m.safetensors").out


def test_rows_that_are_ranked_among_similar_patterns_are_said():
    model = SimpleNamespace(calibration=SimpleNamespace(ranks=[0, 1], rows=200))
    lines = _calibration(SimpleNamespace(pooled=3, rows=60), model)
    assert lines == [
        "p-values: ranks among 200 rows that the fit held out, within each of 2 patterns of gaps and atoms",
        "3 of 60 rows (5.0%): ranked among rows with similar gaps and atoms, since few of the rows held out have the "
        "same",
    ]
    assert len(_calibration(SimpleNamespace(pooled=0, rows=60), model)) == 1
