"""A conditional flow among the regressors of skpro, and its predictions among skpro's distributions."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from significance import is_mean_of

import pushforward as pf

skpro = pytest.importorskip(
    "skpro", reason="pip install 'pushforward[skpro]' brings it, in an environment with pandas below 3.1"
)
import pandas as pd  # noqa: E402
from skpro.metrics import CRPS, LogLoss  # noqa: E402
from skpro.utils.estimator_checks import check_estimator  # noqa: E402

from pushforward.integrations.skpro import FlowDistribution, FlowRegressor  # noqa: E402

# What skpro has no exact method for is approximated, which it says by warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def table(rows=300, seed=0):
    generator = np.random.default_rng(seed)
    X = pd.DataFrame({"x": generator.uniform(-1, 1, rows), "noise": generator.normal(size=rows)})
    y = pd.DataFrame({"height": 2 * X["x"] + 0.5 * generator.normal(size=rows)})
    return X, y


@pytest.fixture(scope="module")
def regressor():
    return FlowRegressor("maf", max_steps=300, random_state=0).fit(*table())


@pytest.fixture
def rows():
    X, y = table(7, seed=1)
    names = [f"row {k}" for k in range(7)]
    return X.set_axis(names), y.set_axis(names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FlowRegressor, FlowDistribution])
def test_it_passes_the_checks_of_skpro(kind):
    found = check_estimator(kind, verbose=False)
    assert {name: result for name, result in found.items() if result != "PASSED"} == {}
    assert len(found) > 40


@pytest.mark.slow
def test_the_distribution_is_that_of_the_estimator(regressor, rows):
    X, y = rows
    estimator, found = regressor.estimator_, regressor.predict_proba(X)
    truth = y.to_numpy()[:, 0]
    np.testing.assert_allclose(found.log_pdf(y)["height"], estimator.score_samples(X, truth))
    np.testing.assert_allclose(found.cdf(y)["height"], estimator.pit(X, truth), atol=1e-9)
    np.testing.assert_allclose(found.ppf(found.cdf(y)), y, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.ppf(0.3)["height"], estimator.predict_quantiles(X, [0.3])[:, 0])
    crps = found.energy(y) - 0.5 * found.energy()
    np.testing.assert_allclose(crps["energy"], estimator.crps(X, truth), rtol=2e-3)
    for count in (0, -1):
        with pytest.raises(pf.InputError, match=f"n_samples is a whole number of at least 1.*; it is {count}"):
            found.sample(count)
    quantiles = regressor.predict_quantiles(X, [0.1, 0.9])
    assert list(quantiles.columns) == [("height", 0.1), ("height", 0.9)]
    interval = regressor.predict_interval(X, 0.8)
    assert (interval.to_numpy() == quantiles.to_numpy()).all()
    np.testing.assert_allclose(interval, estimator.predict_interval(X, 0.8))
    np.testing.assert_allclose(regressor.predict(X)["height"], estimator.predict(X, statistic="mean"))


@pytest.mark.slow
def test_densities_integrate_to_one_and_moments_are_theirs(regressor, rows):
    X, _ = rows
    found = regressor.predict_proba(X.iloc[:1])
    grid = np.linspace(-8, 8, 2_001)
    density = np.exp(regressor.estimator_.score_samples(pd.concat([X.iloc[:1]] * len(grid)), grid))
    np.testing.assert_allclose(found.iat[0, 0].pdf(grid[900]), density[900])
    assert trapezoid(density, grid) == pytest.approx(1, abs=2e-3)
    mean = trapezoid(grid * density, grid)
    assert found.mean().iloc[0, 0] == pytest.approx(mean, abs=5e-3)
    assert found.var().iloc[0, 0] == pytest.approx(trapezoid((grid - mean) ** 2 * density, grid), rel=2e-2)
    draws = found.sample(4_000)["height"]
    assert is_mean_of(draws.to_numpy(), mean)


@pytest.mark.slow
def test_new_rows_are_likelier_than_by_what_ignores_the_columns_and_not_than_by_the_truth(regressor):
    X, y = table(2_000, seed=2)
    height = y["height"].to_numpy()
    found = regressor.predict_proba(X).log_pdf(y)["height"].to_numpy()
    # The law that the rows follow is known, a Gaussian of deviation 0.5; without the columns it is 2 x plus that.
    truth = stats.norm.logpdf(height, 2 * X["x"], 0.5)
    blind = np.log(stats.norm.cdf((height + 2) / 0.5) - stats.norm.cdf((height - 2) / 0.5)) - np.log(4)
    for gain, least in ((found - blind, 5), (truth - found, -5)):
        assert gain.mean() > least * gain.std() / len(gain) ** 0.5


@pytest.mark.slow
def test_metrics_of_skpro_judge_it_and_rows_can_be_chosen(regressor, rows):
    X, y = rows
    found = regressor.predict_proba(X)
    assert LogLoss()(y, found) == pytest.approx(-found.log_pdf(y).to_numpy().mean())
    assert CRPS()(y, found) > 0
    last = found.loc[["row 6", "row 2"]]
    assert list(last.index) == ["row 6", "row 2"]
    np.testing.assert_allclose(last.mean(), found.mean().loc[["row 6", "row 2"]])


@pytest.mark.slow
def test_whole_numbers_have_a_density_unless_told_otherwise():
    X, y = table()
    y = (10 * y).round()
    found = FlowRegressor("maf", max_steps=50, random_state=0).fit(X, y).predict_proba(X)
    assert np.isfinite(LogLoss()(y, found))
    np.testing.assert_allclose(found.ppf(found.cdf(y)), y)


@pytest.mark.slow
def test_counts_have_probabilities():
    generator = np.random.default_rng(0)
    X = pd.DataFrame({"x": generator.uniform(size=400)})
    y = pd.DataFrame({"visits": generator.poisson(1 + 2 * X["x"])})
    found = FlowRegressor("maf", max_steps=100, kind="integer", random_state=0).fit(X, y).predict_proba(X.iloc[:2])
    mass = np.stack([found.pmf(k)["visits"] for k in range(30)])
    np.testing.assert_allclose(mass.sum(0), 1, atol=1e-3)
    np.testing.assert_allclose(found.cdf(3)["visits"], mass[:4].sum(0), atol=1e-3)
    assert (found.pdf(1) == 0).all(axis=None)


def test_several_targets_and_other_columns_are_refused():
    X, y = table(20)
    with pytest.raises(pf.InputError, match="one target; y has 2 columns"):
        FlowRegressor().fit(X, y.assign(width=y["height"] ** 2))
    with pytest.raises(ValueError, match=r"columns in fit were .*'noise'"):
        FlowRegressor("maf", max_steps=2).fit(X, y).predict(X[["x"]])
