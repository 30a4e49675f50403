"""What makes recordings useless for a model of sound, said before hours are spent on them."""

from __future__ import annotations

import numpy as np

from pushforward.audio.recordings.files import Recordings
from pushforward.audio.recordings.segments import is_silent
from pushforward.errors import InputError

LEAST_SECONDS = 5.0
# A louder recording touches full scale now and then; one that is cut off stays there.
MOST_CLIPPED = 0.002
FULL_SCALE = 32767


def refuse_unusable(recordings: Recordings) -> None:
    """Raise an InputError if recordings are too short in all, silent, or cut off at full scale.

    Arguments:
        recordings: To fit a model to.

    Raises:
        InputError: They last less than 5 seconds together, none of them is louder than the noise of rounding, or more
            than 0.2 % of the samples of a file are at full scale next to another one.
    """
    if recordings.seconds < LEAST_SECONDS:
        raise InputError(
            f"The recordings last {recordings.seconds:.1f} s in all: a model of sound needs at least "
            f"{LEAST_SECONDS:g} s, and minutes to be of use."
        )
    refuse_silence(recordings)
    for path, samples in zip(recordings.paths, recordings.samples, strict=True):
        share = clipped_share(samples)
        if share > MOST_CLIPPED:
            raise InputError(
                f"{path} is clipped, {share:.1%} of its samples are cut off at full scale: leave it out, or record it "
                "again at a lower level."
            )


def refuse_silence(recordings: Recordings, called: str = "The recordings") -> None:
    """Raise an InputError if none of the recordings is louder than the noise of rounding.

    Arguments:
        recordings: Of one purpose.
        called: What the message calls them; default "The recordings".
    """
    if all(is_silent(samples) for samples in recordings.samples):
        raise InputError(f"{called} contain nothing but silence: name more that contain sound.")


def clipped_share(samples: np.ndarray) -> float:
    """Return the share of 16-bit samples that are at full scale next to another one on the same side.

    Example:
        >>> clipped_share(np.array([0, 32767, 32767, -32768, 5, -32768, -32768, 32767], dtype=np.int16))
        0.5
    """
    flat = np.zeros(len(samples), dtype=bool)
    for limit in (samples >= FULL_SCALE, samples <= -FULL_SCALE):
        pairs = limit[1:] & limit[:-1]
        flat[1:] |= pairs
        flat[:-1] |= pairs
    return float(flat.mean()) if len(flat) else 0.0
