"""The map of angles."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import EDGE, Map, cdf, double, log_normal, probit


class Circle(Map):
    """y = Φ⁻¹(u), u the fraction of a turn from where the circle is cut open; noise spreads steps.

    Arguments:
        kinds: columns with `period`, `low`, `step` and `start`.
    """

    normal = circular = True
    period: Tensor
    low: Tensor
    step: Tensor
    start: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([kind.low for kind in kinds])
        self.register_buffer("period", double([kind.period for kind in kinds]))
        self.register_buffer("low", double([kind.low for kind in kinds]))
        self.register_buffer("step", double([kind.step or 0.0 for kind in kinds]))
        self.register_buffer("start", double([kind.start or 0.0 for kind in kinds]))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative or the log of a step's width over the normal density."""
        part = self.fraction_of_turn(codes, noise)
        y = probit(part, 1 - part)
        return y, -log_normal(y) + self.log_width()

    def decode(self, y: Tensor) -> Tensor:
        """The codes."""
        return self.angle_at(cdf(y))

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Angles in radians: the ends of a step, or the angle twice."""
        angle = (self.fraction_of_turn(codes, torch.zeros_like(codes)) - 0.5) * 2 * math.pi
        log_term = torch.where(self.step > 0, 0.0, (2 * math.pi / self.period).log())
        return angle, angle + 2 * math.pi * self.step / self.period, log_term.expand_as(codes)

    def fraction_of_turn(self, codes: Tensor, noise: Tensor) -> Tensor:
        """The fraction of a turn from the start, in (0, 1)."""
        part = torch.remainder((codes - self.start + self.step * noise) / self.period, 1.0)
        return part.clamp(EDGE**2, 1 - EDGE**2)

    def angle_at(self, part: Tensor) -> Tensor:
        """The code, from low to low + period, on a step if there are steps."""
        turn = torch.remainder(part + (self.start - self.low) / self.period, 1.0) * self.period
        stepped = torch.where(self.step > 0, self.step, 1.0)
        # Rounding may reach a step from either side: a billionth of it is given to the next.
        whole = ((turn / stepped) + 1e-9).floor() * stepped
        whole = torch.where(whole >= self.period * (1 - 1e-9), 0.0, whole)
        angle = self.low + torch.where(self.step > 0, whole, turn)
        return torch.where(angle >= self.low + self.period, self.low, angle)

    def log_width(self) -> Tensor:
        """log(step / period), or log(1 / period) without steps."""
        return torch.where(self.step > 0, self.step, 1.0).log() - self.period.log()
