"""New parallel WaveNets of recordings, which start from the linear prediction of the sound."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from pushforward.audio.models.architectures import Family, parallel_wavenet
from pushforward.audio.models.predictive_student import PredictiveParallelWaveNet, predictive_parallel_wavenet
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.recordings.pitch import REFERENCE
from pushforward.audio.speech.model import MelFrames, SpeechModel

# Of a voice, by default.
HARMONICS = 20
# Of a new student if its teacher does not know the standard deviation of the recordings.
STANDARD_DEVIATION = 0.05


def student_of(teacher: SpeechModel, univariate: Family, harmonics: int, **sizes: Any) -> ParallelWaveNet:
    """Return a new student, with the teacher's linear prediction if it has one, and a voice if its frames have it.

    Arguments:
        teacher: An autoregressive model.
        univariate: "relative_affine", "affine" or "spline".
        harmonics: Of the voice.
        sizes: Options of both parallel WaveNets, such as `flows`.
    """
    density = teacher.density
    coefficients, ladder = density.prediction_coefficients, teacher.notes.get("ladder")
    if coefficients is None or not ladder:
        scale = float(teacher.notes.get("standard_deviation", STANDARD_DEVIATION))
        sizes |= {"context": density.context_features, "hop": density.hop}
        return parallel_wavenet(univariate=univariate, scale=scale, **sizes)
    variance = ladder["error_variance"]
    return predictive_student(
        coefficients, variance, teacher.frames, teacher.rate, harmonics, univariate=univariate, **sizes
    )


def predictive_student(
    coefficients: Tensor, error_variance: float, frames: MelFrames | None, rate: int, harmonics: int, **options: Any
) -> PredictiveParallelWaveNet:
    """Return a new student: the autoregression of a constant variance, with a voice if its frames hold the pitch.

    Arguments:
        coefficients: Of the linear prediction, latest sample first, (order,).
        error_variance: Of its errors.
        frames: The mel frames that it follows, or None.
        rate: Samples per second.
        harmonics: Of the voice.
        options: Of `predictive_parallel_wavenet`.
    """
    if frames is not None:
        options |= {"context": frames.features, "hop": frames.hop}
        if frames.pitch:
            options |= {"harmonics": harmonics, "reference": REFERENCE / rate}
    student = predictive_parallel_wavenet(order=len(coefficients), scale=math.sqrt(error_variance), **options)
    student.coefficients.copy_(coefficients)
    return student
