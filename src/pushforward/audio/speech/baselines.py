"""The ladder that a model of sound has to climb: what ever less simple Gaussian densities make of the same files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pushforward.audio.models.adaptive import AdaptiveScale, fit_adaptive_scale, prediction_errors
from pushforward.errors import InputError


@dataclass
class Ladder:
    """Three Gaussian densities of sound, fitted by maximum likelihood.

        independent       every sample normal with mean 0 and one variance
        autoregressive    x[t] normal about its linear prediction from the last samples, one variance
        adaptive scale    the same, with the variance of the last samples' errors: `AdaptiveScale`

    Attributes:
        variance: of the samples.
        error_variance: of the linear prediction's errors.
        adaptive: prediction and adaptive scale, float64.

    Example:
        >>> noise = 0.1 * np.random.default_rng(0).normal(size=(2, 4000))
        >>> ladder = Ladder.fit([noise[0]], order=2)
        >>> scores = ladder.score([noise[1]]).values()  # near log(0.1 √(2πe)), the entropy of white noise
        >>> max(abs(value + 0.88) for value in scores) < 0.1
        True
    """

    variance: float
    error_variance: float
    adaptive: AdaptiveScale

    @classmethod
    def fit(cls, sounds: Sequence[np.ndarray], order: int = 16) -> Ladder:
        """Fit to sounds.

        Arguments:
            sounds: arrays (samples,) in full scale ±1, with the noise of rounding put back.
            order: samples that the prediction looks back, default 16.

        Raises:
            InputError: no sound, or nothing but silence.
        """
        if not sum(map(len, sounds)):
            raise InputError("The ladder of baselines needs sounds to fit to.")
        adaptive = fit_adaptive_scale(sounds, order).double()
        errors = [prediction_errors(sound, adaptive.coefficients.numpy()) for sound in sounds]
        return cls(_mean_square(sounds), _mean_square(errors), adaptive)

    def score(self, sounds: Sequence[np.ndarray]) -> dict[str, float]:
        """Negative log-likelihoods of sounds from their first sample on, nats per sample: lower is better.

        Arguments:
            sounds: as for `fit`; each counts by its length.

        Raises:
            InputError: no sound.
        """
        if not sum(map(len, sounds)):
            raise InputError("The ladder of baselines needs sounds to score.")
        errors = [prediction_errors(sound, self.adaptive.coefficients.numpy()) for sound in sounds]
        name = f"autoregressive, order {self.adaptive.order}"
        return {
            "independent": _gaussian(sounds, self.variance),
            name: _gaussian(errors, self.error_variance),
            f"{name}, adaptive scale": adaptive_scale_nll(self.adaptive, sounds),
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        adaptive = self.adaptive
        return {
            "variance": self.variance,
            "error_variance": self.error_variance,
            "coefficients": adaptive.coefficients.tolist(),
            "gain": float(adaptive.gain),
            "start": float(adaptive.start),
            "ceiling": float(adaptive.ceiling),
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Ladder:
        """The ladder that `to_dict` has written down."""
        coefficients = torch.tensor(entries["coefficients"], dtype=torch.float64)
        gain, start, ceiling = (float(entries[name]) for name in ("gain", "start", "ceiling"))
        adaptive = AdaptiveScale(coefficients, gain=gain, start=start, ceiling=ceiling)
        return cls(float(entries["variance"]), float(entries["error_variance"]), adaptive)


def adaptive_scale_nll(adaptive: AdaptiveScale, sounds: Sequence[np.ndarray]) -> float:
    """Mean negative log-likelihood, nats per sample, of sounds under x = location + scale y with y standard normal."""
    total = 0.0
    for sound in sounds:
        x = torch.from_numpy(np.asarray(sound, dtype=np.float64))[None]
        location, log_scale, _ = adaptive(x)
        y = (x - location) * (-log_scale).exp()
        total += float((log_scale + y.square() / 2).sum())
    return total / sum(map(len, sounds)) + math.log(2 * math.pi) / 2


def _mean_square(values: Sequence[np.ndarray]) -> float:
    return sum(float(np.square(array).sum()) for array in values) / sum(map(len, values))


def _gaussian(values: Sequence[np.ndarray], variance: float) -> float:
    return (math.log(2 * math.pi * variance) + _mean_square(values) / variance) / 2
