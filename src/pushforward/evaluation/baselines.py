"""A reference density, a mixture of Gaussians, and the error of a mean."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pushforward.errors import InputError
from pushforward.table_models.gaussian import standardized_rows


def mixture_log_likelihood(
    train: ArrayLike,
    test: ArrayLike,
    *,
    components: Sequence[int] = (1, 2, 4, 8, 16, 32),
    seed: int = 0,
    maximum_rows: int = 20_000,
    features: int | None = None,
) -> tuple[np.ndarray, int]:
    """Return the log density of each test row under a mixture of Gaussians, and how many components it has.

    The Gaussians have full covariance matrices, fitted by expectation maximization on standardized columns; the number
    of components is the one with the least Bayesian information criterion, going up the list until it rises. All of it
    takes five to seven seconds for 20,000 rows of seven columns.

    Arguments:
        train: rows to fit, shape (rows, columns), more rows than columns, finite.
        test: rows to score, shape (rows, columns), finite; the same columns in the same order and units.
        components: numbers of components to try, in ascending order, each at least 1; default 1, 2, 4, 8, 16, 32.
        seed: of the random subset of rows and of the starting points; default 0.
        maximum_rows: rows to fit at most, a random subset of the training rows beyond that; default 20,000.
        features: so many of the columns are given the others, p(first columns | others), by the one mixture of all;
            default all of them, given none.

    Returns:
        Log densities in nats in the data's own units, float64, shape (test rows,); the number of components.

    Raises:
        InputError: the shapes do not fit, a value is not finite, a training column is constant, or no number of
            components can be fitted.

    Example:
        >>> rows = np.concatenate([np.random.default_rng(0).normal(m, 1.0, (500, 1)) for m in (-9.0, 9.0)])
        >>> _, chosen = mixture_log_likelihood(rows, rows)
        >>> chosen
        2
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

    fitted, scored, log_scale = standardized_rows(train, test, "mixture")
    if len(fitted) > maximum_rows:
        fitted = fitted[np.random.default_rng(seed).choice(len(fitted), maximum_rows, replace=False)]

    best, least = None, math.inf
    for number in components:
        if number > len(fitted):
            break
        # The floor under the variances, a thousandth of a column's standard deviation squared, keeps a component from
        # collapsing onto repeated values, where the density would grow without bound.
        mixture = GaussianMixture(number, reg_covar=1e-6, random_state=seed)
        # These matrices are too small to share out: on several threads the fit takes longer, most of all on busy cores.
        with threadpool_limits(1), warnings.catch_warnings():
            # Stopping after a hundred rounds is good enough for a reference.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(fitted)
        criterion = float(mixture.bic(fitted))
        if criterion >= least:
            break
        best, least = mixture, criterion
    if best is None:
        raise InputError("The mixture reference needs a number of components no larger than the number of rows.")
    log_density = best.score_samples(scored) if len(scored) else np.zeros(0)
    if features is not None and features < scored.shape[1]:
        log_density = log_density - _marginal(best, scored, features)
        log_scale = float(np.log(np.asarray(train, dtype=np.float64).std(axis=0)[:features]).sum())
    return log_density - log_scale, int(best.n_components)


def _marginal(mixture: Any, rows: np.ndarray, first: int) -> np.ndarray:
    """log p of the columns of rows, (n, columns), from the first on, under a mixture of all columns, (n,)."""
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    terms = [
        np.log(weight) + multivariate_normal(mean[first:], covariance[first:, first:]).logpdf(rows[:, first:])
        for weight, mean, covariance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
    ]
    found: np.ndarray = logsumexp(np.stack([np.atleast_1d(term) for term in terms]), axis=0)
    return found


def mean_and_standard_error(values: ArrayLike) -> tuple[float, float]:
    """Return the mean of the values and its standard error.

    Arguments:
        values: independent values, for example log densities in nats, any shape, at least one.

    Returns:
        The mean and its standard error (sample standard deviation over the root of the number of values), both in the
        values' units; the standard error of a single value, or where a value is not finite, is NaN.

    Raises:
        InputError: there are no values.

    Example:
        >>> mean_and_standard_error([1.0, 2.0, 3.0, 4.0])
        (2.5, 0.645...)
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    if array.size == 0:
        raise InputError("A mean needs at least one value: there are none.")
    mean = float(array.mean())
    if array.size == 1 or not math.isfinite(mean):
        return mean, math.nan
    return mean, float(array.std(ddof=1)) / math.sqrt(array.size)
