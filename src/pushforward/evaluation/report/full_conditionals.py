"""The distribution of a column given all others, by quadrature: for any density of rows and every kind of column."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import log_prob_of_rows
from pushforward.table_models.surprise import QUANTILES, log_masses, resolved
from pushforward.tables.columns.base import Column
from pushforward.tables.columns.figures import Figures

BATCH_ROWS, ROWS_AT_A_TIME = 4096, 128
# The share of draws at either end that say nothing of where a search begins.
OUTERMOST = 0.005
# Values on a grid are summed one by one where so few hold all of a row's mass but this share.
MOST_VALUES, LEFT_OUT = 100, 1e-7
ROUNDS_ON_GRID = 8
# How far beyond all draws such values are summed, in the range of the draws; then as far as their number allows.
BEYOND_DRAWS = 0.25
# Of a step of the grid.
ROUNDING = 1e-6
# Of the width of the draws, from an atom.
APART = 1e-9

Heights = Callable[[Tensor], Tensor]


class FullConditionals(NamedTuple):
    """Where each value of a column lies in its distribution given all others, NaN where it is missing.

    Attributes:
        ends: (2, n) P(column < its value | all others) and P(column ≤ its value | all others).
        nats: (n,) -log p(its value | all others), of a probability where the value has one.
    """

    ends: np.ndarray
    nats: np.ndarray


class _Masses(NamedTuple):
    """Of each row, log-masses on one scale, (n,): of all values, below its own, and of its own; log p of its own."""

    whole: Tensor
    below: Tensor
    own: Tensor
    height: Tensor


@torch.inference_mode()
def full_conditionals(model: TableModel, codes: np.ndarray, name: str, draws: np.ndarray) -> FullConditionals:
    """Compare p(row) with p(row with other values in one column), which sum or integrate to p(all other columns).

    Values with a probability are summed: levels, whole numbers, atoms, steps of an angle, and the cells of measurements
    that were rounded. Of others the density is integrated as in `pushforward.table_models.surprise`; of an angle over
    one turn, which begins where its values do.

    Arguments:
        model: whose density it is.
        codes: (n, names), of rows without values that the model has never seen.
        name: the column.
        draws: (m,) of the column, which give its scale.

    Cost: 200 evaluations of log_prob for each row, and about as many where values lie on a grid.
    """
    place, kind = model.names.index(name), model.schema[name]
    ends, nats = np.full((2, len(codes)), np.nan), np.full(len(codes), np.nan)
    present = np.flatnonzero(~np.isnan(codes[:, place]))
    column = _Column(kind, draws)
    for start in range(0, len(present), ROWS_AT_A_TIME):
        some = present[start : start + ROWS_AT_A_TIME]
        rows = torch.from_numpy(codes[some])

        def at(points: Tensor, rows: Tensor = rows) -> Tensor:
            """log p of each row, (n, P), with each of some values, (n, P)."""
            full = rows.repeat_interleave(points.shape[1], 0)
            full[:, place] = points.reshape(-1)
            parts = [log_prob_of_rows(model.density, model.roles, part) for part in full.split(BATCH_ROWS)]
            return torch.cat(parts).nan_to_num(nan=-torch.inf, neginf=-torch.inf).reshape(points.shape)

        found = column.masses(at, rows[:, place])
        below, own = ((part - found.whole).exp() for part in (found.below, found.own))
        ends[:, some] = torch.stack([below, below + own]).clamp(0, 1).numpy()
        nats[some] = (found.whole - found.height).numpy()
    return FullConditionals(ends, nats)


class _Column:
    """How the values of a column are summed or integrated over.

    Arguments:
        kind: of the column.
        draws: (m,) codes that give its scale.
    """

    def __init__(self, kind: Column, draws: np.ndarray) -> None:
        self.levels = _tensor(kind.all_codes())
        self.atoms = torch.tensor(kind.atom_codes, dtype=torch.float64)
        self.discrete, self.cells = kind.discrete, kind.cells
        self.step, self.offset = map(float, kind.lattice if kind.discrete else _grid(kind))
        low, high = kind.support
        # The first and the last value stand for whole cells; the end of a turn is its beginning.
        half = 0.5 * self.step if kind.discrete else 0.0
        self.low, self.high = (low, high - half) if kind.circular else (low - half, high + half)
        rest = draws[~np.isin(draws, kind.atom_codes)]
        rest = rest if len(rest) else draws
        # Few draws may lie so far out that no search from there comes back to the others.
        spread = np.quantile(rest, np.linspace(OUTERMOST, 1 - OUTERMOST, QUANTILES)) if len(rest) else np.zeros(1)
        # Between an end of the support and the outermost draws there is mass, too.
        spread = np.concatenate([[low] * math.isfinite(low), spread, [high] * math.isfinite(high)])
        self.spread = torch.from_numpy(np.sort(spread))
        self.range = (float(rest.min()), float(rest.max())) if len(rest) else (0.0, 0.0)

    def masses(self, at: Heights, own: Tensor) -> _Masses:
        """Of rows with values `own`, (n,), whose log p with other values `at` gives."""
        if self.levels is not None:
            values = self.levels.expand(len(own), -1)
            return _summed(values, at(values), own, at(own[:, None])[:, 0])
        on_atom = torch.isin(own, self.atoms)
        middle = self.spread[len(self.spread) // 2]

        def beside(points: Tensor) -> Tensor:
            """log p at values beside the atoms: at some distance from an atom, where one is asked for."""
            heights = at(self._apart(points))
            return torch.where((points < self.low) | (points > self.high), -torch.inf, heights)

        height = at(own[:, None])[:, 0]
        found = self._around_draws(at, own, height) if self.step else None
        if found is None:
            # On a grid a density has steps, which no search need resolve.
            rounds = {"rounds": ROUNDS_ON_GRID, "most": ROUNDS_ON_GRID} if self.step else {}
            points, heights = resolved(beside, torch.where(on_atom, middle, own), self.spread[None], **rounds)
            found = self._on_grid(at, points, heights, own, height) if self.step else None
            if found is None:
                found = self._between(points, heights, own, height, on_atom)
        if not len(self.atoms):
            return found
        values = self.atoms.expand(len(own), -1)
        atoms = _summed(values, at(values), own, height)
        return _Masses(
            torch.logaddexp(found.whole, atoms.whole),
            torch.logaddexp(found.below, atoms.below),
            torch.where(on_atom, height, found.own),
            height,
        )

    def _apart(self, points: Tensor) -> Tensor:
        """Points in some distance from the atoms, next to which maps of columns may be steep."""
        least = APART * (self.spread[-1] - self.spread[0])
        for atom in self.atoms:
            side = -1.0 if atom >= self.high else 1.0
            points = torch.where((points - atom).abs() < least, atom + side * least, points)
        return points

    def _around_draws(self, at: Heights, own: Tensor, height: Tensor) -> _Masses | None:
        """Sums over the values of the grid where draws are and somewhat beyond, without a search.

        None where these are many, or hold some mass at their ends.
        """
        inner = torch.cat([own[~torch.isin(own, self.atoms)], own.new_tensor(self.range)])
        low, high = ((end - self.offset) / self.step for end in (inner.min(), inner.max()))
        bounds = [(end - self.offset) / self.step for end in (self.low, self.high)]
        least = math.ceil(bounds[0] - ROUNDING) if math.isfinite(bounds[0]) else bounds[0]
        most = math.floor(bounds[1] + ROUNDING) if math.isfinite(bounds[1]) else bounds[1]
        room = (MOST_VALUES - 1 - (high - low).ceil()) // 2
        for beyond in (1 + math.ceil(BEYOND_DRAWS * float(high - low)), int(room) - 1):
            if beyond > room or beyond < 1:
                continue
            first, last = max(int(low.floor()) - beyond, least), min(int(high.ceil()) + beyond, most)
            start = own.new_full((len(own),), float(first))
            found, heights = self._sum(at, start, int(last - first) + 1, own, height)
            ends = [heights[:, place] for place, end, bound in ((0, first, least), (-1, last, most)) if end != bound]
            if all(((end - found.whole).exp() < LEFT_OUT).all() for end in ends):
                return found
        return None

    def _on_grid(self, at: Heights, points: Tensor, heights: Tensor, own: Tensor, height: Tensor) -> _Masses | None:
        """Sums over the values of the grid that hold nearly all of the mass; None where these are many."""
        shares = log_masses(points, heights).softmax(1).cumsum(1)
        ends = [(shares < level).sum(1, keepdim=True) for level in (LEFT_OUT, 1 - LEFT_OUT)]
        first = points.gather(1, ends[0])[:, 0]
        last = points.gather(1, (ends[1] + 1).clamp_max(points.shape[1] - 1))[:, 0]
        start = ((first - self.offset) / self.step).floor() - 1
        count = int((((last - self.offset) / self.step).ceil() + 1 - start).max()) + 1
        if count > MOST_VALUES:
            return None
        return self._sum(at, start, count, own, height)[0]

    def _sum(self, at: Heights, start: Tensor, count: int, own: Tensor, height: Tensor) -> tuple[_Masses, Tensor]:
        """Sums over so many values of the grid from that of number `start`, (n,), on; and their log-masses."""
        values = self.offset + (start[:, None] + torch.arange(count, dtype=start.dtype)) * self.step
        inside = (values >= self.low) & (values <= self.high) & ~torch.isin(values, self.atoms)
        known = at(torch.where(inside, values, own[:, None]))
        length = 0.0 if self.discrete else math.log(self.step)
        nearest = self.offset + ((own - self.offset) / self.step).round() * self.step
        own = torch.where(torch.isin(own, self.atoms), own, nearest)
        heights = torch.where(inside, known + length, -torch.inf)
        return _summed(values, heights, own, height, length), heights

    def _between(self, points: Tensor, heights: Tensor, own: Tensor, height: Tensor, on_atom: Tensor) -> _Masses:
        """Integrals over the points; a value that stands for a cell has half of it below its middle."""
        masses = log_masses(points, heights)
        masses = masses - math.log(self.step) if self.discrete else masses
        below = torch.where(points[:, 1:] <= own[:, None], masses, -torch.inf).logsumexp(1)
        whole = masses.logsumexp(1)
        if not (self.discrete or self.cells):
            return _Masses(whole, below, torch.full_like(own, -torch.inf), height)
        length = torch.zeros_like(own)
        if not self.discrete:
            length = torch.log(self._lengths(own))
        mass = torch.where(on_atom, -torch.inf, height + length)
        shares = [(part - whole).exp() for part in (below, mass)]
        return _Masses(whole, (shares[0] - 0.5 * shares[1]).clamp_min(0.0).log() + whole, mass, height)

    def _lengths(self, own: Tensor) -> Tensor:
        if isinstance(self.cells, Figures):
            return torch.from_numpy(self.cells.widths(own.numpy()))
        return torch.full_like(own, self.step)


def _summed(values: Tensor, heights: Tensor, own: Tensor, height: Tensor, length: float = 0.0) -> _Masses:
    """Masses of values, (n, P), whose logarithms are `heights`."""
    below = torch.where(values < own[:, None], heights, -torch.inf).logsumexp(1)
    return _Masses(heights.logsumexp(1), below, height + length, height)


def _grid(kind: Column) -> tuple[float, float]:
    """Step and offset of equal cells, 0 for none."""
    cells = kind.cells
    return (0.0, 0.0) if cells is None or isinstance(cells, Figures) else (cells.step, cells.offset)


def _tensor(codes: np.ndarray | None) -> Tensor | None:
    return None if codes is None else torch.from_numpy(np.asarray(codes, dtype=np.float64))
