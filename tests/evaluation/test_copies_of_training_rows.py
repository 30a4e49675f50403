"""Rows that the model was trained on are not new: a report leaves them out, and says so."""

import dataclasses

import numpy as np
import pytest
from normal_models import normal_model, rows_of, table

import pushforward as pf
from pushforward.evaluation.report.sampled_rows import sample_rows
from pushforward.evaluation.report.trained_on import CopiesOfTrainingRows
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.training_rows import TrainingRows

TRAIN, NEW = rows_of(400, 0), rows_of(300, 1)


def mixed(train=200, new=300):
    return table(np.random.default_rng(2).permutation(np.concatenate([TRAIN[:train], NEW[:new]])))


def remembering(rows, codes):
    """The normal model with hashes of training rows."""
    return dataclasses.replace(normal_model(), record=FitRecord(TrainingRows.of(codes, rows)))


@pytest.mark.slow
def test_copies_of_training_rows_are_not_among_the_new_rows():
    found = pf.report(normal_model(), mixed(), train=table(TRAIN), progress=False)
    assert found.verdict.rows == found.memorization.rows == found.provenance.rows == 300
    assert found.memorization.copies_of_rows == 0
    assert found.verdict.trained_on.left_out == 200 and found.verdict.trained_on.share == 0.4
    assert found.provenance.subsampled == ""
    assert (
        "200 rows of 500 are equal to rows that the model was trained on, and left out" in found.verdict.sentences[-1]
    )
    # The same numbers as of the new rows alone, but for draws and folds.
    alone = pf.report(normal_model(), table(NEW), train=table(TRAIN), progress=False)
    assert found.verdict.nats.value == pytest.approx(alone.verdict.nats.value, abs=1e-9)
    assert abs(found.memorization.closer.value - 0.5) < 5 * found.memorization.closer.error
    assert "was trained on are among them" not in alone.oddest_note
    assert "trained on are among them" in found.oddest_note


@pytest.mark.slow
def test_where_all_rows_were_trained_on_there_are_none_to_compare_with():
    found = pf.report(normal_model(), table(TRAIN), train=table(TRAIN), progress=False)
    assert found.verdict.rows == 400 and found.verdict.trained_on.left_out == 0
    assert not found.memorization.known and "no new ones" in found.memorization.sentence
    assert not any(test.name == "memorization" for test in found.verdict.tests)


def test_a_model_file_that_remembers_all_training_rows_needs_no_table_of_them():
    model = remembering(400, TRAIN)
    new = CopiesOfTrainingRows(model, sample_rows(model, mixed(), 1000, 0)).new
    assert (len(new.codes), new.left_out) == (300, 200)
    assert not np.isin(new.codes, TRAIN).any()
    # Of one that remembers a part, only the share is estimated.
    some = remembering(800, TRAIN)
    assert CopiesOfTrainingRows(some, sample_rows(some, mixed(), 1000, 0)).new.left_out == 0


def test_rows_of_few_values_are_new_although_they_repeat():
    generator = np.random.default_rng(3)
    codes = np.round(generator.normal(size=(400, 3)))
    model = remembering(400, codes)
    rows = sample_rows(model, table(np.round(generator.normal(size=(300, 3)))), 1000, 0)
    copies = CopiesOfTrainingRows(model, rows)
    assert copies.found.sum() > 100
    assert copies.new.left_out == 0 and not copies.trained


def test_a_table_of_training_rows_tells_of_itself_whether_rows_repeat():
    model = normal_model()
    rows = sample_rows(model, mixed(), 1000, 0)
    for training, left_out in ((TRAIN, 200), (np.concatenate([TRAIN, TRAIN[:20]]), 0)):
        copies = CopiesOfTrainingRows(model, rows)
        copies.compare(sample_rows(model, table(training), 1000, 0, watch=copies.add))
        assert copies.found.sum() == 200 and copies.new.left_out == left_out


def test_too_few_new_rows_are_no_report():
    model = remembering(400, TRAIN)
    copies = CopiesOfTrainingRows(model, sample_rows(model, mixed(new=19), 1000, 0))
    assert copies.new.left_out == 0 and copies.trained
