"""Words that an independent recognizer of speech understands."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.errors import InputError

# What the acoustic model of the recognizer was trained on.
RATE = 16000
# Silence before and after a sound, which the recognizer needs to find its beginning and end.
PAUSE_SECONDS = 0.3


class Recognizer:
    """The words in a sound, by PocketSphinx and the acoustic model of American English in its package.

    Arguments:
        texts: Sentences to whose words and word order the recognizer is confined (a trigram model with back-off);
            default none, the language model of the package.

    Raises:
        InputError: The library pocketsphinx is not installed, or the texts have no words.

    Source: Huggins-Daines et al., 2006, PocketSphinx.
    """

    def __init__(self, texts: Sequence[str] | None = None) -> None:
        try:
            import pocketsphinx
        except ImportError:
            raise InputError(
                "Words need the library pocketsphinx: pip install 'pushforward[speech-evaluation]'."
            ) from None
        options: dict[str, Any] = {"samprate": RATE, "loglevel": "FATAL"}
        with tempfile.TemporaryDirectory() as folder:
            if texts is not None:
                options["lm"] = str(_language_model(texts, Path(folder) / "texts.lm"))
            self._decoder = pocketsphinx.Decoder(**options)
        self._mean = self._decoder.get_cmn()

    def words(self, sound: np.ndarray, rate: int) -> list[str]:
        """Return the words of one sound, (samples,), full scale ±1, of any sample rate."""
        from scipy.signal import resample_poly

        resampled = resample_poly(np.asarray(sound, dtype=np.float64), RATE, rate)
        pause = np.zeros(round(PAUSE_SECONDS * RATE))
        whole = np.clip(np.rint(np.concatenate([pause, resampled, pause]) * 32767), -32768, 32767)
        # The decoder adapts to a channel: every sound is heard as if it were the first.
        self._decoder.set_cmn(self._mean)
        self._decoder.start_utt()
        self._decoder.process_raw(whole.astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return [] if heard is None else heard.hypstr.split()


def _language_model(texts: Sequence[str], path: Path) -> Path:
    """Write the language model of some texts to a path, and return it."""
    from pocketsphinx.lm import ArpaBoLM

    corpus = "\n".join(text for text in texts if text.strip())
    if not corpus:
        raise InputError("The texts of a recognizer have no words.")
    model = ArpaBoLM(text=corpus, add_start=True)
    model.compute()
    with path.open("w", encoding="utf-8") as file:
        model.write(file)
    return path


def words_in_common(reference: Sequence[str], words: Sequence[str]) -> int:
    """Return the number of words of the reference that are found again in the same order.

    It is the length of the longest common subsequence: words too many cost nothing.

    Example:
        >>> words_in_common("one moment please".split(), "one moment of peace please".split())
        3
    """
    row = [0] * (len(words) + 1)
    for word in reference:
        before = row
        row = [0]
        for place, other in enumerate(words):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[place]))
    return row[-1]
