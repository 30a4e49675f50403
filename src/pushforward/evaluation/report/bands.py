"""Simultaneous bands around the distribution function of uniform values, and ranges of counts in bins."""

from __future__ import annotations

import functools

import numpy as np
from scipy.stats import binom

LEVEL = 0.95
GRID_POINTS, SIMULATIONS, SEED = 99, 2000, 214
BINS = 20


@functools.lru_cache(maxsize=64)
def ecdf_bands(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The band in which the distribution function of so many uniform values lies with 95 %, at all points together.

    Arguments:
        rows: how many values.

    Returns:
        The points, (99,), and the lower and the upper end of the band less the point.

    Source: Säilynoja, Bürkner and Vehtari 2022, arXiv:2103.10522, by simulation; arviz-stats has the same for tables of
    xarray, which is not needed here.

    Example:
        >>> grid, low, high = ecdf_bands(100)
        >>> bool(((low < 0) & (high > 0)).all())
        True
    """
    grid = np.arange(1, GRID_POINTS + 1) / (GRID_POINTS + 1)
    generator = np.random.default_rng(SEED)
    counts = generator.multinomial(rows, np.full(GRID_POINTS + 1, 1 / (GRID_POINTS + 1)), SIMULATIONS)
    counts = counts.cumsum(1)[:, :-1]
    # The smaller of the two tails at the point where it is least, of each simulation.
    least = np.minimum(binom.cdf(counts, rows, grid), binom.sf(counts - 1, rows, grid)).min(1)
    tail = np.quantile(least, 1 - LEVEL)
    return grid, binom.ppf(tail, rows, grid) / rows - grid, binom.isf(tail, rows, grid) / rows - grid


def count_range(rows: int) -> tuple[float, float]:
    """The ends between which the counts of 20 bins of so many uniform values lie with at least 95 %, all together.

    Example:
        >>> count_range(1000)
        (30.0, 72.0)
    """
    outside = (1 - LEVEL) / BINS
    return float(binom.ppf(outside / 2, rows, 1 / BINS)), float(binom.isf(outside / 2, rows, 1 / BINS))
