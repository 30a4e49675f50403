"""The reverse Kullback-Leibler divergence from an unnormalized density, and the draws of each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pushforward.training.objectives import log_prob_of_still_weights

if TYPE_CHECKING:
    from pushforward.flow import Flow

LogDensity = Callable[[Tensor], Tensor]


class ReverseKL(nn.Module):
    """The negative (importance-weighted) evidence lower bound, one estimate for each K draws.

    Arguments:
        flow: q.
        log_density: log p̃.
        estimator: "path" or "plain".
        importance_samples: K.
    """

    def __init__(self, flow: Flow, log_density: LogDensity, estimator: str, importance_samples: int) -> None:
        super().__init__()
        self.flow = flow
        self.log_density = log_density
        self.estimator = estimator
        self.importance_samples = importance_samples

    def train(self, mode: bool = True) -> ReverseKL:
        """Leave the flow in eval mode: its own draws must not initialize layers that start from data."""
        super().train(mode)
        self.flow.eval()
        return self

    def forward(self, count: int, temperature: float) -> Tensor:
        """Return -bound in nats, (count / K,), of fresh draws; the target is p̃^temperature."""
        x, log_q = self.flow.rsample_with_log_prob((count,))
        if self.estimator == "path":
            log_q = log_prob_of_still_weights(self.flow, x)
        log_weight = (temperature * self.log_density(x) - log_q).view(-1, self.importance_samples)
        bound = log_weight.logsumexp(-1) - math.log(self.importance_samples)
        if self.estimator == "path":
            # Doubly reparameterized: squared weights; with one sample it is log_weight itself.
            moving = (log_weight.softmax(-1).detach().square() * log_weight).sum(-1)
            bound = bound.detach() + moving - moving.detach()
        return -bound


class AnnealedDraws:
    """The number of draws in each step, and the temperature.

    Arguments:
        count: Draws in a step.
        annealing_steps: Steps in which the temperature rises to 1.
        first_temperature: The temperature from which it rises geometrically: each doubling of a target's sharpness
            takes the same number of steps.
        steps: Steps in an epoch.
    """

    def __init__(self, count: int, annealing_steps: int, first_temperature: float, steps: int) -> None:
        self.count = count
        self.annealing_steps = annealing_steps
        self.first_temperature = first_temperature
        self.steps = steps
        self._taken = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[int, float]]:
        for _ in range(self.steps):
            left = max(0.0, 1 - self._taken / self.annealing_steps) if self.annealing_steps else 0.0
            self._taken += 1
            yield self.count, self.first_temperature**left

    def state_dict(self) -> dict[str, Any]:
        """The number of steps so far."""
        return {"taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after that number of steps."""
        self._taken = int(state["taken"])
