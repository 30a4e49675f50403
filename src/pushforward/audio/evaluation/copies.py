"""Copies of recordings from their mel frames, by models and by baselines, and the table of how close they are."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pushforward.audio.evaluation.cepstrum import mel_cepstral_distortion
from pushforward.audio.evaluation.intelligibility import intelligibility
from pushforward.audio.evaluation.intervals import Estimate, ratio
from pushforward.audio.evaluation.vocoders import griffin_lim, linear_prediction_vocoder
from pushforward.audio.evaluation.voicing import pitch_agreement
from pushforward.audio.evaluation.words import Recognizer, words_in_common
from pushforward.audio.recordings.files import STEP, Recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.pitch import pitch
from pushforward.errors import InputError

# From the 16-bit samples of a recording to its copy, full scale ±1.
System = Callable[[np.ndarray], np.ndarray]
MEASURES = ("intelligibility", "words", "pitch", "voicing", "distortion")
GRIFFIN_LIM, LINEAR_PREDICTION = "Griffin-Lim", "LPC vocoder"
# The libraries of the measures that need one.
LIBRARIES = {"intelligibility": "pystoi", "words": "pocketsphinx"}


@dataclass
class Copies:
    """The copies of recordings by several systems, and their measures.

    Attributes:
        rate: Samples per second.
        names: Of the files.
        recordings: Full scale ±1, (samples,) each.
        sounds: Of each system the copies, in the order of the files.
        table: Of each system its `MEASURES`, each an `Estimate` over the files; without those whose library is not
            installed. Intelligibility is STOI; words is the share of the words that the recognizer hears in the
            recording and hears in the copy again; pitch is the share of the recording's voiced frames whose pitch the
            copy has to half a semitone; voicing the share of frames whose decision is the same; distortion that of
            mel cepstra in dB.
        heard: Words that the recognizer hears in the recordings; 0 if none listened.
        missing: The libraries that would add measures.
    """

    rate: int
    names: list[str]
    recordings: list[np.ndarray]
    sounds: dict[str, list[np.ndarray]]
    table: dict[str, dict[str, Estimate]]
    heard: int = 0
    missing: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain numbers, None for NaN, for JSON."""
        return {
            name: {
                measure: {
                    part: None if isinstance(value, float) and math.isnan(value) else value
                    for part, value in vars(estimate).items()
                }
                for measure, estimate in measures.items()
            }
            for name, measures in self.table.items()
        }


def copy_recordings(
    systems: dict[str, System],
    recordings: Recordings,
    *,
    words: bool = True,
    report: Callable[[float], None] = lambda fraction: None,
) -> Copies:
    """Let systems copy recordings, and measure the copies.

    Arguments:
        systems: Names, and functions from the 16-bit samples of a recording to its copy, full scale ±1.
        recordings: That no system was fitted to.
        words: Whether to let a recognizer listen, which takes as long as the sounds; default True. Its language are
            the words that it hears in these recordings with the general language model of its package.
        report: Called with the fraction that is done, from 0 to 1.

    Returns:
        The copies and the table.

    Raises:
        InputError: There is no system.
    """
    if not systems:
        raise InputError("Name at least one conditional model: the others copy nothing.")
    originals = [samples * STEP for samples in recordings.samples]
    known = {library for library in LIBRARIES.values() if importlib.util.find_spec(library) is not None}
    recognizer, heard = None, [[""]] * len(originals)
    if words and LIBRARIES["words"] in known:
        recognizer, heard = _listener(originals, recordings.rate)
    sounds, table = {}, {}
    for number, (name, system) in enumerate(systems.items()):
        sounds[name] = [system(samples)[: len(samples)] for samples in recordings.samples]
        report((number + 0.5) / len(systems))
        counts = [
            _counts(original, sound, recordings.rate, LIBRARIES["intelligibility"] in known, recognizer, text)
            for original, sound, text in zip(originals, sounds[name], heard, strict=True)
        ]
        table[name] = {
            measure: ratio([count[measure][0] for count in counts], [count[measure][1] for count in counts])
            for measure in MEASURES
            if measure in counts[0]
        }
        report((number + 1) / len(systems))
    names = [path.stem for path in recordings.paths]
    words_heard = sum(map(len, heard)) if recognizer is not None else 0
    missing = sorted(set(LIBRARIES.values()) - known)
    return Copies(recordings.rate, names, originals, sounds, table, words_heard, missing)


def baseline_vocoders(mel: LogMel, seed: int = 0) -> dict[str, System]:
    """Return Griffin-Lim, and a vocoder of linear prediction, as systems that copy recordings from their mel frames.

    The latter has the pitch of the recording besides the frames.
    """

    def frames(samples: np.ndarray) -> torch.Tensor:
        return mel(torch.from_numpy(samples * STEP))

    return {
        GRIFFIN_LIM: lambda samples: griffin_lim(frames(samples), mel, seed),
        LINEAR_PREDICTION: lambda samples: linear_prediction_vocoder(
            frames(samples), pitch(samples, mel.rate, mel.hop), mel, seed=seed
        ),
    }


def _listener(originals: Sequence[np.ndarray], rate: int) -> tuple[Recognizer | None, list[list[str]]]:
    """Return a recognizer of the language of recordings, and what it hears in them; None if they have no words."""
    general = Recognizer()
    texts = [" ".join(general.words(sound, rate)) for sound in originals]
    if not any(texts):
        return None, [[""]] * len(originals)
    recognizer = Recognizer(texts)
    return recognizer, [recognizer.words(sound, rate) for sound in originals]


def _counts(
    original: np.ndarray,
    sound: np.ndarray,
    rate: int,
    intelligible: bool,
    recognizer: Recognizer | None,
    text: list[str],
) -> dict[str, tuple[float, float]]:
    """Return numerator and denominator of each measure of one file."""
    agreement = pitch_agreement(original, sound, rate)
    counts: dict[str, tuple[float, float]] = {
        "pitch": (agreement.close, agreement.voiced),
        "voicing": (agreement.decided, agreement.frames),
        "distortion": mel_cepstral_distortion(original, sound, rate),
    }
    if intelligible:
        counts["intelligibility"] = intelligibility(original, sound, rate), 1.0
    if recognizer is not None:
        counts["words"] = words_in_common(text, recognizer.words(sound, rate)), len(text)
    return counts
