"""Every test of a report is calibrated: on rows drawn from the model its p-values are uniform over repetitions."""

import numpy as np
import pytest
from normal_models import NAMES, mixing_model, normal_model, regression_model, rows_of
from scipy import stats
from significance import FIVE_SIGMA, follows

from pushforward.evaluation.report.calibration import column_tests
from pushforward.evaluation.report.correction import holm
from pushforward.evaluation.report.coverage import coverage_test, density_ranks
from pushforward.evaluation.report.dependence import correlations
from pushforward.evaluation.report.drift import _permutation_test
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.marginals import marginals
from pushforward.evaluation.report.memorization import memorization
from pushforward.evaluation.report.transforms import transforms
from pushforward.evaluation.report.two_sample import two_sample_test

REPETITIONS, ROWS = 200, 240


def p_values_of(evidence, repetition, train=None):
    """The p-values of one repetition, by test and column."""
    _, of_columns = column_tests(transforms(evidence), repetition)
    found = {}
    for name, one in of_columns.items():
        found |= {("shape", name): one.shape[1], ("spread", name): one.spread[1], ("tails", name): one.tails[1]}
    ranks, _ = density_ranks(evidence, repetition)
    found["coverage", ""] = coverage_test(evidence, ranks)[1]
    conditions = evidence.conditions
    both = [np.concatenate([part, conditions], 1) for part in (evidence.features, evidence.drawn_features)]
    names = [*evidence.model.roles.modeled, *evidence.model.roles.conditioned]
    paired = not evidence.alike
    found["two-sample", ""] = two_sample_test(both[0], both[1], names, paired=paired, seed=repetition).p_value
    places = [evidence.model.names.index(name) for name in names]
    pairs = correlations(both[0], evidence.many_draws[:, :, places], repetition).p_value
    for i in range(len(names)):
        for j in range(i):
            if np.isfinite(pairs[i, j]):
                found["dependence", f"{i}{j}"] = pairs[i, j]
    for name, one in marginals(evidence, 20_000 + repetition)[1].items():
        found |= {("marginal", name): one.shape[1], ("marginal spread", name): one.spread[1]}
    if train is not None:
        found["memorization", ""] = memorization(evidence, train, None, repetition).p_value
    return found


def repeated(model, rows_at, train=None):
    """{test: p-values} over repetitions."""
    found = {}
    for repetition in range(REPETITIONS):
        evidence = Evidence(model, rows_at(repetition), 10_000 + repetition)
        for name, p_value in p_values_of(evidence, repetition, train).items():
            found.setdefault(name, []).append(p_value)
    return {name: np.array(values) for name, values in found.items()}


def check(found):
    """Each p-value is uniform; that of a count is at most as small as a uniform one."""
    for name, values in found.items():
        if name[0] == "tails":
            # Few counts have few p-values, which are never too small.
            for level in (0.01, 0.05, 0.2, 0.5):
                assert stats.binom.sf((values <= level).sum() - 1, len(values), level) > FIVE_SIGMA, (name, level)
        else:
            assert follows(values, "uniform"), (name, stats.kstest(values, "uniform"))


@pytest.mark.slow
def test_p_values_are_uniform_where_each_column_is_given_those_before_it():
    train = rows_of(500, 99)
    found = repeated(normal_model(), lambda repetition: rows_of(ROWS, repetition), train)
    assert len(found) == 9 + 2 + 3 + 6 + 1
    check(found)


@pytest.mark.slow
def test_p_values_are_uniform_given_conditions():
    def rows_at(repetition):
        x = np.random.default_rng(repetition).uniform(-2, 2, ROWS)
        noise = rows_of(ROWS, 1000 + repetition, np.array([[1.0, 0.4], [0.4, 1.0]]))
        return np.column_stack([0.5 * x + noise[:, 0], -0.2 * x + noise[:, 1], x])

    check(repeated(regression_model(), rows_at))


@pytest.mark.slow
def test_transforms_given_all_other_columns_are_uniform():
    model = mixing_model()
    evidence = Evidence(model, rows_of(4000, 5), 0)
    found = transforms(evidence)
    assert "given all others, by quadrature" in found.method
    for name in NAMES:
        below = found.ends[name][0]
        assert follows(below[np.isfinite(below)], "uniform")


def test_transforms_given_all_other_columns_are_those_of_the_normal_distribution():
    rows = rows_of(64, 5)
    found = transforms(Evidence(mixing_model(), rows, 0))
    precision = np.linalg.inv(np.array([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]]))
    for place, name in enumerate(NAMES):
        others = [one for one in range(3) if one != place]
        mean = -(rows[:, others] @ precision[place, others]) / precision[place, place]
        truth = stats.norm.cdf((rows[:, place] - mean) * precision[place, place] ** 0.5)
        np.testing.assert_allclose(found.ends[name][0], truth, atol=2e-3)


def test_transforms_given_the_columns_before_are_those_of_the_normal_distribution():
    rows = rows_of(50, 6)
    found = transforms(Evidence(normal_model(), rows, 0))
    root = np.linalg.cholesky(np.array([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]]))
    truth = stats.norm.cdf(np.linalg.solve(root, rows.T).T)
    for place, name in enumerate(NAMES):
        np.testing.assert_allclose(found.ends[name], np.stack([truth[:, place]] * 2), atol=1e-6)
    assert found.conditions == {"a": "", "b": "given a", "c": "given a, b"}


@pytest.mark.slow
def test_p_values_of_drift_are_uniform():
    found = []
    for repetition in range(REPETITIONS):
        generator = np.random.default_rng(repetition)
        a, b = generator.normal(size=120), generator.normal(size=150)
        found.append(_permutation_test(a, b, generator))
    assert follows(np.array(found), "uniform")


def test_holm_keeps_the_chance_of_any_finding():
    generator = np.random.default_rng(0)
    uniform = generator.uniform(size=(2000, 12))
    found = np.array([holm(row).min() < 0.05 for row in uniform])
    assert abs(found.mean() - (1 - (1 - 0.05 / 12) ** 12)) < 5 * (0.05 * 0.95 / 2000) ** 0.5
