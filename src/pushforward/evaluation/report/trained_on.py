"""Whether the rows of a report are those that the model was trained on."""

from __future__ import annotations

import math

import numpy as np

from pushforward.evaluation.report.contents import TrainedOn
from pushforward.support.wording import counted, percent
from pushforward.table_models.model import TableModel
from pushforward.table_models.training_rows import TrainingRows

# Shares below which rows are new, and above which they are the training rows.
FEW, MOST = 0.05, 0.5
# Of a hash of 64 bits that is equal by chance.
FALSE_POSITIVES = 2.0**-64


def trained_on(model: TableModel, codes: np.ndarray) -> TrainedOn:
    """Look rows, (n, names), up among the hashes of training rows in the model file."""
    kept = None if model.record is None else model.record.training_rows
    if kept is None or not len(kept.hashes):
        why = "the model file does not say which rows it was trained on (it is distilled, or of an earlier version)"
        return TrainedOn(False, math.nan, len(codes), math.nan, f"Whether these rows are new is not known: {why}.")
    share, error = kept.share(TrainingRows.codes_of(model.roles, codes))
    chance = len(kept.hashes) * FALSE_POSITIVES
    expected = len(codes) * len(kept.hashes) / max(1, kept.rows)
    if expected < 5:
        why = f"the model file remembers {len(kept.hashes):,} of {kept.rows:,} training rows, too few for these"
        return TrainedOn(False, share, len(codes), chance, f"Whether these rows are new is not known: {why}.")
    return TrainedOn(True, share, len(codes), chance, _sentence(model, share, error, len(codes)))


def _sentence(model: TableModel, share: float, error: float, rows: int) -> str:
    repeated = all(model.schema[name].discrete for name in model.roles.modeled)
    if share == 0:
        return f"None of these {counted(rows, 'row')} was found among the training rows."
    about = percent(share) if error < 1e-9 else f"about {percent(share)}"
    equal = f"{about[0].upper()}{about[1:]} of these rows are equal to a training row"
    if repeated:
        return f"{equal}, as rows of few possible values are by themselves."
    if share < FEW:
        return f"{equal}: they are new for the most part."
    which = "These are rows that the model was trained on" if share > MOST else "Some of these rows were trained on"
    return f"{which} ({about} of them): log-densities are higher than those of new rows, and tests are too kind."
