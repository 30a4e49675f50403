"""Rows that are copies of others elsewhere in a chain, as resampling to equal weights leaves them."""

from __future__ import annotations

import numpy as np

from pushforward.chains.uncertainty import autocorrelation_time

# Copies are told from this share of the rows on.
LARGEST_SHARE = 0.01
# Rounded values repeat in each column more often than whole rows do; a shuffled chain has no autocorrelation.
LEAST_DISTINCT, LONGEST_TIME = 0.95, 2.0


def copies(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """The number of the distinct row that each row, (n, columns), is, and how many are copies from elsewhere.

    A Markov chain that stays where it is has copies as well, but next to each other: they do not count.

    Example:
        >>> copies(np.array([[1.0], [1.0], [2.0], [3.0], [1.0]]))
        (array([0, 0, 1, 2, 0]), 1)
    """
    _, number = np.unique(np.nan_to_num(rows), axis=0, return_inverse=True)
    number = number.reshape(-1)
    stays = np.concatenate([[False], number[1:] == number[:-1]])
    return number, int((~stays).sum() - len(np.unique(number)))


def resampled(rows: np.ndarray, number: np.ndarray) -> bool:
    """Whether copies are those of rows that were drawn again, in random order: not of rounding, not of a walk."""
    distinct = number.max() + 1
    most = max(len(np.unique(column)) for column in rows.T)
    if rows.shape[1] < 2 or most < LEAST_DISTINCT * distinct:
        return False
    one = np.zeros(len(rows), dtype=int)
    varied = [column for column in rows.T if np.isfinite(column).all() and np.ptp(column) > 0]
    return all(autocorrelation_time((c - c.mean()) / np.ptp(c), one) < LONGEST_TIME for c in varied)
