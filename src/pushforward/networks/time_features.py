"""Time on the way from latent points to data, as fine as the structure of the data where the way ends.

A point of the straight path x(t) = (1 - t) z + t x is known to about 1 - t, in units in which data have size 1. A field
of velocities changes within times of that size: the shorter, the nearer it is to the data.
"""

import math

import torch
from torch import Tensor

# Structure of the data is resolved to about this, in units of their standard deviation.
FINEST = 0.05
FREQUENCIES = 3


def logarithmic(time: Tensor) -> Tensor:
    """s = log((1 + ε) / (1 - t + ε)) / log((1 + ε) / ε) with ε = 0.05: 0 at time t = 0, and 1 at t = 1.

    In equal parts of s, the distance 1 - t + ε to the data decreases by equal factors.
    """
    return torch.log((1 + FINEST) / (1 - time + FINEST)) / math.log((1 + FINEST) / FINEST)


def from_logarithmic(s: Tensor) -> Tensor:
    """The time t of s, with 1 - t + ε = (1 + ε) (ε / (1 + ε))^s.

    Example:
        >>> time = torch.linspace(0, 1, 5)
        >>> torch.allclose(from_logarithmic(logarithmic(time)), time, atol=1e-6)
        True
    """
    return (1 + FINEST) * (1 - torch.exp(s * math.log(FINEST / (1 + FINEST))))


def time_per_logarithmic(s: Tensor) -> Tensor:
    """∂t/∂s = (1 - t + ε) log((1 + ε) / ε).

    Example:
        >>> s = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        >>> torch.allclose(torch.autograd.grad(from_logarithmic(s), s)[0], time_per_logarithmic(s))
        True
    """
    return (1 - from_logarithmic(s) + FINEST) * math.log((1 + FINEST) / FINEST)


def time_features(time: Tensor) -> Tensor:
    """What a network sees of times, (*batch,): t, s, sin(πks) and cos(πks) for k = 1 to 3, (*batch, 8)."""
    s = logarithmic(time)
    angles = math.pi * s[..., None] * torch.arange(1, FREQUENCIES + 1, dtype=time.dtype, device=time.device)
    return torch.cat([torch.stack([time, s], -1), angles.sin(), angles.cos()], -1)


# The number of these.
TIME_FEATURES = 2 + 2 * FREQUENCIES
