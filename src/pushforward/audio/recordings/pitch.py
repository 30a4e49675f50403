"""The fundamental frequency of the voice, and whether there is one, frame by frame."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError

LOWEST, HIGHEST = 75.0, 500.0
# Periods of the lowest pitch in a window, candidates of a frame, and lags between two samples.
PERIODS, CANDIDATES, OVERSAMPLING = 3, 6, 4
# Boersma's defaults. An unvoiced frame has the strength of the first, more if it is quieter than the second.
VOICING_THRESHOLD, SILENCE_THRESHOLD = 0.45, 0.03
# The cost of an octave lower, of a jump by an octave, and of a change of voicing, the last two for 10 ms.
OCTAVE_COST, JUMP_COST, VOICING_COST = 0.01, 0.35, 0.14
# The pitch whose logarithm is 0 in `pitch_features`, in Hz.
REFERENCE = 200.0
FRAMES_AT_A_TIME = 4096


def pitch(
    sound: np.ndarray, rate: int, hop: int | None = None, lowest: float = LOWEST, highest: float = HIGHEST
) -> np.ndarray:
    """Return the pitch of each frame in Hz, 0 where it is unvoiced.

    The strength of a lag is the autocorrelation of the windowed sound over that of the window. Of the highest maxima
    of each frame, and of being unvoiced, the path with the greatest sum of strengths less costs of jumps is chosen.

    Arguments:
        sound: (samples,), full scale ±1 or any other.
        rate: Samples per second, at least four times `highest`.
        hop: Samples between frames, which are centered on their hops as those of `LogMel`; default a hundredth of a
            second.
        lowest: In Hz; default 75.
        highest: In Hz; default 500.

    Returns:
        float64, (ceil(samples / hop),).

    Raises:
        InputError: The range of pitch does not suit the rate.

    Cost: a Fourier transform of a window of 3 / lowest seconds for each frame.

    Source: Boersma, 1993, Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
        of a sampled sound.

    Example:
        >>> sound = np.sign(np.sin(2 * np.pi * 220 * np.arange(4000) / 8000))
        >>> float(np.median(pitch(sound, 8000)).round())
        220.0
    """
    if not 0 < lowest < highest <= rate / 4:
        raise InputError(
            f"Pitch between {lowest:g} and {highest:g} Hz cannot be found at {rate} samples per second: the range must "
            "be above 0 and end at a quarter of the rate."
        )
    hop = max(1, round(rate / 100)) if hop is None else hop
    sound = np.asarray(sound, dtype=np.float64)
    if not len(sound):
        return np.zeros(0)
    frequencies, strengths = _candidates(sound, rate, hop, lowest, highest)
    return _best_path(frequencies, strengths, 0.01 * rate / hop)


def range_found(rate: int) -> tuple[float, float]:
    """Return the lowest and the highest pitch in Hz that `pitch` can give by default.

    They are those of the longest and of the shortest lag, each with the half step to which a maximum may be shifted.

    Example:
        >>> tuple(round(limit, 1) for limit in range_found(8000))
        (75.0, 503.9)
    """
    steps = rate * OVERSAMPLING
    return steps / (int(steps / LOWEST) + 0.5), steps / (math.ceil(steps / HIGHEST) - 0.5)


def pitch_features(pitches: np.ndarray) -> Tensor:
    """Return the context features of a pitch: its logarithm, continued where it is unvoiced, and the voicing.

        features[i] = (log2(pitch[i] / 200 Hz), 1 if pitch[i] > 0 else 0)

    The logarithm is interpolated over unvoiced frames, held at the ends, and 0 if no frame is voiced.

    Arguments:
        pitches: In Hz, 0 where unvoiced, (frames,).

    Returns:
        float32, (frames, 2).

    Example:
        >>> pitch_features(np.array([0.0, 200.0, 0.0, 800.0]))
        tensor([[0., 0.],
                [0., 1.],
                [1., 0.],
                [2., 1.]])
    """
    voiced = np.flatnonzero(pitches > 0)
    features = np.zeros((len(pitches), 2), dtype=np.float32)
    if len(voiced):
        features[:, 0] = np.interp(np.arange(len(pitches)), voiced, np.log2(pitches[voiced] / REFERENCE))
        features[voiced, 1] = 1
    return torch.from_numpy(features)


def _candidates(sound: np.ndarray, rate: int, hop: int, lowest: float, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies, 0 for unvoiced, and strengths of the candidates of each frame, (frames, CANDIDATES + 1)."""
    size = 2 * math.ceil(PERIODS * rate / lowest / 2)
    window = np.hanning(size + 2)[1:-1]
    frames = -(-len(sound) // hop)
    before = (size - hop) // 2
    padded = np.pad(sound, (max(before, 0), size + hop))[max(-before, 0) :]
    starts = np.arange(frames) * hop
    loudest = max(float(np.abs(sound - sound.mean()).max()), 1e-300)
    parts = [
        _candidates_of_windows(
            padded[starts[first : first + FRAMES_AT_A_TIME, None] + np.arange(size)],
            window, rate, lowest, highest, loudest,
        )
        for first in range(0, frames, FRAMES_AT_A_TIME)
    ]  # fmt: skip
    frequencies, strengths = (np.concatenate(part) for part in zip(*parts, strict=True))
    return frequencies, strengths


def _candidates_of_windows(
    windows: np.ndarray, window: np.ndarray, rate: int, lowest: float, highest: float, loudest: float
) -> tuple[np.ndarray, np.ndarray]:
    windows = windows - windows.mean(1, keepdims=True)
    correlation = _autocorrelation(windows * window) / _autocorrelation(window[None])
    lags = np.arange(
        math.ceil(rate / highest * OVERSAMPLING), min(int(rate / lowest * OVERSAMPLING), correlation.shape[1] - 2) + 1
    )
    here, left, right = (correlation[:, lags + shift] for shift in (0, -1, 1))
    # The parabola through a maximum and its neighbors.
    curvature = np.minimum(left - 2 * here + right, -1e-12)
    shift = np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
    frequencies = rate * OVERSAMPLING / (lags + shift)
    strengths = here - 0.25 * (left - right) * shift
    # Above 1 only by rounding, and in windows that are nearly empty.
    strengths = np.minimum(strengths, 1) + OCTAVE_COST * np.log2(frequencies / lowest)
    strengths = np.where((here > left) & (here >= right), strengths, -np.inf)
    order = np.argsort(-strengths, axis=1)[:, :CANDIDATES]
    loudness = np.abs(windows).max(1) / loudest
    unvoiced = VOICING_THRESHOLD + np.maximum(0, 2 - loudness / (SILENCE_THRESHOLD / (1 + VOICING_THRESHOLD)))
    return (
        np.concatenate([np.zeros((len(windows), 1)), np.take_along_axis(frequencies, order, 1)], 1),
        np.concatenate([unvoiced[:, None], np.take_along_axis(strengths, order, 1)], 1),
    )


def _autocorrelation(windows: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of each window at lags of a quarter of a sample, 1 at lag 0, up to half the window."""
    size = windows.shape[1]
    spectrum = np.abs(np.fft.rfft(windows, 2 * size)) ** 2
    correlation = np.fft.irfft(spectrum, 2 * size * OVERSAMPLING)[:, : size * OVERSAMPLING // 2]
    return correlation / np.maximum(correlation[:, :1], 1e-300)


def _best_path(frequencies: np.ndarray, strengths: np.ndarray, per_frame: float) -> np.ndarray:
    """Return the frequencies of the path with the greatest sum of strengths less the costs of its jumps."""
    voiced = frequencies > 0
    logs = np.log2(np.where(voiced, frequencies, 1.0))
    total, back = strengths[0], np.zeros(frequencies.shape, dtype=np.int64)
    for frame in range(1, len(frequencies)):
        now, then = voiced[frame][:, None], voiced[frame - 1][None]
        jump = np.abs(logs[frame][:, None] - logs[frame - 1][None])
        cost = np.where(now & then, JUMP_COST * jump, VOICING_COST * (now ^ then))
        sums = total[None] - per_frame * cost
        back[frame] = sums.argmax(1)
        total = strengths[frame] + sums.max(1)
    path = np.zeros(len(frequencies), dtype=np.int64)
    path[-1] = total.argmax()
    for frame in range(len(frequencies) - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return frequencies[np.arange(len(path)), path]
