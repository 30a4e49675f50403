"""Sound from log-mel frames without anything learned: Griffin-Lim, and a vocoder of linear prediction."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.audio.recordings.mel import FLOOR, LogMel

ITERATIONS = 60
# Multiplicative updates of the powers of frequencies that give those of the bands.
UPDATES = 100


def griffin_lim(frames: Tensor, mel: LogMel, seed: int = 0) -> np.ndarray:
    """Return a sound whose short-time spectra have the magnitudes that mel frames say, with phases found by iteration.

    Arguments:
        frames: Of `mel`, not standardized, (frames, bands).
        mel: Its hop must be shorter than its window.
        seed: Of the first phases.

    Returns:
        float64, (frames · hop,).

    Cost: 60 short-time Fourier transforms and their inverses.

    Source: Griffin and Lim, 1984, Signal estimation from modified short-time Fourier transform.

    Example:
        >>> mel = LogMel(8000)
        >>> griffin_lim(mel(torch.zeros(800)), mel).shape
        (800,)
    """
    window = mel.window
    magnitude = (power_of_bands(frames, mel) * window.square().sum()).sqrt()
    phase = 2 * torch.pi * torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(seed)).double()
    spectrum = torch.polar(magnitude, phase)
    for _ in range(ITERATIONS):
        sound = _overlapped(torch.fft.irfft(spectrum, mel.n_fft), window, mel.hop)
        again = torch.fft.rfft(sound.unfold(0, mel.n_fft, mel.hop) * window)
        spectrum = torch.polar(magnitude, again.angle())
    sound = _overlapped(torch.fft.irfft(spectrum, mel.n_fft), window, mel.hop)
    before = (mel.n_fft - mel.hop) // 2
    return sound[before : before + len(frames) * mel.hop].numpy()


def linear_prediction_vocoder(
    frames: Tensor, pitches: np.ndarray, mel: LogMel, order: int = 16, seed: int = 0
) -> np.ndarray:
    """Return pulses of a pitch, or noise where it is unvoiced, filtered to the spectral envelope of mel frames.

    Each frame has an all-pole filter, from the autocorrelation that belongs to its power spectrum, and the power of
    its prediction error, which the pulses or the noise of the frame have.

    Arguments:
        frames: Of `mel`, not standardized, (frames, bands).
        pitches: Of each frame in Hz, 0 where unvoiced, (frames,).
        mel: Gave the frames.
        order: Of the linear prediction; default 16.
        seed: Of the noise.

    Returns:
        float64, (frames · hop,).

    Source: Atal and Hanauer, 1971, Speech analysis and synthesis by linear prediction of the speech wave.

    Example:
        >>> mel = LogMel(8000)
        >>> linear_prediction_vocoder(mel(torch.zeros(800)), np.zeros(10), mel).shape
        (800,)
    """
    from scipy.linalg import solve_toeplitz
    from scipy.signal import lfilter

    power = power_of_bands(frames, mel).clamp_min(FLOOR)
    correlations = torch.fft.irfft(power, mel.n_fft)[:, : order + 1].numpy()
    # A ten-thousandth of white noise keeps the filters stable.
    correlations[:, 0] *= 1 + 1e-4
    excitation = _excitation(pitches, mel, seed).reshape(len(frames), mel.hop)
    memory, parts = np.zeros(order), []
    for correlation, part in zip(correlations, excitation, strict=True):
        coefficients = solve_toeplitz(correlation[:order], correlation[1:])
        gain = np.sqrt(max(correlation[0] - coefficients @ correlation[1:], 0.0))
        # The memory of the filter is in samples that have been made, not in those of another filter's states.
        made, _ = lfilter([1.0], [1.0, *-coefficients], gain * part, zi=_state(memory, coefficients))
        memory = np.concatenate([made[::-1], memory])[:order]
        parts.append(made)
    return np.concatenate(parts) if parts else np.zeros(0)


def power_of_bands(frames: Tensor, mel: LogMel) -> Tensor:
    """Return powers of frequencies, float64 (frames, n_fft // 2 + 1), at least 0, that belong to log-mel frames.

    They start from equal powers within each band, and are brought to the smallest Kullback-Leibler divergence of bands,
    which weighs quiet and loud ones alike.

    Source: Lee and Seung, 2001, Algorithms for non-negative matrix factorization (multiplicative updates).
    """
    # A power spectrum of `LogMel` has the weight of the window in its filters.
    filters = mel.filters * mel.window.square().sum()
    bands = (frames.double().exp() - FLOOR).clamp_min(1e-3 * FLOOR)
    power = bands @ (filters / filters.sum(1, keepdim=True)) / filters.sum(0).clamp_min(1e-3) + FLOOR
    for _ in range(UPDATES):
        power = power * ((bands / (power @ filters.mT + 1e-30)) @ filters) / filters.sum(0).clamp_min(1e-3)
    return power


def _overlapped(pieces: Tensor, window: Tensor, hop: int) -> Tensor:
    """Return the sound whose windowed pieces, (frames, n_fft), are closest to those given."""
    size = (len(pieces) - 1) * hop + len(window)
    sums = [
        nn.functional.fold(part.mT[None], (1, size), (1, len(window)), stride=(1, hop)).flatten()
        for part in (pieces * window, window.square().expand(len(pieces), -1))
    ]
    return sums[0] / sums[1].clamp_min(1e-3)


def _excitation(pitches: np.ndarray, mel: LogMel, seed: int) -> np.ndarray:
    """Return pulses and noise of power 1, (frames · hop,)."""
    frequency = np.repeat(pitches, mel.hop) / mel.rate
    pulses = np.diff(np.floor(np.cumsum(frequency)), prepend=0.0)
    noise = np.random.default_rng(seed).normal(size=len(frequency))
    return np.where(frequency > 0, pulses / np.sqrt(np.maximum(frequency, 1e-9)), noise)


def _state(memory: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return the state of a filter of these coefficients after the samples in its memory, latest first."""
    order = len(coefficients)
    return np.array([coefficients[k:] @ memory[: order - k] for k in range(order)])
