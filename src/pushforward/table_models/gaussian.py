"""The Gaussian with a full covariance: the reference for the held-out log-likelihood of a fit."""

import math

import numpy as np
from numpy.typing import ArrayLike

from pushforward.errors import InputError

# Standard deviation, along the tightest direction of the standardized columns, below which single-precision values
# carry no information: a density there would measure rounding.
_TIGHTEST = 1e-7


def gaussian_log_likelihood(train: ArrayLike, test: ArrayLike) -> np.ndarray:
    """Return the log density of each test row under the Gaussian fitted to the training rows by maximum likelihood.

    The Gaussian has a full covariance matrix, in closed form (divided by the number of rows, not by one less). The
    columns are standardized first and the density is given back in the data's own units.

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
    fitted, scored, log_scale = standardized_rows(train, test, "Gaussian")
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


def gaussian_held_out(
    train: np.ndarray,
    held_out: np.ndarray,
    features: int,
    weights: np.ndarray | None = None,
    held_out_weights: np.ndarray | None = None,
) -> float | None:
    """The mean log-likelihood of held-out rows under the Gaussian of the training rows.

    p(features | context) = p(features, context) / p(context), both Gaussian.

    Arguments:
        train: rows to fit, (n, columns), first the features and then the context.
        held_out: rows to score, (m, columns).
        features: how many columns are features.
        weights: of `train`, (n,), default all alike.
        held_out_weights: of `held_out`, (m,), default all alike.

    Returns:
        Nats per row, or None where there are no more rows than columns, too few for a full covariance.

    Raises:
        InputError: the covariance of the training rows is singular.
    """
    if train.shape[0] <= train.shape[1]:
        return None
    if weights is not None:
        # Rows that have the weighted mean and covariance without weights: each deviation scaled, on both sides.
        mean = np.average(train, axis=0, weights=weights)
        deviation = (train - mean) * np.sqrt(weights / weights.mean())[:, None]
        train = np.concatenate([mean + deviation, mean - deviation])
    log_prob = gaussian_log_likelihood(train, held_out)
    if features < train.shape[1]:
        log_prob = log_prob - gaussian_log_likelihood(train[:, features:], held_out[:, features:])
    return float(np.average(log_prob, weights=held_out_weights))


def standardized_rows(train: ArrayLike, test: ArrayLike, reference: str) -> tuple[np.ndarray, np.ndarray, float]:
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
    center = fitted.mean(axis=0)
    scale = fitted.std(axis=0)
    # The deviation of equal values need not be exactly zero: their mean is rounded.
    constant = np.flatnonzero(fitted.min(axis=0) == fitted.max(axis=0))
    if constant.size:
        raise InputError(
            f"The {reference} reference needs columns that vary: column {constant[0] + 1} of the training rows is "
            "constant; leave it out."
        )
    return (fitted - center) / scale, (scored - center) / scale, float(np.log(scale).sum())
