"""Levels or measurements of few subjects, marks or values that go on: the line names the option that decides."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pushforward.tables.columns.outermost import far_levels
from pushforward.tables.schema.inference import infer_schema

GENERATOR = np.random.default_rng(0)


def column_of(values, declared=None):
    return infer_schema(pa.table({"x": values}), declared or {}, source="t")["x"]


def test_measurements_of_few_subjects_look_like_levels_and_the_line_says_what_decides():
    ages = np.repeat(GENERATOR.normal(40, 12, 30).round(3), 80)
    column = column_of(ages)
    assert column.kind == "category"
    assert column.remark == (
        'takes few values that no grid explains: if others can occur, as of new subjects, declare "continuous"'
    )
    visits = pd.to_datetime("2020-01-01") + pd.to_timedelta(np.sort(GENERATOR.choice(3000, 30, replace=False)), "D")
    assert column_of(pa.array(np.repeat(visits, 80))).remark.endswith('declare "date-time"')


@pytest.mark.parametrize("values", [["a", "b"] * 50, [1.5, 2.5, 7.25] * 50, np.arange(300) % 7])
def test_other_levels_have_no_such_line(values):
    assert column_of(values).remark is None


def test_levels_that_go_on_in_ratio_are_no_marks():
    assert len(far_levels(np.array([1.0, 10.0, 100.0, 1000.0]), np.full(4, 20), 3)) == 0
    assert len(far_levels(np.array([0.0, 0.1, 1.0, 10.0]), np.full(4, 20), 3)) == 0
    assert far_levels(np.array([1.0, 2.0, 3.0, 4.0, 99.0]), np.full(5, 20), 3).tolist() == [99.0]
    assert far_levels(np.append(np.arange(1.0, 21), 999.0), np.full(21, 20), 3).tolist() == [999.0]
    assert far_levels(np.array([-9.0, 1.0, 10.0, 100.0]), np.full(4, 20), 3).tolist() == []
    doses = GENERATOR.choice([0.5, 5.0, 50.0, 500.0], 400)
    assert column_of(doses).remark is None
    # A quarter of the rows may be missing: whether they are, the line leaves to the reader.
    marked = np.where(np.arange(400) % 4 == 0, 99.0, GENERATOR.choice([0.5, 1.0, 2.0, 2.5], 400))
    assert column_of(marked).remark == (
        '99 lies far from all other values: if it marks missing values, declare "missing": [99]'
    )


def test_a_far_level_of_a_usual_share_is_no_mark_unless_it_looks_like_one():
    for far, share, marked in ((3.9, 0.25, False), (3.9, 0.02, True), (99.0, 0.25, True), (-1.0, 0.25, True)):
        rows = np.where(np.arange(400) < 400 * share, far, GENERATOR.choice([3.1, 3.11, 3.12], 400))
        assert (column_of(rows).remark is not None) == marked
