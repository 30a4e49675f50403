"""Segments of recordings beside their contexts, with which draws of the same contexts are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.audio.recordings.files import Recordings
from pushforward.audio.recordings.segments import Segments, cut, volume
from pushforward.audio.speech.model import SpeechModel
from pushforward.errors import InputError

# Segments from which loud ones are chosen, for each of them.
CANDIDATES = 8


def aligned_segments(
    model: SpeechModel, recordings: Recordings, length: int, count: int, seed: int, loud: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Return random segments of recordings with their contexts; each starts with a frame and lies inside its file.

    Arguments:
        model: Computes the context, if it takes one.
        recordings: Files; those that are long enough are used.
        length: Samples of a segment, a whole number of frames.
        count: The number of segments.
        seed: Seed of the choice and of the noise of rounding.
        loud: Whether to choose segments with probabilities proportional to their root mean square; default False.

    Returns:
        Sound, (count, length), and context, (count, frames, bands) or None.

    Raises:
        InputError: No file is long enough.
    """
    long_enough = [i for i, samples in enumerate(recordings.samples) if len(samples) >= length]
    if not long_enough:
        raise InputError(
            f"No file lasts {length / recordings.rate:.2f} s, the length of a segment (--segment): choose less."
        )
    kept = recordings.take(long_enough)
    hop = model.hop
    rows = Segments(kept, length, 0, 1, seed, model.frames_of(kept), hop)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.tensor([(len(samples) - length) // hop + 1 for samples in kept.samples])
    ends = starts.cumsum(0)
    chosen = torch.randint(int(ends[-1]), (count * (CANDIDATES if loud else 1),), generator=generator)
    files = torch.searchsorted(ends, chosen, right=True)
    firsts = (chosen - ends[files] + starts[files]) * hop
    places = list(zip(files.tolist(), firsts.tolist(), strict=True))
    if loud:
        volumes = [volume(kept.samples[file][first : first + length]) for file, first in places]
        louder = torch.multinomial(torch.tensor(volumes), count, generator=generator)
        places = [places[place] for place in louder.tolist()]
    x, _, context = cut(rows, places, generator)
    frames = length // hop
    return x[:, :length].contiguous(), None if context is None else context[:, :frames].contiguous()
