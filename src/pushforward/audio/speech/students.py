"""New parallel WaveNets of recordings, which start from the linear prediction of the sound."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from pushforward.audio.models.predictive_student import PredictiveParallelWaveNet, predictive_parallel_wavenet
from pushforward.audio.recordings.pitch import REFERENCE
from pushforward.audio.speech.model import MelFrames

# Of a voice, by default.
HARMONICS = 20


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
