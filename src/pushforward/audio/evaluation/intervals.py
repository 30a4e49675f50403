"""Figures that are ratios of sums over files, with the uncertainty that a choice of files leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval.

    Attributes:
        value: The figure.
        low: Lower end of the interval; NaN with fewer than two files.
        high: Upper end.
        files: The files that it comes from.
    """

    value: float
    low: float
    high: float
    files: int


def ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> Estimate:
    """Return Σ numerators / Σ denominators over files, with its bootstrap interval: files are drawn with replacement.

    Files whose denominator is 0 or whose numerator is NaN are left out.

    Arguments:
        numerators: One for each file, such as the words that were understood.
        denominators: One for each file, such as the words that there are.
        seed: Of the bootstrap.

    Returns:
        The ratio and its interval by percentiles; all NaN if no file is left.

    Source: Efron, 1979.

    Example:
        >>> ratio([3, 4, 5], [6, 8, 10])
        Estimate(value=0.5, low=0.5, high=0.5, files=3)
    """
    pairs = np.array([(n, d) for n, d in zip(numerators, denominators, strict=True) if d > 0 and n == n], dtype=float)
    if not len(pairs):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value = float(pairs[:, 0].sum() / pairs[:, 1].sum())
    if len(pairs) < 2:
        return Estimate(value, float("nan"), float("nan"), len(pairs))
    chosen = np.random.default_rng(seed).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    sums = pairs[chosen].sum(1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(pairs))
