"""No default fit ends worse than a Gaussian: one takes the place of a flow that does."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from pushforward.flow import Flow
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.assembly import Assembled, assemble, encoded
from pushforward.table_models.density import table_density
from pushforward.table_models.held_out import held_out_log_prob
from pushforward.table_models.preparation import Prepared
from pushforward.tables.columns.columns import Columns
from pushforward.training import History
from pushforward.zoo.gaussian import GAUSSIAN, OF_COLUMNS, best_gaussian
from pushforward.zoo.recipe import Recipe


def keep_gaussian(
    prepared: Prepared, recipe: Recipe, assembled: Assembled, history: History, seed: int
) -> tuple[Recipe, Assembled]:
    """The recipe and the trained flow, or those of a Gaussian if its held-out value is higher; the history says so.

    The Gaussian has a full covariance, of the columns or of their normal scores, whichever is better.

    Arguments:
        prepared: the table.
        recipe: of the flow.
        assembled: the flow, trained.
        history: of the training; its held-out value becomes that of the Gaussian.
        seed: of the fit.
    """
    flow, roles = assembled.flow, prepared.roles
    if roles.errors:
        return recipe, assembled
    if flow.allows_gaps is True:
        return recipe, _any_conditional(prepared, recipe, assembled, history, seed)

    def value(some: Flow) -> float:
        return _value(some, prepared)

    flow.cpu()
    maps = Columns(roles.schema, roles.features)
    _, y, context, row_weights = encoded(prepared, maps, seed)
    bounded = any(math.isfinite(end) for end in (*maps.low, *maps.high))
    of_columns = {"normal": maps.normal, "flags": roles.shown_context.flags, "trends": maps.linear}
    options: dict[str, Any] = {"bounded": bounded, **of_columns}
    gaussian, best, name = best_gaussian(flow, y, context, row_weights, value, **options)
    reached = value(flow) if assembled.approximate else history.best_held_out
    if gaussian is None or reached >= best:
        return recipe, assembled
    ending = f"the flow ended at {reached:.3f}" if history.best_step else "no step of the training gained on its start"
    line = _replaced(history, ending, name, best)
    kept = dataclasses.replace(recipe, flow=dict(GAUSSIAN), reasons=(*recipe.reasons, line))
    return kept, Assembled(gaussian, table_density(gaussian, roles), assembled.approximate)


def _any_conditional(
    prepared: Prepared, recipe: Recipe, assembled: Assembled, history: History, seed: int
) -> Assembled:
    """A trained flow of any columns given any others, or the Gaussian of the columns if that is better.

    Such a flow starts from the Gaussian of the normal scores and keeps the best of its evaluations: what it may lose by
    is the map to normal scores.
    """
    start = assemble(prepared, recipe, seed, straight=True)
    best, reached = _value(start.flow, prepared), history.best_held_out
    if not best > reached:
        return assembled
    _replaced(history, f"the flow ended at {reached:.3f}", OF_COLUMNS, best)
    return start


def _replaced(history: History, ending: str, name: str, best: float) -> str:
    """Give the history the held-out value of a Gaussian that takes the place of the flow, and return what it says."""
    line = f"{ending}, and {name} has {best:.3f} nats per held-out row: it is the model"
    history.best_held_out = best
    history.events.append(line)
    return line


def _value(flow: Flow | ArbitraryConditionalFlow, prepared: Prepared) -> float:
    """The held-out nats of a flow, -inf if it has none."""
    found = held_out_log_prob(table_density(flow, prepared.roles), prepared, prepared.rows.held_out)
    weights = prepared.rows.held_out_weights
    return float(np.average(found, weights=weights)) if np.isfinite(found).all() else -math.inf
