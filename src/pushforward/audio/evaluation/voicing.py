"""How well a sound keeps the pitch of a recording, and its decisions between voiced and unvoiced."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pushforward.audio.recordings.pitch import pitch

SEMITONES = 0.5


class PitchAgreement(NamedTuple):
    """Counts of frames, so that files can be added up.

    Attributes:
        close: Frames that are voiced in both, with pitches within half a semitone.
        voiced: Frames that are voiced in the recording.
        decided: Frames that are voiced in both or in neither.
        frames: All frames.
    """

    close: int
    voiced: int
    decided: int
    frames: int


def pitch_agreement(
    reference: np.ndarray, sound: np.ndarray, rate: int, semitones: float = SEMITONES
) -> PitchAgreement:
    """Compare the pitch of a sound with that of a recording, frame by frame, every 10 ms.

    Frames that only the recording voices count as wrong in pitch.

    Arguments:
        reference: The recording, (samples,).
        sound: (samples,), aligned to it.
        rate: Samples per second.
        semitones: The largest difference of close pitches; default a half.

    Example:
        >>> tone = np.sign(np.sin(2 * np.pi * 220 * np.arange(4000) / 8000))
        >>> close, voiced, decided, frames = pitch_agreement(tone, -tone, 8000)
        >>> close == voiced and decided == frames == 50
        True
    """
    theirs, ours = pitch(reference, rate), pitch(sound[: len(reference)], rate)
    both = (theirs > 0) & (ours > 0)
    difference = 12 * np.abs(np.log2(np.where(both, ours, 1.0) / np.where(both, theirs, 1.0)))
    return PitchAgreement(
        int((both & (difference <= semitones)).sum()),
        int((theirs > 0).sum()),
        int(((theirs > 0) == (ours > 0)).sum()),
        len(theirs),
    )
