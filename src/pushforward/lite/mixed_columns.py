"""Columns of continuous numbers with atoms, exact or rounded, and what makes the column of any kind."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.cells import Cells
from pushforward.lite.columns import (
    NUMPY,
    Circle,
    Column,
    EndLogarithms,
    Identity,
    Levels,
    Logarithm,
    Pair,
    Rounded,
    Steps,
    Tails,
    ends_of,
    spread,
)
from pushforward.lite.maps import each_marginal
from pushforward.lite.special import log_normal, ndtr, probit

# As of the classes of `pushforward.tables.columns.maps`.
FURTHEST, FURTHEST_CELL, LOG_SHORTEST = 36.0, 30.0, -26 * math.log(2)


class Mixed(Column):
    """y = Φ⁻¹(u), u the distribution function of a continuous part with atoms, at random within the jump of an atom."""

    def __init__(self, kind: Any) -> None:
        marginal, (self.low, self.high) = kind.marginal, map(float, kind.bounds)
        self.logarithms = EndLogarithms(kind, marginal.piled) if marginal.piled else None
        bounds = self.logarithms.bounds if self.logarithms else (self.low, self.high)
        numbers = {"z_knots": marginal.z, "x_knots": marginal.x, "slopes": marginal.slopes}
        numbers |= {"low": bounds[0], "high": bounds[1]}
        self.spline = {name: numpy.array([value], float) for name, value in numbers.items()}
        shares, self.atoms = numpy.array(kind.shares, float), numpy.array(kind.atom_codes, float)
        self.rest = 1 - sum(kind.shares)
        self.before = numpy.concatenate([[0.0], shares.cumsum()])
        self.after = numpy.concatenate([shares[::-1].cumsum()[::-1], [0.0]])
        with numpy.errstate(all="ignore"):
            at = self._normal(NUMPY, self.atoms)
            below, above = (self.rest * ndtr(NUMPY, side) for side in (at, -at))
            self.low_sides = self.before[:-1] + below, self.after[:-1] + above
            self.high_sides = self.before[1:] + below, self.after[1:] + above
            self.starts, self.stops = (probit(NUMPY, *sides) for sides in (self.low_sides, self.high_sides))

    def _scores(self, n: Arrays, x: Any) -> Pair:
        """The normal score of x within the continuous part, and its log-derivative."""
        y, bend = (x, n.zeros_like(x)) if self.logarithms is None else self.logarithms.encode(n, x, x)
        z, slope = each_marginal(n, self.spline, y[:, None], True)
        return z[:, 0], slope[:, 0] + bend

    def _normal(self, n: Arrays, x: Any) -> Any:
        """The normal score, infinite at a bound."""
        z = self._scores(n, x)[0]
        return n.where(x <= self.low, n(-math.inf), n.where(x >= self.high, n(math.inf), z))

    def _at(self, n: Arrays, table: Any, place: Any) -> Any:
        return n.take(n(table), place.astype(n.int32), axis=0)

    def _atom(self, n: Arrays, x: Any) -> tuple[Any, Any]:
        """The first atom that does not lie below x, and whether x is this one."""
        place = n.minimum(n.count(x[:, None] > n(self.atoms)), n(len(self.atoms) - 1.0))
        return place, self._at(n, self.atoms, place) == x

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y, and the log-derivative or the log of a jump over the normal density."""
        z, slope = self._scores(n, codes)
        inside, count = n.clip(z, -FURTHEST, FURTHEST), n.count(codes[:, None] > n(self.atoms))
        before, after = self._at(n, self.before, count), self._at(n, self.after, count)
        y = probit(n, before + self.rest * ndtr(n, inside), after + self.rest * ndtr(n, -inside))
        # Beyond the furthest point y - z is constant, unless an atom has its interval there.
        free = (n.where(z < 0, before, after) <= 0) & (z != inside)
        term = n.where(free, slope, math.log(self.rest) + log_normal(n, z) - log_normal(n, y) + slope)
        place, on_atom = self._atom(n, codes)
        low, high = ([self._at(n, side, place) for side in sides] for sides in (self.low_sides, self.high_sides))
        jump, of_jump = spread(n, (low[0], low[1]), (high[0], high[1]), noise)
        return n.where(on_atom, jump, n.where(free, y + (z - inside), y)), n.where(on_atom, of_jump, term)

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the two ends of an atom's jump, or y twice."""
        place, on_atom = self._atom(n, codes)
        y, term = self.encode(n, codes, 0.5)
        low, high = (n.where(on_atom, self._at(n, ends, place), y) for ends in (self.starts, self.stops))
        return low, high, n.where(on_atom, n(0.0), term)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the value, or the atom in whose jump y lies."""
        count = n.count(y[:, None] >= n(self.stops))
        place = n.minimum(count, n(len(self.atoms) - 1.0))
        on_atom = (y >= self._at(n, self.starts, place)) & (y < self._at(n, self.stops, place))
        lower = n.clip((ndtr(n, y) - self._at(n, self.before, count)) / self.rest, 1e-300, 1.0)
        upper = n.clip((ndtr(n, -y) - self._at(n, self.after, count)) / self.rest, 1e-300, 1.0)
        z = n.where(n.abs(y) > FURTHEST, y, probit(n, lower, upper))
        x = each_marginal(n, self.spline, z[:, None], False)[0][:, 0]
        x = n.clip(x if self.logarithms is None else self.logarithms.decode(n, x), self.low, self.high)
        return n.where(on_atom, self._at(n, self.atoms, place), x)

    def beside(self, n: Arrays, codes: Any, angle: Any) -> list[Any]:
        """Return whether a value is an atom."""
        return [n.minimum(n.count(codes[:, None] == n(self.atoms)), n(1.0))]


class RoundedMixed(Mixed):
    """u is at random between the values of the distribution function at the ends of a cell."""

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        self.cells, self.discrete = Cells(kind, kind.bounds), bool(kind.discrete)

    def _ends(self, n: Arrays, x: Any) -> tuple[Pair, Pair, Any]:
        """What lies below and above each end of a value's cell, and whether it is an atom."""
        atom, on_atom = self._atom(n, x)
        middle = n.where(on_atom, x, self.cells.nearest(n, x))
        first = n.where(on_atom, atom, n.count(middle[:, None] > n(self.atoms)))
        ends = self.cells.within(n, middle, self.low, self.high)
        sides: list[Pair] = []
        for k, end in enumerate(ends):
            end = n.where(on_atom, self.cells.ends(n, middle)[k], end)
            z = n.clip(self._scores(n, end)[0], -FURTHEST, FURTHEST)
            z = n.where(end <= self.low, n(-math.inf), n.where(end >= self.high, n(math.inf), z))
            place = first + (n.where(on_atom, n(1.0), n(0.0)) if k else 0.0)
            before, after = self._at(n, self.before, place), self._at(n, self.after, place)
            sides.append((before + self.rest * ndtr(n, z), after + self.rest * ndtr(n, -z)))
        return sides[0], sides[1], on_atom

    def _smooth(self, n: Arrays, x: Any, on_atom: Any) -> tuple[Any, ...]:
        """y and slope without cells, the log of a length, and which cells are very far out, or very short."""
        room = 0.25 * self.cells.step
        y, slope = super().encode(n, n.clip(x, self.low + room, self.high - room), 0.5)
        log_length = n.log(self.cells.lengths(n, x))
        far = ~on_atom & ~(n.abs(self._normal(n, x)) < FURTHEST_CELL)
        return y, slope, log_length, far, ~on_atom & (slope + log_length < LOG_SHORTEST)

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y, and the log-derivative or the log of a jump over the normal density."""
        low, high, on_atom = self._ends(n, codes)
        y, term = spread(n, low, high, noise)
        smooth, slope, log_length, far, short = self._smooth(n, codes, on_atom)
        y, term = n.where(far | short, smooth, y), n.where(far | short, slope + log_length, term)
        term = term if self.discrete else n.where(on_atom, term, term - log_length)
        exact, slope = super().encode(n, codes, noise)
        beside = ~on_atom & self.cells.exact(n, codes)
        return n.where(beside, exact, y), n.where(beside, slope, term)

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the two ends of a cell or a jump, with minus the log of a length, or a point."""
        *sides, on_atom = self._ends(n, codes)
        low, high = ends_of(n, *sides)
        smooth, slope, log_length, far, short = self._smooth(n, codes, on_atom)
        term = n.zeros_like(codes) if self.discrete else n.where(on_atom, n(0.0), -log_length)
        half = n.where(short, n(0.0), 0.5 * n.exp(slope + log_length))
        low, high = n.where(far | short, smooth - half, low), n.where(far | short, smooth + half, high)
        term = n.where(short, slope + log_length if self.discrete else slope, term)
        exact, slope = super().encode(n, codes, 0.5)
        beside = ~on_atom & self.cells.exact(n, codes)
        low, high = n.where(beside, exact, low), n.where(beside, exact, high)
        return low, high, n.where(beside, slope, term)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the value in whose cell the point lies, or the atom."""
        x = super().decode(n, y)
        if self.cells.exact_beside:
            return x
        return n.where(n.any(x[:, None] == n(self.atoms), axis=-1), x, self.cells.nearest(n, x))


COLUMNS = {
    "identity": Identity,
    "logarithm": Logarithm,
    "end_logarithms": EndLogarithms,
    "tails": Tails,
    "steps": Steps,
    "cells": Levels,
    "circle": Circle,
}


def column(kind: Any) -> Column:
    """Return the column of a kind, an object of a schema."""
    name = kind.map_name
    if name == "mixture":
        return Mixed(kind) if kind.recorded is None else RoundedMixed(kind)
    made: Column = COLUMNS[name](kind)
    rounded = kind.recorded is not None and name not in ("steps", "cells", "circle")
    return Rounded(made, kind) if rounded else made
