"""A report names the fault that was planted, and finds none where there is none."""

import re

import numpy as np
import pyarrow as pa
import pytest
from normal_models import COVARIANCE, NAMES, mixing_model, normal_model, regression_model, rows_of, table

import pushforward as pf
from pushforward.evaluation.report.contents import UnseenValues
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.marginals import marginals

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
def test_a_column_that_lies_higher_in_the_data_is_called_too_low_by_its_mean(model):
    rows = rows_of(ROWS, 18)
    rows[:, 0] = 0.3 + rows[:, 0]
    found = pf.report(model, table(rows), progress=False)
    column = next(one for one in found.calibration.columns if one.column == "a")
    assert column.shape == "too low"
    assert column.mean == pytest.approx(rows[:, 0].mean(), abs=1e-5)
    assert column.spread == pytest.approx(rows[:, 0].std(ddof=1), abs=1e-4)
    said = next(test.finding for test in findings(found) if test.name == "calibration" and test.subject == "a")
    assert said == f"Column a is too low: the mean of its normal scores is +{column.mean:.3f}, 0 expected."
    assert said in found.verdict.sentences


@pytest.mark.slow
def test_a_column_wider_by_a_tenth_is_found_in_2500_rows():
    found, narrower = [], 0
    for repetition in range(20):
        rows = rows_of(2500, 200 + repetition) * [1.1, 1.0, 1.0]
        of_columns = marginals(Evidence(mixing_model(), rows, repetition), repetition)[1]
        found.append(of_columns["a"].spread)
        narrower += of_columns["a"].spans[1] < of_columns["a"].spans[0]
    # A variance whose error is √(2 / 2500) is off by 0.19: 6.7 standard errors, and 5.8 for a test of ranks.
    assert np.mean([z for z, _ in found]) == pytest.approx(5.8, abs=1.2)
    assert sum(p_value < 1e-3 for _, p_value in found) >= 18 and narrower == 20


@pytest.mark.slow
def test_given_conditions_a_column_wider_by_a_tenth_is_found_by_draws_of_its_rows():
    found = []
    for repetition in range(20):
        x = np.random.default_rng(repetition).uniform(-2, 2, 2500)
        noise = rows_of(2500, 300 + repetition, np.array([[1.0, 0.4], [0.4, 1.0]])) * [1.1, 1.0]
        rows = np.column_stack([0.5 * x + noise[:, 0], -0.2 * x + noise[:, 1], x])
        found.append(marginals(Evidence(regression_model(), rows, repetition), repetition)[1]["y1"].spread)
    assert sum(p_value < 1e-3 for _, p_value in found) >= 18
    assert all(ratio > 1 for ratio, _ in found)


@pytest.mark.slow
def test_a_column_that_drifted_in_its_spread_alone_is_named(model):
    rows = rows_of(4000, 19)
    rows[:, 2] *= 1.12
    found = pf.drift(model, table(rows_of(4000, 20)), table(rows), progress=False)
    assert found.columns[0].column == "c" and found.columns[0].adjusted < 1e-3
    # What Mood's test sees is not always seen by the interquartile range.
    assert any(one.startswith("Columns that drifted: c") for one in found.sentences)


def test_equal_tables_are_said_to_be_equal(model):
    rows = rows_of(100, 21)
    found = pf.drift(model, table(rows), table(rows[::-1]), progress=False)
    assert found.sentences[0] == "The tables hold the same rows: there is no drift to find."
    some = pf.drift(model, table(rows), table(rows), rows=50, progress=False)
    assert some.sentences[0] == "The tables are the same in all 50 rows looked at: there is no drift to find."
    other = pf.drift(model, table(rows), table(rows + 1e-9), progress=False)
    assert other.sentences[0].startswith("No drift is found")


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


@pytest.mark.slow
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
    # A shift by 0.4 standard deviations, of a median with an error of 0.04.
    size, words = re.fullmatch(r"Columns that drifted: c \(([0-9.]+) (.*)\)\.", found.sentences[1]).groups()
    assert words == "standard deviations higher" and abs(float(size) - 0.4) < 0.2


def _drawing(model, rows):
    """The model with other draws."""
    from pushforward import TableModel

    class Drawing(TableModel):
        def draw(self, rows_wanted=None, given=None):
            return rows[:rows_wanted].copy()

    return Drawing(model.flow, list(NAMES))


@pytest.mark.slow
def test_tables_of_one_distribution_have_not_drifted(model):
    found = pf.drift(model, table(rows_of(800, 12)), table(rows_of(900, 13)), progress=False)
    assert found.p_value > 1e-6
    assert abs(found.odd.value - 0.01) < 5 * found.odd.error + 0.01


@pytest.mark.slow
def test_the_divergence_of_two_gaussians_is_that_of_the_formula(model):
    other = normal_model(np.eye(3))
    found = pf.drift(model, table(rows_of(2000, 14)), table(rows_of(200, 15)), model_b=other, progress=False)
    truth = -0.5 * np.linalg.slogdet(COVARIANCE)[1]
    assert abs(found.divergence.value - truth) < 5 * found.divergence.error
    assert found.divergence.error < 0.05


@pytest.mark.slow
def test_more_gaps_and_values_never_seen_are_drift():
    rows = rows_of(600, 16)
    level = np.array(["x", "y"])[(rows[:, 1] > 0).astype(int)]
    gaps = np.where(np.random.default_rng(0).random(600) < 0.05, np.nan, rows[:, 0])
    made = pa.table({"a": pa.array(gaps, from_pandas=True), "kind": level})
    model = pf.fit_table(made.slice(0, 300), max_steps=5).model
    first, second = made.slice(300), made.slice(300).to_pydict()
    more = {**second, "a": [None if place % 3 == 0 else value for place, value in enumerate(second["a"])]}
    found = pf.drift(model, first, pa.table(more), progress=False)
    assert found.columns[0].column == "a"
    assert found.columns[0].adjusted < 1e-6
    unseen = {**second, "kind": ["new" if place % 4 == 0 else value for place, value in enumerate(second["kind"])]}
    found = pf.drift(model, first, pa.table(unseen), progress=False)
    assert found.unseen_b == 75
    assert found.p_value < 1e-6
    assert found.columns[0].column == "kind" and found.columns[0].adjusted < 1e-6
    assert found.unseen == [UnseenValues("kind", 75, {"new": 75}, level=True, missing=False)]
    said = (
        'Never seen by the model in the second table: column kind has the level "new" in 75 rows. The first table has'
    )
    assert any(sentence.startswith(said) for sentence in found.sentences)


@pytest.mark.slow
def test_paired_differences_have_the_error_of_their_difference(model):
    other = normal_model(np.diag([1.0, 1.0, 1.0]))
    found = pf.compare(model, other, table(rows_of(1000, 17)), progress=False)
    truth = -0.5 * np.linalg.slogdet(COVARIANCE)[1]
    assert abs(found.difference.value - truth) < 5 * found.difference.error
    assert found.difference.error < 0.7 * np.hypot(found.nats_a.error, found.nats_b.error)
    by_name = {one.column: one.difference for one in found.columns}
    # log p(a | b, c) gains -log(1 - R²) / 2 on average.
    precision = np.linalg.inv(COVARIANCE)
    for place, name in enumerate(NAMES):
        assert abs(by_name[name].value - 0.5 * np.log(precision[place, place])) < 5 * by_name[name].error
