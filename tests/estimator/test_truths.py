"""The estimators against densities that are known.

How near a fit comes to the truth varies from machine to machine: it must learn half of what there is to learn. What a
fitted model says of itself, its quantiles, draws and latent features, agrees with its density whatever it learned.
"""

import numpy as np
import pytest
import torch
from scipy import stats
from significance import follows
from sklearn.base import clone

import pushforward as pf
from pushforward.estimator.predictive_points import POINTS

MEAN, COVARIANCE = np.array([3.0, -50.0]), np.array([[1.0, 12.0], [12.0, 225.0]])


def gaussian_rows(count, seed=0):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, size=count)


@pytest.fixture(scope="module")
def gaussian():
    return pf.FlowDensity(max_steps=150, random_state=0).fit(gaussian_rows(3000))


def test_score_samples_is_the_density_of_a_gaussian(gaussian):
    X = gaussian_rows(2000, seed=1)
    found = gaussian.score_samples(X)
    loss = stats.multivariate_normal(MEAN, COVARIANCE).logpdf(X) - found
    # The mean loss is KL(truth || flow): at least 0, and less than half of the information between the columns.
    correlation = COVARIANCE[0, 1] / np.sqrt(COVARIANCE[0, 0] * COVARIANCE[1, 1])
    error = loss.std() / np.sqrt(2000)
    assert -5 * error < loss.mean() < 5 * error - 0.25 * np.log(1 - correlation**2)
    assert gaussian.score(X) == pytest.approx(found.mean())


def test_score_samples_integrates_to_one():
    X = np.exp(np.random.default_rng(0).normal(size=(200, 1)))
    barely_fitted = pf.FlowDensity(max_steps=5, random_state=0, kinds="continuous").fit(X)
    grid = np.linspace(-30, 200, 100_001)
    density = np.exp(barely_fitted.score_samples(grid[:, None].astype(np.float32)))
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)


def test_draws_are_those_of_the_gaussian(gaussian):
    draws = gaussian.sample(4000, random_state=0)
    assert draws.dtype == np.float64
    # Back in the latent space they are standard normal, whatever was learned.
    z = gaussian.flow_.to_latent(torch.from_numpy(draws)).detach().numpy()
    assert all(follows(column, "norm") for column in z.T)
    # Five standard errors, and a tenth of a deviation for the fit.
    deviation = np.sqrt(np.diag(COVARIANCE))
    assert (np.abs(draws.mean(0) - MEAN) / deviation < 5 / np.sqrt(4000) + 0.1).all()
    excess = (np.cov(draws.T) - COVARIANCE) / np.outer(deviation, deviation)
    assert (np.abs(excess) < 5 * np.sqrt(2 / 4000) + 0.1).all()
    np.testing.assert_array_equal(gaussian.sample(3, random_state=7), gaussian.sample(3, random_state=7))
    assert not np.array_equal(gaussian.sample(3, random_state=7), gaussian.sample(3))


def test_rows_far_out_have_a_density_or_none_at_all(gaussian):
    assert np.isfinite(gaussian.score_samples(np.array([MEAN, [1e25, -1e25]], dtype=np.float32))).all()
    near, far = gaussian.score_samples([MEAN, [1e300, -1e300]])
    assert np.isfinite(near) and far == -np.inf


# y | x is normal about x² with a deviation that grows with |x|.
def center(x):
    return x**2


def width(x):
    return 0.2 + 0.3 * np.abs(x)


def curve_rows(count, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 2, size=count)
    return x[:, None], center(x) + width(x) * generator.normal(size=count)


@pytest.fixture(scope="module")
def curve():
    """A mixture of as many flows as it has by default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.estimator.members.MEMBERS", 5)
        return pf.ConditionalFlowDensity(max_steps=300, random_state=0).fit(*curve_rows(3000))


@pytest.mark.slow
def test_quantiles_and_densities_are_those_of_a_known_conditional(curve):
    X, y = curve_rows(1000, seed=1)
    found = curve.score_samples(X, y)
    truth = stats.norm(center(X[:, 0]), width(X[:, 0])).logpdf(y)
    # KL(truth || flow) is at least 0, and less than half of what the condition tells: without it y has one Gaussian.
    loss, gain = truth - found, truth - stats.norm(y.mean(), y.std()).logpdf(y)
    error = loss.std() / np.sqrt(1000)
    assert -5 * error < loss.mean() < 5 * error + gain.mean() / 2
    assert curve.score(X, y) == pytest.approx(found.mean())
    # As many targets lie below a quantile as should: five standard errors of 1000 rows, and 0.05 for the fit.
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    quantiles = curve.predict_quantiles(X, levels)
    share = (y[:, None] < quantiles).mean(0)
    assert (np.abs(share - levels) < 5 * np.sqrt(levels * (1 - levels) / 1000) + 0.05).all()
    np.testing.assert_allclose(curve.predict(X), quantiles[:, 2], rtol=1e-12)


@pytest.mark.slow
def test_draws_lie_below_the_quantiles_as_often_as_they_should(curve):
    x = np.array([[-1.5], [0.0], [1.5]])
    draws = curve.sample(x, 4000, random_state=0)
    below = (draws < curve.predict_quantiles(x, [0.9])).mean(1)
    np.testing.assert_allclose(below, 0.9, atol=5 * np.sqrt(0.09 / 4000))
    np.testing.assert_array_equal(draws, curve.sample(x, 4000, random_state=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [None, "maf", "mixture_cdf", "radial"])
def test_quantiles_of_one_target_are_exact(name):
    """The density, integrated up to the q-quantile, is q, however badly the flow fits."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(100, 2))
    y = np.exp(0.5 * X[:, 0] + 0.3 * generator.normal(size=100))
    density = pf.ConditionalFlowDensity(name, max_steps=20, random_state=0).fit(X, y)
    row = X[:1]
    low, high = density.predict_quantiles(row, [1e-9, 1 - 1e-9])[0]
    grid = np.linspace(low, high, 4001)
    values = np.exp(density.score_samples(np.repeat(row, len(grid), 0), grid))
    cumulative = np.concatenate([[0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(grid))])
    levels = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
    quantiles = density.predict_quantiles(row, levels)[0]
    np.testing.assert_allclose(np.interp(quantiles, grid, cumulative), levels, atol=1e-3)


def test_quantiles_of_several_targets_are_those_of_many_draws():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(300, 1))
    Y = np.column_stack([X[:, 0] + generator.normal(size=300), np.exp(generator.normal(size=300))])
    density = pf.ConditionalFlowDensity(max_steps=20, random_state=0).fit(X, Y)
    rows = X[:2]
    draws = density.sample(rows, 40_000, random_state=0)
    assert draws.shape == (2, 40_000, 2)
    found = density.predict_quantiles(rows, [0.1, 0.5, 0.9])
    assert found.shape == (2, 3, 2) and density.predict(rows).shape == (2, 2)
    ranks = np.stack([(draws < found[:, [index]]).mean(1) for index in range(3)], axis=1)
    # Five standard errors of the draws; the quantiles are those of points that fill the space evenly.
    levels = np.array([[0.1], [0.5], [0.9]])
    assert (np.abs(ranks - levels) < 5 * np.sqrt(levels * (1 - levels) / 40_000) + 3 / POINTS).all()


def test_columns_that_are_constant_are_no_condition():
    generator = np.random.default_rng(0)
    y = generator.normal(size=200)
    X = np.column_stack([np.full(200, 7.0), generator.normal(size=200)])
    density = pf.ConditionalFlowDensity("maf", max_steps=5, random_state=0)
    alone = clone(density).fit(X[:, 1:], y)
    np.testing.assert_array_equal(density.fit(X, y).predict(X), alone.predict(X[:, 1:]))
    with pytest.warns(UserWarning, match="maf of one feature"):
        density.fit(X[:, :1], y)
    assert density.flow_.context_features == 0
    assert density.predict_quantiles(X[:5, :1], [0.1, 0.9]).shape == (5, 2)
    assert density.sample(X[:5, :1], 3, random_state=0).shape == (5, 3)
    assert np.isfinite(density.score(X[:, :1], y))


@pytest.mark.slow
def test_without_targets_the_medians_are_scored(curve):
    x = np.linspace(-1, 1, 5)[:, None]
    np.testing.assert_array_equal(curve.score_samples(x), curve.score_samples(x, curve.predict(x)))


def test_what_does_not_fit_the_estimator_is_refused():
    x = np.zeros((3, 1))
    curve = pf.ConditionalFlowDensity(max_steps=1, random_state=0).fit(*curve_rows(60))
    with pytest.raises(pf.InputError, match="y has 2 targets, but the estimator was fitted to 1"):
        curve.score_samples(x, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="X has 3 rows, and y 2"):
        curve.score_samples(x, np.zeros(2))
    for level in (0.0, 1.0, 1.5):
        with pytest.raises(pf.InputError, match="above 0 and below 1"):
            curve.predict_quantiles(x, [level])
    with pytest.raises(pf.InputError, match="contamination must be above 0"):
        pf.FlowOutlierDetector(contamination=0.0).fit(gaussian_rows(20))


@pytest.mark.slow
def test_outliers_are_the_rows_far_from_a_gaussian():
    X = gaussian_rows(1000)
    detector = pf.FlowOutlierDetector(contamination=0.02, max_steps=150, random_state=0).fit(X)
    assert (detector.predict(X) == -1).sum() == 20
    fresh = gaussian_rows(2000, seed=1)
    distance = np.einsum("ij,jk,ik->i", fresh - MEAN, np.linalg.inv(COVARIANCE), fresh - MEAN)
    # As rare among fresh rows: five standard errors of both samples.
    outliers = detector.predict(fresh) == -1
    assert abs(outliers.mean() - 0.02) < 5 * np.sqrt(0.02 * 0.98 * (1 / 1000 + 1 / 2000))
    assert distance[outliers].min() > np.median(distance)
    far = MEAN + 8 * np.sqrt(np.diag(COVARIANCE)) * [[1, -1], [-1, 1], [1, 0], [0, 1]]
    assert (detector.predict(far) == -1).all() and detector.predict([MEAN]) == 1
    np.testing.assert_array_equal(outliers, detector.decision_function(fresh) < 0)
    np.testing.assert_allclose(detector.decision_function(fresh), detector.score_samples(fresh) - detector.offset_)


@pytest.fixture(scope="module")
def clusters():
    """Two clusters of as many rows, of which the second weighs three times as much."""
    generator = np.random.default_rng(0)
    which = np.arange(4000) % 2
    X = generator.normal(size=(4000, 2)) + np.where(which, 4.0, -4.0)[:, None]
    return X, which, np.where(which, 3.0, 1.0) * generator.choice([0.5, 1.5], size=4000)


@pytest.mark.slow
def test_the_density_of_weighted_clusters_follows_their_weights(clusters):
    X, which, weights = clusters
    density = pf.FlowDensity(max_steps=200, random_state=0).fit(X, sample_weight=weights)
    share = weights[which == 1].sum() / weights.sum()
    # Nearer to the weighted share than to that of the rows: 20,000 draws.
    found = (density.sample(20_000, random_state=0).sum(1) > 0).mean()
    assert abs(found - share) < 5 * np.sqrt(0.25 / 20_000) + (share - 0.5) / 2
    fresh = np.random.default_rng(1).normal(size=(2000, 2)) + 4.0
    truth = np.log(share) + stats.norm(4.0).logpdf(fresh).sum(1)  # the other cluster is eleven deviations away
    loss = truth - density.score_samples(fresh)
    assert abs(loss.mean()) < 5 * loss.std() / np.sqrt(2000) + np.log(share / 0.5) / 2
    with_weights = (weights * density.score_samples(X)).sum() / weights.sum()
    assert density.score(X, sample_weight=weights) == pytest.approx(with_weights)


@pytest.mark.slow
def test_latent_features_are_standard_normal_and_lead_back():
    X = np.exp(gaussian_rows(3000) / [1, 15])
    transformer = pf.FlowTransformer(max_steps=150, random_state=0).fit(X)
    fresh = np.exp(gaussian_rows(2000, seed=1) / [1, 15])
    Z = transformer.transform(fresh)
    # Five standard errors of a covariance, and a quarter of the correlation of 0.8 in the data for the fit. Nearly
    # normal: 2.74 / √n is five standard errors of a Kolmogorov-Smirnov statistic, and 0.05 is for the fit.
    assert np.abs(np.cov(Z.T) - np.eye(2)).max() < 5 * np.sqrt(2 / 2000) + 0.2
    assert all(stats.kstest(z, "norm").statistic < 2.74 / np.sqrt(2000) + 0.05 for z in Z.T)
    np.testing.assert_allclose(transformer.inverse_transform(Z), fresh, rtol=1e-6)
    single = transformer.transform(fresh.astype(np.float32))
    assert single.dtype == np.float32 and transformer.inverse_transform(single).dtype == np.float32
    np.testing.assert_allclose(transformer.inverse_transform(single), fresh, rtol=1e-3)
    with pytest.raises(pf.InputError, match="3 latent features, but the flow has 2"):
        transformer.inverse_transform(np.zeros((1, 3)))


def test_latent_features_come_as_data_frames_when_asked():
    X = gaussian_rows(50)
    for library in ("pandas", "polars"):
        transformer = pf.FlowTransformer("maf", max_steps=2, random_state=0).set_output(transform=library)
        frame = transformer.fit_transform(X)
        assert type(frame).__module__.split(".")[0] == library
        assert (
            list(frame.columns) == list(transformer.get_feature_names_out()) == ["flowtransformer0", "flowtransformer1"]
        )
        np.testing.assert_allclose(transformer.inverse_transform(frame.to_numpy()), X, rtol=1e-6)
