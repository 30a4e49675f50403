"""What was fitted to what, and what a report is made of."""

from __future__ import annotations

import json
import math
import os
import shlex
from typing import Any

from pushforward.evaluation.report.contents import LearningCurve, Provenance
from pushforward.evaluation.report.sampled_rows import SampledRows
from pushforward.store.description import describe, model_file
from pushforward.support.file_hash import hash_of_files
from pushforward.support.surroundings import machine, now, versions
from pushforward.table_models.fit_origin import writing_to
from pushforward.table_models.model import TableModel


def provenance(
    model: TableModel, path: str | None, rows: SampledRows, seed: int, asked: int, seconds: float
) -> Provenance:
    """Where a model and the rows of a report come from.

    Arguments:
        model: of the report.
        path: of its file; None for a model in memory.
        rows: of the report.
        seed: of the report.
        asked: most rows.
        seconds: that the report took.
    """
    config = model.flow.config or {}
    origin = model.record.origin if model.record is not None else {}
    command = ""
    if path is not None and origin.get("command"):
        origin = {**origin, "command": writing_to(str(origin["command"]), path)}
    if path is not None and rows.files:
        command = shlex.join(["pushforward", "report", path, *rows.files, "--seed", str(seed), "--rows", str(asked)])
    count = len(rows.codes)
    chosen = count + rows.left_out
    which = "rows" if rows.held_out is None else "rows that the fit held out"
    subsampled = (
        f"The report is made of {chosen:,} of {rows.chosen_from:,} {which}, chosen at random with seed {seed}."
        if chosen < rows.chosen_from
        else ""
    )
    return Provenance(
        model="" if path is None else os.path.basename(path),
        model_hash="" if path is None else hash_of_files([str(model_file(path))]),
        model_version="" if path is None else describe(path)["version"],
        parameters=sum(parameter.numel() for parameter in model.flow.parameters()),
        architecture=str(model.notes.get("flow") or config.get("architecture") or ""),
        config=json.dumps(config, default=str),
        fit={**model.notes, **origin},
        fit_command=str(origin.get("command", "")),
        data=[os.path.basename(file) for file in rows.files],
        data_hash=hash_of_files(rows.files),
        data_rows=rows.total,
        rows=count,
        subsampled=subsampled,
        seed=seed,
        command=command,
        made=now(),
        seconds=seconds,
        versions=versions(),
        machine=machine(),
    )


def learning_curve(model: TableModel) -> LearningCurve:
    """The course of the training, where the model file keeps it."""
    course = model.record.course if model.record is not None else {}
    lists: dict[str, Any] = {
        name: [math.nan if value is None else value for value in course.get(name, [])]
        for name in ("step", "seconds", "train", "held_out")
    }
    best, stopped = int(course.get("best_step", -1)), str(model.notes.get("stopped", ""))
    return LearningCurve(**lists, best_step=best, stopped=stopped)


def in_words(note: Any) -> str:
    """A note of a fit in one line.

    Example:
        >>> in_words({"training": 450, "held_out": [50]})
        'training 450, held out 50'
    """
    if isinstance(note, dict):
        return ", ".join(f"{key.replace('_', ' ')} {in_words(entry)}" for key, entry in note.items())
    if isinstance(note, list | tuple):
        return " ".join(map(in_words, note))
    if isinstance(note, float):
        return f"{note:.5g}"
    return "not known" if note is None else str(note)
