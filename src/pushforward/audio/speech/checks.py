"""What cannot be distilled, said before the work is done."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from pushforward.audio.models.architectures import Family
from pushforward.audio.speech.model import SpeechModel
from pushforward.errors import InputError


def check_distillation(
    teacher: SpeechModel,
    sources: Sequence[str | os.PathLike[str]],
    univariate: Family,
    weights: dict[str, float],
    harmonics: int | None,
) -> None:
    """Refuse a teacher that cannot be distilled, and losses, recordings and a voice that do not suit it.

    Arguments:
        teacher: To be distilled.
        sources: Recordings, or none.
        univariate: Of the student.
        weights: Of the losses, by the names of their options.
        harmonics: Of the student's voice, if they were asked for.

    Raises:
        InputError: One sentence about the first of them.
    """
    _check_teacher(teacher)
    _check_losses(teacher, univariate, weights)
    if not sources and (teacher.frames is not None or weights["power"]):
        need = "its mel frames" if teacher.frames is not None else "the power loss (--power 0 leaves it out)"
        raise InputError(f"Name the recordings that the teacher was fitted to: they are needed for {need}.")
    if harmonics and (teacher.frames is None or not teacher.frames.pitch):
        raise InputError(
            "--harmonics needs a teacher with the pitch in its mel frames (speech fit --mel --pitch): leave it out."
        )


def _check_teacher(teacher: SpeechModel) -> None:
    if teacher.kind == "student":
        raise InputError("This model is a student already: distill its teacher.")
    if teacher.is_parallel:
        raise InputError(
            "This model generates all samples at once and has no teacher (speech fit --parallel): distill one that was "
            "fitted without --parallel."
        )


def _check_losses(teacher: SpeechModel, univariate: Family, weights: dict[str, float]) -> None:
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise InputError(f"The weight of a loss must be 0 or more and finite: --{name} is {weight:g}.")
    for name in ("contrastive", "spectral", "mel"):
        if weights[name] and teacher.frames is None:
            raise InputError(f"The {name} loss is for conditional models: this one takes no mel frames.")
    if weights["regularization"] and univariate == "spline":
        raise InputError("--regularization needs normal conditionals: leave out --spline or --regularization.")
    if weights["regularization"] and not teacher.density.normal_conditionals:
        raise InputError(
            "--regularization needs normal conditionals, and those of this teacher are mixtures (speech fit "
            "--mixture): leave out --regularization."
        )
