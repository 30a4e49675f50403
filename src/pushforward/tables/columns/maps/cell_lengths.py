"""The cells of rounded numbers as tensors: of one length, or as long as significant figures make them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.tables.columns.figures import EDGE, Figures
from pushforward.tables.columns.grids import MOST_ROUNDING, ROUNDING
from pushforward.tables.columns.maps.base import double


class CellLengths(nn.Module):
    """Where the cells of some columns lie, and how long they are.

    A cell reaches half a step on either side; at a power of ten the steps of significant figures change.

    Arguments:
        cells: (D,) of each column.
        exact_beside: (D,) whether values beside them were not rounded; default for none.
    """

    step: Tensor
    offset: Tensor
    figures: Tensor
    exact_beside: Tensor

    def __init__(self, cells: Sequence[Any], exact_beside: Sequence[bool] | None = None) -> None:
        super().__init__()
        self.register_buffer("step", double([cell.step for cell in cells]))
        self.register_buffer("offset", double([cell.offset for cell in cells]))
        figures = [cell.figures if isinstance(cell, Figures) else 0 for cell in cells]
        self.grows = any(figures)
        self.register_buffer("figures", double(figures))
        exact = list(exact_beside or [False] * len(cells))
        self.some_exact = any(exact)
        self.register_buffer("exact_beside", torch.tensor(exact), persistent=False)

    def nearest(self, x: Tensor) -> Tensor:
        """The values in whose cells numbers lie."""
        step = self._steps(x)
        return self.offset + ((x - self.offset) / step).round() * step

    def are_exact(self, x: Tensor) -> Tensor:
        """Which numbers stand for themselves: those beside the grid of a column where such were not rounded."""
        if not self.some_exact:
            return torch.zeros_like(x, dtype=torch.bool)
        step = self._steps(x)
        bits = torch.where(x == x.float(), 2.0**-23, 16 * torch.finfo(torch.float64).eps)
        rounding = (ROUNDING + bits * x.abs() / step).clamp(max=MOST_ROUNDING)
        return self.exact_beside & ((x - self.nearest(x)).abs() > rounding * step)

    def ends(self, middle: Tensor) -> tuple[Tensor, Tensor]:
        """The two ends of the cells of values."""
        if not self.grows:
            return middle - 0.5 * self.step, middle + 0.5 * self.step
        away, toward = self._steps(middle), self._steps(middle * (1 - 1e-7))
        below, above = torch.where(middle > 0, toward, away), torch.where(middle > 0, away, toward)
        return middle - 0.5 * below, middle + 0.5 * above

    def lengths(self, x: Tensor) -> Tensor:
        """The lengths of the cells of values or in which numbers lie."""
        if not self.grows:
            return self.step.expand_as(x)
        low, high = self.ends(self.nearest(x))
        return high - low

    def _steps(self, x: Tensor) -> Tensor:
        """The step from each number to the next one away from 0."""
        if not self.grows:
            return self.step
        decade = ((x.abs() / self.step).log10() + EDGE).floor() - (self.figures - 1)
        # A number that is not finite has no decade.
        grown = torch.where((self.figures > 0) & decade.isfinite(), decade.clamp_min(0.0), 0.0)
        return self.step * torch.pow(10.0, grown)
