"""How many decimals numbers have."""

from __future__ import annotations

import numpy as np

from pushforward.training.copies.grid import spreads

# Decimals are counted in so many numbers.
SOME_ROWS = 5000
# Numbers are whole up to so many times the precision of their type, and up to this.
ROUNDING_ERRORS, WHOLE = 8, 0.01
# Columns of a smaller spread, or of a larger one than its inverse, are not examined.
LEAST_SPREAD = 1e-100


def shares_of_decimals(column: np.ndarray, finest: float) -> dict[float, float]:
    """The share of numbers that are whole multiples of powers of ten, by the power, the largest first.

    The largest power is at least twice the spread of the numbers; the smallest is one that their type can tell.

    Arguments:
        column: (n,), NaN where one is missing.
        finest: the smallest power, in spreads.

    Example:
        >>> shares_of_decimals(np.array([0.5, 1.25, 2.0, 3.5]), 0.01)
        {10.0: 0.0, 1.0: 0.25, 0.1: 0.75, 0.01: 1.0}
    """
    if len(column) > SOME_ROWS:
        column = column[np.random.default_rng(0).choice(len(column), SOME_ROWS, replace=False)]
    values = column[~np.isnan(column)]
    error = ROUNDING_ERRORS * float(np.finfo(values.dtype).eps)
    values = values.astype(np.float64)
    spread = float(spreads(values[:, None])[0])
    if not len(values) or not LEAST_SPREAD < spread < 1 / LEAST_SPREAD:
        return {}
    least = max(finest * spread, error * float(np.median(np.abs(values))) / WHOLE)
    exponents = range(int(np.ceil(np.log10(2 * spread))), int(np.ceil(np.log10(least))) - 1, -1)
    return {float(f"1e{exponent}"): _share_on(values, exponent, error) for exponent in exponents}


def _share_on(values: np.ndarray, exponent: int, error: float) -> float:
    steps = values / 10.0**exponent if exponent >= 0 else values * 10.0**-exponent
    return float(np.mean(np.abs(steps - np.rint(steps)) <= np.minimum(error * np.abs(steps), WHOLE)))
