"""What a model file keeps of a fit beside the model: its training and held-out rows, the course, and the origin."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.table_models.held_out_rows import HeldOutRows
from pushforward.table_models.training_rows import TrainingRows
from pushforward.training.history import History

# Evaluations of the course that are kept, evenly spaced.
MOST_POINTS = 200
COURSE = ("step", "seconds", "train", "held_out")


@dataclass(frozen=True, eq=False)
class FitRecord:
    """A record of a fit, for reports; scores and draws do not depend on it.

    Attributes:
        training_rows: hashes of the rows trained on; None where they are not known.
        course: lists of the same length, `step`, `seconds`, `train` and `held_out` (nats per row, None for a number
            that is not finite), and `best_step`.
        origin: the files with their hash, the options, the versions, the machine, and the time.
        held_out: which rows of the table were held out; None where they are not known, or where all were trained on.
    """

    training_rows: TrainingRows | None = None
    course: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    held_out: HeldOutRows | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads."""
        rows, held_out = (None if part is None else part.as_json() for part in (self.training_rows, self.held_out))
        return {"training_rows": rows, "course": self.course, "origin": self.origin, "held_out": held_out}

    @classmethod
    def parse(cls, found: Any, *, source: str) -> FitRecord:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        damaged = InputError(f"{source} is damaged: its record of the fit cannot be read.")
        course, origin = (found.get(name) if isinstance(found, dict) else None for name in ("course", "origin"))
        if not (isinstance(course, dict) and isinstance(origin, dict)):
            raise damaged
        if not all(isinstance(course.get(name, []), list) for name in COURSE):
            raise damaged
        rows, held_out = found.get("training_rows"), found.get("held_out")
        return cls(
            None if rows is None else TrainingRows.parse(rows, source=source),
            course,
            origin,
            None if held_out is None else HeldOutRows.parse(held_out, source=source),
        )

    def of_course(self, history: History) -> FitRecord:
        """The same with the course of a training."""
        places = np.unique(
            np.linspace(0, len(history.step) - 1, min(MOST_POINTS, len(history.step))).round().astype(int)
        )
        course: dict[str, Any] = {name: [_finite(getattr(history, name)[place]) for place in places] for name in COURSE}
        return dataclasses.replace(self, course={**course, "best_step": history.best_step})


def _finite(value: float) -> float | int | None:
    """A number that JSON can hold, with as many digits as a picture shows."""
    if isinstance(value, int):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else None
