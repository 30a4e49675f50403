"""Columns of a table: from codes to numbers y on the whole line, and back, as `pushforward.tables.columns.maps` does.

A value with a density has a point y, one with a probability an interval, in which noise chooses a point. Every method
takes the arrays `n` of a namespace, and codes or y, (rows,).
"""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.cells import Cells
from pushforward.lite.special import erf, erfcx, log_normal, ndtr, normal_quantile, probit

Pair = tuple[Any, Any]
# As of the classes of `pushforward.tables.columns.maps`.
EDGE, LARGEST_LOG, LARGEST_EXACT, LARGEST_EXPONENT, ON_END = 2.0**-24, 700.0, 2.0**53, 60.0, 0.5
NUMPY = Arrays(numpy, numpy.float64)


def spread(n: Arrays, low: Pair, high: Pair, noise: Any) -> Pair:
    """Return a point of the interval between two ends, (P(below), P(above)) each, and log width - log φ(point)."""
    width = n.where(low[0] < high[1], high[0] - low[0], low[1] - high[1])
    y = probit(n, low[0] + noise * (high[0] - low[0]), high[1] + (1 - noise) * (low[1] - high[1]))
    return y, n.log(width) - log_normal(n, y)


def ends_of(n: Arrays, low: Pair, high: Pair) -> Pair:
    """Return the ends themselves, exactly infinite where nothing is left beyond them."""
    first = n.where(low[0] > 0, probit(n, *low), n(-math.inf))
    return first, n.where(high[1] > 0, probit(n, *high), n(math.inf))


class Column:
    """A column whose y is its code.

    Attributes:
        bounds: of y, infinite for none.
        circular: whether codes are angles.
    """

    bounds: tuple[float, float] = (-math.inf, math.inf)
    circular = False

    def __init__(self, kind: Any) -> None:
        self.low, self.high = map(float, kind.bounds)
        self.support = tuple(map(float, kind.support))

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y and what adds to log q(y), of codes and of noise between 0 and 1."""
        return codes, n.zeros_like(codes)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return codes in the support of the column."""
        return n.clip(y, *self.support)

    def of_line(self, n: Arrays, y: Any) -> Any:
        """Return the same of y as `intervals` gives it, of angles in radians."""
        return self.decode(n, y)

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the ends of the intervals of values, the same for a density, and what adds to log q(y) of that."""
        y, term = self.encode(n, codes, 0.5 + n.zeros_like(codes))
        return y, y, term

    def beside(self, n: Arrays, codes: Any, angle: Any) -> list[Any]:
        """Return what a network is shown of values beside their scores."""
        return []

    def shown(self, n: Arrays, codes: Any) -> list[Any]:
        """Return what a flow is shown of values in its context."""
        return [codes, *self.beside(n, codes, None)]


class Identity(Column):
    """y = x."""

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        self.bounds = self.low, self.high


class Logarithm(Column):
    """y = log x."""

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y and log |dy/dx|."""
        return n.log(codes), -n.log(codes)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return x."""
        return n.exp(n.clip(y, -LARGEST_LOG, LARGEST_LOG))


class EndLogarithms(Column):
    """y = log (x - low) - log (high - x), with the terms of the ends at which values pile up alone.

    Arguments:
        kind: has `bounds`.
        piled: the nearest distances from its ends, or None.
    """

    def __init__(self, kind: Any, piled: Any = None) -> None:
        self.piled = kind.piled if piled is None else piled
        self.low, self.high = map(float, kind.bounds)
        self.at_low, self.at_high = self.piled.low is not None, self.piled.high is not None
        self.bounds = self.piled.bounds_of_logarithms(self.low, self.high)
        self.width = self.high - self.low if self.at_low and self.at_high else 1.0

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y and log |dy/dx|."""
        logs = []
        for distance, near in ((codes - self.low, self.piled.low), (self.high - codes, self.piled.high)):
            positive = distance if near is None else n.where(distance > 0, distance, n(ON_END * near))
            logs.append(n.zeros_like(codes) if near is None else n.log(positive))
        return logs[0] - logs[1], math.log(self.width) - logs[0] - logs[1]

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return x, from the nearer of the ends."""
        bent = n.clip(y, -LARGEST_LOG, LARGEST_LOG)
        below = self.low + self.width * n.exp(-n.softplus(-bent) if self.at_high else bent)
        above = self.high - self.width * n.exp(-n.softplus(bent) if self.at_low else -bent)
        from_low = n.where(y < 0, below, above) if self.at_high else below
        return n.clip(from_low if self.at_low else above, self.low, self.high)


class Tails(Column):
    """y is x without its heavy tails."""

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        self.shift, self.scale = float(kind.tail.shift), float(kind.tail.scale)
        self.lower, self.upper = float(kind.tail.lower), float(kind.tail.upper)

    def _log_reciprocal_erfc(self, n: Arrays, u: Any) -> Pair:
        scaled = n.log(erfcx(n, u))
        near = -n.log1p(-erf(n, n.minimum(u, n(0.5))))
        return n.where(u < 0.5, near, u * u - scaled), math.log(2 / math.sqrt(math.pi)) - scaled

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y and log |dy/dx|."""
        value = (codes - self.shift) / self.scale
        tails, sign = n.where(value >= 0, n(self.upper), n(self.lower)), n.where(value >= 0, n(1.0), n(-1.0))
        stretched = tails * n.abs(value)
        inside = n.minimum(stretched, n(math.expm1(LARGEST_EXPONENT)))
        exponent = n.log1p(inside)
        t = (exponent + (stretched - inside) * math.exp(-LARGEST_EXPONENT)) / tails
        u = -normal_quantile(n, -t - math.log(2), n.zeros_like(t)) * math.sqrt(0.5)
        found, log_slope = self._log_reciprocal_erfc(n, n.maximum(u, n(0.0)))
        u = u - (found - t) * n.exp(-log_slope)
        log_slope = self._log_reciprocal_erfc(n, n.maximum(u, n(0.0)))[1]
        return sign * u * math.sqrt(2), 0.5 * math.log(2) - math.log(self.scale) - exponent - log_slope

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return x."""
        tails = n.where(y >= 0, n(self.upper), n(self.lower))
        exponent = tails * self._log_reciprocal_erfc(n, n.abs(y) * math.sqrt(0.5))[0]
        inside = n.minimum(exponent, n(LARGEST_EXPONENT))
        far = (n.expm1(inside) + n.exp(inside) * (exponent - inside)) / tails
        return self.shift + self.scale * n.where(y >= 0, far, -far)


class Steps(Column):
    """y = (x - offset) / step + noise."""

    def __init__(self, kind: Any) -> None:
        self.step, self.offset = map(float, kind.lattice)
        low, high = ((end - self.offset) / self.step for end in kind.bounds)
        self.low, self.high = float(numpy.ceil(low)), float(numpy.floor(high))
        self.bounds = self.low, self.high + 1

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return a point of the interval, and 0, the log of its length."""
        return n.round((codes - self.offset) / self.step) + noise, n.zeros_like(codes)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the value whose interval it is."""
        whole = n.clip(n.clip(n.floor(y), self.low, self.high), -LARGEST_EXACT, LARGEST_EXACT)
        return whole * self.step + self.offset

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the ends, infinite for the first and the last value."""
        first, zeros = self.encode(n, codes, 0.0)
        low = n.where(first <= self.low, n(-math.inf), first)
        return low, n.where(first >= self.high, n(math.inf), first + 1), zeros


class Levels(Column):
    """y = Φ⁻¹(u), u uniform in an interval of [0, 1] as wide as the value is frequent."""

    def __init__(self, kind: Any) -> None:
        codes = kind.all_codes()[:2].tolist() or [0]
        self.first, self.step = float(codes[0]), float(codes[-1] - codes[0] or 1)
        shares = numpy.array(kind.frequencies or [1.0]) / sum(kind.frequencies or [1.0])
        self.below = numpy.concatenate([[0.0], shares.cumsum()])
        self.above = numpy.concatenate([shares[::-1].cumsum()[::-1], [0.0]])
        self.edges = probit(NUMPY, self.below[1:-1], self.above[1:-1])
        self.flags = getattr(kind, "input_width", 0)
        self.signs = kind.signs if len(getattr(kind, "context_units", ())) not in (1, self.flags) else None

    def _part(self, n: Arrays, codes: Any) -> tuple[Pair, Pair]:
        mask = n.round((codes - self.first) / self.step)[:, None] == n(numpy.arange(len(self.below) - 1))
        low = n.pick(n(self.below[:-1]), mask), n.pick(n(self.above[:-1]), mask)
        return low, (n.pick(n(self.below[1:]), mask), n.pick(n(self.above[1:]), mask))

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return a point of the interval, and the log of its width over the normal density there."""
        return spread(n, *self._part(n, codes), noise)

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the value whose interval it is."""
        return n.count(y[:, None] >= n(self.edges)) * self.step + self.first + 0 * y

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the ends."""
        return *ends_of(n, *self._part(n, codes)), n.zeros_like(codes)

    def beside(self, n: Arrays, codes: Any, angle: Any) -> list[Any]:
        """Return a flag of each level, if there are more than two."""
        return [n.where(codes == float(level), n(1.0), n(0.0)) for level in range(self.flags)]

    def shown(self, n: Arrays, codes: Any) -> list[Any]:
        """Return the flags, or the code of one of two levels; of very many levels signs that stand for them."""
        if self.signs is None:
            return self.beside(n, codes, None) or [codes]
        rows = n.take(n(self.signs), n.clip(codes, 0.0, len(self.signs) - 1.0).astype(n.int32), axis=0)
        return [rows[:, k] for k in range(self.signs.shape[1])]


class Circle(Column):
    """y = Φ⁻¹(u), u the fraction of a turn, in which an atom has a part as long as its share."""

    circular = True

    def __init__(self, kind: Any) -> None:
        self.period, self.low, self.start = float(kind.period), float(kind.low), float(kind.start or 0.0)
        turns = numpy.mod((numpy.array(kind.atom_codes, float) - self.start) / self.period, 1.0)
        order = numpy.argsort(turns, kind="stable")
        shares, self.turns = numpy.array(kind.shares or (), float)[order], turns[order]
        self.rest, self.step = 1 - float(shares.sum()), float(kind.step or 0.0)
        jumps = self.rest * self.turns + shares.cumsum() - shares
        self.atoms = [*zip(numpy.array(kind.atom_codes, float)[order], shares, self.turns, jumps, strict=True)]

    def _part(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Where the part of a value begins, its width, 0 for a density, and the log of width or slope."""
        turn = n.remainder((codes - self.start) / self.period, n(1.0))
        before, width = n.zeros_like(codes), n.like(codes, self.rest * self.step / self.period)
        for atom, share, place, _ in self.atoms:
            on_atom = codes == float(atom)
            before = before + n.where((turn > float(place)) & ~on_atom, n(float(share)), n(0.0))
            width = width + n.where(on_atom, n(float(share)), n(0.0))
        log_width = n.log(n.where(width > 0, width, n(self.rest / self.period)))
        return self.rest * turn + before, width, log_width

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y, and the log of its slope or width over the normal density."""
        begin, width, log_width = self._part(n, codes)
        part = n.clip(begin + width * noise, EDGE**2, 1 - EDGE**2)
        y = probit(n, part, 1 - part)
        return y, log_width - log_normal(n, y)

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return angles in radians."""
        begin, width, log_width = self._part(n, codes)
        angle = (n.clip(begin, EDGE**2, 1 - EDGE**2) - 0.5) * (2 * math.pi)
        term = n.where(width > 0, n(0.0), log_width + math.log(2 * math.pi))
        return angle, angle + 2 * math.pi * width, term

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the angle, or the atom in whose part it is."""
        return self._of_turn(n, ndtr(n, y))

    def of_line(self, n: Arrays, y: Any) -> Any:
        """Return the same of an angle in radians."""
        return self._of_turn(n, n.remainder(y / (2 * math.pi) + 0.5, n(1.0)))

    def _of_turn(self, n: Arrays, whole: Any) -> Any:
        """The value at a fraction of the turn."""
        within, atom = n.zeros_like(whole), n.like(whole, math.nan)
        for code, share, _, jump in self.atoms:
            part = n.clip(whole - float(jump), 0.0, float(share))
            within, inside = within + part, (part > 0) & (part < float(share))
            atom = n.where(inside, n(float(code)), atom)
        part = (whole - within) / self.rest
        turn = n.remainder(part + (self.start - self.low) / self.period, n(1.0)) * self.period
        if self.step > 0:
            # Rounding may reach a step from either side: a billionth of it is given to the next.
            turn = n.floor(turn / self.step + 1e-9) * self.step
            turn = n.where(turn >= self.period * (1 - 1e-9), n(0.0), turn)
        angle = self.low + turn
        angle = n.where(angle >= self.low + self.period, n(self.low), angle)
        return n.where(n.isnan(atom), angle, atom)

    def beside(self, n: Arrays, codes: Any, angle: Any) -> list[Any]:
        """Return the two coordinates."""
        return [n.cos(angle), n.sin(angle)]

    def shown(self, n: Arrays, codes: Any) -> list[Any]:
        """Return the two coordinates."""
        return self.beside(n, codes, (codes - self.low) * (2 * math.pi / self.period))


class Rounded(Column):
    """y of a point of the value's cell, which noise chooses; values beside the grid have points of their own.

    Arguments:
        exact: the same column as if it had not been rounded.
        kind: of the column.
    """

    def __init__(self, exact: Column, kind: Any) -> None:
        super().__init__(kind)
        self.exact, self.bounds, self.cells = exact, exact.bounds, Cells(kind, kind.support)

    def _cell(self, n: Arrays, codes: Any) -> Pair:
        return self.cells.within(n, self.cells.nearest(n, codes), self.low, self.high)

    def encode(self, n: Arrays, codes: Any, noise: Any) -> Pair:
        """Return y of a point of the cell."""
        (low, high), beside = self._cell(n, codes), self.cells.exact(n, codes)
        y, term = self.exact.encode(n, n.where(beside, codes, low + noise * (high - low)), noise)
        return y, term + n.where(beside, n(0.0), n.log((high - low) / self.cells.lengths(n, codes)))

    def decode(self, n: Arrays, y: Any) -> Any:
        """Return the value in whose cell the point lies."""
        x = self.exact.decode(n, y)
        return x if self.cells.exact_beside else self.cells.nearest(n, x)

    def intervals(self, n: Arrays, codes: Any) -> tuple[Any, Any, Any]:
        """Return the ends of the cell, infinite at a bound, and minus the log of its length."""
        (low, high), beside = self._cell(n, codes), self.cells.exact(n, codes)
        middle, ends = low + 0.5 * (high - low), []
        for end, bound in ((low, self.low), (high, self.high)):
            y = self.exact.encode(n, n.where(end == bound, middle, end), 0.0)[0]
            ends.append(n.where(end == bound, n(math.copysign(math.inf, 1 if bound == self.high else -1)), y))
        y, term = self.exact.encode(n, n.where(beside, codes, middle), 0.0)
        term = n.where(beside, term, -n.log(self.cells.lengths(n, codes)))
        return n.where(beside, y, ends[0]), n.where(beside, y, ends[1]), term
