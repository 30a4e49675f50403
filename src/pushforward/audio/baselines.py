"""The ladder that a model of sound has to climb: what ever less simple Gaussian densities make of the same files."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from pushforward.audio.adaptive import AdaptiveScale, fit_adaptive_scale, linear_prediction, prediction_errors
from pushforward.errors import InputError


def ladder(train: Sequence[np.ndarray], held_out: Sequence[np.ndarray], order: int = 16) -> dict[str, float]:
    """Negative log-likelihoods of held-out sounds under densities fitted to training sounds.

        independent       every sample normal with mean 0 and one variance
        autoregressive    x[t] normal about its linear prediction from the last `order` samples, one variance
        adaptive scale    the same, with the variance of the last samples' errors: `AdaptiveScale`

    Arguments:
        train: sounds to fit to, arrays (samples,) in full scale ±1, with the noise of rounding put back.
        held_out: sounds to score, from their first sample on; the same scale and noise.
        order: samples that the prediction looks back, default 16.

    Returns:
        Nats per sample, lower is better, in this order; each file counts by its length.

    Raises:
        InputError: no sound to fit or to score, or nothing but silence.

    Example:
        >>> noise = 0.1 * np.random.default_rng(0).normal(size=(2, 4000))
        >>> [round(value, 1) for value in ladder([noise[0]], [noise[1]], order=2).values()]
        [-0.9, -0.9, -0.8]
    """
    if not sum(map(len, train)) or not sum(map(len, held_out)):
        raise InputError("The ladder of baselines needs sounds to fit to and sounds to score.")
    prediction = linear_prediction(train, order)
    mean_square = sum(float(np.square(sound).sum()) for sound in train) / sum(map(len, train))
    results = {"independent": _gaussian(held_out, mean_square)}
    errors = [prediction_errors(sound, prediction) for sound in train]
    power = sum(float(np.square(error).sum()) for error in errors) / sum(map(len, train))
    results[f"autoregressive, order {order}"] = _gaussian([prediction_errors(x, prediction) for x in held_out], power)
    adaptive = fit_adaptive_scale(train, order).double()
    results[f"autoregressive, order {order}, adaptive scale"] = adaptive_scale_nll(adaptive, held_out)
    return results


def adaptive_scale_nll(adaptive: AdaptiveScale, sounds: Sequence[np.ndarray]) -> float:
    """Mean negative log-likelihood, nats per sample, of sounds under x = location + scale y with y standard normal."""
    total = 0.0
    for sound in sounds:
        x = torch.from_numpy(np.asarray(sound, dtype=np.float64))[None]
        location, log_scale, _ = adaptive(x)
        y = (x - location) * (-log_scale).exp()
        total += float((log_scale + y.square() / 2).sum())
    return total / sum(map(len, sounds)) + math.log(2 * math.pi) / 2


def _gaussian(values: Sequence[np.ndarray], variance: float) -> float:
    square = sum(float(np.square(array).sum()) for array in values) / sum(map(len, values))
    return (math.log(2 * math.pi * variance) + square / variance) / 2
