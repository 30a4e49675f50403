"""A model recognizes the rows that it was trained on, and keeps where it comes from."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from rows_of_a_fit import codes_of, table
from small_fits import default_steps, small_flows

import pushforward as pf
from pushforward.errors import InputError
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.training_rows import MOST, TrainingRows, hashes_of_rows


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 5)


def test_hashes_are_those_of_equal_rows_only():
    rows = np.random.default_rng(0).normal(size=(5000, 3))
    rows[::2, 1] = np.nan
    found = hashes_of_rows(rows)
    assert len(np.unique(found)) == len(rows)
    assert (hashes_of_rows(rows.copy()[:, [0, 1, 2]]) == found).all()
    assert not np.isin(hashes_of_rows(rows[:, [1, 0, 2]]), found).any()
    # Each bit is set in half of the rows.
    bits = (found[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert (abs(bits.mean(0) - 0.5) < 5 * 0.5 / 5000**0.5).all()


@pytest.mark.parametrize("count", [1000, 40_000])
def test_the_share_of_rows_that_were_trained_on_is_estimated(count):
    generator = np.random.default_rng(1)
    known, others = generator.normal(size=(count, 2)), generator.normal(size=(3000, 2))
    kept = TrainingRows.of(known, count)
    assert len(kept.hashes) == min(count, MOST)
    mixed = np.concatenate([known[:1000], others])
    share, error = kept.share(mixed)
    assert abs(share - 0.25) <= 5 * error + 1e-12
    assert kept.share(others)[0] == 0


def test_a_saved_model_knows_its_training_rows(tmp_path):
    rows = table(300)
    pf.fit_table(rows).model.save(tmp_path / "model.safetensors")
    model = pf.TableModel.load(tmp_path / "model.safetensors")
    kept = model.record.training_rows
    assert kept.rows == model.notes["rows"]["training"]
    assert kept.copies(codes_of(model, rows)) == kept.rows
    assert kept.copies(codes_of(model, table(300, seed=1))) == 0


@pytest.mark.slow
def test_a_model_of_any_columns_given_any_others_knows_them_with_their_gaps(tmp_path):
    rows = table(200)
    gaps = pa.array([None if place % 7 == 0 else value for place, value in enumerate(rows["a"].to_pylist())])
    rows = rows.set_column(0, "a", gaps)
    model = pf.fit_table(rows, given=["b"]).model
    assert model.arbitrary_conditions
    assert model.record.training_rows.copies(codes_of(model, rows)) == model.notes["rows"]["training"]


@pytest.mark.slow
def test_a_stack_knows_all_rows_since_each_was_held_out_in_turn(monkeypatch):
    monkeypatch.setattr("pushforward.table_models.stacking.MOST_ROWS", 2_000)
    rows = np.random.default_rng(0).normal(size=(120, 2))
    model = pf.fit_table(rows).model
    assert "folds" in model.notes["rows"]
    assert model.record.training_rows.rows == 120
    assert model.record.training_rows.copies(rows) == 120


@pytest.mark.slow
def test_a_streamed_fit_knows_them_and_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 1000)
    rows = table(800)
    pyarrow.csv.write_csv(rows, tmp_path / "rows.csv")
    model = pf.fit_table(tmp_path / "rows.csv", seed=3).model
    kept = model.record.training_rows
    share, error = kept.share(codes_of(model, rows))
    assert abs(share - kept.rows / 800) <= 5 * error + 1e-12
    assert kept.share(codes_of(model, table(300, seed=1)))[0] == 0
    origin = model.record.origin
    assert origin["files"] == ["rows.csv"]
    assert origin["data_hash"] == hashlib.sha256((tmp_path / "rows.csv").read_bytes()).hexdigest()
    assert origin["command"] == "pushforward fit rows.csv --seed 3 -o model.safetensors"


def test_the_course_of_a_training_is_kept():
    found = pf.fit_table(table(300), flow="nice", max_steps=10)
    course = found.model.record.course
    assert course["step"] == found.history.step
    assert course["held_out"] == pytest.approx(found.history.held_out)
    assert json.loads(json.dumps(found.model.record.as_json())) == found.model.record.as_json()


@pytest.mark.parametrize(
    "damage",
    [
        [],
        {"course": {}, "origin": 3},
        {"course": {"step": 3}, "origin": {}},
        {"course": {}, "origin": {}, "training_rows": {"rows": 3, "hashes": "?"}},
        {"course": {}, "origin": {}, "training_rows": {"rows": "3", "hashes": ""}},
        {"course": {}, "origin": {}, "training_rows": 5},
    ],
)
def test_a_damaged_record_is_said(damage):
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        FitRecord.parse(damage, source="model.safetensors")
