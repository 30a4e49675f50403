"""What a card of a report calls significant is what its verdict says: all tests are corrected together, once."""

import numpy as np
import pytest
from normal_models import mixing_model, normal_model, regression_model, rows_of, table

import pushforward as pf
from pushforward.evaluation.report import tests as report_tests
from pushforward.evaluation.report.correction import holm
from pushforward.evaluation.report.dependence import correlations
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.memorization import memorization, with_verdict
from pushforward.evaluation.report.two_sample import two_sample_test


def reports():
    """Of rows with faults of every size, some of them near the level."""
    for factor in (1.0, 1.04, 1.06, 1.1):
        yield pf.report(normal_model(), table(rows_of(800, 7) * [factor, 1.0, 1.0]), progress=False)
    x = np.linspace(-2, 2, 400)
    noise = rows_of(400, 8, np.array([[1.0, 0.4], [0.4, 1.0]])) * [1.2, 1.0]
    rows = np.column_stack([0.5 * x + noise[:, 0], -0.2 * x + noise[:, 1], x])
    yield pf.report(regression_model(), table(rows, ["y1", "y2", "x"]), progress=False)


@pytest.mark.slow
def test_cards_say_what_the_verdict_says():
    badges = set()
    for found in reports():
        made = {(one.name, one.subject): one for one in found.verdict.tests}
        p_values = [one.p_value for one in found.verdict.tests]
        np.testing.assert_allclose([one.adjusted for one in found.verdict.tests], holm(p_values))
        assert all(bool(one.finding) == (one.adjusted < found.verdict.level) for one in found.verdict.tests)
        for column in found.calibration.columns:
            three = [made[name, column.column] for name in ("calibration", "spread", "tails")]
            assert column.adjusted == min(one.adjusted for one in three)
            assert (column.shape == "calibrated") == (not any(one.finding for one in three))
            assert all(one.rows == column.rows for one in three)
            badges.add(column.shape)
        assert not found.memorization.known
        for one in found.dependence.marginals:
            both = [made[name, one.column] for name in ("marginal", "marginal spread")]
            assert one.adjusted == min(test.adjusted for test in both)
        names = found.dependence.columns
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
            of_pair = made.get(("dependence", f"{names[i]}, {names[j]}"))
            if of_pair is None:
                assert np.isnan(found.dependence.adjusted[i][j])
            else:
                assert found.dependence.adjusted[i][j] == found.dependence.adjusted[j][i] == of_pair.adjusted
    assert {"calibrated", "too narrow"} <= badges


@pytest.mark.slow
def test_the_card_of_memorization_says_what_the_verdict_says():
    train = rows_of(400, 25)
    for share in (0.0, 0.05, 0.1, 0.2):
        copies = np.random.default_rng(26).random(1000) < share
        drawn = np.where(copies[:, None], train[np.arange(1000) % 400] + 1e-3, rows_of(1000, 27))
        evidence = Evidence(normal_model(), rows_of(1000, 28), 0)
        evidence.__dict__["draws"] = drawn
        found = memorization(evidence, train, None, 0)
        for adjusted in (found.p_value, min(1.0, 30 * found.p_value)):
            said = with_verdict(found, adjusted).sentence
            assert said.startswith("Draws come closer" if adjusted < 0.05 else "Draws keep their distance: P(a draw")


@pytest.mark.slow
def test_no_column_has_drifted_where_there_is_no_drift():
    rows = rows_of(300, 22)
    for factor in (1.0, 1.15, 1.2, 1.3):
        found = pf.drift(mixing_model(), table(rows_of(300, 23)), table(rows * [factor, 1, 1]), progress=False)
        assert found.p_value <= min(one.adjusted for one in found.columns)


def test_the_judged_half_is_what_the_classifier_counts():
    rows = np.random.default_rng(0).normal(size=(2, 501, 1))
    found = two_sample_test(rows[0], rows[1], ["x"], paired=False)
    assert (found.trained, found.rows) == (250, 251)
    # The accuracy is a number of right answers out of rows and draws that were judged.
    assert found.accuracy.value * 2 * found.rows == pytest.approx(round(found.accuracy.value * 2 * found.rows))
    assert report_tests.of_two_samples(found)[0].rows == 251


def test_correlations_are_those_of_many_draws():
    evidence = Evidence(normal_model(), rows_of(1000, 24), 0)
    assert evidence.many_draws.shape == (20, 1000, 3)
    np.testing.assert_array_equal(evidence.many_draws[0], evidence.draws)
    wide = Evidence(normal_model(), rows_of(6000, 24), 0)
    assert wide.many_draws.shape == (8, 6000, 3)
    many = correlations(evidence.codes, evidence.many_draws, 0)
    few = correlations(evidence.codes, evidence.many_draws[:1], 0)
    assert (many.rows, many.drawn, few.drawn) == (1000, 20_000, 1000)
    # Of a normal distribution, Spearman's correlation is 6 / π · arcsin(ρ / 2); 20,000 draws leave an error of 0.006.
    assert many.draws[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.03)
    assert many.error[0, 1] < 0.85 * few.error[0, 1]
