"""The stacked density of a table of few rows: every row is held out of one of its flows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.flow import Flow
from pushforward.support.processes import processes
from pushforward.support.progress import Announce
from pushforward.table_models.assembly import assemble, encoded
from pushforward.table_models.density import table_density
from pushforward.table_models.gaussian import gaussian_held_out
from pushforward.table_models.held_out import held_out_log_prob
from pushforward.table_models.preparation import VALIDATION_FRACTION, Prepared
from pushforward.table_models.stacking import FOLDS, Stack, StackedRows, checkpoints, stack, stacks
from pushforward.tables.columns.columns import Columns
from pushforward.training import History, fit
from pushforward.training.checkpoint import content, data_of
from pushforward.training.settings import TrainingOptions
from pushforward.zoo.recipe import Recipe
from pushforward.zoo.simple_densities import Features

Folds = Sequence[tuple[Tensor, Tensor]]


def folds_of(prepared: Prepared, options: Mapping[str, Any], seed: int) -> Folds:
    """The training and held-out rows of each flow of a stacked density; none where one flow is trained.

    That is so with given columns, gaps, measurement errors or weights, rows that are held out at the end, many rows, in
    several processes, or if a fit of these resumes, and where a column would be constant among the training rows of a
    flow.
    """
    roles, folded = prepared.roles, prepared.rows.folded
    if folded is None or roles.given or roles.allows_gaps or roles.errors or processes().count > 1:
        return []
    if not stacks(options, len(folded.matrix)):
        return []
    dense = [place for place, name in enumerate(roles.features) if roles.schema[name].dense]
    folds = folded.split(FOLDS, seed)
    for training, held_out in folds:
        codes = folded.matrix[training][:, dense]
        if not len(held_out) or bool((codes == codes[:1]).all(0).any()):
            return []
    path = options.get("checkpoint")
    if options.get("resume") and path is not None:
        before = data_of(Path(path)).get("held_out")
        if before not in (None, content(folds[0][1])):
            return []
    return folds


def fit_stack(prepared: Prepared, folds: Folds, recipe: Recipe, options: TrainingOptions, announce: Announce) -> Stack:
    """Train the flows of a stacked density, and add the simple ones.

    Arguments:
        prepared: the table.
        folds: as `folds_of` gives them.
        recipe: of one flow.
        options: of the training of one flow.
        announce: is told what was stacked.
    """
    seed, of_folds = options["seed"], [of_fold(prepared, fold) for fold in folds]
    maps = Columns(prepared.roles.schema, prepared.roles.features)
    whole = dataclasses.replace(prepared.rows, train=_codes(prepared))
    points = encoded(dataclasses.replace(prepared, rows=whole), maps, seed)[1]

    def log_prob(flow: Flow, rows: Tensor) -> np.ndarray:
        return held_out_log_prob(table_density(flow, prepared.roles), prepared, _codes(prepared)[rows])

    def train(number: int, fold: tuple[Tensor, Tensor]) -> tuple[Flow, History]:
        assembled = assemble(of_folds[number], recipe, seed + number)
        of_flow: TrainingOptions = {**options, "seed": seed + number}
        path = options.get("checkpoint")
        of_flow["checkpoint"] = None if path is None else checkpoints(path)[number]
        if number:
            # The log is that of the first flow.
            of_flow["log_path"] = None
        rows = prepared.rows
        history = fit(assembled.density, rows.data, validation_fraction=VALIDATION_FRACTION, split=fold, **of_flow)
        flow = assembled.flow.cpu()
        assert isinstance(flow, Flow)
        return flow, history

    assert prepared.rows.folded is not None
    rows = StackedRows(points, Features(maps.low, maps.high, maps.normal), prepared.rows.folded, log_prob)
    found = stack(rows, folds, train, recipe.flow["architecture"], seed)
    announce(found.history.events[-1])
    return found


def of_fold(prepared: Prepared, fold: tuple[Tensor, Tensor]) -> Prepared:
    """The table with the rows of a fold held out."""
    codes = _codes(prepared)
    training, held_out = (codes[part] for part in fold)
    rows = dataclasses.replace(
        prepared.rows, train=training, held_out=held_out, training_rows=len(training), parts=fold
    )
    return dataclasses.replace(prepared, rows=rows)


def gaussian_of_folds(prepared: Prepared, folds: Folds) -> float | None:
    """The nats per held-out row of the Gaussians of the folds' training rows; None where there are none."""
    if prepared.gaussian is None:
        return None
    codes, features = _codes(prepared), len(prepared.roles.features)
    values = [gaussian_held_out(codes[training], codes[held_out], features) for training, held_out in folds]
    if any(value is None for value in values):
        return None
    return float(np.average(np.array(values, dtype=float), weights=[len(held_out) for _, held_out in folds]))


def _codes(prepared: Prepared) -> np.ndarray:
    """The codes of all rows."""
    assert prepared.rows.folded is not None
    return prepared.rows.folded.matrix.numpy()
