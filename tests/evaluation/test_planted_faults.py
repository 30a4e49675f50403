"""A report names the fault that was planted, and finds none where there is none."""

import numpy as np
import pytest
from normal_models import COVARIANCE, NAMES, normal_model, rows_of, table

import pushforward as pf

ROWS = 2000


def findings(found):
    return [test for test in found.verdict.tests if test.finding]


@pytest.fixture(scope="module")
def model():
    return normal_model()


@pytest.mark.slow
def test_rows_of_the_model_cannot_be_told_from_draws(model):
    found = pf.report(model, table(rows_of(ROWS, 1)), progress=False)
    # At the level of 5 % one run in twenty finds something: five standard errors of each test say more.
    assert min(test.p_value for test in found.verdict.tests) > 1e-5
    assert found.verdict.nats.value == pytest.approx(-4.0, abs=1.0)
    best = found.verdict.baselines[0]
    assert abs(best.difference.value) < 5 * best.difference.error + 0.01


def test_a_column_that_is_wider_in_the_data_is_called_too_narrow(model):
    rows = rows_of(ROWS, 2)
    rows[:, 0] *= 1.1
    found = pf.report(model, table(rows), progress=False)
    column = next(one for one in found.calibration.columns if one.column == "a")
    assert column.shape == "too narrow"
    assert column.spread > 1
    assert any("Column a is too narrow" in sentence for sentence in found.verdict.sentences)


@pytest.mark.slow
def test_a_column_that_is_narrower_in_the_data_is_called_too_wide(model):
    rows = rows_of(ROWS, 3)
    rows[:, 2] *= 0.9
    found = pf.report(model, table(rows), progress=False)
    assert any("Column c is too wide" in sentence for sentence in found.verdict.sentences)


@pytest.mark.slow
def test_a_mode_that_the_model_dropped_is_named_with_its_values(model):
    rows = rows_of(ROWS, 4)
    rows[: ROWS // 5, 1] += 6.0
    found = pf.report(model, table(np.random.default_rng(0).permutation(rows)), progress=False)
    said = next(test.finding for test in findings(found) if test.name == "marginal" and test.subject == "b")
    assert "Column b by itself differs" in said
    assert "b is at least" in said
    worst = found.worst_regions.regions[0]
    assert "b >" in worst.rule or "b from" in worst.rule
    assert worst.p_value < 1e-6


@pytest.mark.slow
def test_a_correlation_of_the_wrong_sign_is_named(model):
    turned = COVARIANCE.copy()
    turned[0, 1] = turned[1, 0] = -0.6
    found = pf.report(model, table(rows_of(ROWS, 5, turned)), progress=False)
    said = next(test.finding for test in findings(found) if test.name == "dependence" and test.subject == "a, b")
    assert "wrong sign" in said
    assert said in found.verdict.sentences
    assert found.verdict.two_sample.p_value < 1e-6


@pytest.mark.slow
def test_rows_learned_by_heart_are_named():
    train = rows_of(400, 6)
    copies = train[np.random.default_rng(7).integers(0, 400, 100_000)]
    # A model whose draws are training rows and little else.
    model = _drawing(normal_model(), copies + 1e-3 * np.random.default_rng(8).normal(size=copies.shape))
    found = pf.report(model, table(rows_of(1000, 9)), train=table(train), progress=False)
    assert found.memorization.closer.value > 0.9
    assert any("memorized training rows" in sentence for sentence in found.verdict.sentences)


def test_copies_of_training_rows_are_counted():
    train = rows_of(400, 6)
    model = _drawing(normal_model(), np.tile(train, (10, 1)))
    found = pf.report(model, table(rows_of(1000, 9)), train=table(train), progress=False)
    assert found.memorization.copies_of_draws == 1000
    assert found.memorization.copies_of_rows == 0


def test_a_column_that_drifted_is_named(model):
    rows = rows_of(2000, 10)
    rows[:, 2] += 0.4
    found = pf.drift(model, table(rows_of(2000, 11)), table(rows), progress=False)
    assert found.p_value < 1e-6
    assert found.columns[0].column == "c"
    assert "Columns that drifted: c" in found.sentences[1]


def _drawing(model, rows):
    """The model with other draws."""
    from pushforward import TableModel

    class Drawing(TableModel):
        def draw(self, rows_wanted=None, given=None):
            return rows[:rows_wanted].copy()

    return Drawing(model.flow, list(NAMES))
