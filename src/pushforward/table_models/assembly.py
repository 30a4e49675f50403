"""The second step of a fit: a fresh flow for a table, and the density of its rows that is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pushforward.bijections import MarginalSpline
from pushforward.bijections.circular_marginal import CircularMarginal
from pushforward.bijections.cross_fitting import straight_features
from pushforward.errors import InputError
from pushforward.flow import Density, Flow
from pushforward.support.seeding import seeded, uniform_noise
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity, learn_scores
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.deconvolved import DeconvolvedDensity
from pushforward.table_models.dequantized import POINTS_IN_TRAINING, DequantizedDensity
from pushforward.table_models.preparation import Prepared
from pushforward.tables.columns.columns import Columns
from pushforward.zoo.recipe import Recipe, choose_arbitrary_conditional, choose_recipe, named_recipe

# Numbers of the context, of all rows together, from which the maps of a flow are found.
MOST_SHOWN = 2**25
# Of the maps of angles.
ROWS_OF_KNOT_ON_CIRCLE, FEWEST_ON_CIRCLE = 20, 8


@dataclass(frozen=True, eq=False)
class Assembled:
    """A flow with fresh weights, and the density that is trained.

    Attributes:
        flow: becomes part of the model.
        density: of codes, with the flow inside.
        approximate: whether the density averages over fewer points of the dequantizing noise than scores do.
    """

    flow: Flow | ArbitraryConditionalFlow
    density: Density
    approximate: bool


def choose(prepared: Prepared, architecture: str | None, max_time: float | None, flows: int = 1) -> Recipe:
    """Choose a flow and its training by the size of the table, or take a named architecture with its own defaults.

    Arguments:
        prepared: the table.
        architecture: a name, or None.
        max_time: seconds of training allowed for one flow, or None.
        flows: how many are trained, default 1.

    Raises:
        InputError: there is no such architecture, or it does not fit columns with measurement errors.
    """
    rows, roles = prepared.rows.training_rows, prepared.roles
    if roles.allows_gaps:
        return choose_arbitrary_conditional(rows, len(roles.features), max_time)
    if architecture is None:
        return choose_recipe(rows, len(roles.features), len(roles.context), max_time, flows)
    recipe = named_recipe(architecture, rows)
    if roles.errors and recipe.objective != "likelihood":
        raise InputError(
            f'The flow "{architecture}" is fitted to values as they were measured, without their errors: leave the '
            "errors or the flow out."
        )
    return recipe


def assemble(prepared: Prepared, recipe: Recipe, seed: int, straight: bool = False) -> Assembled:
    """Build the flow of a recipe and put the maps of the columns, and of measurement errors, before it.

    Arguments:
        prepared: the table.
        recipe: chosen for it.
        seed: of the weights; the global random state is left as it was.
        straight: whether columns without bounds are only shifted and scaled by a flow of any columns given any others,
            default where cross-fitting decides so.
    """
    roles = prepared.roles
    maps = Columns(roles.schema, roles.features)
    x, y, context, weights = encoded(prepared, maps, seed)
    if roles.allows_gaps:
        widths = [roles.schema[name].input_width for name in roles.features]
        any_flow = _arbitrary_conditional_flow(recipe, maps, y, widths, seed, weights, straight)
        any_density = ArbitraryConditionalDensity(maps, any_flow, roles.schema, roles.features, roles.given)
        learn_scores(any_density, x, torch.from_numpy(prepared.rows.ends))
        return Assembled(any_flow, any_density, approximate=False)
    shown = roles.shown_context
    known = None if context is None else shown.ends(torch.from_numpy(prepared.rows.ends[:, maps.features :]))
    bounds = {"known": known, "low": maps.low, "high": maps.high, "normal": maps.normal, "weights": weights}
    flow = recipe.make(y, context, seed, **bounds, flags=shown.flags, trends=maps.linear)
    trivial = maps.trivial and shown.trivial
    density: Density = flow if trivial else DequantizedDensity(maps, flow, POINTS_IN_TRAINING, shown)
    if roles.errors:
        return Assembled(flow, DeconvolvedDensity(density, roles.with_errors), approximate=False)
    return Assembled(flow, density, approximate=maps.noisy)


def encoded(
    prepared: Prepared, maps: Columns, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Training rows: codes of the features, what they become, what is shown of the context, and weights, or None.

    Where the last but one would be too large, these are evenly spaced rows.
    """
    rows, shown = prepared.rows, prepared.roles.shown_context
    numbers = 0 if shown.trivial else len(rows.train) * shown.width
    some = slice(None, None, 1 + numbers // MOST_SHOWN)
    x, codes = (torch.from_numpy(part[some]) for part in np.split(rows.train, [maps.features], axis=1))
    weights = None if rows.weights is None else torch.from_numpy(rows.weights[some])
    context = shown(codes) if codes.shape[1] else None
    return x, maps.encode(x, uniform_noise(x.shape, seed))[0], context, weights


def _arbitrary_conditional_flow(
    recipe: Recipe,
    maps: Columns,
    y: torch.Tensor,
    widths: list[int],
    seed: int,
    weights: torch.Tensor | None,
    all_straight: bool,
) -> ArbitraryConditionalFlow:
    """The flow with fresh weights behind splines that make each column of its training rows nearly normal."""
    bounded = any(np.isfinite([*maps.low, *maps.high]))
    options = {key: value for key, value in recipe.flow.items() if key != "architecture"}
    without = [*maps.normal, *maps.circular]
    straight = straight_features(y, recipe.knots, low=maps.low, high=maps.high, normal=without, weights=weights)
    if all_straight:
        straight = [place for place in range(maps.features) if np.isinf([maps.low[place], maps.high[place]]).all()]
    splines = {}
    for place in set(range(maps.features)) - set(without):
        present = ~y[:, place].isnan()
        splines[place] = MarginalSpline.from_data(
            y[present, place][:, None],
            recipe.knots,
            low=[maps.low[place]],
            high=[maps.high[place]],
            weights=None if weights is None else weights[present],
            straight=[0] if place in straight else [],
            apart=not all_straight,
        )
    knots = max((spline.z_knots.shape[1] for spline in splines.values()), default=recipe.knots)
    circle = _circle(maps.circular, y, recipe.knots, weights)
    with seeded(seed):
        flow = ArbitraryConditionalFlow(
            maps.features, widths, maps.circular, knots=knots, bounded=bounded, limited=True, trend=True,
            circle_knots=0 if circle is None else circle.knots, **options
        )  # fmt: skip
    flow.marginal.double()
    flow.circle = circle
    for place, spline in splines.items():
        flow.marginal.copy_knots(place, spline)
    return flow


def _circle(angles: list[int], y: torch.Tensor, knots: int, weights: torch.Tensor | None) -> CircularMarginal | None:
    """The map that makes the angles among the columns, (n, D), nearly uniform; None if there are none."""
    if not angles:
        return None
    present = [~y[:, place].isnan() for place in angles]
    columns = [
        (torch.special.ndtr(y[rows, place]) - 0.5) * 2 * math.pi for rows, place in zip(present, angles, strict=True)
    ]
    shares = [None if weights is None else weights[rows] for rows in present]
    # A circle may hold several sectors; nothing tells whether few rows have as many.
    knots = min(2 * knots, max(len(y) // ROWS_OF_KNOT_ON_CIRCLE, FEWEST_ON_CIRCLE))
    return CircularMarginal.from_data(columns, knots, weights=shares)
