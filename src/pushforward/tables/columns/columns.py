"""Columns as bijections: from the codes of each kind of column to numbers on the whole line, and back into its support.

Values with a probability instead of a density (levels, whole numbers, atoms), and measurements that were rounded, are
dequantized: uniform noise v spreads each over an interval, and the mean of log q(y) + log_term over v is a lower bound
of the log-probability (Theis, van den Oord and Bethge 2016, arXiv:1511.01844). Levels and atoms have intervals of
[0, 1] as wide as their frequencies, mapped by the normal quantile function (the randomized probability integral
transform), so that a column on its own becomes exactly standard normal.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.maps.base import EDGE


class Intervals(NamedTuple):
    """The points and intervals of y that codes stand for, without noise, each (n, D).

    Attributes:
        low: y of a value with a density; the lower end of the interval of one with a probability.
        high: the same as low, or the upper end.
        log_term: log |dy/dx| of values with a density, minus the log of its length for a cell, 0 for probabilities.
    """

    low: Tensor
    high: Tensor
    log_term: Tensor


class Columns(nn.Module):
    """The map of every column, from codes to y and back.

    Arguments:
        schema: complete, of at least these columns.
        names: the columns, all of which vary.

    Attributes:
        with_probabilities: the names of the columns of which single values have a probability.
        rounded: the names of the columns of which values stand for cells.
        noisy: whether noise matters: there are such columns.
        trivial: whether y is the code, for every column.
        low: lower bounds of y, (D,), -inf for none.
        high: upper bounds of y, (D,), inf for none.
        normal: the columns whose y is nearly standard normal already; angles may lie in a narrow sector.
        circular: the columns that are angles.
        linear: the columns without bounds whose y is a linear function of the code, but for noise within a step.
        config: the columns as plain JSON.

    Example:
        >>> from pushforward.tables.columns.kinds import Category
        >>> columns = Columns({"sex": Category(levels=["f", "m"], frequencies=[0.5, 0.5])}, ["sex"])
        >>> y, log_term = columns.encode(torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[0.5]]))
        >>> y, columns.decode(y)
        (tensor([[0.6745]], dtype=torch.float64), tensor([[1.]], dtype=torch.float64))
    """

    def __init__(self, schema: Schema, names: Sequence[str]) -> None:
        super().__init__()
        kinds = [schema[name] for name in names]
        self.config = {name: schema[name].as_json() for name in names}
        self.features = len(names)
        self.with_probabilities = [name for name, kind in zip(names, kinds, strict=True) if kind.has_probabilities]
        self.rounded = [
            name for name, kind in zip(names, kinds, strict=True) if kind.recorded is not None and not kind.discrete
        ]
        self.noisy = bool(self.with_probabilities or self.rounded)
        groups: dict[Any, list[int]] = {}
        for place, kind in enumerate(kinds):
            groups.setdefault(kind.map, []).append(place)
        # Buffers, so that they move with the maps.
        for part, places in enumerate(groups.values()):
            self.register_buffer(f"places_{part}", torch.tensor(places), persistent=False)
        self.maps: Any = nn.ModuleList(make([kinds[place] for place in places]) for make, places in groups.items())
        self.trivial = all(part.trivial for part in self.maps)
        self.low, self.high = ([end] * len(names) for end in (-math.inf, math.inf))
        self.circular = [place for place, kind in enumerate(kinds) if kind.circular]
        self.normal: list[int] = []
        self.linear: list[int] = []
        for made, places in zip(self.maps, groups.values(), strict=True):
            for place in places:
                self.low[place], self.high[place] = made.bounds(kinds[place])  # type: ignore[operator]
                if made.normal and not made.circular:
                    self.normal.append(place)
                if made.linear and math.isinf(self.low[place]) and math.isinf(self.high[place]):
                    self.linear.append(place)

    @property
    def places(self) -> list[Tensor]:
        """Which columns each of the maps takes."""
        return [getattr(self, f"places_{part}") for part in range(len(self.maps))]

    @property
    def meaning(self) -> str:
        """What a density of codes is, in words."""
        density = "a density in the units of continuous columns"
        if self.rounded:
            others = " and others" if len(self.rounded) > 1 else ""
            density += f' (of "{self.rounded[0]}"{others} the mean over a recorded step)'
        return density + (" times the probability of discrete ones" if self.with_probabilities else "")

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """From codes to the whole line.

        Arguments:
            codes: (n, D), NaN where a value is missing.
            noise: (n, D) or (D,) uniform in [0, 1], which matters for discrete columns only.

        Returns:
            y, NaN where the code is, and log_term, (n, D), 0 where the code is NaN: log p(code) is log q(y) + log_term.
        """
        noise = (noise * (1 - 2 * EDGE) + EDGE).to(codes.dtype).expand_as(codes)
        y, log_term = torch.empty_like(codes), torch.empty_like(codes)
        for places, part in zip(self.places, self.maps, strict=True):
            missing = codes[:, places].isnan()
            values = torch.where(missing, part.filler.to(codes.dtype), codes[:, places])
            found, term = part.encode(values, noise[:, places])
            y[:, places] = found.masked_fill(missing, math.nan)
            log_term[:, places] = term.masked_fill(missing, 0.0)
        return y, log_term

    def intervals(self, codes: Tensor) -> Intervals:
        """The values and intervals that codes stand for, angles in radians; NaN where the code is."""
        low, high, log_term = (torch.empty_like(codes) for _ in range(3))
        for places, part in zip(self.places, self.maps, strict=True):
            missing = codes[:, places].isnan()
            found = part.intervals(torch.where(missing, part.filler.to(codes.dtype), codes[:, places]))
            for whole, some, gap in zip((low, high, log_term), found, (math.nan, math.nan, 0.0), strict=True):
                whole[:, places] = some.masked_fill(missing, gap)
        return Intervals(low, high, log_term)

    def decode_angles(self, y: Tensor) -> Tensor:
        """As `decode`, but for angles in radians."""
        y = y.clone()
        for places, part in zip(self.places, self.maps, strict=True):
            if part.circular:
                y[:, places] = torch.special.ndtri(torch.remainder(y[:, places] / (2 * math.pi) + 0.5, 1.0))
        return self.decode(y)

    def decode(self, y: Tensor) -> Tensor:
        """From the whole line to codes, which are always in the support of their columns; NaN stays."""
        codes = torch.empty_like(y)
        for places, part in zip(self.places, self.maps, strict=True):
            missing = y[:, places].isnan()
            found = part.decode(y[:, places].nan_to_num(0.0))
            codes[:, places] = found.masked_fill(missing, math.nan)
        return codes
