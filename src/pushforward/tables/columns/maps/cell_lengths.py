"""The cells of rounded numbers as tensors: of one length, or as long as significant figures make them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.tables.columns.figures import EDGE, Figures
from pushforward.tables.columns.maps.base import double


class CellLengths(nn.Module):
    """Where the cells of some columns lie, and how long they are.

    A cell reaches half a step on either side; at a power of ten the steps of significant figures change.

    Arguments:
        cells: (D,) of each column.
    """

    step: Tensor
    offset: Tensor
    figures: Tensor

    def __init__(self, cells: Sequence[Any]) -> None:
        super().__init__()
        self.register_buffer("step", double([cell.step for cell in cells]))
        self.register_buffer("offset", double([cell.offset for cell in cells]))
        figures = [cell.figures if isinstance(cell, Figures) else 0 for cell in cells]
        self.grows = any(figures)
        self.register_buffer("figures", double(figures))

    def nearest(self, x: Tensor) -> Tensor:
        """The values in whose cells numbers lie."""
        step = self._steps(x)
        return self.offset + ((x - self.offset) / step).round() * step

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
