"""One flow trained on some rows of an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.kinds import ColumnKinds
from pushforward.flow import Flow
from pushforward.table_models.dequantized import POINTS_IN_TRAINING
from pushforward.training import History, fit
from pushforward.zoo.cross_fitted import CrossFitted
from pushforward.zoo.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a fit.

    Attributes:
        codes: (n, D).
        points: (n, D) on the line, of the codes.
        given: (n, C) or None.
        weights: (n,) or None.
        flags: the places of flags in the context.
        predicted: how many of its last columns are what regressions say of the target.
    """

    codes: np.ndarray
    points: Tensor
    given: np.ndarray | None
    weights: Tensor | None
    flags: Sequence[int] = ()
    predicted: int = 0

    @property
    def predictions(self) -> Sequence[int]:
        """The places of what regressions say of the target, in the context."""
        size = 0 if self.given is None else self.given.shape[1]
        return range(size - self.predicted, size)

    def shown(self, regressions: Sequence[CrossFitted]) -> Rows:
        """The rows with what regressions say of each without it as the last columns of the context."""
        assert self.given is not None and not self.predicted
        given = np.column_stack([self.given, *(one.unseen for one in regressions)])
        return replace(self, given=given, predicted=len(regressions))

    def at(self, rows: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Points, context and weights of some rows."""
        context = None if self.given is None else torch.from_numpy(self.given)[rows]
        return self.points[rows], context, None if self.weights is None else self.weights[rows]


def train(
    kinds: ColumnKinds, recipe: Recipe, rows: Rows, split: tuple[Tensor, Tensor], seed: int, options: Any
) -> tuple[Flow, History]:
    """Train a fresh flow of the points of rows.

    Arguments:
        kinds: of the columns.
        recipe: of the flow.
        rows: of the fit.
        split: the training rows and the held-out ones.
        seed: of the weights and the batches.
        options: `TrainingOptions` but the seed.

    Returns:
        The flow, and the course of the training.
    """
    points, context, weights = rows.at(split[0])
    known = None if rows.given is None else torch.from_numpy(rows.given)
    of_context = {"known": known, "flags": rows.flags, "predictions": rows.predictions}
    flow = recipe.make(points, context, seed, weights=weights, **of_context, **kinds.flow_options())
    density = kinds.density(flow, POINTS_IN_TRAINING)
    of_rows = None if rows.weights is None else rows.weights.numpy()
    history = fit(
        density,
        rows.codes,
        rows.given,
        weights=of_rows,
        split=split,
        objective=recipe.objective,
        **{**options, "seed": seed},
    )
    return flow, history
