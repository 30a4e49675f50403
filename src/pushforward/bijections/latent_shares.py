"""A normal number as a label and another normal number: the line is divided at quantiles, one interval for each label.

Φ(z) = below + share · Φ(y), where `below` is the sum of the shares of smaller labels. If z is normal, its label k has
probability share[k], and y is normal whatever the label is. Both directions have all their digits in the outer tails;
next to an edge between two intervals z has as many as it can have.
"""

import math

import torch
from torch import Tensor

from pushforward.bijections.complementary_error import normal_quantile

# What is left of a probability between z and an edge of its interval: float64 has no smaller difference.
LEAST = 1e-17


def divide(z: Tensor, log_shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The label and the normal number that a normal number stands for.

    Arguments:
        z: (*batch).
        log_shares: (*batch, K) or (K,), whose exponentials sum to 1.

    Returns:
        The label from 0 to K - 1, y, and log ∂y/∂z, all (*batch).

    Example:
        >>> z = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
        >>> label, y, log_det = divide(z, torch.tensor([0.25, 0.75], dtype=torch.float64).log())
        >>> label, y
        (tensor([0, 1, 1]), tensor([ 0.3441, -0.4307,  1.8759], dtype=torch.float64))
    """
    below, above = _sums(log_shares.double())
    wide = z.double()
    edges = normal_quantile(below[..., 1:], above[..., :-1]).detach()
    label = (wide[..., None] >= edges).sum(-1)
    log_share, log_below, log_above = (_of(part, label) for part in (log_shares.double(), below, above))
    rest = [
        torch.where(beyond == -math.inf, torch.special.log_ndtr(side), _difference(side, beyond))
        for side, beyond in ((wide, log_below), (-wide, log_above))
    ]
    y = normal_quantile(rest[0] - log_share, rest[1] - log_share)
    log_det = log_normal(wide) - log_share - log_normal(y)
    return label, y.to(z.dtype), log_det.to(z.dtype)


def join(label: Tensor, y: Tensor, log_shares: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `divide`: the normal number that stands for a label and another normal number.

    Arguments:
        label: (*batch), from 0 to K - 1.
        y: (*batch).
        log_shares: (*batch, K) or (K,).

    Returns:
        z and log ∂z/∂y, both (*batch).
    """
    below, above = _sums(log_shares.double())
    wide = y.double()
    log_share, log_below, log_above = (_of(part, label) for part in (log_shares.double(), below, above))
    log_p, log_q = (
        torch.logaddexp(beyond, log_share + torch.special.log_ndtr(side))
        for side, beyond in ((wide, log_below), (-wide, log_above))
    )
    z = normal_quantile(log_p, log_q)
    log_det = log_normal(wide) + log_share - log_normal(z)
    return z.to(y.dtype), log_det.to(y.dtype)


def log_normal(y: Tensor) -> Tensor:
    """log φ(y)."""
    return -0.5 * (y.square() + math.log(2 * math.pi))


def _sums(log_shares: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of the sums of the shares before each label and after it, (..., K); -inf where there is none."""
    none = torch.full_like(log_shares[..., :1], -math.inf)
    below = torch.cat([none, log_shares[..., :-1].logcumsumexp(-1)], -1)
    above = torch.cat([log_shares[..., 1:].flip(-1).logcumsumexp(-1).flip(-1), none], -1)
    return below, above


def _of(values: Tensor, label: Tensor) -> Tensor:
    """The value of each label, (*batch)."""
    return values.expand(*label.shape, values.shape[-1]).gather(-1, label[..., None])[..., 0]


def _difference(side: Tensor, log_beyond: Tensor) -> Tensor:
    """log(Φ(side) - exp(log_beyond)), as far as float64 has it."""
    return (0.5 * torch.erfc(-math.sqrt(0.5) * side) - log_beyond.exp()).clamp_min(LEAST).log()
