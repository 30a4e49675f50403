"""Given the table of the fit itself, held-out judgments are of the rows that it held out; odd rows of all rows."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from normal_models import normal_model, rows_of
from normal_models import table as normal_table
from small_fits import default_steps, small_flows, stacks

import pushforward as pf
from pushforward.evaluation.report import comparison
from pushforward.evaluation.report.column_surprise import EVALUATIONS, OF_ONE, rows_within
from pushforward.evaluation.report.comparison import rows_new_to_both
from pushforward.evaluation.report.sampled_rows import sample_rows

ROWS = 600


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 10)


def table(seed=0, rows=ROWS):
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    return pa.table({"a": a, "b": a**2 + generator.exponential(size=rows)})


@pytest.fixture(scope="module")
def models():
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        default_steps(patch, 10)
        return [pf.fit_table(table(), flow="nice", seed=seed).model for seed in (0, 1)]


def test_only_rows_that_the_fit_held_out_are_chosen_from_its_table(models, tmp_path):
    kept = models[0].record.held_out
    pa.parquet.write_table(table(), tmp_path / "rows.parquet")
    for data in (table(), table().to_pandas(), tmp_path / "rows.parquet"):
        found = sample_rows(models[0], data, 1000, 0)
        assert found.numbers.tolist() == kept.numbers.tolist()
        assert found.total == ROWS and found.chosen_from == kept.rows == 60
    some = sample_rows(models[0], table(), 30, 0)
    assert len(some.codes) == 30 and set(some.numbers) < set(kept.numbers)
    np.testing.assert_array_equal(some.codes[:, 0], np.array(table()["a"])[some.numbers - 1])
    assert set(sample_rows(models[0], table(), 30, 1).numbers) != set(some.numbers)
    # Other tables: rows in another order, fewer, more, or with another value.
    whole = table()
    changed = whole.set_column(0, "a", pa.array(np.where(np.arange(ROWS) == kept.numbers[0] - 1, 0.5, whole["a"])))
    for other in (whole.take(pa.array(np.arange(ROWS)[::-1])), whole.slice(1), table(1), changed):
        assert sample_rows(models[0], other, 1000, 0).held_out is None
    assert sample_rows(models[0], whole, 1000, 0, held_out=False).held_out is None


@pytest.mark.slow
def test_the_report_says_what_was_left_out(models):
    found = pf.report(models[0], table(), progress=False)
    assert found.verdict.rows == 60 and found.provenance.data_rows == ROWS
    assert found.verdict.trained_on.left_out == 540 and found.verdict.trained_on.share == 0
    assert "540 rows" in found.verdict.sentences[-1] and "60 rows that it held out" in found.verdict.sentences[-1]
    # Its training rows are known from the same pass.
    assert found.memorization.known and found.memorization.copies_of_rows == 0
    assert "540 training rows" in found.verdict.baseline_note
    # Also where its own table is named as that of the training rows.
    again = pf.report(models[0], table(), train=table(), progress=False)
    assert again.memorization.copies_of_rows == 0 and "540 training rows" in again.verdict.baseline_note
    new = pf.report(models[0], table(5), progress=False)
    assert new.verdict.rows == ROWS and new.verdict.trained_on.left_out == 0 and not new.memorization.known


@pytest.mark.slow
def test_a_stack_says_why_none_of_its_rows_are_new(monkeypatch):
    stacks(monkeypatch)
    found = pf.report(pf.fit_table(table(rows=150)).model, table(rows=150), progress=False)
    assert "held none out" in found.verdict.sentences[-1]
    assert found.verdict.trained_on.left_out == 0 and found.verdict.trained_on.share == 1


@pytest.mark.slow
def test_two_models_are_compared_on_rows_that_are_new_to_both(models):
    numbers = [set(model.record.held_out.numbers.tolist()) for model in models]
    same = rows_new_to_both((models[0], models[0]), table(), 1000, 0)
    assert [set(some.numbers.tolist()) for some in same] == [numbers[0]] * 2
    # Splits by different seeds have few rows in common: all are taken, and the sentences say so.
    assert len(numbers[0] & numbers[1]) < 20
    found = pf.compare(*models, table(), progress=False)
    assert found.rows == ROWS
    assert "these are rows that the model was trained on" in " ".join(found.sentences)
    other = pf.fit_table(table(5), flow="nice").model
    mixed = rows_new_to_both((other, models[0]), table(), 1000, 0)
    assert [set(some.numbers.tolist()) for some in mixed] == [numbers[0]] * 2
    assert "The second model: the table is that of the fit" in " ".join(
        pf.compare(other, models[0], table(), progress=False).sentences
    )


@pytest.mark.slow
def test_rows_of_the_fit_have_not_drifted_from_new_ones(models):
    found = pf.drift(models[0], table(), table(5), progress=False)
    assert found.rows_a == 60 and found.p_value > 1e-4
    assert "The first table: the table is that of the fit" in " ".join(found.sentences)


@pytest.mark.slow
def test_the_oddest_rows_are_those_of_the_whole_table():
    rows = rows_of(30_000, 0)
    rows[12_345] = [9.0, -9.0, 9.0]
    rows[29_999] = [8.0, -8.0, 8.0]
    for found in (
        pf.report(normal_model(), normal_table(rows), rows=100, progress=False),
        pf.drift(normal_model(), normal_table(rows_of(100, 1)), normal_table(rows), rows=100, progress=False),
    ):
        assert [one.row for one in found.oddest[:2]] == [12_346, 30_000]
        assert found.oddest[0].values == {"a": "9", "b": "-9", "c": "9"}
        assert [one.log_prob for one in found.oddest] == sorted(one.log_prob for one in found.oddest)
        assert re.match("row 12,346: log_prob", found.oddest[0].sentence)


@pytest.mark.slow
def test_a_value_that_was_never_seen_is_found_in_any_row(models):
    rows = table(5, 3000)
    kinds = np.where(np.arange(3000) == 2000, "z", np.array(["x", "y"])[np.arange(3000) % 2])
    rows = rows.append_column("kind", pa.array(kinds))
    model = pf.fit_table(rows.filter(pa.compute.not_equal(rows["kind"], "z")), flow="nice").model
    found = pf.report(model, rows, rows=50, progress=False)
    assert found.oddest[0].row == 2001 and found.oddest[0].values["kind"] == "z"
    assert "never seen" in found.oddest[0].sentence
    assert "3,000 rows" in found.oddest_note


def test_a_table_is_read_once_for_each_model(models, monkeypatch):
    read, sampled = [], comparison.sample_rows
    monkeypatch.setattr(comparison, "sample_rows", lambda *given, **named: read.append(1) or sampled(*given, **named))
    pair = (models[0], models[0])
    found = comparison.rows_new_to_both(pair, table(), 20_000, 0)
    assert len(read) == 2
    again = [sampled(model, table(), 20_000, 0, among=some.numbers) for model, some in zip(pair, found, strict=True)]
    for some, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(some.numbers, other.numbers)
        np.testing.assert_array_equal(some.codes, other.codes)


def test_columns_are_compared_on_as_many_rows_as_their_evaluations_allow(models):
    pair = (models[0], models[0])
    each = sum(model.density.evaluations for model in pair)
    assert rows_within(pair, ["x"], 300) == 300
    many = ["x"] * (EVALUATIONS // (OF_ONE * 100 * each))
    assert abs(rows_within(pair, many, 300) - 100) <= 1
    assert rows_within(pair, ["x"] * 100_000, 300) == 50
