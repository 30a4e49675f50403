"""Columns of flags, counts, grades and rounded numbers in the estimators, against probabilities in closed form."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import pushforward as pf

COUNT, FRESH, STEPS = 1200, 2000, 200
# What a short fit may lose, in nats.
LOSS = 0.15
# Column z, independent of two normal columns, and its log-probability.
COLUMNS = {
    "flag": (lambda r, n: (r.random(n) < 0.5) * 1, lambda z: np.full(len(z), -np.log(2))),
    "count": (lambda r, n: r.poisson(3, n), stats.poisson(3).logpmf),
    "grade": (lambda r, n: r.integers(1, 6, n), lambda z: np.full(len(z), -np.log(5))),
}


def rows_with(name, count, seed):
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(count, 2))
    return pd.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1], "z": COLUMNS[name][0](generator, count)})


@pytest.fixture(
    scope="module", params=["count", *(pytest.param(name, marks=pytest.mark.slow) for name in ("flag", "grade"))]
)
def fitted(request):
    """A density of two normal columns and a discrete one, fitted without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        density = pf.FlowDensity(max_steps=STEPS, random_state=0).fit(rows_with(request.param, COUNT, 0))
    return request.param, density


def test_scores_are_density_times_probability_and_never_more(fitted):
    name, density = fitted
    rows = rows_with(name, FRESH, 1)
    seen = rows[np.isin(rows["z"], rows_with(name, COUNT, 0)["z"])]  # a count beyond those of the fit was never seen
    assert len(seen) > 0.99 * len(rows)
    truth = stats.norm.logpdf(seen[["a", "b"]]).sum(1) + COLUMNS[name][1](seen["z"])
    loss = truth - density.score_samples(seen)
    error = 5 * loss.std() / np.sqrt(len(seen))
    assert -error < loss.mean() < error + LOSS


def test_draws_have_the_values_of_the_column_as_often(fitted):
    name, density = fitted
    draws = density.sample(4000, random_state=0)
    assert draws.dtype == np.float64
    z, known = draws[:, 2], rows_with(name, COUNT, 0)["z"].to_numpy()
    assert np.isin(z, known).all() and np.array_equal(z, np.round(z))
    for value in np.unique(known):
        share = np.exp(COLUMNS[name][1](np.array([value])))[0]
        assert abs((z == value).mean() - share) < 5 * np.sqrt(share * (1 - share) * (1 / 4000 + 1 / COUNT)) + 0.05


def test_what_was_never_seen_has_probability_zero(fitted):
    _, density = fitted
    rows = rows_with(fitted[0], 4, 2)
    rows["z"] = [1.0, 0.5, -3.0, 1e6]
    np.testing.assert_array_equal(np.isfinite(density.score_samples(rows)), [True, False, False, False])
    np.testing.assert_array_equal(density.score_samples(rows[1:]), -np.inf)


def test_copies_precisions_and_the_order_of_rows_change_nothing(fitted):
    _, density = fitted
    rows = rows_with(fitted[0], 50, 0)
    expected = density.score_samples(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(density)).score_samples(rows), expected)
    # Up to the rounding of a mean over points, which is vectorized.
    np.testing.assert_allclose(density.score_samples(rows[::-1])[::-1], expected, rtol=1e-13)
    np.testing.assert_allclose(density.score_samples(rows.astype(np.float32)), expected, atol=1e-3)


def small(kind=pf.FlowDensity, **options):
    return kind(**{"max_steps": 5, "random_state": 0, **options})


@pytest.mark.parametrize("name", list(COLUMNS))
def test_taken_for_continuous_columns_that_repeat_values_are_named(name):
    rows = rows_with(name, 300, 0)
    with pytest.warns(UserWarning, match=r'Columns repeat values, which have no density: "z" \(integer'):
        density = small(kinds="continuous").fit(rows)
    assert np.isfinite(density.score_samples(rows.assign(z=0.5))).all()
    with pytest.warns(UserWarning, match="Columns repeat values"):
        transformer = small(pf.FlowTransformer).fit(rows)
    np.testing.assert_allclose(transformer.inverse_transform(transformer.transform(rows)), rows, atol=1e-6)


def test_numbers_on_the_line_are_fitted_as_ever_and_without_a_warning():
    rows = rows_with("flag", 300, 0)[["a", "b"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        learned, plain = small().fit(rows), small(kinds="continuous").fit(rows)
    np.testing.assert_array_equal(learned.score_samples(rows), plain.score_samples(rows))
    np.testing.assert_array_equal(learned.sample(5, random_state=0), plain.sample(5, random_state=0))


def test_rounded_and_positive_numbers_keep_their_grid_and_their_bound():
    generator = np.random.default_rng(0)
    rows = np.column_stack([np.round(generator.normal(170, 8, 600)), np.round(generator.normal(5, 0.2, 600), 1),
                            generator.exponential(size=600)])  # fmt: skip
    density = small().fit(rows)
    draws = density.sample(200, random_state=0)
    np.testing.assert_array_equal(draws[:, :2], np.column_stack([np.round(draws[:, 0]), np.round(draws[:, 1], 1)]))
    assert (draws[:, 2] >= 0).all()
    assert np.isfinite(density.score_samples(rows)).all()
    assert density.score_samples([[170.0, 5.0, -1.0]]) == -np.inf
    # Single precision has other numbers for tenths, which are the same tenths.
    np.testing.assert_allclose(
        density.score_samples(rows.astype(np.float32)), density.score_samples(rows), rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_kinds_declare_columns_by_name_and_by_position():
    rows = rows_with("grade", 300, 0)
    for kinds in ({"z": "continuous"}, {2: "continuous"}, {"z": {"kind": "continuous", "step": 0.0}}):
        density = small(kinds=kinds).fit(rows)
        rounded = kinds.get("z") == "continuous" or 2 in kinds
        assert np.isfinite(density.score_samples(rows.assign(z=2.0))).all()
        assert not rounded or np.array_equal(density.sample(20, 0)[:, 2], np.round(density.sample(20, 0)[:, 2]))
    wider = small(kinds={"z": {"kind": "integer", "low": 0, "high": 9}}).fit(rows)
    assert np.isfinite(wider.score_samples(rows.assign(z=9))).all()
    assert clone(wider).kinds == wider.kinds
    levels = small(kinds={"z": "category"}).fit(rows)
    assert levels.score_samples(rows.assign(z=6))[0] == -np.inf
    assert set(levels.sample(50, 0)[:, 2]) <= {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize(
    ("kinds", "words"),
    [({"y": "integer"}, 'kinds names a column "y" that X does not have'), ({7: "integer"}, 'a column "7"'),
     ({"z": "intger"}, 'unknown kind "intger"'), ("discrete", "kinds is None"), ({"a": "integer"}, 'column "a" of X'),
     ({"a": "date-time"}, 'column "a" of X'), ({"z": {"kind": "integer", "missing": [9]}}, "missing values")],
)  # fmt: skip
def test_kinds_that_cannot_be_are_refused(kinds, words):
    with pytest.raises(pf.InputError, match=words):
        small(kinds=kinds).fit(rows_with("flag", 100, 0))


def test_latent_features_have_no_kinds():
    with pytest.raises(pf.InputError, match="leave out kinds"):
        small(pf.FlowTransformer, kinds={"z": "integer"}).fit(rows_with("flag", 100, 0))


@pytest.mark.slow
def test_scores_in_a_search_and_outliers_take_kinds():
    rows = rows_with("flag", 300, 0)
    assert np.isfinite(cross_val_score(small(), rows, cv=3)).all()
    detector = small(pf.FlowOutlierDetector).fit(rows)
    assert detector.predict(pd.DataFrame({"a": [0.0, 0.0], "b": [0.0, 0.0], "z": [1.0, 7.0]})).tolist() == [1, -1]


def test_relations_of_counts_alone_have_no_infinite_density():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 4, (2, 300))
    rows = np.column_stack([generator.normal(size=300), first, second, first + second])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(rows)
    with pytest.warns(RuntimeWarning, match="determine each other"):
        small().fit(np.column_stack([rows, rows[:, 0] + rows[:, 1]]))


@pytest.fixture(scope="module")
def counts():
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 2, 3000)
    return pf.ConditionalFlowDensity(max_steps=STEPS, random_state=0).fit(x[:, None], generator.poisson(1 + 2 * x))


@pytest.mark.slow
def test_counts_given_rows_have_probabilities_and_whole_quantiles(counts):
    generator = np.random.default_rng(1)
    x = generator.uniform(0, 2, FRESH)
    y = np.minimum(generator.poisson(1 + 2 * x), 10)
    truth = stats.poisson(1 + 2 * x).logpmf(y)
    loss = (truth - counts.score_samples(x[:, None], y))[y < 10]
    error = 5 * loss.std() / np.sqrt(len(loss))
    assert -error - 0.01 < loss.mean() < error + LOSS
    quantiles = counts.predict_quantiles(x[:, None], [0.1, 0.5, 0.9])
    assert np.array_equal(quantiles, np.round(quantiles))
    # Less than the level lies below a quantile, and no less up to it: five standard errors, and 0.05 for the fit.
    levels = np.array([0.1, 0.5, 0.9])
    law, allowed = stats.poisson(1 + 2 * x[:, None]), 5 * np.sqrt(levels * (1 - levels) / FRESH) + 0.05
    assert (law.cdf(quantiles - 1).mean(0) < levels + allowed).all()
    assert (law.cdf(quantiles).mean(0) > levels - allowed).all()
    draws = counts.sample(x[:5, None], 7, random_state=0)
    assert draws.shape == (5, 7) and np.array_equal(draws, np.round(draws))
    assert np.isfinite(counts.score_samples(x[:5, None])).all()
    assert (counts.score_samples(x[:5, None], np.full(5, 0.5)) == -np.inf).all()


def test_the_quantile_of_counts_is_the_least_value_with_that_much_below(counts):
    x = np.array([[1.0]])
    values = np.arange(0, 40)
    log_prob = counts.score_samples(np.repeat(x, 40, 0), values)
    below = np.exp(log_prob).cumsum()
    for level in (0.07, 0.33, 0.61, 0.88):
        (found,) = counts.predict_quantiles(x, [level])[0]
        # The probabilities are averages over points of the noise, near to exact ones.
        place = int(found)
        assert below[place] > level - 0.02 and (place == 0 or below[place - 1] < level + 0.02)


def test_quantiles_of_several_targets_are_among_their_values():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(300, 1))
    Y = np.column_stack([X[:, 0] + generator.normal(size=300), generator.integers(1, 6, 300)])
    density = small(pf.ConditionalFlowDensity).fit(X, Y)
    found = density.predict_quantiles(X[:4], [0.1, 0.5])
    assert found.shape == (4, 2, 2) and np.isin(found[..., 1], [1, 2, 3, 4, 5]).all()
    assert np.isin(density.sample(X[:4], 6, random_state=0)[..., 1], [1, 2, 3, 4, 5]).all()
    shortest = density.predict_interval(X[:100], 0.5, kind="highest-density")
    assert np.isin(shortest[..., 1], [1, 2, 3, 4, 5]).all() and (shortest[:, 0, 0] < shortest[:, 1, 0]).all()


def test_the_probabilities_of_all_values_sum_to_one():
    grades = np.random.default_rng(0).integers(1, 6, (400, 2))
    density = small().fit(grades)
    every = np.array([[a, b] for a in range(1, 6) for b in range(1, 6)])
    assert np.exp(density.score_samples(every)).sum() == pytest.approx(1, abs=0.05)  # averages over 16 points
