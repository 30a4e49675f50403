"""Covariances of rows that may be few."""

import math

import torch
from torch import Tensor

# Values further out than this many deviations do not say how much to shrink a covariance.
WITHIN = 3.0
# The fewest rows for each column whose covariance needs no shrinking, and then its smallest share of the identity.
ROWS_OF_COVARIANCE, LEAST_SHARE = 50, 1e-4


def covariance_of_scores(y: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The mean and the covariance of columns made normal, in which every direction has variance.

    Of less than 50 rows for each column the covariance is shrunk toward the identity by the rule of Ledoit and Wolf.

    Arguments:
        y: (N, D).
        weights: (N,) or None.

    Returns:
        (D,) and (D, D), float64.
    """
    y = y.double()
    mean, covariance = shrunk_covariance(y, weights, WITHIN)
    if len(y) >= ROWS_OF_COVARIANCE * y.shape[1]:
        share = torch.full_like(y[:, 0], 1 / len(y)) if weights is None else (weights / weights.sum()).double()
        deviations = y - mean
        covariance = (deviations * share[:, None]).t() @ deviations
        # As if as many further rows as there are columns were uncorrelated: every direction has variance.
        of_identity = max(y.shape[1] / (y.shape[1] + len(y)), LEAST_SHARE)
        covariance = torch.lerp(covariance, torch.eye(len(mean)).to(covariance), of_identity)
    return mean, covariance


def shrunk_covariance(x: Tensor, weights: Tensor | None = None, within: float = math.inf) -> tuple[Tensor, Tensor]:
    """The mean of rows, and their covariance drawn toward a multiple of the identity, by as much as is best for them.

    Arguments:
        x: (N, D), in comparable units.
        weights: (N,) or None.
        within: how far from its mean a value is, at most, in what says how much to shrink, in deviations of its column;
            default as far as it is. Otherwise one column with heavy tails would take the correlations of all others.

    Returns:
        (D,) and (D, D), float64.

    Source: Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4.

    Example:
        >>> _, covariance = shrunk_covariance(torch.randn(50, 100, generator=torch.Generator().manual_seed(0)))
        >>> bool(torch.linalg.eigvalsh(covariance).min() > 0.5)
        True
    """
    x = x.double()
    share = torch.full_like(x[:, 0], 1 / len(x)) if weights is None else (weights / weights.sum()).double()
    mean = share @ x
    deviations = (x - mean) * share.sqrt()[:, None]
    covariance = deviations.t() @ deviations
    centered = x - mean
    if within < math.inf:
        most = within * covariance.diagonal().sqrt()
        centered = centered.clamp(-most, most)
    toward = _shrinkage(centered, share)
    return mean, torch.lerp(covariance, covariance.diagonal().mean() * torch.eye(x.shape[1]).to(covariance), toward)


def _shrinkage(centered: Tensor, share: Tensor) -> float:
    """The best share of the identity in the covariance of centered rows, (N, D), each with its share of all, (N,)."""
    features = centered.shape[1]
    if features < 2:
        return 0.0
    deviations = centered * share.sqrt()[:, None]
    covariance = deviations.t() @ deviations
    apart = covariance.square().sum() - features * covariance.diagonal().mean() ** 2
    # The mean square by which the rows' own squares scatter around the covariance.
    squares = centered.square().sum(1).square()
    error = (squares * share.square()).sum() - share.square().sum() * covariance.square().sum()
    return float((error / apart.clamp_min(torch.finfo(centered.dtype).tiny)).clamp(0, 1))
