"""Distillation of a model of a table into one that draws rows faster."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.support.suggestions import quoted
from pushforward.table_models.model import TableModel
from pushforward.tables import located, opened, read_columns
from pushforward.tables.files.opening import Data
from pushforward.training import DistillationReport, distill
from pushforward.training.checkpoint import asked_with, line_of_checkpoint
from pushforward.zoo.students import BINS, LAYERS, student_for

BATCH_ROWS = 256
LEARNING_RATE = 5e-3


def distill_table(
    model: TableModel,
    *,
    given: Data | None = None,
    header: bool = True,
    seed: int = 0,
    max_time: float | None = None,
    announce: Announce = silent,
    **options: Any,
) -> tuple[TableModel, DistillationReport]:
    """Distill p(columns | given) into an inverse autoregressive spline flow, which draws a row in one pass.

    Student and teacher are flows behind the same maps of columns. The KL divergence between them is that of dequantized
    values: an upper bound of the one between their probabilities of discrete columns.

    Arguments:
        model: the teacher, from `fit_table`, which is not changed.
        given: table outside memory with the given columns, for a model that has them: the conditions on which
            the student is trained.
        header: whether the first line of a CSV has the names of its columns; default True.
        seed: of the student's weights and of all draws.
        max_time: most seconds of the distillation; default 5000 steps.
        announce: is told, before the training, what was chosen and why.
        options: of `pushforward.distill`, in place of those chosen: max_steps, device, progress, log_path, checkpoint,
            resume, ....

    Returns:
        The student, over the same columns, and the report.

    Raises:
        InputError: the file of the given columns is missing, superfluous or unusable; a model of any columns given any
            others; a bad option; or a checkpoint that is damaged or of another distillation.
        TrainingError: training met too many numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from pushforward.table_models.fitting import fit_table
        >>> teacher = fit_table(np.random.default_rng(0).normal(size=(200, 2)), flow="maf", max_steps=20).model
        >>> student, report = distill_table(teacher, max_steps=20, draws=100, timing_rows=0)
        >>> student.columns, report.dimensions
        (['0', '1'], 2)
    """
    if model.flow.allows_gaps is True:
        raise InputError(
            "This model answers p(any columns | any others), which cannot be distilled. A fit makes one if it is asked "
            "for with --arbitrary-conditions, and for columns with missing values or angles"
            f"{_reasons(model)}; name the other columns with --columns, and fit again."
        )
    context = None
    if model.given and given is None:
        raise InputError(
            f"This model is given {', '.join(model.given)}: distillation draws its conditions from a file with these "
            "columns (--given-file)."
        )
    if given is not None:
        if not model.given:
            raise InputError("This model has no given columns: leave out the given file.")
        with opened(given, header=header) as table, located(table):
            rows = read_columns(table, model.given)
            codes = model.roles.encode(rows, model.given, table.name, strict=model.roles.needed, written=table.written)
        context = model.roles.conditions(torch.from_numpy(model.roles.known(codes, model.given)))
        context = None if context is None else model.roles.shown_context(context)
    # The student of a stack has the units of the part that weighs most.
    heaviest = max(model.flow.parts, key=lambda part: part[0])[1]
    student = student_for(heaviest, context=context, seed=seed)
    announce(
        f"chosen: student nsf, {LAYERS} inverse autoregressive layers of {BINS}-bin splines in its teacher's units; "
        f"AdamW at {LEARNING_RATE:g} on batches of {BATCH_ROWS} draws"
    )
    for line in line_of_checkpoint(options):
        announce(line)
    chosen = {"batch_size": BATCH_ROWS, "learning_rate": LEARNING_RATE, **options}
    with asked_with({"seed": seed, "max_time": max_time, **options}):
        report = distill(
            model.flow, student, context=context, seed=seed, max_time=max_time, announce=announce, **chosen
        )
    notes = {
        "flow": "nsf",
        "distilled_from": {key: model.notes.get(key) for key in ("flow", "held_out_nats", "gaussian_nats", "rows")},
        "seed": seed,
        **report.to_dict(),
    }
    # Distillation leaves both where it ran; tables are scored and drawn on the processor.
    model.flow.cpu()
    student.cpu()
    # The ranks of the teacher's log-densities are not those of the student's.
    return dataclasses.replace(model, flow=student, notes=notes, calibration=None, record=None), report


def _reasons(model: TableModel) -> str:
    """Which columns make a model one of arbitrary conditions, in parentheses."""
    kinds = {name: model.schema[name] for name in model.columns}
    names = [name for name, kind in kinds.items() if kind.circular or (kind.modeled and kind.missing_share)]
    return f" (here {', '.join(map(quoted, names))})" if names else ""
