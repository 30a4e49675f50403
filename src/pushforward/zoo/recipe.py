"""The defaults of a fit: architecture, size and training, from the table and the time allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.bijections import LU, Standardized
from pushforward.bijections.clusters import Boxes, find_clusters
from pushforward.bijections.cross_fitting import straight_features
from pushforward.flow import Flow
from pushforward.solvers.ode import check_installed
from pushforward.support.seeding import seeded
from pushforward.support.wording import counted
from pushforward.zoo.covariance import covariance_of_scores
from pushforward.zoo.gaussian import MOST_COLUMNS
from pushforward.zoo.linear_regression import regress
from pushforward.zoo.names import IN_CONTINUOUS_TIME
from pushforward.zoo.registry import build, config_of
from pushforward.zoo.units import behind_splines, in_clusters, takes_clusters

# Chosen on validation rows of tables of 5 to 63 columns and 300 to 1.7 million rows: see benchmarks/notes.md.
LAYERS, CONDITIONAL_LAYERS, WIDTH = 5, 2, 128
# Deeper networks and more bins gain more in each step, which takes twice as long: that pays from about 4,000 steps on,
# which take this many seconds on two cores, and this many more for each column.
SECONDS_FOR_LARGE, SECONDS_OF_COLUMN = 40, 4.5
# For two columns only one conditional density is to be learned, of which many rows show finer structure.
ROWS_FOR_FINE, FINE_FEATURES = 20_000, 2
BATCH_ROWS = 512
LEARNING_RATE = 5e-3
ARBITRARY_CONDITIONAL_LEARNING_RATE = 2e-3
# The loss of flow matching varies more from row to row than a log-likelihood does.
MATCHING_BATCH_ROWS, MATCHING_LEARNING_RATE = 1024, 1e-2
# Up to this many rows a network memorizes them without dropout; larger networks are no better.
ROWS_OF_DROPOUT, DROPOUT = 1_000, 0.3
# Knots of the splines that make columns nearly normal: one for 40 rows, from 8 to 12, which remove skew and heavy
# tails, and of many rows one for 2,000, up to 512.
ROWS_OF_FIRST_KNOTS, FEWEST_KNOTS, FIRST_KNOTS = 40, 8, 12
ROWS_OF_KNOT, MOST_KNOTS = 2_000, 512
# Of more columns of a context the correlations take too long.
MOST_OF_CONTEXT = 500
# Passes without a time limit, and limits on their number of steps.
PASSES = 60
FEWEST_STEPS, MOST_STEPS = 3_000, 40_000


@dataclass(frozen=True)
class Recipe:
    """A choice of flow and training.

    Attributes:
        flow: the flow's config without its numbers of features and context features.
        knots: of the spline that makes each column nearly normal.
        training: options of `pushforward.fit`.
        reasons: lines for people: what was chosen, and why.
        objective: of `pushforward.fit`.
    """

    flow: dict[str, Any]
    knots: int
    training: dict[str, Any]
    reasons: tuple[str, ...]
    objective: str = "likelihood"

    def make(self, x: Tensor, context: Tensor | None = None, seed: int = 0, **of_data: Any) -> Flow:
        """The flow with fresh weights behind splines that make each column of its training rows nearly normal.

        Its first linear layer removes the remaining correlations: see `decorrelate`.

        Arguments:
            x: (N, D) training rows; float64 keeps the data side in float64.
            context: (N, C) or None.
            seed: of the weights; the global random state is unchanged.
            of_data: bounds, columns normal already, weights, known contexts, flags among them and trends, as
                `pushforward.gaussianized` takes them.
        """
        flags = len(of_data.get("flags", ()))
        with seeded(seed):
            context_knots = self._context_knots(context, flags)
            seen = 0 if context is None else context.shape[1]
            seen += 0 if context_knots is None else seen - flags
            inner = build({**self.flow, "features": x.shape[1], "context": seen})
        boxes = find_clusters(x) if takes_clusters(inner) else None
        if boxes is not None:
            return self._make_in_clusters(x, boxes, context, seed, **of_data)
        ends = {name: of_data[name] for name in ("low", "high", "normal", "weights") if name in of_data}
        straight = straight_features(x, self.knots, **ends)
        flow = behind_splines(inner, x, context, self.knots, **of_data, straight=straight, context_knots=context_knots)
        if self.flow.get("regression") and context is not None:
            regress(flow, x, context, of_data.get("weights"))
            return flow
        return self._decorrelated(flow, x, of_data.get("weights"))

    def _make_in_clusters(self, x: Tensor, boxes: Boxes, context: Tensor | None, seed: int, **of_data: Any) -> Flow:
        """The flow, which is given the cluster of each row as well, behind splines for each cluster."""
        labels, own = len(boxes.low) - 1, 0 if context is None else context.shape[1]
        # Covariances of the clusters take the place of a regression.
        of_flow = {name: option for name, option in self.flow.items() if name != "regression"}
        with seeded(seed):
            inner = build({**of_flow, "features": x.shape[1], "context": own + labels})
            names = ("low", "high", "normal", "weights", "known", "flags")
            options = {name: of_data[name] for name in names if name in of_data}
            flow = in_clusters(inner, x, boxes, context, self.knots, **options)
        return self._decorrelated(flow, x, of_data.get("weights"))

    def _decorrelated(self, flow: Flow, x: Tensor, weights: Tensor | None) -> Flow:
        if self.flow.get("linear") == "lu" and x.shape[1] <= MOST_COLUMNS:
            decorrelate(flow, x, weights)
        return flow

    def _context_knots(self, context: Tensor | None, flags: int) -> int | None:
        """The knots of the scores of a context, if the flow begins with a regression and is to see them."""
        few = context is not None and 0 < context.shape[1] - flags <= MOST_OF_CONTEXT
        return self.knots if few and self.flow.get("regression") else None


@torch.no_grad()
def decorrelate(flow: Flow, x: Tensor, weights: Tensor | None = None) -> None:
    """Let the LU layer next to the data start where it leaves the columns, made normal, uncorrelated.

    Of all matrices that do this the symmetric square root of the covariance moves each column least (ZCA).

    Arguments:
        flow: what `pushforward.gaussianized` made of an nsf with LU layers.
        x: (N, D) training rows.
        weights: (N,) or None.

    Source: Bell and Sejnowski 1997, doi:10.1016/S0042-6989(97)00121-1.
    """
    assert isinstance(flow.bijection, Standardized)
    y = flow.bijection.data.inverse(x)[0].double()
    mean, covariance = covariance_of_scores(y, weights)
    variance, directions = torch.linalg.eigh(covariance)
    layer = next(module for module in reversed(list(flow.modules())) if isinstance(module, LU))
    layer.start_at(directions @ variance.sqrt().diag() @ directions.t(), mean)


def choose_recipe(rows: int, features: int, context: int = 0, max_time: float | None = None, flows: int = 1) -> Recipe:
    """Choose a flow and its training for a table.

    Arguments:
        rows: rows to train on.
        features: columns to model.
        context: columns to condition on, default 0.
        max_time: seconds of training allowed for a flow; None for as long as the held-out rows gain.
        flows: how many flows of this recipe are trained, one after the other, default 1.

    Returns:
        The choice and its reasons.

    Example:
        >>> recipe = choose_recipe(rows=80_000, features=7, max_time=60)
        >>> recipe.flow["architecture"], recipe.training["batch_size"]
        ('nsf', 512)
        >>> recipe.reasons[0]
        'chosen: nsf, 5 autoregressive layers of 8-bin splines, ...'
    """
    few = rows <= ROWS_OF_DROPOUT
    large = not few and (max_time is None or max_time >= SECONDS_FOR_LARGE + SECONDS_OF_COLUMN * features)
    fine = large and features == FINE_FEATURES and rows >= ROWS_FOR_FINE
    bins = 32 if fine else 16 if large else 8
    deep = large or (bool(context) and features == 1 and not few)
    hidden = [WIDTH] * (3 if deep else 2)
    # After a regression a single target needs few splines; several are mixed, layer by layer.
    layers = CONDITIONAL_LAYERS if context and features == 1 else LAYERS
    flow = {
        "architecture": "nsf",
        "layers": layers,
        "hidden": hidden,
        "residual": deep,
        "bins": bins,
        "linear": "lu" if features > 1 else "none",
        "dropout": DROPOUT if few else 0.0,
    }
    if context:
        flow["regression"] = True
    batch = min(BATCH_ROWS, max(32, rows // 8))
    training: dict[str, Any] = {"batch_size": batch, "learning_rate": LEARNING_RATE}
    if max_time is None:
        training["max_steps"] = min(max(PASSES * rows // batch, FEWEST_STEPS), MOST_STEPS)
        limit = f"{counted(training['max_steps'], 'step')}, fewer when held-out rows stop gaining"
    else:
        each = f" for each of {flows} flows" if flows > 1 else ""
        limit = f"{max_time:g} seconds{each}, less when held-out rows stop gaining"
    knots = knots_for(rows)
    given = f" given {context}" if context else ""
    start = " after a linear regression" if context else ""
    dropout = f" with dropout {DROPOUT:g}" if few else ""
    return Recipe(
        flow,
        knots,
        training,
        (
            f"chosen: nsf, {counted(layers, 'autoregressive layer')} of {bins}-bin splines{start}, networks of "
            f"{len(hidden)} x {WIDTH} units{dropout}, "
            f"for {counted(rows, 'row')} of {counted(features, 'column')}{given}"
            + (" and time for many steps" if large else ": small, for many steps in little time"),
            f"chosen: columns made nearly normal by splines of {knots} knots (by the number of rows, "
            f"{FEWEST_KNOTS} to {MOST_KNOTS}); AdamW at {LEARNING_RATE:g} on batches of {batch}, {limit}",
        ),
    )


def named_recipe(name: str, rows: int) -> Recipe:
    """A named architecture, or autoregressive layers of a univariate family, with its own defaults.

    Flows in continuous time are trained by flow matching.

    Arguments:
        name: as `pushforward.zoo.registry.config_of` takes it.
        rows: rows to train on.

    Raises:
        InputError: there is no such name, or a package that its flows need is not installed.

    Example:
        >>> named_recipe("maf", rows=5_000).objective
        'likelihood'
    """
    config, knots = config_of(name), knots_for(rows)
    if name not in IN_CONTINUOUS_TIME:
        return Recipe(config, knots, {}, ())
    check_installed()
    batch = min(MATCHING_BATCH_ROWS, max(32, rows // 8))
    line = (
        f"{name}: trained by flow matching, AdamW at {MATCHING_LEARNING_RATE:g} on batches of {batch}; each density "
        "takes an equation to solve, and so does each draw"
    )
    return Recipe(
        config, knots, {"batch_size": batch, "learning_rate": MATCHING_LEARNING_RATE}, (line,), "flow_matching"
    )


def choose_arbitrary_conditional(rows: int, features: int, max_time: float | None = None) -> Recipe:
    """Choose a flow of arbitrary conditionals, and its training: for tables with missing values, or any conditions.

    Arguments:
        rows: rows to train on.
        features: columns, given ones included.
        max_time: seconds of training allowed; None for as long as the held-out rows gain.

    Example:
        >>> choose_arbitrary_conditional(rows=5_000, features=7).flow["hidden"]
        256
    """
    large = max_time is None or max_time >= SECONDS_FOR_LARGE
    blocks = 3 if large else 2
    batch = min(BATCH_ROWS, max(32, rows // 8))
    # Every pass conditions each row on other columns, so that there is more to learn from it.
    training: dict[str, Any] = {"batch_size": batch, "learning_rate": ARBITRARY_CONDITIONAL_LEARNING_RATE}
    if max_time is None:
        training["max_steps"] = min(max(2 * PASSES * rows // batch, FEWEST_STEPS), MOST_STEPS)
        limit = f"{counted(training['max_steps'], 'step')}, fewer when held-out rows stop gaining"
    else:
        limit = f"{max_time:g} seconds, less when held-out rows stop gaining"
    return Recipe(
        {"architecture": "arbitrary_conditional", "hidden": 256, "blocks": blocks, "bins": 16},
        knots_for(rows),
        training,
        (
            f"chosen: arbitrary_conditional, p(any columns | any others) by 16-bin splines and a network of "
            f"{2 * blocks + 1} x 256 units, for {counted(rows, 'row')} of {counted(features, 'column')}",
            f"chosen: AdamW at {ARBITRARY_CONDITIONAL_LEARNING_RATE:g} on batches of {batch}, {limit}",
        ),
    )


def knots_for(rows: int) -> int:
    """The number of knots of the splines that make columns nearly normal.

    >>> knots_for(100), knots_for(400), knots_for(1_000), knots_for(100_000), knots_for(2_000_000)
    (8, 10, 12, 50, 512)
    """
    first = min(max(rows // ROWS_OF_FIRST_KNOTS, FEWEST_KNOTS), FIRST_KNOTS)
    return min(max(rows // ROWS_OF_KNOT, first), MOST_KNOTS)
