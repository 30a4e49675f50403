"""The levels of known pixels, seen through Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import log_ndtr, ndtr, ndtri


class Observed:
    """Pixels whose intensities on the real line, with noise of a deviation σ, fall within the steps of known levels.

        log P(low < y + σ ε < high | y) = log(Φ((high - y) / σ) - Φ((low - y) / σ)), Φ that of normal numbers

    Summed over the pixels, it is nearly constant in y where σ is wide, and 0 or -∞ where it is narrow. Beside an exact
    likelihood of the levels its error is of the order of σ².

    Arguments:
        low: ends of the steps of the levels, (K,), float64.
        high: (K,), above these.
    """

    def __init__(self, low: Tensor, high: Tensor):
        self.low, self.high = low, high

    def log_prob(self, y: Tensor, sigma: float) -> Tensor:
        """Sum of the logs over the pixels, (n,), float64, of y, (n, K)."""
        below, above = self._ends(y, sigma)[:2]
        lower, upper = log_ndtr(below), log_ndtr(above)
        return (upper + (-torch.expm1(lower - upper)).log()).sum(-1)

    def draw(self, y: Tensor, sigma: float) -> Tensor:
        """Intensities y + σ ε given that they fall within the steps, (n, K)."""
        below, above, sign = self._ends(y, sigma)
        found = y + sign * sigma * ndtri(torch.lerp(ndtr(below), ndtr(above), torch.rand_like(below)))
        # Far from its step, y has no digits left for where it falls within.
        return torch.minimum(torch.maximum(found, self.low), self.high)

    def _ends(self, y: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """The ends from y in deviations, turned so that most of the step lies below 0, and the sign of that."""
        low, high = (self.low - y) / sigma, (self.high - y) / sigma
        turned = low + high > 0
        sign = torch.where(turned, -1.0, 1.0).to(low)
        return torch.where(turned, -high, low), torch.where(turned, -low, high), sign
