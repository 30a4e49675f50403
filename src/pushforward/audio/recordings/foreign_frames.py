"""Mel frames that another program has computed: read, and compared with what sounds can have."""

from __future__ import annotations

import math
import os

import numpy as np

from pushforward.audio.recordings.mel import FLOOR, LogMel
from pushforward.audio.recordings.pitch import HIGHEST, LOWEST, range_found
from pushforward.errors import InputError

# The rounding of float32, and of numbers that were written with two digits.
TOLERANCE = 0.01
# Frames whose mean is compared with that of the training: fewer may be one sound of speech.
ENOUGH_FRAMES = 100
# Deviations between both means that recordings of the same kind do not reach, unless they are pauses.
FAR = 1.0


def read_frames(path: str | os.PathLike[str], mel: LogMel, pitch: bool) -> np.ndarray:
    """Read frames that another program has computed, and refuse those that no sound in full scale ±1 has.

    Arguments:
        path: A .npy file of numbers (frames, columns): for each hop the natural logarithm of the power in each band as
            `LogMel` defines it, not standardized, and with the pitch, in the last column, the pitch in Hz, 0 where
            unvoiced.
        mel: Defines the frames.
        pitch: Whether they hold the pitch.

    Returns:
        float32, (frames, columns).

    Raises:
        InputError: The file cannot be read, or does not contain such frames.
    """
    columns = mel.bands + pitch
    expected = f"(frames, {columns}): {mel.bands} bands" + (" and the pitch in Hz" if pitch else "")
    try:
        with open(path, "rb") as file:
            frames = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (OSError, ValueError, EOFError):
        raise InputError(f"{path} cannot be read as an array of numbers in NumPy's format.") from None
    if frames.dtype.kind not in "fiu" or frames.ndim != 2 or frames.shape[1] != columns:
        raise InputError(f"{path} has {frames.dtype} numbers of shape {frames.shape}, but must have {expected}.")
    if not len(frames):
        raise InputError(f"{path} has no frame: it must have {expected}.")
    with np.errstate(over="ignore"):
        frames = frames.astype(np.float32)
    if not np.isfinite(frames).all():
        row = int(np.argmin(np.isfinite(frames).all(1))) + 1
        raise InputError(f"{path} has a number that is not finite in frame {row}.")
    _refuse_impossible_bands(path, frames[:, : mel.bands], mel)
    if pitch:
        _refuse_impossible_pitch(path, frames[:, -1], mel)
    return frames


def doubt(frames: np.ndarray, mean: np.ndarray, deviation: np.ndarray, rate: int) -> str:
    """Return a sentence about frames that are far from those of a training; "" if none is.

    Arguments:
        frames: (frames, columns), the bands first.
        mean: Of each band over the frames of the training, (bands,).
        deviation: Their standard deviation, (bands,).
        rate: Samples per second.

    Example:
        >>> doubt(np.zeros((200, 2)), np.array([-8.0, -6.0]), np.array([4.0, 5.0]), 8000).split(":")[0]
        'The frames lie 2.0 standard deviations from those of the training in band 1, on average 0.0 instead of -8.0'
        >>> doubt(np.full((200, 2), -7.0), np.array([-8.0, -6.0]), np.array([4.0, 5.0]), 8000)
        ''
    """
    bands = len(mean)
    if len(frames) >= ENOUGH_FRAMES:
        average = frames[:, :bands].mean(0, dtype=np.float64)
        distances = np.abs(average - mean) / deviation
        worst = int(distances.argmax())
        if distances[worst] > FAR:
            return (
                f"The frames lie {distances[worst]:.1f} standard deviations from those of the training in band "
                f"{worst + 1}, on average {average[worst]:.1f} instead of {mean[worst]:.1f}: unless they are of a long "
                "pause, they may be linear powers, log10, decibels or standardized numbers instead of natural "
                "logarithms of power."
            )
    return _doubt_about_pitch(frames[:, -1], rate) if frames.shape[1] > bands else ""


def _doubt_about_pitch(pitches: np.ndarray, rate: int) -> str:
    """Return a sentence about pitches that no frame of a training has: its tracker does not look for them."""
    voiced = pitches[pitches > 0]
    if not len(voiced):
        return ""
    lowest, highest = range_found(rate)
    learned = f"models have learned pitches from {LOWEST:g} to {HIGHEST:g} Hz"
    if (top := float(voiced.max())) > highest + TOLERANCE:
        return f"The pitch reaches {top:.0f} Hz: {learned}."
    if (bottom := float(voiced.min())) < lowest - TOLERANCE:
        return f"The pitch falls to {bottom:.0f} Hz: {learned}. Unless it is a creaky voice, these may be semitones."
    return ""


def _refuse_impossible_bands(path: str | os.PathLike[str], bands: np.ndarray, mel: LogMel) -> None:
    lowest, highest = math.log(FLOOR), mel.highest().numpy()
    wrong = (bands < lowest - TOLERANCE) | (bands > highest + TOLERANCE)
    if not wrong.any():
        return
    frame, band = (int(part[0]) for part in np.nonzero(wrong))
    value = bands[frame, band]
    if value < lowest:
        limit = f"below {lowest:.2f}, that of digital silence"
        causes = "decibels, or logarithms without the floor of the formula of LogMel"
    else:
        limit = f"above {highest[band]:.2f}, which no sound in full scale ±1 exceeds"
        causes = "linear powers, decibels, or logarithms for samples of another full scale"
    raise InputError(
        f"{path} has {value:.2f} in band {band + 1} of frame {frame + 1}, {limit}: frames are natural logarithms of "
        f"power, and these may be {causes}."
    )


def _refuse_impossible_pitch(path: str | os.PathLike[str], pitches: np.ndarray, mel: LogMel) -> None:
    # A window that is shorter than a period shows no pitch: such numbers are logarithms, or no pitch in Hz at all.
    lowest, highest = mel.rate / mel.n_fft, mel.rate / 2
    wrong = (pitches != 0) & ((pitches < lowest) | (pitches >= highest))
    if wrong.any():
        frame = int(wrong.argmax())
        raise InputError(
            f"{path} must have the pitch in Hz in its last column, 0 where it is unvoiced, otherwise from "
            f"{lowest:.1f}, a period in the window of a frame, to less than {highest:g}: it has "
            f"{pitches[frame]:.4g} in frame {frame + 1}."
        )
