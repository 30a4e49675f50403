"""The map of angles."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.tables.columns.maps.base import EDGE, Map, cdf, double, log_normal, probit


class Circle(Map):
    """y = Φ⁻¹(u), u the fraction of a turn from where the circle is cut open; noise spreads steps.

    An atom has a part of the turn as long as its share, between the values before and after it.

    Arguments:
        kinds: columns with `period`, `low`, `step`, `start`, `atom_codes` and `shares`.
    """

    normal = circular = True
    period: Tensor
    low: Tensor
    step: Tensor
    start: Tensor
    atoms: Tensor
    shares: Tensor
    rest: Tensor
    jumps: Tensor
    places: Tensor

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([kind.low for kind in kinds])
        self.register_buffer("period", double([kind.period for kind in kinds]))
        self.register_buffer("low", double([kind.low for kind in kinds]))
        self.register_buffer("step", double([kind.step or 0.0 for kind in kinds]))
        self.register_buffer("start", double([kind.start or 0.0 for kind in kinds]))
        most = max(len(kind.atom_codes) for kind in kinds)
        atoms, shares = torch.full((len(kinds), most), math.nan).double(), torch.zeros(len(kinds), most).double()
        for row, kind in enumerate(kinds):
            # In the order in which a turn from the start meets them.
            order = sorted(
                zip(kind.atom_codes, kind.shares or (), strict=True), key=lambda atom: self._turn(row, *atom)
            )
            for place, (atom, share) in enumerate(order):
                atoms[row, place], shares[row, place] = atom, share
        self.register_buffer("atoms", atoms)
        self.register_buffer("shares", shares)
        self.register_buffer("rest", 1 - shares.sum(1))
        # Where atoms lie on the turn without them, and where their parts of the whole turn begin.
        places = torch.remainder((atoms - self.start[:, None]) / self.period[:, None], 1.0)
        self.register_buffer("places", places)
        self.register_buffer("jumps", self.rest[:, None] * places + shares.cumsum(1) - shares)

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative, or the log of the width of a step or an atom over the normal density."""
        below, width, log_width = self._part(codes)
        part = (below + width * noise).clamp(EDGE**2, 1 - EDGE**2)
        y = probit(part, 1 - part)
        return y, log_width - log_normal(y)

    def decode(self, y: Tensor) -> Tensor:
        """The codes."""
        whole = cdf(y)
        within = (whole[..., None] - self.jumps).clamp_min(0.0).minimum(self.shares).nan_to_num(0.0)
        codes = self.angle_at((whole - within.sum(-1)) / self.rest)
        inside = (within > 0) & (within < self.shares)
        atom = torch.where(inside, self.atoms, 0.0).sum(-1)
        return torch.where(inside.any(-1), atom, codes)

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Angles in radians: the ends of a step or of an atom, or the angle twice."""
        below, width, log_width = self._part(codes)
        angle = (below.clamp(EDGE**2, 1 - EDGE**2) - 0.5) * 2 * math.pi
        log_term = torch.where(width > 0, 0.0, log_width + math.log(2 * math.pi))
        return angle, angle + 2 * math.pi * width, log_term

    def angle_at(self, part: Tensor) -> Tensor:
        """The code at a fraction of the turn without atoms, from low to low + period, on a step if there are steps."""
        turn = torch.remainder(part + (self.start - self.low) / self.period, 1.0) * self.period
        stepped = torch.where(self.step > 0, self.step, 1.0)
        # Rounding may reach a step from either side: a billionth of it is given to the next.
        whole = ((turn / stepped) + 1e-9).floor() * stepped
        whole = torch.where(whole >= self.period * (1 - 1e-9), 0.0, whole)
        angle = self.low + torch.where(self.step > 0, whole, turn)
        return torch.where(angle >= self.low + self.period, self.low, angle)

    def _part(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the part of the turn of a value begins, its width (0 for a density), and the log of width or slope."""
        turn = torch.remainder((codes - self.start) / self.period, 1.0)
        on_atom = codes[..., None] == self.atoms
        before = (self.shares * ((turn[..., None] > self.places) & ~on_atom)).sum(-1)
        width = self.rest * self.step / self.period + (self.shares * on_atom).sum(-1)
        log_width = torch.where(width > 0, width, self.rest / self.period).log()
        return self.rest * turn + before, width, log_width

    def _turn(self, row: int, atom: float, share: float) -> float:
        """The fraction of a turn from the start to an atom."""
        return float((atom - self.start[row]) / self.period[row]) % 1.0
