"""How far importance weights can be trusted."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
from torch import Tensor

# Above this the variance of the weights is so heavy-tailed that averages over them converge too slowly to be useful
# (Vehtari, Simpson, Gelman, Yao and Gabry 2024, arXiv:1507.02646).
LARGEST_PARETO_K = 0.7
# The tail is a fifth of the draws, and its shape needs five of them.
FEWEST_DRAWS = 25


def pareto_k(log_weights: Tensor) -> float:
    """Return the shape k̂ of the generalized Pareto tail of the weights; above 0.7 do not trust averages over them.

    It is infinite where there are too few draws, or too few that have any weight, to fit a tail.

    Arguments:
        log_weights: (draws,), finite, up to a constant.

    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> narrow = torch.randn(4000, generator=generator) * 0.1
    >>> pareto_k(narrow) < 0.2 < 0.7 < pareto_k(30 * narrow)
    True
    """
    # Imported here: it brings scipy.
    from arviz_stats.base import array_stats

    if len(log_weights) < FEWEST_DRAWS:
        return math.inf
    exact = log_weights.double().cpu().sort(descending=True).values
    # Equal weights have no tail to which a generalized Pareto could be fitted.
    if float(exact[0] - exact[-1]) < 1e-6:
        return 0.0
    tail = math.ceil(min(0.2 * len(exact), 3 * math.sqrt(len(exact))))
    # ArviZ scales the tail by its quartile. Where that does not exceed the weights below the tail, it finds a light
    # tail, whether most weights are equal or a few draws have all the weight.
    quartile, below = (exact[[tail - int(tail / 4 + 0.5), tail]] - exact[0]).exp().tolist()
    if quartile <= max(below, sys.float_info.min):
        return 0.0 if effective_share(exact) * len(exact) > tail else math.inf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # ArviZ and numpy warn of what the shape says, in words that are not ours.
        warnings.simplefilter("ignore")
        # ArviZ takes log-likelihoods of left-out points, whose weights are their inverses.
        shape = float(array_stats.psislw(-exact.numpy())[1])
    return math.inf if math.isnan(shape) else shape


def effective_share(log_weights: Tensor) -> float:
    """Return (Σ weights)² / Σ weights² as a share of the draws: 1 is perfect.

    Arguments:
        log_weights: (draws,), up to a constant.

    >>> import torch
    >>> round(effective_share(torch.tensor([5.0, 5.0, -torch.inf, -torch.inf])), 4)
    0.5
    """
    squares = 2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)
    return float(squares.exp()) / len(log_weights)
