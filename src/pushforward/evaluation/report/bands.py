"""Simultaneous bands around the distribution function of uniform values, and ranges of counts in bins."""

from __future__ import annotations

import functools

import numpy as np
from scipy.stats import binom

LEVEL = 0.95
GRID_POINTS, SIMULATIONS, SEED = 99, 1000, 214
BINS = 20


@functools.lru_cache(maxsize=64)
def ecdf_bands(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The band in which the distribution function of so many uniform values lies with 95 %, at all points together.

    Arguments:
        rows: how many values.

    Returns:
        The points, (99,), and the lower and the upper end of the band less the point.

    Source: Säilynoja, Bürkner and Vehtari 2022, arXiv:2103.10522, as computed by arviz-stats.

    Example:
        >>> grid, low, high = ecdf_bands(100)
        >>> bool(((low < 0) & (high > 0)).all())
        True
    """
    # Imported here: it brings xarray.
    from arviz_stats.ecdf_utils import get_pointwise_confidence_band, simulate_confidence_bands

    grid = np.arange(1, GRID_POINTS + 1) / (GRID_POINTS + 1)
    generator = np.random.default_rng(SEED)
    probability = simulate_confidence_bands(rows, 1, grid, LEVEL, SIMULATIONS, generator)
    low, high = get_pointwise_confidence_band(probability, rows, grid)
    return grid, low - grid, high - grid


def count_range(rows: int) -> tuple[float, float]:
    """The ends between which the counts of 20 bins of so many uniform values lie with at least 95 %, all together.

    Example:
        >>> count_range(1000)
        (30.0, 72.0)
    """
    outside = (1 - LEVEL) / BINS
    return float(binom.ppf(outside / 2, rows, 1 / BINS)), float(binom.isf(outside / 2, rows, 1 / BINS))
