"""Whether the rows of a report are those that the model was trained on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from pushforward.evaluation.report.contents import TrainedOn
from pushforward.evaluation.report.sampled_rows import FEWEST_ROWS, SampledRows
from pushforward.support.wording import counted, percent
from pushforward.table_models.model import TableModel
from pushforward.table_models.training_rows import TrainingRows, hashes_of_rows

# Shares below which rows are new, and above which they are the training rows.
FEW, MOST = 0.05, 0.5
# Of training rows that are equal to another one, above which a copy says nothing.
OF_THEMSELVES = 0.01
# Of a hash of 64 bits that is equal by chance.
FALSE_POSITIVES = 2.0**-64


class RowsTrainedOn:
    """Rows of a table that the model file remembers as trained on, at most about 4,096.

    Arguments:
        model: fitted to the table.
    """

    def __init__(self, model: TableModel) -> None:
        self.model = model
        self._kept = None if model.record is None else model.record.training_rows
        self._parts = [np.zeros((0, len(model.names)))]

    def add(self, codes: np.ndarray) -> None:
        """Let rows pass, as codes (n, names)."""
        if self._kept is not None:
            known = np.isin(hashes_of_rows(TrainingRows.codes_of(self.model.roles, codes)), self._kept.hashes)
            self._parts.append(codes[known])

    @property
    def codes(self) -> np.ndarray | None:
        """(n, names) of those that passed; None for too few to say anything."""
        found = np.concatenate(self._parts)
        return found if len(found) >= FEWEST_ROWS else None


class CopiesOfTrainingRows:
    """Which of some rows are equal to rows that the model was trained on, as far as these are known.

    Arguments:
        model: whose file remembers the hashes of its training rows: all of them, if they are few.
        rows: that are looked up.
    """

    def __init__(self, model: TableModel, rows: SampledRows) -> None:
        self.model, self.rows = model, rows
        self._hashes = self._of(rows.codes)
        self._repeated, self.found = 0.0, np.zeros(len(self._hashes), dtype=bool)
        kept = None if model.record is None else model.record.training_rows
        if kept is not None and kept.rows == len(kept.hashes):
            self._add(kept.hashes)
            self._repeated = _repeated(kept.hashes)

    def add(self, first: int, batch: object, codes: np.ndarray) -> None:
        """Let training rows pass, as `sample_rows` shows them."""
        self._add(self._of(codes))

    def compare(self, training: SampledRows) -> None:
        """Learn from a sample of the training rows that passed how often they are equal to each other."""
        share = _repeated(self._of(training.codes)) * training.total / max(1, len(training.codes))
        self._repeated = max(self._repeated, share)

    @property
    def new(self) -> SampledRows:
        """The rows but for copies; all of them where rows repeat by themselves, and where too few are left."""
        chance = self._repeated > OF_THEMSELVES
        if self.rows.held_out is not None or chance or not self.found.any() or (~self.found).sum() < FEWEST_ROWS:
            return self.rows
        return dataclasses.replace(self.rows.only(~self.found), left_out=int(self.found.sum()))

    @property
    def trained(self) -> bool:
        """Whether nearly all rows are copies, and not because rows repeat by themselves."""
        few = (~self.found).sum() < FEWEST_ROWS
        return bool(few and self.rows.held_out is None and self._repeated <= OF_THEMSELVES)

    def _add(self, hashed: np.ndarray) -> None:
        self.found |= np.isin(self._hashes, hashed)

    def _of(self, codes: np.ndarray) -> np.ndarray:
        return hashes_of_rows(TrainingRows.codes_of(self.model.roles, codes))


def _repeated(hashed: np.ndarray) -> float:
    """The share of rows that are equal to an earlier one."""
    return 1 - len(np.unique(hashed)) / max(1, len(hashed))


def without(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Those rows, of codes (n, names), that are not among others, (m, names)."""
    return codes[~np.isin(hashes_of_rows(codes), hashes_of_rows(others))]


def trained_on(model: TableModel, rows: SampledRows) -> TrainedOn:
    """Look rows up among the hashes of training rows in the model file, unless their table is that of the fit."""
    if rows.held_out is not None:
        left_out = rows.total - rows.held_out.rows
        return TrainedOn(True, 0.0, len(rows.codes), left_out, 0.0, _of_fit(rows.held_out.rows, left_out))
    found = _looked_up(model, rows.codes)
    if not rows.left_out:
        return found
    are = "is" if rows.left_out == 1 else "are"
    said = (
        f"{counted(rows.left_out, 'row')} of {rows.left_out + len(rows.codes):,} {are} equal to rows that the model "
        "was trained on, and left out of everything but the oddest rows."
    )
    said += f" Of the others: {found.sentence[0].lower()}{found.sentence[1:]}" if found.known and found.share else ""
    trained = rows.left_out + len(rows.codes) * (found.share if found.known else 0.0)
    share = trained / (rows.left_out + len(rows.codes))
    return dataclasses.replace(found, known=True, share=share, left_out=rows.left_out, sentence=said)


def _looked_up(model: TableModel, codes: np.ndarray) -> TrainedOn:
    kept = None if model.record is None else model.record.training_rows
    if kept is None or not len(kept.hashes):
        why = "the model file does not say which rows it was trained on (it is distilled, or of an earlier version)"
        return TrainedOn(False, math.nan, len(codes), 0, math.nan, f"Whether these rows are new is not known: {why}.")
    share, error = kept.share(TrainingRows.codes_of(model.roles, codes))
    chance = len(kept.hashes) * FALSE_POSITIVES
    expected = len(codes) * len(kept.hashes) / max(1, kept.rows)
    if expected < 5:
        why = f"the model file remembers {len(kept.hashes):,} of {kept.rows:,} training rows, too few for these"
        return TrainedOn(False, share, len(codes), 0, chance, f"Whether these rows are new is not known: {why}.")
    return TrainedOn(True, share, len(codes), 0, chance, _sentence(model, share, error, len(codes)))


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
    said = f"{which} ({about} of them): log-densities are higher than those of new rows, and tests are too kind."
    if "folds" in model.notes.get("rows", ()):
        said += " The parts of this model were fitted to all rows of their table in turn: it held none out for good."
    return said


def lines_of_training(known: Sequence[TrainedOn], subjects: Sequence[str]) -> list[str]:
    """What is to be said of each of two, where rows were trained on or left out."""
    first, second = (one.sentence for one in known)
    if first == second:
        known, subjects = known[:1], ["Both"]
    return [
        f"{subject}: {one.sentence[0].lower()}{one.sentence[1:]}"
        for one, subject in zip(known, subjects, strict=True)
        if one.left_out or (one.known and one.share >= FEW)
    ]


def _of_fit(held_out: int, left_out: int) -> str:
    """That the table is that of the fit, for people."""
    return (
        f"The table is that of the fit: {counted(left_out, 'row')} that it trained on, or that are copies, "
        f"{'is' if left_out == 1 else 'are'} left out, and the numbers are of the {counted(held_out, 'row')} that it "
        "held out. These decided when the training stopped, which is a little kind to the model."
    )
