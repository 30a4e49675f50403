"""The weights of the parts of a mixture density, by expectation-maximization on rows that the parts have not seen."""

from __future__ import annotations

import numpy as np

# Steps of expectation-maximization, at most, and the change of weights at which they end; there is one maximum.
STEPS, LEAST_CHANGE = 1_000, 1e-7


def mixture_weights(log_prob: np.ndarray, rows: float = 1.0) -> np.ndarray:
    """The weights, (K,), with most likelihood of rows, and of some more rows that belong to each part.

    Arguments:
        log_prob: (K, n) of each row under each part, -inf or NaN where it has none; rows without any are left out.
        rows: how many more each part has, above 0 where no part is to be thought impossible; default 1.

    Source: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; of densities, Smyth and Wolpert 1999,
    doi:10.1023/A:1007511322260.

    Example:
        >>> mixture_weights(np.array([[0.0, 0.0, -9.0], [-9.0, -9.0, 0.0]])).round(2)
        array([0.6, 0.4])
    """
    log_prob = np.nan_to_num(log_prob, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    log_prob = log_prob[:, np.isfinite(log_prob).any(0)]
    parts, count = log_prob.shape
    weights = np.full(parts, 1 / parts)
    relative = np.exp(log_prob - log_prob.max(0, initial=-np.inf))
    for _ in range(STEPS):
        joint, before = weights[:, None] * relative, weights
        weights = ((joint / joint.sum(0)).sum(1) + rows) / (count + parts * rows)
        if np.abs(weights - before).max() < LEAST_CHANGE:
            break
    return weights


def mixed(log_prob: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """log Σ w_k p_k of each row, (n,), of (K, n) and (K,).

    Example:
        >>> mixed(np.log([[0.2], [0.4]]), np.array([0.5, 0.5])).round(4), round(float(np.log(0.3)), 4)
        (array([-1.204]), -1.204)
    """
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.logaddexp.reduce(log_prob + np.log(weights)[:, None], axis=0)
    return found
