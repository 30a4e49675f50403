"""The maps of columns, one class for each sort: from codes to numbers on the whole line, and back into the support."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections import MarginalSpline, TailTransform
from pushforward.errors import InputError
from pushforward.tables.schema.kinds import (
    Bounded,
    Category,
    Column,
    Continuous,
    DateTime,
    Integer,
    Mixed,
    Periodic,
    Positive,
)

# Noise stays so far from 0 and 1, where the normal quantile is infinite.
EDGE = 2.0**-24
# Not much further out float64 has no probabilities: the maps go on as straight lines.
FURTHEST = 36.0


class _Map(nn.Module):
    """The map of some columns of one sort; `filler` is a code of each to compute with where one is missing."""

    normal = trivial = circular = False
    filler: Tensor

    def __init__(self, filler: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("filler", _double(filler))

    @staticmethod
    def bounds(kind: Column) -> tuple[float, float]:
        """The bounds of y."""
        return -math.inf, math.inf

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def decode(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, log_term = self.encode(codes, torch.zeros_like(codes))
        return y, y, log_term


class _Same(_Map):
    """y = x, with the bounds of x."""

    trivial = True
    low: Tensor
    high: Tensor

    def __init__(self, kinds: Sequence[Column]) -> None:
        ends = [self.bounds(kind) for kind in kinds]
        super().__init__([_within(*end) for end in ends])
        # A positive number is not 0.
        smallest = [
            math.ulp(0.0) if isinstance(kind, Positive) else low for kind, (low, _) in zip(kinds, ends, strict=True)
        ]
        self.register_buffer("low", _double(smallest))
        self.register_buffer("high", _double([high for _, high in ends]))

    @staticmethod
    def bounds(kind: Column) -> tuple[float, float]:
        if isinstance(kind, Positive):
            return 0.0, math.inf
        return _ends(kind) if isinstance(kind, Bounded) else (-math.inf, math.inf)

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return codes, torch.zeros_like(codes)

    def decode(self, y: Tensor) -> Tensor:
        return y.clamp(self.low, self.high)


class _Logarithm(_Map):
    """y = log x."""

    def __init__(self, kinds: Sequence[Column]) -> None:
        super().__init__([1.0] * len(kinds))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        y = codes.log()
        return y, -y

    def decode(self, y: Tensor) -> Tensor:
        return y.clamp(-700, 700).exp()


class _Tails(_Map):
    """y is x behind the fixed tail transform that gives a normal number tails as heavy as those of x."""

    def __init__(self, kinds: Sequence[Column]) -> None:
        tails = [kind.tail for kind in kinds if isinstance(kind, Continuous) and kind.tail is not None]
        super().__init__([tail.shift for tail in tails])
        self.transform = TailTransform.of_tails(
            _double([[tail.lower, tail.upper] for tail in tails]),
            _double([tail.shift for tail in tails]),
            _double([tail.scale for tail in tails]),
        )

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform.each_inverse(codes)

    def decode(self, y: Tensor) -> Tensor:
        return self.transform.each_forward(y)[0]


class _Steps(_Map):
    """y = (x - offset) / step + v, v the noise: whole numbers, of which each has an interval of length 1."""

    step: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, kinds: Sequence[Column]) -> None:
        scales = [(kind.step or 1, kind.offset) if isinstance(kind, Integer) else (1, 0) for kind in kinds]
        ends = [self.bounds(kind) for kind in kinds]
        super().__init__(
            [offset + step * math.floor(_within(*end)) for (step, offset), end in zip(scales, ends, strict=True)]
        )
        self.register_buffer("step", _double([step for step, _ in scales]))
        self.register_buffer("offset", _double([offset for _, offset in scales]))
        self.register_buffer("low", _double([low for low, _ in ends]))
        self.register_buffer("high", _double([high - 1 for _, high in ends]))

    @staticmethod
    def bounds(kind: Column) -> tuple[float, float]:
        if not isinstance(kind, Integer):
            return -math.inf, math.inf
        low, high = _ends(kind)
        step = kind.step or 1
        return math.ceil((low - kind.offset) / step) if low > -math.inf else low, (
            math.floor((high - kind.offset) / step) + 1 if high < math.inf else high
        )

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return ((codes - self.offset) / self.step).round() + noise, torch.zeros_like(codes)

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = ((codes - self.offset) / self.step).round()
        low, high = (
            first.masked_fill(first <= self.low, -math.inf),
            (first + 1).masked_fill(first >= self.high, math.inf),
        )
        return low, high, torch.zeros_like(codes)

    def decode(self, y: Tensor) -> Tensor:
        # Beyond 2^53 float64 has no neighbours at distance 1.
        return y.floor().clamp(self.low, self.high).clamp(-(2.0**53), 2.0**53) * self.step + self.offset


class _Cells(_Map):
    """y = Φ⁻¹(u), u uniform in the interval of the level: levels and whole numbers whose frequencies are known."""

    normal = True
    below: Tensor
    above: Tensor
    width: Tensor
    edges: Tensor
    step: Tensor
    first: Tensor

    def __init__(self, kinds: Sequence[Column]) -> None:
        widths = [_double(kind.frequencies or [1.0]) for kind in kinds if isinstance(kind, Category | Integer)]
        steps = [(kind.step or 1, kind.low or 0) if isinstance(kind, Integer) else (1, 0) for kind in kinds]
        super().__init__([low for _, low in steps])
        most = max(len(width) for width in widths)
        below, above, width = (torch.zeros(len(widths), most, dtype=torch.float64) for _ in range(3))
        # The inner edges of the intervals on the line of y; beyond the last level they are infinite.
        edges = torch.full((len(widths), most - 1), math.inf, dtype=torch.float64)
        for row, shares in enumerate(widths):
            shares = shares / shares.sum()
            count = len(shares)
            width[row, :count] = shares
            below[row, 1:count] = shares.cumsum(0)[:-1]
            above[row, : count - 1] = shares.flip(0).cumsum(0).flip(0)[1:]
            edges[row, : count - 1] = _probit(below[row, 1:count], above[row, : count - 1])
        for name, value in (("below", below), ("above", above), ("width", width), ("edges", edges)):
            self.register_buffer(name, value)
        self.register_buffer("step", _double([step for step, _ in steps]))
        self.register_buffer("first", _double([low for _, low in steps]))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        level = self._level(codes)
        below, above, width = (table.gather(1, level).t() for table in (self.below, self.above, self.width))
        y = _probit(below + noise * width, above + (1 - noise) * width)
        return y, width.log() - _log_normal(y)

    def decode(self, y: Tensor) -> Tensor:
        level = torch.searchsorted(self.edges, y.t().contiguous(), right=True).t()
        return level.to(y.dtype) * self.step + self.first

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        level = self._level(codes)
        below, above, width = (table.gather(1, level).t() for table in (self.below, self.above, self.width))
        # An end where nothing is left has no rounding either.
        low = _probit(below, above + width).masked_fill(below <= 0, -math.inf)
        high = _probit(below + width, above).masked_fill(above <= 0, math.inf)
        return low, high, torch.zeros_like(codes)

    def _level(self, codes: Tensor) -> Tensor:
        """The place of each level, (columns, n)."""
        level = ((codes - self.first) / self.step).round().long().t()
        if bool(((level < 0) | (level >= (self.width > 0).sum(1, keepdim=True))).any()):
            raise InputError("A value is none of those that its discrete column can have; see the model's schema.")
        return level


class _Mixture(_Map):
    """y = Φ⁻¹(u), u the distribution function of a continuous part with atoms, at random within the jump of an atom."""

    normal = True

    def __init__(self, kinds: Sequence[Column]) -> None:
        mixed = [kind for kind in kinds if isinstance(kind, Mixed)]
        super().__init__([(kind.atoms or [0.0])[0] for kind in mixed])
        self.kinds = mixed
        self.parts: Any = nn.ModuleList(_OneMixture(kind) for kind in mixed)

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        found = [part.encode(codes[:, place], noise[:, place]) for place, part in enumerate(self.parts)]
        y, terms = zip(*found, strict=True)
        return torch.stack(y, 1), torch.stack(terms, 1)

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = [part.intervals(codes[:, place]) for place, part in enumerate(self.parts)]
        low, high, term = (torch.stack(pieces, 1) for pieces in zip(*found, strict=True))
        return low, high, term

    def decode(self, y: Tensor) -> Tensor:
        return torch.stack([part.decode(y[:, place]) for place, part in enumerate(self.parts)], 1)


class _OneMixture(nn.Module):
    atoms: Tensor
    shares: Tensor
    before: Tensor
    after: Tensor
    below: Tensor
    above: Tensor
    starts: Tensor
    ends: Tensor

    def __init__(self, kind: Mixed) -> None:
        super().__init__()
        assert kind.atoms is not None and kind.shares is not None and kind.marginal is not None
        low, high = _ends(kind)
        spline = MarginalSpline(1, len(kind.marginal.z), bounded=True).double()
        assert spline.low is not None and spline.high is not None
        for buffer, values in (
            (spline.z_knots, [kind.marginal.z]),
            (spline.x_knots, [kind.marginal.x]),
            (spline.slopes, [kind.marginal.slopes]),
            (spline.low, [low]),
            (spline.high, [high]),
        ):
            buffer.copy_(_double(values))
        self.spline = spline
        self.low, self.high = low, high
        self.rest = 1 - sum(kind.shares)
        shares = _double(kind.shares)
        atoms = _double(kind.atoms)
        at = self._normal(atoms)[0]
        # Below each atom: the smaller atoms, and what of the continuous part lies below.
        before = torch.cat([shares.new_zeros(1), shares.cumsum(0)])
        after = torch.cat([shares.flip(0).cumsum(0).flip(0), shares.new_zeros(1)])
        below = before[:-1] + self.rest * _cdf(at)
        above = after[1:] + self.rest * _cdf(-at)
        for name, value in (
            ("atoms", atoms), ("shares", shares), ("before", before), ("after", after),
            ("below", below), ("above", above),
        ):  # fmt: skip
            self.register_buffer(name, value)
        self.register_buffer("starts", _probit(below, above + shares))
        self.register_buffer("ends", _probit(below + shares, above))

    def _normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The normal score of x within the continuous part, and its log-derivative; infinite at a bound."""
        z, slope = (part[:, 0] for part in self.spline.each_inverse(x[:, None]))
        z = torch.where(x <= self.low, -math.inf, torch.where(x >= self.high, math.inf, z))
        return z, slope

    def encode(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        z, slope = (part[:, 0] for part in self.spline.each_inverse(x[:, None]))
        inside = z.clamp(-FURTHEST, FURTHEST)
        count = torch.searchsorted(self.atoms, x.contiguous())
        below = self.before[count] + self.rest * _cdf(inside)
        above = self.after[count] + self.rest * _cdf(-inside)
        y = _probit(below, above)
        # log dy/dx = log rest + log φ(z) - log φ(y) + log dz/dx; beyond the furthest point y goes along with z.
        term = math.log(self.rest) + _log_normal(inside) - _log_normal(y) + slope
        term = torch.where(z == inside, term, slope)
        y = y + (z - inside)
        atom = count.clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        width = self.shares[atom]
        jump = _probit(self.below[atom] + noise * width, self.above[atom] + (1 - noise) * width)
        return torch.where(on_atom, jump, y), torch.where(on_atom, width.log() - _log_normal(jump), term)

    def intervals(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        atom = torch.searchsorted(self.atoms, x.contiguous()).clamp(max=len(self.atoms) - 1)
        on_atom = self.atoms[atom] == x
        y, term = self.encode(x, torch.full_like(x, 0.5))
        low, high = (torch.where(on_atom, ends[atom], y) for ends in (self.starts, self.ends))
        return low, high, term.masked_fill(on_atom, 0.0)

    def decode(self, y: Tensor) -> Tensor:
        atom = torch.searchsorted(self.ends, y.contiguous(), right=True).clamp(max=len(self.atoms) - 1)
        on_atom = (y >= self.starts[atom]) & (y < self.ends[atom])
        # How many atoms lie below: those whose interval ends at or before y.
        count = torch.searchsorted(self.ends, y.contiguous(), right=True)
        lower = ((_cdf(y) - self.before[count]) / self.rest).clamp(1e-300, 1)
        upper = ((_cdf(-y) - self.after[count]) / self.rest).clamp(1e-300, 1)
        z = _probit(lower, upper)
        outside = y.abs() > FURTHEST
        z = torch.where(outside, y, z)
        x = self.spline.each_forward(z[:, None])[0][:, 0].clamp(self.low, self.high)
        return torch.where(on_atom, self.atoms[atom], x)


class _Circle(_Map):
    """y = Φ⁻¹(u), u the part of the way round from where the circle is cut open; steps are spread by the noise."""

    normal = True
    period: Tensor
    low: Tensor
    step: Tensor
    start: Tensor

    circular = True

    def __init__(self, kinds: Sequence[Column]) -> None:
        circles = [kind for kind in kinds if isinstance(kind, Periodic)]
        super().__init__([kind.low for kind in circles])
        for name in ("period", "low", "step", "start"):
            self.register_buffer(name, _double([getattr(kind, name) or 0.0 for kind in circles]))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        part = self.part_of_circle(codes, noise)
        y = _probit(part, 1 - part)
        return y, -_log_normal(y) + self.log_width()

    def decode(self, y: Tensor) -> Tensor:
        return self.from_part_of_circle(_cdf(y))

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        angle = (self.part_of_circle(codes, torch.zeros_like(codes)) - 0.5) * 2 * math.pi
        log_term = torch.where(self.step > 0, 0.0, (2 * math.pi / self.period).log())
        return angle, angle + 2 * math.pi * self.step / self.period, log_term.expand_as(codes)

    def part_of_circle(self, codes: Tensor, noise: Tensor) -> Tensor:
        """The part of the way round from the start, in (0, 1)."""
        part = torch.remainder((codes - self.start + self.step * noise) / self.period, 1.0)
        return part.clamp(EDGE**2, 1 - EDGE**2)

    def from_part_of_circle(self, part: Tensor) -> Tensor:
        """The angle, from low to low + period, or the step."""
        turn = torch.remainder(part + (self.start - self.low) / self.period, 1.0) * self.period
        stepped = torch.where(self.step > 0, self.step, 1.0)
        # A step at the start may be reached from either side of rounding: half a billionth of it is given away.
        whole = ((turn / stepped) + 1e-9).floor() * stepped
        whole = torch.where(whole >= self.period * (1 - 1e-9), 0.0, whole)
        angle = self.low + torch.where(self.step > 0, whole, turn)
        return torch.where(angle >= self.low + self.period, self.low, angle)

    def log_width(self) -> Tensor:
        """Of one step, or of the period."""
        return torch.where(self.step > 0, self.step, 1.0).log() - self.period.log()


def map_of(kind: Column) -> type[_Map]:
    """The class of the map of a column, which takes a list of columns of that sort."""
    if isinstance(kind, Continuous):
        return _Same if kind.tail is None else _Tails
    if isinstance(kind, Positive):
        return _Logarithm if kind.log else _Same
    if isinstance(kind, Category) or (isinstance(kind, Integer) and kind.frequencies is not None):
        return _Cells
    found: dict[type[Column], type[_Map]] = {
        Bounded: _Same, Integer: _Steps, DateTime: _Steps, Mixed: _Mixture, Periodic: _Circle,
    }  # fmt: skip
    return found[type(kind)]


def _ends(kind: Bounded | Integer | Mixed) -> tuple[float, float]:
    return -math.inf if kind.low is None else kind.low, math.inf if kind.high is None else kind.high


def _within(low: float, high: float) -> float:
    """A number between two bounds."""
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) / 2
    return low + 1 if math.isfinite(low) else high - 1 if math.isfinite(high) else 0.0


def _probit(below: Tensor, above: Tensor) -> Tensor:
    """Φ⁻¹(u) of u = below = 1 - above, from the smaller of the two, which has the digits."""
    return torch.where(below < above, torch.special.ndtri(below), -torch.special.ndtri(above))


def _cdf(y: Tensor) -> Tensor:
    """Φ(y), with all its digits in the lower tail, where torch.special.ndtr has none."""
    return 0.5 * torch.erfc(-math.sqrt(0.5) * y)


def _log_normal(y: Tensor) -> Tensor:
    return -0.5 * (y.square() + math.log(2 * math.pi))


def _double(values: Sequence) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
