"""Any conditional density of a table's codes: the maps of its columns, then a flow that knows any condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.table_models.arbitrary_conditional_flow import MOST_CORRELATED, ArbitraryConditionalFlow
from pushforward.table_models.column_conditionals import ColumnConditionals, log_prob_of_values
from pushforward.table_models.conditional_gaussian import covariance_of
from pushforward.table_models.observed import observe
from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.columns import Columns

if TYPE_CHECKING:
    from pushforward.table_models.model import TableModel

# Rows that give the covariance of the scores.
COVARIANCE_ROWS = 10_000
# The share of the conditions that rows in random order know in training.
CONDITIONS_KEPT = 0.7


class ArbitraryConditionalDensity(ColumnConditionals):
    """p(any columns | any others) of rows with gaps, exact for columns of every kind.

    A value with a density has that; one with a probability has that of its whole interval, without noise. In evaluation
    mode log_prob is that of all values that are present, of the columns that are not conditions, given those that are:
    the model itself marginalizes what is missing. In training mode it is an estimate of the same, for which a random
    set of each row's values is known and the others are predicted from these, so that every condition is learned.

    Arguments:
        columns: the maps of the columns.
        flow: over as many features.
        schema: complete.
        names: the columns.
        given: those that are conditions, and never predicted.

    Cost: log_prob and draws take D passes of the network, training one.
    """

    allows_gaps = True
    context_allows_gaps = False
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
        super().__init__(columns, flow, schema, names)
        self.register_buffer("conditions", torch.tensor([name in given for name in names]), persistent=False)

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        return (
            f"{self.columns.meaning}, exact; missing values are left out: it is the learned density of the values that "
            "are present"
        )

    @property
    def config(self) -> dict[str, Any]:
        """The columns, the conditions and the flow, as plain JSON: it tells a checkpoint which density it is of."""
        given = self.conditions.nonzero()[:, 0].tolist()
        return {"columns": self.columns.config, "given": given, "flow": self.flow.config}

    def log_prob(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(present values | conditions) in nats, (n,), of codes, (n, D), NaN where a value is missing."""
        if self.training:
            return self._estimate(codes)
        return self.log_prob_given(codes, self.conditions.expand(codes.shape))

    def log_prob_given(self, codes: Tensor, known: Tensor) -> Tensor:
        """log p(other present values | known present values) in nats, (n,).

        Arguments:
            codes: (n, D), float64, NaN where a value is missing.
            known: (n, D), True for values that are conditions.
        """
        return self._terms(codes, known).sum(-1)

    def log_prob_of_each(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(value | values of columns before it, conditions) in nats, (n, D), which sum to log_prob.

        It is 0 for conditions and where a value is missing.
        """
        return self._terms(codes, self.conditions.expand(codes.shape))

    @torch.no_grad()
    def beyond_range(self, conditions: Tensor) -> Tensor:
        """Which conditions, (n, C), lie beyond the range of the training rows; no missing value does."""
        if self.flow.score_range is None:
            return torch.zeros_like(conditions, dtype=torch.bool)
        codes = torch.full((len(conditions), self.features), math.nan, dtype=torch.float64)
        codes[:, self.conditions] = conditions
        return self.values_beyond_range(codes)[:, self.conditions]

    @torch.no_grad()
    def distribution_functions(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """P(column < its value | conditions) and P(column ≤ its value | conditions) of each column, (2, n, D).

        It is exact, and NaN for conditions and where a value is missing.
        """
        return self._distribution_functions(codes, {})

    def chain_order(self) -> list[int] | None:
        """That of the columns."""
        return (~self.conditions).nonzero()[:, 0].tolist()

    @torch.no_grad()
    def distribution_functions_in_order(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """P(column < its value | those before it, conditions) and P(column ≤ its value | the same), (2, n, D).

        It is exact, and NaN for conditions and where a value is missing.
        """
        order = (~self.conditions).nonzero()[:, 0].tolist()
        return self._distribution_functions(codes, {column: order[:place] for place, column in enumerate(order)})

    @property
    def evaluations(self) -> int:
        """One for each column."""
        return self.features

    def _distribution_functions(self, codes: Tensor, before: Mapping[int, list[int]]) -> Tensor:
        """The same of each column given the conditions and others, {column: those}."""
        found = torch.full((2, *codes.shape), math.nan, dtype=torch.float64, device=codes.device)
        for column in (~self.conditions).nonzero()[:, 0].tolist():
            asked = ~codes[:, column].isnan()
            known = self.conditions.clone()
            known[[column, *before.get(column, [])]] = True
            if bool(asked.any()):
                rows = codes[asked].masked_fill(~known, math.nan)
                found[:, asked, column] = self.distribution_functions_of(rows, column)
        return found

    def check_shares(self) -> None:
        """Nothing: `log_prob_of_each` has the shares of columns."""

    @torch.no_grad()
    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Codes drawn, (*shape, *batch, D), float64.

        Arguments:
            shape: how many draws; with conditions, how many for each of their rows.
            context: (*batch, C) codes of the conditions, NaN where a value is missing and is drawn; default all drawn.
        """
        batch = () if context is None else context.shape[:-1]
        codes = torch.full((*shape, *batch, self.features), math.nan, dtype=torch.float64)
        if context is not None:
            codes[..., self.conditions] = context
        return self.fill(codes.reshape(-1, self.features)).view(codes.shape)

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, D), from the global random state."""
        return torch.cat([self._latent(rows, column) for column in range(self.features)], 1)

    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, as codes, (n, D), that `sample` makes of noise, (n, D), and of (n, C) codes of the conditions."""
        codes = torch.full(noise.shape, math.nan, dtype=torch.float64)
        if context is not None:
            codes[:, self.conditions] = context
        return self.fill(codes, noise=noise)

    def _terms(self, codes: Tensor, known: Tensor) -> Tensor:
        """The terms of the chain rule in the order of the columns, (n, D); 0 for known and missing values."""
        observed = self._observed(codes)
        known = known & observed.present
        terms = []
        for column in range(self.features):
            asked = observed.present[:, column] & ~known[:, column]
            terms.append(torch.zeros(len(codes), dtype=torch.float64, device=codes.device))
            if bool(asked.any()):
                parameters = self.flow.conditionals(observed.inputs, known, column)
                value = log_prob_of_values(self.flow, parameters, observed, torch.tensor([column]))[:, 0]
                beyond = self._beyond(codes, known, column, parameters)
                value = value if beyond is None else beyond.log_prob(value, self.columns.intervals(codes.double()))
                terms[-1] = torch.where(asked, value, 0.0).double()
            known = known.clone()
            known[:, column] |= asked
        return torch.stack(terms, -1)

    def _estimate(self, codes: Tensor) -> Tensor:
        """log p of each row by one of its conditionals: a random set of values is known, the others are predicted."""
        observed = self._observed(codes)
        asked = observed.present & ~self.conditions
        known, weight = _random_known(asked, self.conditions & observed.present)
        parameters = self.flow.conditionals(observed.inputs, known)
        value = log_prob_of_values(self.flow, parameters, observed, torch.arange(self.features))
        return torch.where(asked & ~known, value, 0.0).sum(1) * weight


@torch.no_grad()
def learn_scores(density: ArbitraryConditionalDensity, codes: Tensor, known: Tensor) -> None:
    """Give a flow the covariance of the scores of rows, and the range of the scores of others.

    The covariance is that of the columns that a score describes completely.

    Arguments:
        density: with the flow inside.
        codes: (n, D) rows to train on.
        known: (m, D) rows that show the range of each column.
    """
    if density.flow.score_range is not None:
        density.flow.score_range.set(_scores(density, known))
    observed = observe(codes[:COVARIANCE_ROWS], density.columns, density.kinds, density.flow)
    density.flow.learn_inputs_of_angles(observed.inputs, observed.present)
    if density.features > MOST_CORRELATED:
        return
    density.learn_trend(codes[:COVARIANCE_ROWS], len(codes))
    scores = _scores(density, codes[:COVARIANCE_ROWS])
    ordered = [column for column, kind in enumerate(density.kinds) if kind.plain_condition]
    if ordered:
        covariance = torch.eye(density.features, dtype=torch.float64)
        places = torch.tensor(ordered)
        covariance[places[:, None], places] = covariance_of(scores[:, places])
        density.flow.covariance.copy_(covariance)


def required_density(model: TableModel) -> ArbitraryConditionalDensity:
    """Return the density of a model of any columns given any others.

    Raises:
        InputError: the model is not one, or something else than the model of a table.
    """
    if not hasattr(model, "arbitrary_conditions"):
        raise InputError(
            "This takes the model of a table, as pushforward.fit_table(..., arbitrary_conditions=True).model or "
            f"pushforward.TableModel.load gives it, not an object of the type {type(model).__name__}."
        )
    if not model.arbitrary_conditions:
        raise InputError(
            "This model answers one question only, the one that it was fitted for; fit again with "
            "--arbitrary-conditions, which learns p(any columns | any others)."
        )
    return cast(ArbitraryConditionalDensity, model.density)


def _scores(density: ArbitraryConditionalDensity, codes: Tensor) -> Tensor:
    """The scores of rows, (n, D), NaN where a value is missing."""
    observed = observe(codes, density.columns, density.kinds, density.flow)
    return observed.inputs[:, : density.features].masked_fill(~observed.present, math.nan)


def _random_known(asked: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the values of each row that are known in one step of training.

    Half of the rows know the first columns, as the chain rule asks, the others any.

    Arguments:
        asked: (n, D) the present values that have a density.
        conditions: (n, D) the conditions that are present.

    Returns:
        (n, D), True for known values; and (n,) the weight of a row's predictions: the next column in its order stands
        for all that follow.
    """
    features, device = asked.shape[1], asked.device
    count = asked.sum(1)
    order = torch.rand(asked.shape, device=device)
    natural = torch.rand(len(asked), 1, device=device) < 0.5
    order = torch.where(natural, torch.arange(features, device=device) / features, order)
    rank = order.masked_fill(~asked, 2.0).argsort(1).argsort(1)
    known_count = (torch.rand(len(asked), device=device) * count).floor()
    known = asked & (rank < known_count[:, None])
    # Rows in the natural order know all conditions, the others most of them.
    kept = natural | (torch.rand(asked.shape, device=device) < CONDITIONS_KEPT)
    return known | (conditions & kept), count / (count - known_count).clamp_min(1)
