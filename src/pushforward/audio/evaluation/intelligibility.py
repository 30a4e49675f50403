"""Short-time objective intelligibility of a sound beside a recording of the same speech."""

from __future__ import annotations

import warnings

import numpy as np

from pushforward.errors import InputError

# Below, the measure has no window of 384 ms.
LEAST_SECONDS = 0.5


def intelligibility(reference: np.ndarray, sound: np.ndarray, rate: int) -> float:
    """Return the STOI of a sound: the correlation of its spectral envelopes with those of the recording.

    Arguments:
        reference: The recording, (samples,).
        sound: (samples,), aligned to it.
        rate: Samples per second.

    Returns:
        Between 0 and 1, for unlike sounds a little below 0; higher is better. NaN for a recording that is too short or
        too silent to have one.

    Raises:
        InputError: The library pystoi is not installed.

    Source: Taal, Hendriks, Heusdens and Jensen, 2011, An algorithm for intelligibility prediction of time-frequency
        weighted noisy speech.
    """
    try:
        from pystoi import stoi
    except ImportError:
        raise InputError(
            "Intelligibility needs the library pystoi: pip install 'pushforward[speech-evaluation]'."
        ) from None
    if len(reference) < LEAST_SECONDS * rate or not np.any(reference):
        return float("nan")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(stoi(reference, sound, rate))
    # It warns, and returns 1e-5, where too few windows are louder than silence.
    if any("Not enough STFT frames" in str(warning.message) for warning in caught):
        return float("nan")
    return value
