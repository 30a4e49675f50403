"""The mel cepstral distortion of a sound beside a recording."""

from __future__ import annotations

import math

import numpy as np
import torch

from pushforward.audio.recordings.mel import LogMel

# Bands of the mel spectrum, and the cepstra that are compared: loudness, number 0, is not.
BANDS, CEPSTRA = 40, 13
# Frames this far below the loudest, in nats of power (40 dB), are silence, which is not compared.
SILENCE = 4 * math.log(10)


def mel_cepstral_distortion(reference: np.ndarray, sound: np.ndarray, rate: int) -> tuple[float, int]:
    """Return the distance of the spectral envelopes of a sound from those of a recording, summed over frames, in dB.

        distortion = Σ_i 10 / ln 10 √(2 Σ_{k = 1..13} (c[i, k] - c'[i, k])²)
        c[i, k] = (2 / bands) Σ_b ½ frame[i, b] cos(π k (b + ½) / bands),   frame = `LogMel` of 40 bands

    over frames that are at most 40 dB quieter than the loudest frame of the recording. Divided by their number, it is
    the root mean square difference, in dB, of smoothed spectra without their loudness.

    Arguments:
        reference: The recording, (samples,).
        sound: (samples,), aligned to it.
        rate: Samples per second.

    Returns:
        The sum over frames, and their number.

    Source: Kubichek, 1993, Mel-cepstral distance measure for objective speech quality assessment.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=8000)
        >>> total, frames = mel_cepstral_distortion(noise, 0.1 * noise, 8000)
        >>> round(total / frames, 3), frames
        (0.0, 100)
    """
    mel = LogMel(rate, BANDS)
    theirs, ours = (
        mel(torch.as_tensor(np.array(x[: len(reference)], dtype=np.float64))).numpy() for x in (reference, sound)
    )
    loudness = theirs.max(1)
    kept = loudness >= loudness.max() - SILENCE
    distances = distortion(theirs[kept], ours[kept])
    return float(distances.sum()), len(distances)


def distortion(reference: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the distortion, in dB, of log-mel frames (frames, bands), for each of them."""
    from scipy.fft import dct

    cepstra = dct(frames - reference, axis=1)[:, 1 : CEPSTRA + 1] / (2 * frames.shape[1])
    return 10 / math.log(10) * np.sqrt(2 * np.square(cepstra).sum(1))
