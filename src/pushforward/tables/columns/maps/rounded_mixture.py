"""The map of rounded or whole numbers with atoms."""

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import FURTHEST, cdf, double, log_normal, probit
from pushforward.tables.columns.maps.one_mixture import OneMixture

# A cell further out than this has no mass in float64: density times step stands for it.
FURTHEST_CELL = 30.0


class OneRoundedMixture(OneMixture):
    """y = Φ⁻¹(u) of one column, u at random between the values of the distribution function at the ends of a cell.

    The cell of an atom has the atom's jump in it. The log of a cell's mass is that of a probability or, for
    measurements beside the atoms, of a mean density: minus the log of the step.

    Arguments:
        kind: a column with `atom_codes`, their `shares`, the `marginal` distribution of the other values, and `cells`;
            with probabilities if it is `discrete`.
    """

    step: Tensor
    offset: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        self.register_buffer("step", double(kind.cells.step))
        self.register_buffer("offset", double(kind.cells.offset))
        self.log_unit = 0.0 if kind.discrete else math.log(kind.cells.step)
        low, high = kind.bounds
        # The first and the last value within the bounds; a billionth of a step is rounding.
        self.register_buffer("least", self.offset + ((low - self.offset) / self.step - 1e-9).ceil() * self.step)
        self.register_buffer("most", self.offset + ((high - self.offset) / self.step + 1e-9).floor() * self.step)

    def encode(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative or the log of a jump over the normal density, both (n,)."""
        (below, above), (below_end, above_end), on_atom = self._ends(x)
        y = probit(below + noise * (below_end - below), above_end + (1 - noise) * (above - above_end))
        width = torch.where(below < above_end, below_end - below, above - above_end)
        term = width.log() - log_normal(y)
        # Far out: the map without cells, and the density of the middle.
        z = self._normal(x)[0]
        far = ~on_atom & ~(z.abs() < FURTHEST_CELL)
        smooth, slope = super().encode(self._inside(x), noise)
        y, term = torch.where(far, smooth, y), torch.where(far, slope + self.step.log(), term)
        return y, torch.where(on_atom, term, term - self.log_unit)

    def intervals(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two ends of a value, and the log-derivative or minus the log of the unit."""
        (below, above), (below_end, above_end), on_atom = self._ends(x)
        low = probit(below, above).masked_fill(below <= 0, -math.inf)
        high = probit(below_end, above_end).masked_fill(above_end <= 0, math.inf)
        term = torch.zeros_like(x).masked_fill(~on_atom, -self.log_unit)
        z = self._normal(x)[0]
        far = ~on_atom & ~(z.abs() < FURTHEST_CELL)
        smooth, slope = super().encode(self._inside(x), torch.full_like(x, 0.5))
        half = 0.5 * (slope + self.step.log()).exp()
        return torch.where(far, smooth - half, low), torch.where(far, smooth + half, high), term

    def decode(self, y: Tensor) -> Tensor:
        """The codes, (n,)."""
        x = super().decode(y)
        near = self._nearest(x).clamp(self.least, self.most)
        return torch.where(torch.isin(x, self.atoms), x, near)

    def _nearest(self, x: Tensor) -> Tensor:
        return self.offset + ((x - self.offset) / self.step).round() * self.step

    def _inside(self, x: Tensor) -> Tensor:
        """A point of the cell that is not a bound."""
        room = 0.25 * self.step
        return x.clamp(self.low + room, self.high - room)

    def _ends(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
        """What lies below and above the lower end of a value's cell, and the upper end; whether it is an atom."""
        atom = torch.searchsorted(self.atoms, x.contiguous()).clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        middle = torch.where(on_atom, x, self._nearest(x).clamp(self.least, self.most))
        first = torch.where(on_atom, atom, torch.searchsorted(self.atoms, middle))
        last = first + on_atom.long()
        low = torch.where(~on_atom & (middle <= self.least), self.low, middle - 0.5 * self.step)
        high = torch.where(~on_atom & (middle >= self.most), self.high, middle + 0.5 * self.step)
        ends = []
        for end, place in ((low, first), (high, last)):
            z = self._normal(end)[0].clamp(-FURTHEST, FURTHEST)
            z = torch.where(end <= self.low, -math.inf, torch.where(end >= self.high, math.inf, z))
            ends.append((self.before[place] + self.rest * cdf(z), self.after[place] + self.rest * cdf(-z)))
        return ends[0], ends[1], on_atom
