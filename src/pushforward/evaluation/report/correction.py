"""The correction of p-values of many tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Of significance, after the correction.
LEVEL = 0.05


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values: rejecting those below α makes any false rejection at most α likely.

    adjusted[(k)] = max over j ≤ k of (m - j + 1) p[(j)], at most 1, where p[(1)] ≤ … ≤ p[(m)]. It holds whatever the
    dependence of the tests.

    Arguments:
        p_values: (n,); NaN stands for a test that was not made, stays NaN, and does not count.

    Returns:
        (n,) adjusted p-values.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65.

    Example:
        >>> holm([0.01, 0.04, float("nan"), 0.03])
        array([0.03, 0.06,  nan, 0.06])
    """
    found = np.array(p_values, dtype=np.float64)
    made = np.flatnonzero(~np.isnan(found))
    order = made[np.argsort(found[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(1.0, np.maximum.accumulate(factors * found[order])) if len(order) else found[order]
    return found
