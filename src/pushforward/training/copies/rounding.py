"""Columns some of whose numbers were rounded to fewer decimals than the others, as in a second file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.training.copies.grid import spreads

# Decimals are counted in so many rows; at least this share of them must have fewer decimals than the others.
SOME_ROWS, LEAST_ROUNDED = 5000, 0.02
# Of numbers with one decimal more, one in ten has a 0 there anyway.
ZERO_BY_CHANCE = 0.1
# Steps are sought from twice the spread of a column down to this part of it.
FINEST_STEP = 2.0**-20
# Numbers are whole up to so many times the precision of their type, and up to this.
ROUNDING_ERRORS, WHOLE = 8, 0.01
# Columns of a smaller spread, or of a larger one than its inverse, are not examined.
LEAST_SPREAD = 1e-100


def steps_of_rounding(matrix: np.ndarray, numbers: Sequence[int]) -> dict[int, float]:
    """The powers of ten to which some, and not all, of the rows were rounded, by column.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        numbers: the columns of numbers.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 1))
        >>> steps_of_rounding(np.concatenate([x, np.round(x, 2)]), [0])
        {0: 0.01}
        >>> steps_of_rounding(np.round(x, 2), [0])
        {}
    """
    some = matrix[np.random.default_rng(0).permutation(len(matrix))[:SOME_ROWS]] if len(matrix) > SOME_ROWS else matrix
    units = spreads(some)
    found = {column: _step_of_rounding(some[:, column], float(units[column])) for column in numbers}
    return {column: step for column, step in found.items() if step is not None}


def _step_of_rounding(values: np.ndarray, spread: float) -> float | None:
    """The largest power of ten on which too many values lie for chance, and not all, or None."""
    values = values[~np.isnan(values)]
    error = ROUNDING_ERRORS * float(np.finfo(values.dtype).eps)
    values = values.astype(np.float64)
    if not len(values) or not LEAST_SPREAD < spread < 1 / LEAST_SPREAD:
        return None
    finest = max(FINEST_STEP * spread, error * float(np.median(np.abs(values))) / WHOLE)
    exponents = range(int(np.ceil(np.log10(2 * spread))), int(np.ceil(np.log10(finest))) - 1, -1)
    shares = np.array([_share_on(values, exponent, error) for exponent in exponents])
    for place in range(1, len(shares) - 1):
        # Atoms, such as zeros, are on the coarsest step as well.
        here, next_finer = shares[place : place + 2] - shares[0]
        if here - ZERO_BY_CHANCE * next_finer > LEAST_ROUNDED:
            return 10.0 ** exponents[place] if shares[place] < 1 - LEAST_ROUNDED else None
    return None


def _share_on(values: np.ndarray, exponent: int, error: float) -> float:
    """The share of values that are whole multiples of 10^exponent."""
    steps = values / 10.0**exponent if exponent >= 0 else values * 10.0**-exponent
    return float(np.mean(np.abs(steps - np.rint(steps)) <= np.minimum(error * np.abs(steps), WHOLE)))
