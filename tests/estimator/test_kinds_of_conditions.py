"""Columns of X by their kinds: levels, angles and atoms are shown as such, and declared ones as they are declared."""

import pickle

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.estimator.context_columns import ContextColumns
from pushforward.estimator.kinds import declared_kinds

NOISE, FEW = 0.1, {"max_steps": 3, "random_state": 0}
OF_LEVELS = {2.0: 1.0, 3.0: -2.0, 5.0: 4.0, 11.0: 0.0}
pytestmark = pytest.mark.filterwarnings("ignore:.*outside the range of the rows of the fit")


def frame(seed=0, count=400):
    """y follows the level of a site, in no order, and the direction of the wind, across its jump at 360."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame({"site": random.choice(list(OF_LEVELS), count), "wind": random.uniform(0, 360, count)})
    mean = X["site"].map(OF_LEVELS) + np.cos(np.deg2rad(X["wind"]))
    return X, mean.to_numpy(), mean.to_numpy() + NOISE * random.normal(size=count)


KINDS = {"site": "category", "wind": {"kind": "periodic", "period": 360}}


def columns_of(rows, **kinds):
    names = [f"x{place}" for place in range(rows.shape[1])]
    return ContextColumns(rows, names, declared_kinds(kinds, ["y0"], names)[1])


def test_levels_are_flags_and_angles_points_on_a_circle():
    rows = np.array([[3.0, 0.0, 1.5], [5.0, 90.0, -2.0], [7.0, 180.0, 0.0], [3.0, 270.0, 9.0]])
    columns = columns_of(rows, x0="category", x1={"kind": "periodic", "period": 360})
    expected = [[1, 0, 0, 1, 0, 1.5], [0, 1, 0, 0, 1, -2], [0, 0, 1, -1, 0, 0], [1, 0, 0, 0, -1, 9]]
    np.testing.assert_allclose(columns(rows), expected, atol=1e-12)
    assert (list(columns.flags), columns.width, columns.leveled.tolist()) == ([0, 1, 2, 3, 4], 6, [True, False, False])
    # Another angle has its place, and another turn the same one; a level that was not seen is the most frequent one.
    later = np.array([[4.0, 405.0, 2.0]])
    np.testing.assert_allclose(columns(later), [[1, 0, 0, np.sqrt(0.5), np.sqrt(0.5), 2]])
    assert columns.new_gaps(later).tolist() == [[True, False, False]]
    assert columns(later.astype(np.float32)).dtype == np.float32


def test_gaps_of_levels_have_a_flag_and_so_have_new_levels():
    rows = np.array([[3.0, 1.0], [5.0, np.nan], [np.nan, 4.0], [3.0, 4.0], [7.0, 0.0]])
    columns = columns_of(rows, x0="category")
    expected = [[1, 0, 0, 1, 0, 0], [0, 1, 0, 2.5, 0, 1], [1, 0, 0, 4, 1, 0], [1, 0, 0, 4, 0, 0], [0, 0, 1, 0, 0, 0]]
    np.testing.assert_array_equal(columns(rows), expected)
    np.testing.assert_array_equal(columns(np.array([[4.0, 2.0]])), [[1, 0, 0, 2, 1, 0]])
    assert not columns.new_gaps(np.array([[4.0, np.nan]])).any()


def test_numbers_are_shown_as_they_are_and_declared_atoms_with_a_flag():
    random = np.random.default_rng(0)
    rain = np.where(random.random(500) < 0.4, 0.0, random.gamma(2.0, size=500))
    grade, hour = random.integers(0, 5, 500), random.integers(0, 24, 500)
    names, rows = ["rain", "grade", "hour"], np.column_stack([rain, grade, hour])
    columns = ContextColumns(rows, names, declared_kinds({"rain": "mixed"}, ["y0"], names)[1])
    found = columns(rows)
    angle = 2 * np.pi * hour / 24
    np.testing.assert_allclose(
        found, np.column_stack([rain, rain == 0, grade, np.cos(angle), np.sin(angle)]), atol=1e-12
    )
    assert [line.partition(":")[0] for line in columns.describe()] == ['column "rain" of X', 'column "hour" of X']
    # What the fit did not have is shown as well.
    later = np.array([[-1.25, 7.5, 6.0], [1e6, -3.0, 0.5]])
    np.testing.assert_allclose(columns(later)[:, :3], [[-1.25, 0, 7.5], [1e6, 0, -3]])
    assert not columns.new_gaps(later).any()
    np.testing.assert_array_equal(ContextColumns(rows, names)(rows), np.delete(found, 1, 1))
    plain = ContextColumns(rows, names, learned=False)
    np.testing.assert_array_equal(plain(rows), rows)
    assert not plain.describe()


@pytest.mark.slow
def test_levels_in_no_order_are_learned_in_closed_form_if_they_are_declared():
    X, _, y = frame()
    fresh, mean, other = frame(1)
    density = pf.ConditionalFlowDensity(**FEW, kinds=KINDS).fit(X, y)
    # The regression on the flags and the circle is exact: noise is all that is left.
    best = -np.log(NOISE * np.sqrt(2 * np.pi)) - 0.5
    assert density.score(fresh, other) > best - 0.2
    assert np.abs(density.predict(fresh, "mean") - mean).max() < 5 * NOISE
    assert np.isfinite(density.crps(fresh, other)).all() and np.isfinite(density.predict(fresh[:5], "mode")).all()
    assert density.sample(fresh[:5], 3, random_state=0).shape == (5, 3)
    again = pickle.loads(pickle.dumps(density))
    np.testing.assert_array_equal(again.score_samples(fresh, other), density.score_samples(fresh, other))
    turned = fresh.assign(wind=fresh["wind"] + 360)
    np.testing.assert_allclose(density.predict(turned), density.predict(fresh), atol=1e-6)
    numbers = pf.ConditionalFlowDensity(**FEW, kinds="continuous").fit(X.to_numpy(), y)
    assert numbers.flow_.context_features == 2 and density.flow_.context_features == 6
    with pytest.warns(RuntimeWarning, match=r'1 of 400 rows of X lacks a value, or has a level .*\("site"\)'):
        density.predict(fresh.assign(site=np.where(np.arange(400) == 7, 4.0, fresh["site"])))


def test_columns_of_an_array_are_declared_by_their_places():
    X, _, y = frame(count=100)
    density = pf.ConditionalFlowDensity(**FEW, kinds={"x0": "category"}).fit(X.to_numpy(), y)
    assert density.flow_.context_features == 5


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"sight": "category"}, 'kinds names a column "sight" that X does not have.*"site"'),
        ({"wind": "integer"}, 'column "wind" of X'),
        ({"site": {"kind": "integer", "missing": [2]}}, 'missing values in column "site".*by NaN in X'),
        ({"site": "date-time"}, 'column "site" of X'),
    ],
)
def test_what_cannot_be_declared_is_said(kinds, words):
    X, _, y = frame(count=100)
    with pytest.raises(pf.InputError, match=words):
        pf.ConditionalFlowDensity(**FEW, kinds=kinds).fit(X, y)


def test_one_name_of_two_columns_is_refused():
    X, _, y = frame(count=100)
    with pytest.raises(pf.InputError, match='"y0", which is a target and a column of X'):
        pf.ConditionalFlowDensity(**FEW, kinds={"y0": "continuous"}).fit(X.rename(columns={"site": "y0"}), y)
