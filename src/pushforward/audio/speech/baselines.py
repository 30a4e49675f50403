"""Baselines for models of sound: a ladder of three Gaussian densities of increasing complexity."""

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

        independent       all samples normal with mean 0 and the same variance
        autoregressive    x[t] normal around its linear prediction from the last samples, with a constant variance
        adaptive scale    the same with the variance of the last prediction errors: `AdaptiveScale`

    Attributes:
        variance: Variance of the samples.
        error_variance: Variance of the errors of the linear prediction.
        adaptive: Linear prediction and adaptive scale, in float64.

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
            sounds: Arrays (samples,) in full scale ±1, with the noise of rounding.
            order: Order of the linear prediction; default 16.

        Raises:
            InputError: There is no sound, or nothing but silence.
        """
        if not sum(map(len, sounds)):
            raise InputError("The ladder of baselines needs sounds to fit to.")
        adaptive = fit_adaptive_scale(sounds, order).double()
        errors = [prediction_errors(sound, adaptive.coefficients.numpy()) for sound in sounds]
        return cls(_mean_square(sounds), _mean_square(errors), adaptive)

    def score(self, sounds: Sequence[np.ndarray]) -> dict[str, float]:
        """Return negative log-likelihoods of sounds from their first sample on, in nats per sample; lower is better.

        Arguments:
            sounds: As for `fit`; each is weighted by its length.

        Raises:
            InputError: There is no sound.
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
        """Return the parameters as plain numbers, for JSON."""
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
        """Return the ladder that `to_dict` described."""
        coefficients = torch.tensor(entries["coefficients"], dtype=torch.float64)
        gain, start, ceiling = (float(entries[name]) for name in ("gain", "start", "ceiling"))
        adaptive = AdaptiveScale(coefficients, gain=gain, start=start, ceiling=ceiling)
        return cls(float(entries["variance"]), float(entries["error_variance"]), adaptive)


def adaptive_scale_nll(adaptive: AdaptiveScale, sounds: Sequence[np.ndarray]) -> float:
    """Return the mean negative log-likelihood of sounds, in nats per sample, with a standard normal y."""
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
