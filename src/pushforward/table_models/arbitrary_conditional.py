"""Any conditional density of a table's codes: its columns as bijections, then a flow that knows any condition."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward.table_models.arbitrary_conditional_flow import MOST_CORRELATED, ArbitraryConditionalFlow, covariance_of
from pushforward.tables.columns.columns import Columns
from pushforward.tables.schema.kinds import Schema

# Values of a grid, times rows, that are evaluated at a time.
EVALUATIONS = 2**15


class Prepared(NamedTuple):
    """Codes as the flow takes them, all (n, D) but the inputs.

    Attributes:
        low: scores of values with a density, or the lower ends of the intervals of those with a probability.
        high: the same, or the upper ends.
        log_term: log |∂ score / ∂ code| of values with a density.
        mass: whether a value has a probability.
        inputs: what the network is shown, (n, D + Σ widths), scores first.
        there: whether there is a value.
    """

    low: Tensor
    high: Tensor
    log_term: Tensor
    mass: Tensor
    inputs: Tensor
    there: Tensor


class ArbitraryConditionalDensity(nn.Module):
    """p(any columns | any others) of rows with gaps, exact for columns of every kind.

    A value with a density has that; one with a probability has that of its whole interval, without noise. In evaluation
    mode log_prob is that of all values that are there, of the columns that are no condition, given those that are:
    what is missing is left out, and so marginalised by the model. In training mode it is an estimate of the same, in
    which each row has a random set of its values known and the others predicted from these, so that every condition
    is learned. Half of the rows know the first columns, as the chain rule asks, the others any.

    Arguments:
        columns: the maps of the columns.
        flow: over as many features.
        schema: learned.
        names: the columns.
        given: those that are conditions, and never predicted.

    Cost: log_prob and draws D passes of the network, training one.
    """

    allows_gaps = True
    context_features = 0
    conditions: Tensor

    def __init__(
        self,
        columns: Columns,
        flow: ArbitraryConditionalFlow,
        schema: Schema,
        names: Sequence[str],
        given: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.columns = columns
        self.flow = flow
        self.kinds = [schema[name] for name in names]
        self.register_buffer("conditions", torch.tensor([name in given for name in names]), persistent=False)

    @property
    def features(self) -> int:
        """D, the number of columns."""
        return self.columns.features

    @property
    def config(self) -> dict[str, Any]:
        """The columns, the conditions and the flow, as plain JSON: what a checkpoint is of."""
        given = self.conditions.nonzero()[:, 0].tolist()
        return {"columns": self.columns.config, "given": given, "flow": self.flow.config}

    def log_prob(self, codes: Tensor, context: None = None) -> Tensor:
        """log p(values that are there | conditions) in nats, (n,), of codes, (n, D), NaN where a value is missing."""
        if self.training:
            return self._estimate(self.prepare(codes))
        return self.log_prob_given(codes, self.conditions.expand(codes.shape))

    def log_prob_given(self, codes: Tensor, known: Tensor) -> Tensor:
        """log p(other values that are there | known ones that are there) in nats, (n,).

        Arguments:
            codes: (n, D), float64, NaN where a value is missing.
            known: (n, D), True for values that are conditions.
        """
        return self._terms(codes, known).sum(-1)

    def log_prob_of_each(self, codes: Tensor, context: None = None) -> Tensor:
        """log p(value | values of columns before it, conditions) in nats, (n, D), which sum to log_prob.

        It is 0 for conditions and where a value is missing.
        """
        return self._terms(codes, self.conditions.expand(codes.shape))

    def _terms(self, codes: Tensor, known: Tensor) -> Tensor:
        """The terms of the chain rule in the order of the columns, (n, D); 0 for known and missing values."""
        prepared = self.prepare(codes)
        known = known & prepared.there
        terms = []
        for column in range(self.features):
            asked = prepared.there[:, column] & ~known[:, column]
            terms.append(torch.zeros(len(codes), dtype=torch.float64, device=codes.device))
            if bool(asked.any()):
                parameters = self.flow.conditionals(prepared.inputs, known, column)
                value = self._log_each(parameters, prepared, torch.tensor([column]))[:, 0]
                terms[-1] = torch.where(asked, value, 0.0).double()
            known = known.clone()
            known[:, column] |= asked
        return torch.stack(terms, -1)

    @torch.no_grad()
    def fill(self, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw what is missing from p(missing | there), one column after the other; float64, (n, D)."""
        codes = codes.clone()
        for column in range(self.features):
            empty = codes[:, column].isnan()
            if bool(empty.any()):
                rows = codes[empty]
                latent = torch.randn(len(rows), 1, generator=generator, dtype=self.flow.last.weight.dtype)
                if column in self.columns.circular:
                    latent = (torch.rand(len(rows), 1, generator=generator).to(latent.dtype) * 2 - 1) * math.pi
                codes[empty, column] = self._codes_of(self._conditional(rows, column), latent, column)
        return codes

    @torch.no_grad()
    def quantiles(self, codes: Tensor, column: int, levels: Sequence[float]) -> Tensor:
        """Quantiles of p(column | values that are there) of each row, (n, levels), as codes.

        The column's own value is not used. Of a category they follow the order of its levels, of an angle they start
        opposite to where most rows are.
        """
        codes = codes.clone()
        codes[:, column] = math.nan
        parameters = self._conditional(codes, column)
        found = []
        for level in levels:
            latent = torch.special.ndtri(torch.tensor(level, dtype=parameters.dtype)).expand(len(codes), 1)
            if column in self.columns.circular:
                latent = torch.full((len(codes), 1), (2 * level - 1) * math.pi, dtype=parameters.dtype)
            found.append(self._codes_of(parameters, latent, column))
        return torch.stack(found, 1)

    @torch.no_grad()
    def likeliest(self, codes: Tensor, column: int) -> Tensor:
        """The median of p(column | values that are there), or the likeliest level of a category, (n,), as codes."""
        kind = self.kinds[column]
        levels = kind.all_codes()
        if kind.plain_condition or kind.circular or levels is None:
            return self.quantiles(codes, column, [0.5])[:, 0]
        grid = torch.from_numpy(levels).double()
        return self.log_prob_on_grid(codes, column, grid).argmax(1).double()

    @torch.no_grad()
    def log_prob_on_grid(self, codes: Tensor, column: int, grid: Tensor) -> Tensor:
        """log p(column = value | values that are there) of each row and each of some codes, (n, grid).

        The column's own value is not used.
        """
        codes = codes.clone()
        codes[:, column] = math.nan
        parameters = self._conditional(codes, column)
        rows = torch.full((len(grid), self.features), math.nan, dtype=torch.float64)
        rows[:, column] = grid
        prepared, only = self.prepare(rows), torch.tensor([column])
        values = []
        # Some points at a time, each with every row.
        for points in torch.arange(len(grid)).split(max(1, EVALUATIONS // max(1, len(codes)))):
            every = points.repeat_interleave(len(codes))
            at = Prepared(*(part[every] for part in prepared))
            values.append(self._log_each(parameters.repeat(len(points), 1, 1), at, only).view(len(points), len(codes)))
        return torch.cat(values).t()

    @torch.no_grad()
    def distribution_function(self, codes: Tensor, column: int) -> Tensor:
        """P(column < its value | other values that are there), (n,); in the middle of a value's probability."""
        prepared = self.prepare(codes)
        known = prepared.there.clone()
        known[:, column] = False
        parameters, only = self.flow.conditionals(prepared.inputs, known, column), torch.tensor([column])
        ends = [
            torch.special.ndtr(
                self.flow.to_latent(parameters, end[:, only].clamp(-40, 40).to(parameters.dtype), only)[0]
            )
            for end in (prepared.low, prepared.high)
        ]
        return (0.5 * (ends[0] + ends[1]))[:, 0].double()

    def prepare(self, codes: Tensor) -> Prepared:
        """Codes as the flow takes them."""
        there = ~codes.isnan()
        low, high, log_term = self.columns.intervals(codes.double())
        mass = high > low
        scores = []
        slope = torch.zeros_like(low)
        for end in (low, high):
            inside = torch.where(there & end.isfinite(), end, self._middle())
            score, of_spline = self.flow.marginal.each_inverse(inside)
            if self.columns.circular:
                score = score.clone()
                score[:, self.columns.circular] = inside[:, self.columns.circular]
                of_spline = of_spline.clone()
                of_spline[:, self.columns.circular] = 0.0
            scores.append(torch.where(end.isinf(), end, score))
            slope = of_spline
        log_term = torch.where(mass | ~there, 0.0, log_term + slope)
        return Prepared(scores[0], scores[1], log_term, mass & there, self._inputs(codes, *scores), there)

    def _middle(self) -> Tensor:
        knots = self.flow.marginal.x_knots
        return knots[:, knots.shape[1] // 2].double()

    def _inputs(self, codes: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """What the network is shown of each column: scores, levels one by one, cosines and sines, and atoms."""
        # The middle of an interval in probability, so that an open end is no place of its own.
        middle = torch.special.ndtri(0.5 * (torch.special.ndtr(low) + torch.special.ndtr(high)))
        middle = torch.where(high > low, middle, low).clamp(-40, 40)
        parts = list(middle.unbind(1))
        for column, kind in enumerate(self.kinds):
            if kind.circular:
                parts[column] = torch.zeros_like(parts[column])
            parts += kind.network_inputs(codes[:, column], low[:, column], high[:, column]).unbind(1)
        return torch.stack(parts, 1)

    @torch.no_grad()
    def learn_covariance(self, codes: Tensor) -> None:
        """Give the flow the covariance of the scores of rows: of those columns of which a score says all."""
        if self.features > MOST_CORRELATED:
            return
        prepared = self.prepare(codes)
        scores = prepared.inputs[:, : self.features].masked_fill(~prepared.there, math.nan)
        ordered = [column for column, kind in enumerate(self.kinds) if kind.plain_condition]
        if ordered:
            covariance = torch.eye(self.features, dtype=torch.float64)
            places = torch.tensor(ordered)
            covariance[places[:, None], places] = covariance_of(scores[:, places])
            self.flow.covariance.copy_(covariance)

    def _estimate(self, prepared: Prepared) -> Tensor:
        """Each row: a random part of its values known, the rest predicted from these."""
        asked = prepared.there & ~self.conditions
        count = asked.sum(1)
        order = torch.rand(asked.shape, device=asked.device)
        natural = torch.rand(len(asked), 1, device=asked.device) < 0.5
        order = torch.where(natural, torch.arange(self.features, device=asked.device) / self.features, order)
        rank = order.masked_fill(~asked, 2.0).argsort(1).argsort(1)
        known_count = (torch.rand(len(asked), device=asked.device) * count).floor()
        known = asked & (rank < known_count[:, None])
        # Conditions are all known, or some of them in rows of random order.
        kept = natural | (torch.rand(asked.shape, device=asked.device) < 0.7)
        known |= self.conditions & prepared.there & kept
        parameters = self.flow.conditionals(prepared.inputs, known)
        predicted = asked & ~known
        value = torch.where(predicted, self._log_each(parameters, prepared, None), 0.0).sum(1)
        # The next column in the order stands for all that are still to come.
        return value * (count / (count - known_count).clamp_min(1))

    def _log_each(self, parameters: Tensor, prepared: Prepared, columns: Tensor | None) -> Tensor:
        """log p of each value, (n, k), by its density or its mass."""
        columns = torch.arange(self.features) if columns is None else columns
        dtype = parameters.dtype
        low, high, log_term, mass = (
            part[:, columns] for part in (prepared.low, prepared.high, prepared.log_term, prepared.mass)
        )
        rows = max(len(parameters), len(low))
        low, high, log_term, mass = (part.expand(rows, -1) for part in (low, high, log_term, mass))
        point = torch.where(mass | low.isnan(), 0.0, low).to(dtype)
        value = self.flow.log_density(parameters, point, columns) + log_term.to(dtype)
        discrete = mass.any(0)
        if bool(discrete.any()):
            there = mass[:, discrete]
            of_mass = self.flow.log_mass(
                parameters[:, discrete],
                torch.where(there, low[:, discrete], -1.0),
                torch.where(there, high[:, discrete], 1.0),
                columns[discrete],
            ).to(dtype)
            value = value.clone()
            value[:, discrete] = torch.where(there, of_mass, value[:, discrete])
        return value

    def _conditional(self, codes: Tensor, column: int) -> Tensor:
        prepared = self.prepare(codes)
        return self.flow.conditionals(prepared.inputs, prepared.there, column)

    def _codes_of(self, parameters: Tensor, latent: Tensor, column: int) -> Tensor:
        """The codes, (n,), of a column's latent numbers, (n, 1)."""
        score = self.flow.to_score(parameters, latent, torch.tensor([column])).double()
        scores = torch.zeros(len(score), self.features, dtype=torch.float64)
        scores[:, column] = score[:, 0]
        y = self.flow.marginal.each_forward(scores)[0]
        if column in self.columns.circular:
            y = y.clone()
            y[:, column] = score[:, 0]
        return self.columns.decode_angles(y)[:, column]


def input_widths(schema: Schema, names: Sequence[str]) -> list[int]:
    """How many inputs of the network each column has beside its score."""
    return [schema[name].input_width for name in names]
