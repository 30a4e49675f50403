"""The scores of the outlier detector: their p-values, what each finds, values never seen, rows that repeat."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.estimator.nearest_rows import NearestRows
from pushforward.estimator.outlier_scores import SCORES, HeldOutUnits

# Steps without which the flow is the Gaussian of its start.
OPTIONS = {"max_steps": 5, "random_state": 0, "kinds": "continuous"}


def related_rows(count, seed=0):
    generator = np.random.default_rng(seed)
    first = generator.normal(size=count)
    return np.column_stack([first, first + 0.3 * generator.normal(size=count)])


def detector(score, rows=400, **options):
    return pf.FlowOutlierDetector(criterion=score, **{**OPTIONS, "validation_fraction": 0.5, **options}).fit(
        related_rows(rows)
    )


@pytest.mark.slow
@pytest.mark.parametrize("score", SCORES)
def test_p_values_are_uniform_on_new_rows_and_least_for_rows_far_away(score):
    # The most surprising column takes hundreds of densities a row.
    rows, fresh = (120, 60) if score == "largest_conditional" else (600, 1000)
    found = detector(score, rows)
    p = found.p_values(related_rows(fresh, seed=1))
    held_out = found.calibration_.rows
    assert held_out == rows / 2
    # Both samples vary.
    error = np.sqrt((1 / fresh + 1 / held_out) / 12)
    assert abs(p.mean() - 0.5) < 5 * error + 1 / held_out
    for level in (0.1, 0.5):
        spread = np.sqrt(level * (1 - level) * (1 / fresh + 1 / held_out))
        assert abs((p <= level).mean() - level) < 5 * spread + 1 / held_out
    np.testing.assert_array_equal(found.p_values([[4.0, -4.0], [25.0, -25.0]]), 1 / (held_out + 1))


@pytest.mark.slow
def test_what_is_too_probable_is_not_typical():
    X = np.random.default_rng(0).normal(size=(2000, 20))
    found = pf.FlowOutlierDetector(criterion="typicality", **{**OPTIONS, "max_steps": 1}).fit(X)
    center = np.zeros((1, 20))
    # χ² of 20 degrees exceeds twice its median with probability 0.007; held-out rows are 200.
    assert found.p_values(center)[0] < 0.007 + 5 * np.sqrt(0.007 / 200) + 1 / 201
    assert pf.FlowOutlierDetector(criterion="log_density", **{**OPTIONS, "max_steps": 1}).fit(X).p_values(center) > 0.9


def test_only_the_ratio_and_the_conditionals_take_no_notice_of_rows_that_are_extreme_in_agreement():
    extreme = np.array([[3.5, 3.5]])
    for score in ("density_ratio", "largest_conditional"):
        found = detector(score, 100 if score == "largest_conditional" else 400)
        assert found.p_values(extreme)[0] > 0.1
    for score in ("log_density", "latent_norm"):
        assert detector(score).p_values(extreme)[0] < 0.1


@pytest.mark.parametrize("score", [name for name in SCORES if name != "largest_conditional"])
def test_a_constant_that_changes_is_the_most_outlying_of_all(score):
    X = np.column_stack([related_rows(200), np.full(200, 0.25)])
    found = pf.FlowOutlierDetector(criterion=score, **OPTIONS).fit(X)
    changed = np.array([[0.0, 0.0, 0.25], [0.0, 0.0, 9.0], [0.0, 0.0, -40.0]])
    scores = found.score_samples(changed)
    least = 1 / (found.calibration_.rows + 1)
    np.testing.assert_array_equal(found.p_values(changed)[1:], least)
    assert found.predict(changed).tolist() == [1, -1, -1] or score == "typicality"
    assert scores[0] > scores[1] >= scores[2]


def test_what_was_fitted_is_no_outlier_where_rows_repeat_each_other():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(150, 4))
    fitted, left = rows[:100], rows[100:]
    repeated = fitted[generator.integers(0, 100, 400)]
    drawn = np.unique(repeated, axis=0)
    found = pf.FlowOutlierDetector(**OPTIONS).fit(repeated)
    assert found.score_samples(drawn).min() > found.score_samples(left).max()
    assert found.p_values(drawn).min() > 0.9
    # Without copies a row is not its own neighbor.
    once = pf.FlowOutlierDetector(criterion="nearest_rows", **OPTIONS).fit(rows)
    assert np.isclose((once.predict(rows) == -1).mean(), 0.1)


def test_distances_to_the_nearest_rows_are_those_of_a_search_by_hand():
    generator = np.random.default_rng(0)
    rows, new = generator.normal(size=(60, 3)), generator.normal(size=(20, 3))
    scale = np.array([1.0, 2.0, 0.5])

    def distances(some, others):
        return np.sort(np.linalg.norm((some[:, None] - others[None]) / scale, axis=-1), axis=1)

    local = distances(rows, rows)[:, 1:11].mean(1)
    order = np.argsort(np.linalg.norm((new[:, None] - rows[None]) / scale, axis=-1), axis=1)[:, :10]
    expected = np.log(distances(new, rows)[:, 0]) - 0.5 * np.log(local[order].mean(1))
    nearest = NearestRows(rows, scale)
    np.testing.assert_allclose(nearest.log_distances(new), expected, rtol=1e-9)
    itself = np.argsort(np.linalg.norm((rows[:, None] - rows[None]) / scale, axis=-1), axis=1)[:, 1:11]
    expected = np.log(distances(rows, rows)[:, 1]) - 0.5 * np.log(local[itself].mean(1))
    for fitted in (True, False):
        np.testing.assert_allclose(nearest.log_distances(rows, fitted=fitted), expected, rtol=1e-9)
    # The same where rows repeat: they are at no distance, unless they are rows of the fit.
    repeated = NearestRows(np.concatenate([rows, rows]), scale, np.tile(np.arange(60), 2))
    np.testing.assert_allclose(repeated.log_distances(rows, fitted=True), expected, rtol=1e-9)
    assert (repeated.log_distances(rows) < expected - 10).all()


def test_values_never_seen_are_no_more_than_odd_where_held_out_rows_have_them_too():
    scores = np.append(np.linspace(-10, 0, 99), -np.inf)
    common, rare = HeldOutUnits(scores), HeldOutUnits(scores[:-1])
    assert common.oddness(np.array([-np.inf])) == common.oddness(np.array([-10.0]))
    assert rare.oddness(np.array([-np.inf])) > rare.oddness(np.array([-1e300]))


def test_an_unknown_score_is_named():
    with pytest.raises(pf.InputError, match=r'no score .*did you mean "log_density"'):
        pf.FlowOutlierDetector(criterion="log_densty").fit(related_rows(20))
    with pytest.raises(pf.InputError, match="no score 3"):
        pf.FlowOutlierDetector(criterion=3).fit(related_rows(20))
