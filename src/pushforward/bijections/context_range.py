"""Conditions beyond the range of those that a flow was trained on: a network sees the end of the range."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# How far beyond the range a network sees at most, in standard deviations of the context.
MARGIN = 0.01
# Differences by rounding are not beyond the range.
ROUNDING = 1e-5


class ContextRange(nn.Module):
    """c inside a range, and c_end ± margin · u / (1 + u) beyond one of its ends, u = |c - c_end| / margin.

    A network knows nothing beyond the contexts that it was trained on. What it says there is an accident: scales go on
    to shrink or to grow, mostly exponentially. With this map before it, it answers as at the end of the range, from
    where `ContextTrend` goes on. The map is smooth and gradients never vanish; it does
    not depend on x, so that log-densities stay exact.

    Arguments:
        features: C.

    Attributes:
        low: (C,) the lower ends, -inf for none.
        high: (C,) the upper ends, inf for none.
        holds_training: whether all contexts of the training under way are known to lie within, default False: in
            training mode nobody then asks, which on a GPU is to wait for it.

    Example:
        >>> limit = ContextRange(1).set(torch.tensor([[-1.0], [1.0]]))
        >>> limit(torch.tensor([[0.5], [1.01], [1000.0]]))[:, 0]
        tensor([0.5000, 1.0050, 1.0100])
    """

    low: Tensor
    high: Tensor
    holds_training: bool = False

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((features,), -math.inf))
        self.register_buffer("high", torch.full((features,), math.inf))

    def set(self, rows: Tensor) -> ContextRange:
        """Take the range of rows, (N, C), NaN where a value is missing, and their precision; returns itself."""
        missing = rows.isnan()
        self.low = rows.masked_fill(missing, math.inf).amin(0)
        self.high = rows.masked_fill(missing, -math.inf).amax(0)
        # A column without values has no range.
        none = missing.all(0)
        self.low[none], self.high[none] = -math.inf, math.inf
        return self

    def forward(self, context: Tensor) -> Tensor:
        """The context as a network sees it, (*batch, C)."""
        inside = self.nearest(context)
        beyond = (context - inside) / MARGIN
        return inside + MARGIN * beyond / (1 + beyond.abs())

    def nearest(self, context: Tensor) -> Tensor:
        """The nearest context within the range, (*batch, C)."""
        return context.clamp(self.low.to(context), self.high.to(context))

    def beyond(self, context: Tensor) -> Tensor:
        """Which numbers, (*batch, C), lie beyond the range by more than rounding; never NaN."""
        low, high = self.low.to(context), self.high.to(context)
        below = context < low - ROUNDING * low.abs().clamp_min(1)
        return below | (context > high + ROUNDING * high.abs().clamp_min(1))
