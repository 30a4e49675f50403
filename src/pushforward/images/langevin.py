"""Steps of Langevin of many states at once, each accepted or refused by the rule of Metropolis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# The share of accepted steps at which a chain of Langevin is the most efficient, and how fast its step adapts.
ACCEPTANCE, RATE = 0.574, 0.3

# log p of states (n, D), up to a constant, (n,), and what was computed on the way, (n, ...), to keep beside them.
LogDensity = Callable[[Tensor], tuple[Tensor, Tensor]]


class Langevin:
    """States that move by x ← x + step² / 2 · ∇ log p(x) + step · ε, and that leave the density p as it is.

    A step that Metropolis and Hastings refuse stays where it is; without that rule the steps would be right only in the
    limit of small ones.

    Arguments:
        log_density: log p.
        states: x, (n, D), all of which have one step.
        step: the first one.

    Attributes:
        log_prob: log p of the states, (n,).
        seen: what the density computed on the way to it.

    Cost: a gradient of log p for each state and step, and one at the start.

    Source: Roberts and Tweedie 1996, doi:10.2307/3318418.
    """

    def __init__(self, log_density: LogDensity, states: Tensor, step: float = 0.1):
        self.log_density, self.states, self.step = log_density, states, step
        self.log_prob, self.gradient, self.seen = self._evaluated(states)

    def move(self, adapt: bool) -> float:
        """Take or refuse a step in each state; return the share of those taken."""
        noise = torch.randn_like(self.states)
        ahead = self.states + self.step**2 / 2 * self.gradient + self.step * noise
        log_prob, gradient, seen = self._evaluated(ahead)
        back = (self.states - ahead - self.step**2 / 2 * gradient) / self.step
        log_ratio = log_prob - self.log_prob - (back.square() - noise.square()).sum(1).double() / 2
        # What the density cannot be computed for is refused.
        chance = log_ratio.nan_to_num(-torch.inf).clamp(max=0.0).exp()
        taken = torch.rand_like(chance) < chance
        self.states, self.gradient, self.seen = (
            torch.where(taken[:, None], new, old)
            for new, old in ((ahead, self.states), (gradient, self.gradient), (seen, self.seen))
        )
        self.log_prob = torch.where(taken, log_prob, self.log_prob)
        if adapt:
            self.step *= float(np.exp(RATE * (float(chance.mean()) - ACCEPTANCE)))
        return float(taken.double().mean())

    def _evaluated(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = states.detach().requires_grad_()
        with torch.enable_grad():
            log_prob, seen = self.log_density(states)
            (gradient,) = torch.autograd.grad(log_prob.sum(), states)
        return log_prob.detach().double(), gradient, seen.detach()
