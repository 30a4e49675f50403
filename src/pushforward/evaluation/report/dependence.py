"""Rank correlations of pairs of columns, in rows and in draws, with the error of their difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

GROUPS = 40
MOST_COLUMNS, MOST_ROWS, MOST_DRAWS = 30, 5000, 20_000


@dataclass(frozen=True, eq=False)
class Correlations:
    """Spearman's rank correlations.

    Attributes:
        data: (D, D) of rows.
        draws: (D, D) of draws.
        error: (D, D) standard errors of draws - data.
        p_value: (D, D) of a difference of 0, by Student's t; NaN on the diagonal and where there is none.
        rows: that they are of.
        drawn: how many draws.
    """

    data: np.ndarray
    draws: np.ndarray
    error: np.ndarray
    p_value: np.ndarray
    rows: int
    drawn: int


def correlations(data: np.ndarray, draws: np.ndarray, seed: int) -> Correlations:
    """Compare the rank correlations of rows and of the draws that stand beside them.

    The standard error is that of the delete-a-group jackknife of the difference: 40 random groups of rows, with their
    draws, are left out in turn, which counts what rows and draws share.

    Arguments:
        data: (n, D), NaN where a value is missing.
        draws: (L, n, D), L of each row; of more than 20,000 only the first.
        seed: of the groups.

    Source: Kott 2001, Journal of Official Statistics 17, 521.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
        >>> found = correlations(rows, rows[None] * [1, -1], seed=0)
        >>> bool(found.data[0, 1] > 0.7), bool(found.p_value[0, 1] < 1e-6)
        (True, True)
    """
    data, draws = data[:MOST_ROWS], draws[:, :MOST_ROWS]
    draws = draws[: max(1, MOST_DRAWS // max(1, len(data)))]
    group = np.random.default_rng(seed).permutation(len(data)) % GROUPS
    of_data, of_draws = rank_correlations(data), rank_correlations(_flat(draws))
    difference = of_draws - of_data
    without = np.stack(
        [rank_correlations(_flat(draws[:, group != k])) - rank_correlations(data[group != k]) for k in range(GROUPS)]
    )
    error = np.sqrt((GROUPS - 1) / GROUPS * ((without - without.mean(0)) ** 2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = 2 * student(GROUPS - 1).sf(np.abs(difference) / error)
    np.fill_diagonal(p_value, np.nan)
    return Correlations(of_data, of_draws, error, p_value, len(data), draws.shape[0] * draws.shape[1])


def _flat(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(-1, draws.shape[2])


def rank_correlations(rows: np.ndarray) -> np.ndarray:
    """Spearman's correlations, (D, D), of rows, (n, D), in which values may be missing; NaN where there is none.

    A value has its rank among all present ones of its column, and a pair of columns takes the rows that have both.

    Example:
        >>> rank_correlations(np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 1.0], [np.nan, 2.0]])).round(3)
        array([[ 1.   , -0.982],
               [-0.982,  1.   ]])
    """
    missing = np.isnan(rows)
    ranks = rankdata(rows, axis=0, nan_policy="omit") if missing.any() else rankdata(rows, axis=0)
    present = (~missing).astype(np.float64)
    ranks = np.where(missing, 0.0, ranks - np.nanmean(ranks, axis=0)) if missing.any() else ranks - ranks.mean(0)
    count = present.T @ present
    with np.errstate(invalid="ignore", divide="ignore"):
        # Means and variances of each column over the rows that have both.
        mean = ranks.T @ present / count
        variance = (ranks**2).T @ present / count - mean**2
        covariance = ranks.T @ ranks / count - mean * mean.T
        found: np.ndarray = covariance / np.sqrt(variance * variance.T)
    return np.where((variance > 0) & (variance.T > 0), np.clip(found, -1.0, 1.0), np.nan)
