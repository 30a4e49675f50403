"""A model keeps which rows of its table were held out, and by them recognizes the table."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from rows_of_a_fit import codes_of, table
from small_fits import default_steps, small_flows, stacks

import pushforward as pf
from pushforward.errors import InputError
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.held_out_rows import MOST, HeldOutRows


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 5)


def check(model, rows):
    """The numbers are those of rows that were not trained on, and the table is recognized."""
    kept = model.record.held_out
    assert kept.rows == model.notes["rows"]["held_out"] == len(kept.numbers)
    assert kept.table_rows == len(rows)
    held_out = codes_of(model, rows.take(pa.array(kept.numbers - 1)))
    assert kept.are_in(held_out)
    assert not kept.are_in(held_out[::-1]) and not kept.are_in(held_out[:-1])
    assert model.record.training_rows.copies(held_out) == 0
    return kept


@pytest.mark.parametrize("options", [{}, {"hold_out": "last"}, {"given": ["kind"]}, {"columns": ["b", "a"]}])
def test_of_a_table_in_memory(tmp_path, options):
    rows = table(300)
    pf.fit_table(rows, flow="nice", **options).model.save(tmp_path / "model.safetensors")
    check(pf.TableModel.load(tmp_path / "model.safetensors"), rows)


def test_rows_without_values_keep_their_numbers():
    rows = table(300)
    blank = pa.table({name: pa.nulls(7, rows[name].type) for name in rows.column_names})
    whole = pa.concat_tables([rows.slice(0, 100), blank, rows.slice(100)])
    check(pf.fit_table(whole, flow="nice").model, whole)


def test_copies_weights_and_groups():
    rows = table(300)
    twice = pa.concat_tables([rows, rows.slice(0, 100)])
    kept = check(pf.fit_table(twice, flow="nice").model, twice)
    assert len(kept.numbers) < 40
    check(pf.fit_table(rows, flow="nice", weight=np.arange(300.0)).model, rows)
    check(
        pf.fit_table(rows.append_column("site", pa.array(np.arange(300) // 5)), flow="nice", group="site").model, rows
    )


@pytest.mark.slow
def test_of_a_table_that_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 1000)
    rows = table(800)
    pyarrow.csv.write_csv(rows, tmp_path / "rows.csv")
    check(pf.fit_table(tmp_path / "rows.csv", seed=3, flow="nice").model, rows)


@pytest.mark.slow
def test_a_stack_held_out_no_row_for_good(monkeypatch):
    stacks(monkeypatch)
    model = pf.fit_table(np.random.default_rng(0).normal(size=(120, 2))).model
    assert "folds" in model.notes["rows"]
    assert model.record.held_out is None


def test_of_many_rows_a_random_choice_is_kept_in_little_space():
    codes = np.random.default_rng(0).normal(size=(100_000, 2))
    numbers = np.random.default_rng(1).permutation(1_000_000)[:100_000] + 1
    kept = HeldOutRows.of(codes, numbers, 1_000_000)
    assert kept.rows == 100_000 and len(kept.numbers) == MOST
    assert (np.diff(kept.numbers) > 0).all()
    # The mean of a choice without replacement.
    error = numbers.std() / MOST**0.5 * (1 - MOST / 100_000) ** 0.5
    assert abs(kept.numbers.mean() - numbers.mean()) < 5 * error
    place = {number: row for row, number in enumerate(numbers.tolist())}
    assert kept.are_in(codes[[place[number] for number in kept.numbers.tolist()]])
    written = kept.as_json()
    assert len(str(written)) < 70_000
    again = HeldOutRows.parse(written, source="file")
    assert (again.numbers == kept.numbers).all() and again.digest == kept.digest and again.rows == kept.rows


@pytest.mark.parametrize(
    "change",
    [{"numbers": "?"}, {"numbers": "AAAA"}, {"rows": 1}, {"table_rows": 2}, {"rows": "3"}, {"digest": 3}],
)
def test_damaged_numbers_are_said(change):
    kept = HeldOutRows.of(np.arange(6.0).reshape(3, 2), np.array([1, 5, 9]), 10).as_json()
    whole = {"course": {}, "origin": {}}
    assert FitRecord.parse({**whole, "held_out": kept}, source="m").held_out.numbers.tolist() == [1, 5, 9]
    assert FitRecord.parse(whole, source="m").held_out is None
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        FitRecord.parse({**whole, "held_out": {**kept, **change}}, source="model.safetensors")
