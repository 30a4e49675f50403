"""Missing values of X under a density of y given X: what they mean is learned; a target may not be missing."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_score

import pushforward as pf
from pushforward.errors import InputError
from pushforward.estimator.context_columns import ContextColumns

ROWS, NOISE = 400, 0.1
OPTIONS = {"max_steps": 5, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:.*outside the range of the rows of the fit")


def rows(seed=0, count=ROWS):
    """y = x0 - 2 x1, and 5 where x1 is missing, which it is in a third of the rows; x2 is of no use, and complete."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(count, 3))
    gap = generator.random(count) < 1 / 3
    y = X[:, 0] + np.where(gap, 5.0, -2 * X[:, 1]) + NOISE * generator.normal(size=count)
    X[gap, 1] = np.nan
    return X, y


@pytest.fixture(scope="module")
def density():
    return pf.ConditionalFlowDensity(**OPTIONS).fit(*rows())


@pytest.mark.slow
def test_what_a_missing_value_means_is_learned_in_closed_form(density):
    X, y = rows(1)
    expected = X[:, 0] + np.where(np.isnan(X[:, 1]), 5.0, -2 * X[:, 1])
    # The regression on the flag is exact: noise is all that is left.
    best = -np.log(NOISE * np.sqrt(2 * np.pi)) - 0.5
    assert abs(density.predict(X) - expected).max() < 10 * NOISE and density.score(X, y) > best - 0.2
    assert density.flow_.context_features == 4
    assert np.isfinite(density.crps(X, y)).all() and density.sample(X, 3, random_state=0).shape == (ROWS, 3)
    assert 0.8 < density.coverage(X, y, 0.9)[0] <= 1


def test_complete_rows_are_as_they_were():
    X = rows()[0][:, [0, 2]]
    columns = ContextColumns(X)
    assert columns.width == 2 and columns(X).tolist() == X.tolist() and not len(columns.flags)


def test_what_is_given_of_columns():
    X = np.array([[1.0, np.nan, 7.0, 3.0, np.nan], [2.0, np.nan, 7.0, np.nan, 4.0], [5.0, np.nan, 7.0, 3.0, 6.0]])
    columns = ContextColumns(X)
    # The first and the last vary; the fourth has one value, and gaps.
    assert (columns.numbers.tolist(), columns.with_flags.tolist(), list(columns.flags)) == ([0, 4], [3, 4], [2, 3])
    assert columns(X).tolist() == [[1, 5, 0, 1], [2, 4, 1, 0], [5, 6, 0, 0]]
    assert columns(X.astype(np.float32)).dtype == np.float32
    assert columns.new_gaps(np.full((1, 5), np.nan)).tolist() == [[True, False, False, False, False]]


def test_a_gap_where_the_fit_had_none_is_said_and_the_median(density):
    X, _ = rows(2, 20)
    holed, filled = X.copy(), X.copy()
    holed[3, 2], filled[3, 2] = np.nan, density._context_columns.fillers[2]
    with pytest.warns(RuntimeWarning, match=r'1 of 20 rows of X lacks a value in columns without gaps .*\("2"\)'):
        found = density.predict(holed)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*without gaps")
        np.testing.assert_array_equal(found, density.predict(filled))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.tolist(),
        lambda X: np.ma.masked_invalid(X),
        lambda X: X.astype(object),
        lambda X: np.where(np.isnan(X), None, X),
        lambda X: pd.DataFrame(X, columns=["a", "b", "c"]),
        lambda X: pd.DataFrame(X, columns=["a", "b", "c"]).astype("Float64").replace({np.nan: pd.NA}),
        lambda X: pd.DataFrame(np.where(np.isnan(X), pd.NA, X.astype(object)), columns=["a", "b", "c"]),
        lambda X: pl.DataFrame(X, schema=["a", "b", "c"]).fill_nan(None),
    ],
)
def test_every_way_to_say_that_a_value_is_missing(density, make):
    X, y = rows()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        np.testing.assert_array_equal(density.predict(make(X)), density.predict(X))
    short = pf.ConditionalFlowDensity(max_steps=1, flow="maf", random_state=0)
    np.testing.assert_array_equal(short.fit(make(X), y).predict(make(X)), short.fit(X, y).predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("flow", [None, "maf"])
def test_with_any_architecture_and_several_targets(targets, flow):
    X, y = rows()
    y = np.column_stack([y, X[:, 0]])[:, :targets]
    fitted = pf.ConditionalFlowDensity(flow=flow, max_steps=2, random_state=0).fit(X.astype(np.float32), y)
    assert np.isfinite(fitted.score_samples(X, y)).all() and np.isfinite(fitted.predict(X.astype(np.float32))).all()


def test_a_column_without_values_is_left_out():
    X, y = rows()
    X = np.column_stack([X[:, 0], np.full(ROWS, np.nan)])
    fitted = pf.ConditionalFlowDensity(**OPTIONS, flow="maf").fit(X, y)
    assert fitted.flow_.context_features == 1 and np.isfinite(fitted.predict(X)).all()


def test_it_takes_part_in_cross_validation():
    assert pf.ConditionalFlowDensity().__sklearn_tags__().input_tags.allow_nan
    assert not pf.FlowDensity().__sklearn_tags__().input_tags.allow_nan
    found = cross_val_score(pf.ConditionalFlowDensity(max_steps=1, flow="maf", random_state=0), *rows(), cv=2)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_a_target_is_not_missing(density, missing):
    X, y = rows()
    y = y.astype(object)
    y[6] = missing
    sentence = r"y has no value \(NaN\) in row 7: a target may not be missing; remove such rows\."
    for work in (pf.ConditionalFlowDensity(**OPTIONS).fit, density.score_samples, density.crps, density.coverage):
        with pytest.raises(InputError, match=sentence):
            work(X, y)


def test_infinite_conditions_are_refused(density):
    X, y = rows()
    X[4, 1] = np.inf
    for work in (pf.ConditionalFlowDensity(**OPTIONS).fit, density.score_samples):
        with pytest.raises(InputError, match=r'column "1" of X is infinite \(inf\) in row 5'):
            work(X, y)
