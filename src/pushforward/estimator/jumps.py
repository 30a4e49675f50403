"""Latent points of forecasts that jump at values with a probability: exact there, by quadrature between the jumps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.forecast import FURTHEST, NODES
from pushforward.tables.columns.base import Column

# Values of a grid that are jumps each; there are nodes alone where a grid has more.
MOST_JUMPS = 100
# All nodes together, between few jumps, and the fewest between two.
MOST_NODES, FEWEST_NODES = 2 * NODES, 32
# The weight of each end of a jump, so that interpolation is flat in between.
AT_ENDS = 1e-9


def jumps_of(kind: Column, low: float, high: float) -> tuple[np.ndarray, bool, bool]:
    """The codes of a column, increasing, at which a distribution function jumps; whether it rises between and beyond.

    Arguments:
        kind: of the column, complete, with codes that increase with the values.
        low: about where the values begin.
        high: about where they end.

    Example:
        >>> from pushforward.tables.columns.kinds import Continuous, Integer
        >>> jumps_of(Integer(low=1, high=3, step=1, frequencies=[0.2, 0.3, 0.5]), 1, 3)
        (array([1, 2, 3]), False, False)
        >>> jumps_of(Continuous(), 0, 1)
        (array([], dtype=float64), True, True)
    """
    levels = kind.all_codes()
    if levels is not None:
        return levels, False, False
    atoms = np.array(kind.atom_codes, dtype=float)
    step, offset = kind.lattice if kind.discrete else kind.cells or (0.0, 0.0)
    bounds = max(low, kind.bounds[0]), min(high, kind.bounds[1])
    if step and bounds[1] - bounds[0] < MOST_JUMPS * step:
        places = np.arange(np.ceil((bounds[0] - offset) / step), np.floor((bounds[1] - offset) / step) + 1)
        return np.union1d(atoms, offset + step * places), False, True
    return atoms, True, True


def weights_of_jumps(low: Tensor, high: Tensor) -> Tensor:
    """The probabilities of jumps, each as those of three equal values, the first and the last of next to no weight.

    Arguments:
        low: (n, J) where jumps begin in z, perhaps infinite.
        high: (n, J) where they end.

    Returns:
        (n, 3 J).
    """
    mass = _between(low, high)
    return torch.stack([AT_ENDS * mass, (1 - 2 * AT_ENDS) * mass, AT_ENDS * mass], -1).flatten(1)


def nodes_beside_jumps(low: Tensor, high: Tensor, between: bool) -> tuple[Tensor, Tensor]:
    """Nodes of z beside jumps, and weights that are those of a standard normal z, both (n, P).

    Arguments:
        low: (n, J) where jumps begin, increasing in each row, perhaps infinite.
        high: (n, J) where they end.
        between: whether there are values between jumps too, and not only beyond all of them.

    Example:
        >>> z, weights = nodes_beside_jumps(torch.zeros(1, 1), torch.full((1, 1), torch.inf), True)
        >>> round(float(weights.sum()), 9), round(float((weights * z).sum()), 8)
        (0.5, -0.39894228)
    """
    low, high = low.double().clamp(-FURTHEST, FURTHEST), high.double().clamp(-FURTHEST, FURTHEST)
    end = torch.full_like(low[:, :1], FURTHEST)
    first, last = torch.cat([-end, high], 1), torch.cat([low, end], 1)
    count = 2 * FEWEST_NODES
    if between:
        count = max(FEWEST_NODES, MOST_NODES // first.shape[1])
    else:
        first, last = first[:, [0, -1]], last[:, [0, -1]]
    last = torch.maximum(first, last)
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(count))
    z = 0.5 * (first + last)[..., None] + 0.5 * (last - first)[..., None] * nodes
    # Of the density over its largest value, which no interval is too far out for.
    nearest = torch.zeros_like(first).clamp(first, last)[..., None]
    shares = weights * torch.exp(0.5 * (nearest.square() - z.square()))
    shares = shares / shares.sum(-1, keepdim=True) * _between(first, last)[..., None]
    return z.flatten(1), shares.flatten(1)


def _between(low: Tensor, high: Tensor) -> Tensor:
    """Φ(high) - Φ(low), from the side where both are small."""
    flip = low + high > 0
    first, last = torch.where(flip, -high, low), torch.where(flip, -low, high)
    return torch.special.ndtr(last) - torch.special.ndtr(first)
