"""Means over the steps since the last evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Means:
    """The mean loss and the mean norm of the gradient since the last evaluation, as sums.

    Attributes:
        loss_sum: Of all rows.
        norm_sum: Of all steps.
        rows_seen: How many rows there were.
        steps_seen: How many steps there were.
        last_rate: The learning rate of the last step.
    """

    loss_sum: float = 0.0
    norm_sum: float = 0.0
    rows_seen: int = 0
    steps_seen: int = 0
    last_rate: float = 0.0

    def note(self, loss: float, norm: float, rows: int, learning_rate: float) -> None:
        """Add a step."""
        self.loss_sum += loss * rows
        self.rows_seen += rows
        self.norm_sum += norm
        self.steps_seen += 1
        self.last_rate = learning_rate

    def taken(self) -> tuple[float, float]:
        """The mean loss and the mean norm, NaN if there was no step; the sums start again."""
        loss = self.loss_sum / self.rows_seen if self.rows_seen else math.nan
        norm = self.norm_sum / self.steps_seen if self.steps_seen else math.nan
        self.loss_sum = self.norm_sum = 0.0
        self.rows_seen = self.steps_seen = 0
        return loss, norm
