"""How far importance weights can be trusted."""

from __future__ import annotations

from torch import Tensor

# Above this the variance of the weights is so heavy-tailed that averages over them converge too slowly to be useful
# (Vehtari, Simpson, Gelman, Yao and Gabry 2024, arXiv:1507.02646).
LARGEST_PARETO_K = 0.7


def pareto_k(log_weights: Tensor) -> float:
    """Return the shape k̂ of the generalized Pareto tail of the weights; above 0.7 do not trust averages over them.

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

    # Equal weights have no tail to which a generalized Pareto could be fitted.
    if float(log_weights.max() - log_weights.min()) < 1e-6:
        return 0.0
    # ArviZ takes log-likelihoods of left-out points, whose weights are their inverses.
    return float(array_stats.psislw(-log_weights.cpu().numpy())[1])


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
