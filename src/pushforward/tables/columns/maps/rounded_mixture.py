"""The map of rounded or whole numbers with atoms."""

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import FURTHEST, LOG_SHORTEST, cdf, log_normal, probit
from pushforward.tables.columns.maps.cell_lengths import CellLengths
from pushforward.tables.columns.maps.one_mixture import OneMixture

# A cell further out than this has no mass in float64: density times step stands for it.
FURTHEST_CELL = 30.0


class OneRoundedMixture(OneMixture):
    """y = Φ⁻¹(u) of one column, u at random between the values of the distribution function at the ends of a cell.

    The cell of an atom has the atom's jump in it. The log of a cell's mass is that of a probability or, for
    measurements beside the atoms, of a mean density: minus the log of its length.

    Arguments:
        kind: a column with `atom_codes`, their `shares`, the `marginal` distribution of the other values, and
            `recorded`; with probabilities if it is `discrete`.
    """

    least: Tensor
    most: Tensor

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        self.cells = CellLengths([kind.recorded], [kind.partly_recorded])
        self.discrete = kind.discrete
        low, high = kind.bounds
        # The first and the last value within the bounds; a billionth of a step is rounding.
        step, offset = self.cells.step[0], self.cells.offset[0]
        self.register_buffer("least", offset + ((low - offset) / step - 1e-9).ceil() * step)
        self.register_buffer("most", offset + ((high - offset) / step + 1e-9).floor() * step)

    def encode(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative or the log of a jump over the normal density, both (n,)."""
        (below, above), (below_end, above_end), on_atom = self._ends(x)
        y = probit(below + noise * (below_end - below), above_end + (1 - noise) * (above - above_end))
        width = torch.where(below < above_end, below_end - below, above - above_end)
        term = width.log() - log_normal(y)
        # Far out, and of very short cells: the map without cells, and the density of the middle.
        z = self._normal(x)[0]
        smooth, slope = super().encode(self._inside(x), noise)
        log_length = self.cells.lengths(x).log()
        far = ~on_atom & (~(z.abs() < FURTHEST_CELL) | (slope + log_length < LOG_SHORTEST))
        y, term = torch.where(far, smooth, y), torch.where(far, slope + log_length, term)
        term = term if self.discrete else torch.where(on_atom, term, term - log_length)
        exact, slope = super().encode(x, noise)
        beside = ~on_atom & self.cells.are_exact(x)
        return torch.where(beside, exact, y), torch.where(beside, slope, term)

    def intervals(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two ends of a value, and the log-derivative, or that and the log of the unit, or minus that log."""
        (below, above), (below_end, above_end), on_atom = self._ends(x)
        low = probit(below, above).masked_fill(below <= 0, -math.inf)
        high = probit(below_end, above_end).masked_fill(above_end <= 0, math.inf)
        log_length = self.cells.lengths(x).log()
        term = torch.zeros_like(x) if self.discrete else torch.where(on_atom, 0.0, -log_length)
        z = self._normal(x)[0]
        far = ~on_atom & ~(z.abs() < FURTHEST_CELL)
        smooth, slope = super().encode(self._inside(x), torch.full_like(x, 0.5))
        half = 0.5 * (slope + log_length).exp()
        low, high = torch.where(far, smooth - half, low), torch.where(far, smooth + half, high)
        # A very short cell is a point with a density, times its length if that is a probability.
        short = ~on_atom & (slope + log_length < LOG_SHORTEST)
        low, high = (torch.where(short, smooth, end) for end in (low, high))
        term = torch.where(short, slope + log_length if self.discrete else slope, term)
        exact, slope = super().encode(x, torch.full_like(x, 0.5))
        beside = ~on_atom & self.cells.are_exact(x)
        low, high = (torch.where(beside, exact, end) for end in (low, high))
        return low, high, torch.where(beside, slope, term)

    def decode(self, y: Tensor) -> Tensor:
        """The codes, (n,)."""
        x = super().decode(y)
        near = self.cells.nearest(x).clamp(self.least, self.most)
        return torch.where(self.cells.exact_beside | torch.isin(x, self.atoms), x, near)

    def _inside(self, x: Tensor) -> Tensor:
        """A point of the cell that is not a bound."""
        room = 0.25 * self.cells.step
        return x.clamp(self.low + room, self.high - room)

    def _ends(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
        """What lies below and above the lower end of a value's cell, and the upper end; whether it is an atom."""
        atom = torch.searchsorted(self.atoms, x.contiguous()).clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        middle = torch.where(on_atom, x, self.cells.nearest(x).clamp(self.least, self.most))
        first = torch.where(on_atom, atom, torch.searchsorted(self.atoms, middle))
        last = first + on_atom.long()
        low, high = self.cells.ends(middle)
        low = torch.where(~on_atom & (middle <= self.least), self.low, low)
        high = torch.where(~on_atom & (middle >= self.most), self.high, high)
        ends = []
        for end, place in ((low, first), (high, last)):
            z = self._normal(end)[0].clamp(-FURTHEST, FURTHEST)
            z = torch.where(end <= self.low, -math.inf, torch.where(end >= self.high, math.inf, z))
            ends.append((self.before[place] + self.rest * cdf(z), self.after[place] + self.rest * cdf(-z)))
        return ends[0], ends[1], on_atom
