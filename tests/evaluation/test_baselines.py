import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from pushforward.errors import InputError
from pushforward.evaluation.baselines import mean_and_standard_error, mixture_log_likelihood
from pushforward.table_models.gaussian import gaussian_log_likelihood


@pytest.fixture
def rows():
    generator = np.random.default_rng(3)
    return generator.normal(size=(700, 4)) @ generator.normal(size=(4, 4)) + np.array([0.0, 10.0, -3.0, 1e4])


@pytest.fixture
def two_clusters():
    generator = np.random.default_rng(4)
    centers = np.array([[-4.0, 0.0, 1.0], [4.0, 2.0, -1.0]])
    return centers[generator.integers(0, 2, 1500)] + generator.normal(size=(1500, 3))


def test_gaussian_agrees_with_scipy(rows):
    train, test = rows[:500], rows[500:]
    expected = multivariate_normal(train.mean(axis=0), np.cov(train.T, bias=True)).logpdf(test)
    np.testing.assert_allclose(gaussian_log_likelihood(train, test), expected, rtol=1e-9)


def test_gaussian_of_one_column(rows):
    column = rows[:, 1:2]
    expected = norm(column.mean(), column.std()).logpdf(column[:, 0])
    np.testing.assert_allclose(gaussian_log_likelihood(column, column), expected, rtol=1e-12)


def test_gaussian_is_the_best_of_all_gaussians_on_its_own_rows(rows):
    best = gaussian_log_likelihood(rows, rows).mean()
    covariance = np.cov(rows.T, bias=True)
    for factor in (0.95, 1.05):
        assert multivariate_normal(rows.mean(axis=0), factor * covariance).logpdf(rows).mean() < best


def test_single_precision_and_wildly_different_units_do_no_harm(rows):
    scales = np.array([1e-12, 1.0, 1e9, 1e3])
    plain = gaussian_log_likelihood(rows[:500], rows[500:])
    scaled = gaussian_log_likelihood(rows[:500] * scales, rows[500:] * scales)
    np.testing.assert_allclose(scaled, plain - np.log(scales).sum(), rtol=1e-6)
    single = gaussian_log_likelihood(rows[:500, :3].astype(np.float32), rows[500:, :3].astype(np.float32))
    np.testing.assert_allclose(single, gaussian_log_likelihood(rows[:500, :3], rows[500:, :3]), atol=1e-3)


def test_columns_almost_dependent_still_count():
    generator = np.random.default_rng(5)
    base = generator.normal(size=1000)
    tight = np.stack([base, base + 1e-5 * generator.normal(size=1000)], axis=1)
    residual = tight[:, 1] - tight[:, 0]
    expected = norm(0, base.std()).logpdf(base) + norm(0, residual.std()).logpdf(residual)
    np.testing.assert_allclose(gaussian_log_likelihood(tight, tight).mean(), expected.mean(), atol=0.01)


def test_mixture_of_one_component_is_the_gaussian(rows):
    train, test = rows[:500, :2], rows[500:, :2]
    mixture, number = mixture_log_likelihood(train, test, components=(1,))
    assert number == 1
    np.testing.assert_allclose(mixture, gaussian_log_likelihood(train, test), atol=1e-4)


def test_mixture_finds_the_clusters_and_gives_their_density(two_clusters):
    density, number = mixture_log_likelihood(two_clusters[:1200], two_clusters[1200:])
    assert number == 2
    each = [
        multivariate_normal(mean, np.eye(3)).logpdf(two_clusters[1200:])
        for mean in ([-4.0, 0.0, 1.0], [4.0, 2.0, -1.0])
    ]
    truth = np.logaddexp(*each) - math.log(2.0)
    # Of two normals and their share: 19 numbers, each of which costs half a row of the fit on average.
    loss = truth - density
    error = 5 * loss.std() / np.sqrt(len(loss))
    assert -error < loss.mean() < error + 3 * 19 / (2 * 1200)
    assert density.mean() > gaussian_log_likelihood(two_clusters[:1200], two_clusters[1200:]).mean() + 0.3


def test_mixture_density_integrates_to_one_in_the_units_of_the_data(two_clusters):
    column = 250.0 * two_clusters[:, :1]
    grid = np.linspace(-3000.0, 3000.0, 4001)
    density, _ = mixture_log_likelihood(column, grid[:, None])
    assert np.trapezoid(np.exp(density), grid) == pytest.approx(1.0, abs=1e-3)


def test_gain_over_the_gaussian_does_not_depend_on_units(two_clusters):
    def gain(table):
        return mixture_log_likelihood(table[:1200], table[1200:])[0] - gaussian_log_likelihood(
            table[:1200], table[1200:]
        )

    np.testing.assert_allclose(
        gain(two_clusters), gain(two_clusters * np.array([1e-3, 7.0, 1e4]) + np.array([0.0, -5.0, 1e5])), atol=1e-5
    )


def test_mixture_repeats_itself_and_fits_a_subset(two_clusters):
    first, _ = mixture_log_likelihood(two_clusters, two_clusters, seed=1, maximum_rows=400)
    again, _ = mixture_log_likelihood(two_clusters, two_clusters, seed=1, maximum_rows=400)
    everything, _ = mixture_log_likelihood(two_clusters, two_clusters, seed=1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - everything).max() > 1e-6


def test_mixture_survives_repeated_values():
    table = np.random.default_rng(6).integers(0, 3, size=(600, 2)).astype(float)
    density, _ = mixture_log_likelihood(table, table)
    assert np.isfinite(density).all()


@pytest.mark.parametrize("reference", [gaussian_log_likelihood, mixture_log_likelihood])
def test_unusable_rows_are_refused(reference, rows):
    with pytest.raises(InputError, match="column 2 of the training rows is constant"):
        reference(np.stack([rows[:, 0], np.full(len(rows), 1013.1)], axis=1), rows[:, :2])
    broken = rows.copy()
    broken[2, 0] = np.nan
    with pytest.raises(InputError, match="finite test rows: row 3, column 1"):
        reference(rows, broken)
    with pytest.raises(InputError, match="same columns"):
        reference(rows, rows[:, :2])
    with pytest.raises(InputError, match="more training rows than columns"):
        reference(rows[:4], rows)
    with pytest.raises(InputError, match="shape"):
        reference(rows[:, 0], rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_singular_covariance_is_refused(rows, dtype):
    dependent = np.concatenate([rows[:, :3], rows[:, :1] + rows[:, 1:2]], axis=1).astype(dtype)
    with pytest.raises(InputError, match="singular"):
        gaussian_log_likelihood(dependent, dependent)


def test_no_possible_number_of_components_is_refused(rows):
    with pytest.raises(InputError, match="number of components"):
        mixture_log_likelihood(rows, rows, components=(1000,))


def test_no_test_rows_give_no_densities(rows):
    assert gaussian_log_likelihood(rows, rows[:0]).shape == (0,)
    assert mixture_log_likelihood(rows, rows[:0], components=(1,))[0].shape == (0,)


def test_mean_and_standard_error():
    values = np.random.default_rng(0).normal(2.0, 3.0, 10_000)
    mean, error = mean_and_standard_error(values)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(0.03, rel=0.05)
    assert mean_and_standard_error([5.0])[0] == 5.0
    assert math.isnan(mean_and_standard_error([5.0])[1])
    mean, error = mean_and_standard_error([0.0, -math.inf])
    assert mean == -math.inf and math.isnan(error)
    with pytest.raises(InputError, match="at least one value"):
        mean_and_standard_error([])


def test_importing_stays_quick():
    code = "import sys, pushforward.evaluation.baselines; print('sklearn' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
