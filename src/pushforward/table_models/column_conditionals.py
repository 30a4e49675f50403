"""The density of one column of a table given any others: its quantiles, its values on a grid, and draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.linear_trend import BeyondRange, Truncated
from pushforward.table_models.observed import FURTHEST_SCORE, Observed, observe, y_of
from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.columns import Columns

# Points of a grid, times rows, that are evaluated at a time.
EVALUATIONS = 2**15


class ColumnConditionals(nn.Module):
    """p(column | any others) for each column of a table, by one flow that knows any condition.

    Arguments:
        columns: the maps of the columns.
        flow: over as many features.
        schema: complete.
        names: the columns.
    """

    def __init__(self, columns: Columns, flow: ArbitraryConditionalFlow, schema: Schema, names: Sequence[str]) -> None:
        super().__init__()
        self.columns = columns
        self.flow = flow
        self.kinds = [schema[name] for name in names]

    @property
    def features(self) -> int:
        """D, the number of columns."""
        return self.columns.features

    @torch.no_grad()
    def fill(self, codes: Tensor, generator: torch.Generator | None = None, noise: Tensor | None = None) -> Tensor:
        """Draw missing values from p(missing | present), one column after the other; float64, (n, D).

        Arguments:
            codes: (n, D), float64, NaN where a value is missing.
            generator: of the draws; default the global one.
            noise: what the draws are made of, (n, D), in place of a generator.
        """
        codes = codes.clone()
        for column in range(self.features):
            empty = codes[:, column].isnan()
            if bool(empty.any()):
                rows = codes[empty]
                latent = self._latent(len(rows), column, generator) if noise is None else noise[empty, column, None]
                codes[empty, column] = self._codes_of(rows, self._conditional(rows, column), latent, column)
        return codes

    @torch.no_grad()
    def quantiles(self, codes: Tensor, column: int, levels: Sequence[float]) -> Tensor:
        """Quantiles of p(column | present values) of each row, (n, levels), as codes.

        The column's own value is not used. Those of a category follow the order of its levels, those of an angle begin
        opposite to where most rows are.
        """
        codes = _without(codes, column)
        parameters = self._conditional(codes, column)
        found = []
        for level in levels:
            latent = torch.special.ndtri(torch.tensor(level, dtype=parameters.dtype)).expand(len(codes), 1)
            if column in self.columns.circular:
                latent = torch.full((len(codes), 1), (2 * level - 1) * math.pi, dtype=parameters.dtype)
            found.append(self._codes_of(codes, parameters, latent, column))
        return torch.stack(found, 1)

    @torch.no_grad()
    def likeliest(self, codes: Tensor, column: int) -> Tensor:
        """The median of p(column | present values), or the likeliest level of a category, (n,), as codes."""
        kind = self.kinds[column]
        levels = kind.all_codes()
        if kind.plain_condition or kind.circular or levels is None:
            return self.quantiles(codes, column, [0.5])[:, 0]
        return self.log_prob_on_grid(codes, column, torch.from_numpy(levels).double()).argmax(1).double()

    @torch.no_grad()
    def log_prob_on_grid(self, codes: Tensor, column: int, grid: Tensor) -> Tensor:
        """log p(column = value | present values) of each row and each of some codes, (n, grid).

        The column's own value is not used.
        """
        codes = _without(codes, column)
        parameters = self._conditional(codes, column)
        rows = torch.full((len(grid), self.features), math.nan, dtype=torch.float64)
        rows[:, column] = grid
        observed, only = self._observed(rows), torch.tensor([column])
        values = []
        # Some points at a time, each with every row.
        for points in torch.arange(len(grid)).split(max(1, EVALUATIONS // max(1, len(codes)))):
            every = points.repeat_interleave(len(codes))
            at = Observed(*(part[every] for part in observed))
            log_prob = log_prob_of_values(self.flow, parameters.repeat(len(points), 1, 1), at, only)
            values.append(log_prob.view(len(points), len(codes)))
        found, beyond = torch.cat(values), self._beyond(codes, ~codes.isnan(), column, parameters)
        return (found if beyond is None else beyond.log_prob(found, self.columns.intervals(rows), every=True)).t()

    @torch.no_grad()
    def distribution_function(self, codes: Tensor, column: int) -> Tensor:
        """P(column < its value | other present values), (n,); for a value with a probability, half of that is added."""
        return self.distribution_functions_of(codes, column).mean(0)

    @torch.no_grad()
    def distribution_functions_of(self, codes: Tensor, column: int) -> Tensor:
        """P(column < its value | other present values) and P(column ≤ its value | other present values), (2, n)."""
        observed, only = self._observed(codes), torch.tensor([column])
        parameters = self._conditional(_without(codes, column), column)
        latents = []
        for end in (observed.low, observed.high):
            inside = end[:, only].clamp(-FURTHEST_SCORE, FURTHEST_SCORE).to(parameters.dtype)
            latents.append(self.flow.to_latent(parameters, inside, only)[0][:, 0].double())
        low, high = latents
        if column in self.columns.circular:
            # The middle of the arc between them, of a turn that begins opposite to where most rows are.
            half = 0.5 * torch.remainder(high - low, 2 * math.pi)
            middle = torch.remainder((low + half) / (2 * math.pi) + 0.5, 1.0)
            half = half / (2 * math.pi)
            return torch.stack([middle - half, middle + half])
        found = torch.special.ndtr(torch.stack([low, high]))
        present = _without(codes, column)
        beyond = self._beyond(present, ~present.isnan(), column, parameters)
        return found if beyond is None else beyond.distribution_functions(found, self.columns.intervals(codes.double()))

    @torch.no_grad()
    def values_beyond_range(self, codes: Tensor) -> Tensor:
        """Which values of codes, (n, D), lie beyond the range of the training rows; no missing value does."""
        if self.flow.score_range is None:
            return torch.zeros_like(codes, dtype=torch.bool)
        scores = self._observed(codes).inputs[:, : self.features]
        return self.flow.score_range.beyond(scores) & ~codes.isnan()

    def _observed(self, codes: Tensor) -> Observed:
        return observe(codes, self.columns, self.kinds, self.flow)

    def _conditional(self, codes: Tensor, column: int) -> Tensor:
        """Parameters of p(column | present values), (n, 1, P)."""
        observed = self._observed(codes)
        return self.flow.conditionals(observed.inputs, observed.present, column)

    def _latent(self, rows: int, column: int, generator: torch.Generator | None = None) -> Tensor:
        """Latent numbers of a column, (rows, 1): normal ones, or angles."""
        latent = torch.randn(rows, 1, generator=generator, dtype=self.flow.last.weight.dtype)
        if column in self.columns.circular:
            latent = (torch.rand(rows, 1, generator=generator).to(latent.dtype) * 2 - 1) * math.pi
        return latent

    def _codes_of(self, codes: Tensor, parameters: Tensor, latent: Tensor, column: int) -> Tensor:
        """The codes, (n,), of a column's latent numbers, (n, 1), given the values of codes, (n, D)."""
        score = self.flow.to_score(parameters, latent, torch.tensor([column])).double()
        y = y_of(score[:, 0], column, self.flow)
        beyond = self._beyond(codes, ~codes.isnan(), column, parameters)
        if beyond is not None:
            y[:, column] = beyond.quantile(y[:, column], torch.special.ndtr(latent[:, 0].double()))
        return self.columns.decode_angles(y)[:, column]

    def _beyond(self, codes: Tensor, known: Tensor, column: int, parameters: Tensor) -> BeyondRange | None:
        """What is said of a column in rows with a known value beyond its range, if there is a trend and such a row.

        Arguments:
            codes: (n, D), NaN where a value is missing.
            known: (n, D), True for values that are conditions.
            column: which one.
            parameters: of its conditional, (n, 1, P), at the ends of the range.
        """
        trend = self.flow.trend
        if trend is None or not int(trend.rows[column]):
            return None
        known = known & (trend.rows > 0)
        rows = (self.values_beyond_range(codes) & known).any(1)
        if not bool(rows.any()):
            return None
        mean, deviation = trend.moments(self._middles(codes[rows]), known[rows], column)
        at_end = []
        for latent in (-1.0, 1.0):
            z = torch.full((int(rows.sum()), 1), latent, dtype=parameters.dtype, device=parameters.device)
            score = self.flow.to_score(parameters[rows], z, torch.tensor([column])).double()[:, 0]
            at_end.append(y_of(score, column, self.flow)[:, column])
        deviation = torch.maximum(deviation, 0.5 * (at_end[1] - at_end[0]))
        bounds = float(self.columns.low[column]), float(self.columns.high[column])
        return BeyondRange(rows, column, Truncated(mean, deviation, *bounds))

    def _middles(self, codes: Tensor) -> Tensor:
        """y of the middles of the intervals that codes stand for, (n, D), NaN where a value is missing."""
        low, high, _ = self.columns.intervals(codes.double())
        low, high = torch.where(low.isinf(), high, low), torch.where(high.isinf(), low, high)
        return (0.5 * (low + high)).masked_fill(codes.isnan(), math.nan)

    @torch.no_grad()
    def learn_trend(self, codes: Tensor, rows: int) -> None:
        """Learn the linear trend of codes, (N, D), some of so many rows, in the columns whose y is linear in the value.

        Levels, angles, columns with atoms, and logarithms have none.
        """
        if self.flow.trend is None:
            return
        low, high, log_term = self.columns.intervals(codes.double())
        log_term = torch.where(high > low, 0.0, log_term)
        kinds, normal = enumerate(self.kinds), set(self.columns.normal)
        linear = [
            column
            for column, kind in kinds
            if kind.plain_condition
            and column not in normal
            and len(log_term[~codes[:, column].isnan(), column].unique()) == 1
        ]
        if linear:
            self.flow.trend.set(self._middles(codes), linear, rows)


def log_prob_of_values(
    flow: ArbitraryConditionalFlow, parameters: Tensor, observed: Observed, columns: Tensor
) -> Tensor:
    """log p of each value of some columns, (n, k), by its density or its probability; parameters are (n, k, P)."""
    dtype, columns = parameters.dtype, columns.to(parameters.device)
    parts = (observed.low, observed.high, observed.log_term, observed.mass)
    rows = max(len(parameters), len(observed.low))
    low, high, log_term, mass = (part[:, columns].expand(rows, -1) for part in parts)
    point = torch.where(mass | low.isnan(), 0.0, low).to(dtype)
    value = flow.log_density(parameters, point, columns) + log_term.to(dtype)
    discrete = mass.any(0)
    if bool(discrete.any()):
        has_mass = mass[:, discrete]
        of_mass = flow.log_mass(
            parameters[:, discrete],
            torch.where(has_mass, low[:, discrete], -1.0),
            torch.where(has_mass, high[:, discrete], 1.0),
            columns[discrete],
        ).to(dtype)
        value = value.clone()
        value[:, discrete] = torch.where(has_mass, of_mass + log_term[:, discrete].to(dtype), value[:, discrete])
    return value


def _without(codes: Tensor, column: int) -> Tensor:
    """Rows without the values of one column."""
    codes = codes.clone()
    codes[:, column] = math.nan
    return codes
