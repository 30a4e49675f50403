"""The stacked density of the rows of an estimator: every row is held out of one of its flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.kinds import ColumnKinds
from pushforward.estimator.one_fit import Rows, train
from pushforward.estimator.varying import constant_columns
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.table_models.stacking import FOLDS, Stack, StackedRows, stack, stacks
from pushforward.training import History, evaluate
from pushforward.training.folds import FoldedRows
from pushforward.zoo.recipe import Recipe
from pushforward.zoo.simple_densities import Features

# The default share of held-out rows; another one is that of one training.
USUAL_FRACTION = 0.1


def folds_of(
    codes: np.ndarray, folded: FoldedRows, options: Mapping[str, Any], seed: int
) -> list[tuple[Tensor, Tensor]]:
    """The training and held-out rows of each flow; none where one flow is trained.

    That is so of many rows, with a named architecture, where an option describes one training, and where a column would
    be constant among the training rows of a flow.
    """
    named = options["flow"] is not None or options["validation_fraction"] != USUAL_FRACTION
    if named or not stacks(options, len(codes)) or len(codes) < 2 * FOLDS:
        return []
    folds = folded.split(FOLDS, seed)
    varies = all(len(held_out) and not constant_columns(codes[rows.numpy()]).any() for rows, held_out in folds)
    return folds if varies else []


def fit_stack(
    kinds: ColumnKinds,
    recipe: Recipe,
    rows: Rows,
    folded: FoldedRows,
    folds: list[tuple[Tensor, Tensor]],
    seed: int,
    options: Any,
) -> Stack:
    """Train the flows of a stacked density, and add the simple ones.

    Arguments:
        kinds: of the columns.
        recipe: of one flow.
        rows: of the fit.
        folded: the same, and which of them stand together.
        folds: as `folds_of` gives them.
        seed: of the first flow.
        options: `TrainingOptions` of one flow, but the seed.
    """
    device: list[torch.device] = []

    def log_prob(flow: Flow, places: Tensor) -> np.ndarray:
        found: np.ndarray = evaluate(kinds.density(flow), torch.from_numpy(rows.codes)[places]).double().numpy()
        return found

    def train_one(number: int, fold: tuple[Tensor, Tensor]) -> tuple[Flow, History]:
        flow, history = train(kinds, recipe, rows, fold, seed + number, options)
        device.append(device_of(flow))
        return flow.cpu(), history

    maps = kinds.maps
    of_all = StackedRows(rows.points, Features(maps.low, maps.high, maps.normal), folded, log_prob)
    found = stack(of_all, folds, train_one, recipe.flow["architecture"], seed)
    found.flow.to(device[0])
    return found
