"""The distribution function of one column with atoms."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections import MarginalSpline
from pushforward.tables.columns.maps.base import FURTHEST, cdf, double, log_normal, probit
from pushforward.tables.columns.maps.end_logarithms import EndLogarithms
from pushforward.tables.columns.marginal import OfEnds


class OneMixture(nn.Module):
    """The map of one column.

    Arguments:
        kind: a column with `atom_codes`, their `shares`, the `marginal` distribution of the other values, and `bounds`.
    """

    atoms: Tensor
    shares: Tensor
    before: Tensor
    after: Tensor
    below: Tensor
    above: Tensor
    starts: Tensor
    ends: Tensor

    def __init__(self, kind: Any) -> None:
        super().__init__()
        (low, high), piled = kind.bounds, kind.marginal.piled
        of_spline = piled.bounds_of_logarithms(low, high) if piled else (low, high)
        spline = MarginalSpline(1, len(kind.marginal.z), bounded=True).double()
        assert spline.low is not None and spline.high is not None
        for buffer, values in (
            (spline.z_knots, [kind.marginal.z]),
            (spline.x_knots, [kind.marginal.x]),
            (spline.slopes, [kind.marginal.slopes]),
            (spline.low, [of_spline[0]]),
            (spline.high, [of_spline[1]]),
        ):
            buffer.copy_(double(values))
        self.spline = spline
        self.logarithms = EndLogarithms([OfEnds((low, high), piled)]) if piled else None
        self.low, self.high = low, high
        self.rest = 1 - sum(kind.shares)
        shares = double(kind.shares)
        atoms = double(kind.atom_codes)
        at = self._normal(atoms)[0]
        # Below each atom: the smaller atoms, and the part of the continuous values below.
        before = torch.cat([shares.new_zeros(1), shares.cumsum(0)])
        after = torch.cat([shares.flip(0).cumsum(0).flip(0), shares.new_zeros(1)])
        below = before[:-1] + self.rest * cdf(at)
        above = after[1:] + self.rest * cdf(-at)
        for name, value in (
            ("atoms", atoms), ("shares", shares), ("before", before), ("after", after),
            ("below", below), ("above", above),
        ):  # fmt: skip
            self.register_buffer(name, value)
        self.register_buffer("starts", probit(below, above + shares))
        self.register_buffer("ends", probit(below + shares, above))

    def _normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The normal score of x within the continuous part, and its log-derivative; infinite at a bound."""
        z, slope = self._scores(x)
        z = torch.where(x <= self.low, -math.inf, torch.where(x >= self.high, math.inf, z))
        return z, slope

    def _scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same with finite scores at a bound."""
        y, bend = x[:, None], torch.zeros_like(x[:, None])
        if self.logarithms is not None:
            y, bend = self.logarithms.encode(y, bend)
        z, slope = self.spline.each_inverse(y)
        return z[:, 0], (slope + bend)[:, 0]

    def _values(self, z: Tensor) -> Tensor:
        """The values of normal scores."""
        y = self.spline.each_forward(z[:, None])[0]
        return (y if self.logarithms is None else self.logarithms.decode(y))[:, 0].clamp(self.low, self.high)

    def encode(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative or the log of a jump over the normal density, both (n,)."""
        z, slope = self._scores(x)
        inside = z.clamp(-FURTHEST, FURTHEST)
        count = torch.searchsorted(self.atoms, x.contiguous())
        below = self.before[count] + self.rest * cdf(inside)
        above = self.after[count] + self.rest * cdf(-inside)
        y = probit(below, above)
        # Beyond the furthest point y - z is constant, unless an atom has its interval there.
        free = torch.where(z < 0, self.before[count] <= 0, self.after[count] <= 0) & (z != inside)
        # log dy/dx = log rest + log φ(z) - log φ(y) + log dz/dx.
        term = math.log(self.rest) + log_normal(z) - log_normal(y) + slope
        term = torch.where(free, slope, term)
        y = torch.where(free, y + (z - inside), y)
        atom = count.clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        width = self.shares[atom]
        jump = probit(self.below[atom] + noise * width, self.above[atom] + (1 - noise) * width)
        return torch.where(on_atom, jump, y), torch.where(on_atom, width.log() - log_normal(jump), term)

    def intervals(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two ends of a value, and the log-derivative or minus the log of the unit."""
        atom = torch.searchsorted(self.atoms, x.contiguous()).clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        y, term = self.encode(x, torch.full_like(x, 0.5))
        low, high = (torch.where(on_atom, ends[atom], y) for ends in (self.starts, self.ends))
        return low, high, term.masked_fill(on_atom, 0.0)

    def decode(self, y: Tensor) -> Tensor:
        """The codes, (n,)."""
        atom = torch.searchsorted(self.ends, y.contiguous(), right=True).clamp(max=len(self.atoms) - 1)
        on_atom = (y >= self.starts[atom]) & (y < self.ends[atom])
        # How many atoms lie below: those whose interval ends at or before y.
        count = torch.searchsorted(self.ends, y.contiguous(), right=True)
        lower = ((cdf(y) - self.before[count]) / self.rest).clamp(1e-300, 1)
        upper = ((cdf(-y) - self.after[count]) / self.rest).clamp(1e-300, 1)
        z = probit(lower, upper)
        outside = y.abs() > FURTHEST
        z = torch.where(outside, y, z)
        return torch.where(on_atom, self.atoms[atom], self._values(z))
