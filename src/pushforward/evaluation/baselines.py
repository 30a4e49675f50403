"""Reference densities: what a Gaussian and a mixture of Gaussians make of the same rows."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pushforward.errors import InputError

# Standard deviation, along the tightest direction of the standardised columns, below which single-precision values
# say nothing any more: a density there would measure rounding.
_TIGHTEST = 1e-7


def gaussian_log_likelihood(train: ArrayLike, test: ArrayLike) -> np.ndarray:
    """Return the log density of each test row under the Gaussian fitted to the training rows by maximum likelihood.

    The Gaussian has a full covariance matrix, in closed form (divided by the number of rows, not by one less). The
    columns are standardised first and the density is given back in the data's own units.

    Arguments:
        train: rows to fit, shape (rows, columns), more rows than columns, finite.
        test: rows to score, shape (rows, columns), finite; the same columns in the same order and units.

    Returns:
        Log densities in nats, float64, shape (test rows,).

    Raises:
        InputError: the shapes do not fit, a value is not finite, or the training rows' covariance is singular.

    Example:
        >>> gaussian_log_likelihood([[-1.0], [1.0]], [[0.0]])
        array([-0.91893853])
    """
    fitted, scored, log_scale = _standardised(train, test, "Gaussian")
    rows, columns = fitted.shape
    # The triangular factor of the rows themselves: forming the covariance would square the condition number.
    factor = np.asarray(np.linalg.qr(fitted, mode="r")) / math.sqrt(rows)
    if np.linalg.svd(factor, compute_uv=False)[-1] < _TIGHTEST:
        raise InputError(
            "The Gaussian reference needs a covariance matrix that is not singular: a column of the training rows is "
            "a linear combination of others; leave one of them out."
        )
    white = np.linalg.solve(factor.T, scored.T)
    log_determinant = np.log(np.abs(np.diag(factor))).sum() + log_scale
    result: np.ndarray = -0.5 * ((white**2).sum(axis=0) + columns * math.log(2.0 * math.pi)) - log_determinant
    return result


def mixture_log_likelihood(
    train: ArrayLike,
    test: ArrayLike,
    *,
    components: Sequence[int] = (1, 2, 4, 8, 16, 32),
    seed: int = 0,
    maximum_rows: int = 20_000,
) -> tuple[np.ndarray, int]:
    """Return the log density of each test row under a mixture of Gaussians, and how many components it has.

    The Gaussians have full covariance matrices, fitted by expectation maximisation on standardised columns; the number
    of components is the one with the least Bayesian information criterion, going up the list until it rises. All of it
    takes five to seven seconds for 20,000 rows of seven columns.

    Arguments:
        train: rows to fit, shape (rows, columns), more rows than columns, finite.
        test: rows to score, shape (rows, columns), finite; the same columns in the same order and units.
        components: numbers of components to try, in ascending order, each at least 1; default 1, 2, 4, 8, 16, 32.
        seed: of the random subset of rows and of the starting points; default 0.
        maximum_rows: rows to fit at most, a random subset of the training rows beyond that; default 20,000.

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

    fitted, scored, log_scale = _standardised(train, test, "mixture")
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
    return log_density - log_scale, int(best.n_components)


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


def _standardised(train: ArrayLike, test: ArrayLike, reference: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return both tables in units of the training columns' means and deviations, and the log of the volume of that."""
    tables = []
    for table, name in ((train, "training"), (test, "test")):
        array = np.asarray(table, dtype=np.float64)
        if array.ndim != 2:
            raise InputError(
                f"The {reference} reference needs {name} rows of shape (rows, columns), not {array.shape}."
            )
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0] + 1
            raise InputError(
                f"The {reference} reference needs finite {name} rows: row {row}, column {column} is not; fill or leave "
                "out such rows."
            )
        tables.append(array)
    fitted, scored = tables
    rows, columns = fitted.shape
    if columns == 0 or scored.shape[1] != columns:
        raise InputError(
            f"The {reference} reference needs the same columns to fit and to score: there are {columns} and "
            f"{scored.shape[1]}."
        )
    if rows <= columns:
        raise InputError(
            f"The {reference} reference needs more training rows than columns: there are {rows} rows of {columns}."
        )
    centre = fitted.mean(axis=0)
    scale = fitted.std(axis=0)
    # The deviation of equal values need not be exactly zero: their mean is rounded.
    constant = np.flatnonzero(fitted.min(axis=0) == fitted.max(axis=0))
    if constant.size:
        raise InputError(
            f"The {reference} reference needs columns that vary: column {constant[0] + 1} of the training rows is "
            "constant; leave it out."
        )
    return (fitted - centre) / scale, (scored - centre) / scale, float(np.log(scale).sum())
