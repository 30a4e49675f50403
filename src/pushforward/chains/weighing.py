"""Logarithms of means of exponentials, with relative errors, as evidences need them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pushforward.chains.chain import Chain
from pushforward.chains.uncertainty import mean_of
from pushforward.training.importance import LARGEST_PARETO_K, pareto_k

# Relative errors above this are no longer those of a logarithm.
LARGEST_RELATIVE_ERROR = 0.3


@dataclass(frozen=True)
class LogEstimate:
    """An estimate of log Z by one method.

    Attributes:
        value: in nats.
        error: standard error, in nats.
        effective_size: how many independent samples the weights are worth.
        pareto_k: shape of the tail of the weights; above 0.7 the error is not to be trusted.
        warnings: why the error is not to be trusted, in sentences; none where it is.
    """

    value: float
    error: float
    effective_size: float
    pareto_k: float
    warnings: tuple[str, ...] = ()


def log_mean(log_weights: np.ndarray, chain: Chain | None, sign: int = 1) -> LogEstimate:
    """log of the mean of weights, or minus it, with the relative error of the mean.

    Arguments:
        log_weights: (n,); -inf for a weight of 0.
        chain: whose rows they are of; None for independent draws.
        sign: -1 for minus the logarithm.

    Example:
        >>> found = log_mean(np.random.default_rng(0).normal(-0.5, 1.0, size=4000), None)  # of log-normal weights
        >>> abs(found.value) < 5 * found.error < 0.2
        True
    """
    largest = float(log_weights.max())
    if not math.isfinite(largest):
        return LogEstimate(math.nan, math.nan, 0.0, math.nan, ("No sample has a weight that is a finite number.",))
    weights = np.exp(log_weights - largest)
    if chain is None:
        mean, error = float(weights.mean()), float(weights.std(ddof=1) / math.sqrt(len(weights)))
        size, short, of_rows = float(weights.sum() ** 2 / (weights**2).sum()), False, np.zeros(len(weights))
    else:
        found = mean_of(weights, chain)
        mean, error, short, of_rows = found.value, found.error, found.short, np.log(chain.weights)
        of_chain = chain.weights / chain.weights.sum()
        share = (of_chain @ weights) ** 2 / (of_chain @ weights**2)
        size = float(share * found.size)
    shape = tail_shape(log_weights + of_rows)
    relative = error / mean
    return LogEstimate(sign * (largest + math.log(mean)), relative, size, shape, _doubts(shape, relative, short))


def tail_shape(log_weights: np.ndarray) -> float:
    """Pareto k of the weights, (n,), that are not 0; NaN of too few."""
    kept = log_weights[np.isfinite(log_weights)]
    if len(kept) < 25:
        return math.nan
    return pareto_k(torch.from_numpy(kept))


def _doubts(shape: float, relative: float, short: bool) -> tuple[str, ...]:
    found = []
    if not shape <= LARGEST_PARETO_K:
        found.append(f"the weights have Pareto k {shape:.2f}, above {LARGEST_PARETO_K}")
    if not relative <= LARGEST_RELATIVE_ERROR:
        found.append(f"the relative error, {relative:.2g}, is above {LARGEST_RELATIVE_ERROR}")
    if short:
        found.append("the chain is short for its autocorrelation")
    return tuple(found)
