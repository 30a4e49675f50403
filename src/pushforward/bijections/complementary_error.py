"""The logarithm of the complementary error function, its inverse, and normal quantiles of log-probabilities."""

import math

import torch
from torch import Tensor
from torch.special import erfcx

# Above this value the logarithm of erfc is computed from erfcx, below it from erf.
MIDDLE = 0.5


def log_reciprocal_erfc(u: Tensor) -> tuple[Tensor, Tensor]:
    """t = -log erfc(u) for u ≥ 0, and the logarithm of its derivative, 2 / (√π erfcx(u))."""
    near = u.clamp(max=MIDDLE)
    scaled = erfcx(u)
    # erfc(u) = exp(-u²) erfcx(u); near 0 this would leave t without digits.
    t = torch.where(u < MIDDLE, -torch.log1p(-torch.erf(near)), u.square() - scaled.log())
    return t, math.log(2 / math.sqrt(math.pi)) - scaled.log()


def inverse_log_reciprocal_erfc(t: Tensor) -> Tensor:
    """The u ≥ 0 at which -log erfc(u) = t."""
    with torch.no_grad():
        far = t.clamp_min(4)
        far = (far - (0.5 * (math.pi * far).log())).sqrt()  # erfcx(u) ≈ 1 / (√π u)
        u = torch.where(t < 4, torch.erfinv(-torch.expm1(-t.clamp(max=4))), far)
        for _ in range(3):
            value, log_slope = log_reciprocal_erfc(u)
            u = u - (value - t) * (-log_slope).exp()
    # Two more steps, whose first and second derivatives are those of the root; the value is unchanged.
    step = u
    for _ in range(2):
        value, log_slope = log_reciprocal_erfc(step)
        step = step - (value - t) * (-log_slope.detach()).exp()
    return u + (step - step.detach())


def normal_quantile(log_below: Tensor, log_above: Tensor) -> Tensor:
    """Φ⁻¹(p) of log p and log(1 - p), from the smaller of the two, which has the digits, however far out.

    Arguments:
        log_below: log p.
        log_above: log(1 - p).

    Example:
        >>> log_p = torch.tensor([-1e4, math.log(0.5)], dtype=torch.float64)
        >>> normal_quantile(log_p, torch.log1p(-log_p.exp()))
        tensor([-141.3798,    0.0000], dtype=torch.float64)
    """
    smaller = torch.minimum(log_below, log_above)
    distance = math.sqrt(2) * inverse_log_reciprocal_erfc((-smaller - math.log(2)).clamp_min(0))
    return torch.where(log_below < log_above, -distance, distance)
