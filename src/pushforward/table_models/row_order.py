"""Whether the order of a table's rows tells what the next row is, as in a time series."""

from __future__ import annotations

import math

import numpy as np

# Of the correlation of neighbors: so high, and so many standard errors of that of independent rows.
LEAST_CORRELATION, STANDARD_ERRORS = 0.5, 5
FEWEST_ROWS = 30
# A sorted column explains others up to polynomials of this degree.
DEGREE = 5


def correlation_of_neighbors(matrix: np.ndarray) -> float:
    """The largest correlation of a column with itself one row later, in size; 0 where chance explains it.

    Columns that only rise or fall are left out, since a table that is sorted by a measurement is not a time series, and
    of the others what a polynomial of the place in the table explains.

    Arguments:
        matrix: rows in their order, (n, columns); NaN where a value is missing.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1000, 1))
        >>> correlation_of_neighbors(noise), correlation_of_neighbors(noise.cumsum(0)) > 0.9
        (0.0, True)
    """
    complete = matrix[~np.isnan(matrix).any(1)]
    if len(complete) < FEWEST_ROWS:
        return 0.0
    steps = np.diff(complete, axis=0)
    is_sorted = (steps >= 0).all(0) | (steps <= 0).all(0)
    limit = max(LEAST_CORRELATION, STANDARD_ERRORS / math.sqrt(len(complete)))
    largest = 0.0
    for column in complete[:, ~is_sorted].T:
        # By ranks, so that outliers do not hide the rest.
        ranks = column.argsort().argsort() / len(column)
        if is_sorted.any():
            place = np.linspace(-1, 1, len(ranks))
            ranks = ranks - np.polynomial.Polynomial.fit(place, ranks, DEGREE)(place)
        deviations = ranks - ranks.mean()
        largest = max(largest, abs(float(deviations[1:] @ deviations[:-1] / (deviations @ deviations))))
    return largest if largest > limit else 0.0
