"""Draws of a density given the levels of some numbers: a population that starts as draws of the density itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.distributions import Base
from pushforward.errors import InputError
from pushforward.images.langevin import Langevin
from pushforward.images.observed import Observed

# Draws of the density for each particle, of which the first weights choose.
DRAWS = 4
# Steps of Langevin at each deviation of the noise.
MOVES = 4
# The deviation of the noise at the end; that at the start is as many times the largest number as `WIDE`.
NARROW, WIDE = 0.1, 100.0
# Halvings of the interval, of logarithms, in which the next deviation lies.
BISECTIONS = 30


@dataclass
class Population:
    """Particles, and how they came about.

    Attributes:
        y: (n, D), what the map makes of them; the known numbers fall within their steps with noise of a deviation
            `NARROW`.
        levels: deviations of the noise.
        accepted: share of the accepted steps.
        ancestors: the draw from which each descends, (n,).
    """

    y: Tensor
    levels: int
    accepted: float
    ancestors: Tensor


def populate(
    base: Base,
    forward: Callable[[Tensor], Tensor],
    known: Tensor,
    observed: Observed,
    size: int,
    report: Callable[[float], None],
) -> Population:
    """Draws of y = f(z), z from the base, given what is observed of the known numbers of y.

    Sequential Monte Carlo: draws of the base have the law p(z) P(observed | f(z), σ) for a σ so wide that everything
    fits. Then σ goes down. Each time it is as narrow as leaves the weights an effective sample size of half the
    particles; these are drawn again in proportion to their weights, and move by steps of Langevin in z, where the base
    is simple however far apart the likely y are.

    Arguments:
        base: p(z).
        forward: f, of rows.
        known: (D,) boolean.
        observed: the steps of the known numbers.
        size: n.
        report: takes the share that is done.

    Cost: `DRAWS` + (1 + `MOVES`) · levels gradients of f for each particle; the levels grow with the root of the
    number of known pixels.

    Raises:
        InputError: the model draws what is not finite.

    Source: Del Moral, Doucet and Jasra 2006, doi:10.1111/j.1467-9868.2006.00553.x; the choice of σ, Del Moral, Doucet
    and Jasra 2012, doi:10.1007/s11222-011-9271-y.
    """
    z, seen = _draws(base, forward, size)
    if not bool(seen.isfinite().all()):
        raise InputError("The model draws intensities that are not finite: fit it again.")
    wide = sigma = max(WIDE * float(seen.abs().max()), 2 * NARROW)
    ancestors, step, taken, levels = torch.arange(len(z), device=z.device), 0.5, 0.0, 0
    while sigma > NARROW:
        sigma, log_weights = _narrower(observed, seen[:, known].double(), sigma, len(seen) / 2)
        chosen = resampled(log_weights, size)
        ancestors, levels = ancestors[chosen], levels + 1
        chains = Langevin(_given(base, forward, known, observed, sigma), z[chosen], step)
        for _ in range(MOVES):
            taken += chains.move(adapt=True)
        z, seen, step = chains.states, chains.seen, chains.step
        report(math.log(wide / sigma) / math.log(wide / NARROW))
    return Population(seen, levels, taken / (levels * MOVES), ancestors)


def resampled(log_weights: Tensor, count: int) -> Tensor:
    """Numbers of particles, (count,), each as often as its weight says up to less than one: systematic resampling.

    Example:
        >>> resampled(torch.tensor([0.5, 0.0, 0.25, 0.25]).log(), 4).tolist()
        [0, 0, 2, 3]
    """
    shares = log_weights.double().softmax(0).cumsum(0)
    points = (torch.arange(count, device=shares.device) + torch.rand((), device=shares.device).double()) / count
    # The last share is 1 but for rounding.
    return torch.searchsorted(shares / shares[-1], points, right=True).clamp(max=len(shares) - 1)


def effective_size(log_weights: Tensor) -> float:
    """The number of draws of equal weights that is worth as much as draws of these, (Σ w)² / Σ w².

    Example:
        >>> round(effective_size(torch.tensor([0.5, 0.0, 0.5]).log()), 6)
        2.0
    """
    return float((2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp())


@torch.no_grad()
def _draws(base: Base, forward: Callable[[Tensor], Tensor], size: int) -> tuple[Tensor, Tensor]:
    z = [base.sample((size,)) for _ in range(DRAWS)]
    return torch.cat(z), torch.cat([forward(part) for part in z])


def _narrower(observed: Observed, y: Tensor, sigma: float, least: float) -> tuple[float, Tensor]:
    """The next deviation, of which the weights of y have an effective sample size of `least`, and these log-weights."""
    before = observed.log_prob(y, sigma)
    low, high = math.log(NARROW), math.log(sigma)
    middle = low
    for _ in range(BISECTIONS):
        log_weights = observed.log_prob(y, math.exp(middle)) - before
        if effective_size(log_weights) >= least:
            if middle == math.log(NARROW):
                return NARROW, log_weights
            high = middle
        else:
            low = middle
        middle = (low + high) / 2
    return math.exp(high), observed.log_prob(y, math.exp(high)) - before


def _given(
    base: Base, forward: Callable[[Tensor], Tensor], known: Tensor, observed: Observed, sigma: float
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def log_density(z: Tensor) -> tuple[Tensor, Tensor]:
        y = forward(z)
        return base.log_prob(z).double() + observed.log_prob(y[:, known].double(), sigma), y

    return log_density
