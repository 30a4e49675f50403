"""Segments of recordings for training and scoring, with the noise of rounding and mel frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.audio.recordings.files import STEP, Recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.errors import InputError
from pushforward.support.wording import counted
from pushforward.training.splitting import split_rows

# A segment is silent if its root mean square is below three 16-bit steps.
SILENCE = 3 * STEP
# Of the sound that a fraction of the files lasts on average, what those held out last at least.
LEAST_SHARE = 0.5
# Draws of silent segments in a row after which the recordings count as silent.
MOST_REDRAWS = 1000


def split_files(recordings: Recordings, fraction: float = 0.1, seed: int = 0) -> tuple[Recordings, Recordings]:
    """Hold out whole files, since segments of the same file are too similar.

    Files are chosen at random; those with the same content stay on one side. Where those held out last less than half
    of their share of the sound, such as a single file of a few milliseconds, more are held out, the shortest ones
    first.

    Arguments:
        recordings: At least two files.
        fraction: Fraction of the files to hold out, at least one file; default 0.1.
        seed: Seed of the choice.

    Returns:
        The files to train on and those held out.

    Raises:
        InputError: There are fewer than two files of different content, or one has nearly all of the sound.
    """
    if len(recordings) < 2:
        raise InputError(
            f"{recordings.paths[0]} is the only file: at least 2 are needed, one to train on and one to hold out; "
            "cut it in two at a pause."
        )
    groups = _groups(recordings)
    if len(groups) < 2:
        raise InputError(
            f"All files have the content of {recordings.paths[0]}, and one to hold out needs another: cut it in two at "
            "a pause."
        )
    lengths = [sum(len(recordings.samples[file]) for file in group) for group in groups]
    least = LEAST_SHARE * fraction * sum(lengths)
    if (others := sum(lengths) - max(lengths)) < least:
        raise InputError(
            f"{recordings.paths[groups[lengths.index(max(lengths))][0]]} has nearly all of the sound, and the other "
            f"files last {others / recordings.rate:.2g} s, too little to hold out: cut it in pieces at pauses."
        )
    training, held_out = (part.tolist() for part in split_rows(len(groups), fraction, seed))
    training.sort(key=lengths.__getitem__, reverse=True)
    while len(training) > 1 and sum(lengths[number] for number in held_out) < least:
        held_out.append(training.pop())
    fitting, held_out = ([file for number in part for file in groups[number]] for part in (training, held_out))
    return recordings.take(sorted(fitting)), recordings.take(held_out)


def copies_of_files(recordings: Recordings) -> list[str]:
    """Return a sentence about files that have the content of another file, for people; none if there are none."""
    copies = [group for group in _groups(recordings) if len(group) > 1]
    if not copies:
        return []
    first, second = (recordings.paths[file] for file in copies[0][:2])
    count = counted(sum(len(group) - 1 for group in copies), "file")
    return [
        f"{count} with the content of another one, such as {second} with that of {first}: copies are held out together "
        "or not at all"
    ]


def _groups(recordings: Recordings) -> list[list[int]]:
    """Return the files of each content, in the order of the first of them."""
    groups: dict[bytes, list[int]] = {}
    for number, samples in enumerate(recordings.samples):
        groups.setdefault(hashlib.sha256(np.ascontiguousarray(samples).data).digest(), []).append(number)
    return list(groups.values())


def dequantized(samples: np.ndarray | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return 16-bit samples as sound with the noise of rounding: (samples + U(-1/2, 1/2)) / 32768.

    Without the noise, the density of digital silence, and of any value that recurs exactly, would be unbounded. The
    result has a density in full scale ±1. Minus ln 32768 = 10.397 nats per sample, its mean log-likelihood is a lower
    bound of that of the 16-bit values.

    Arguments:
        samples: Integers from -32768 to 32767, of any shape.
        generator: Source of the noise; default torch's own.

    Returns:
        float32, of the same shape.

    Source: Theis, van den Oord and Bethge, 2016, arXiv:1511.01844.

    Example:
        >>> sound = dequantized(np.zeros(1000, dtype=np.int16)) * 32768
        >>> bool(sound.abs().max() <= 0.5), bool(sound.std() > 0.25)
        (True, True)
    """
    whole = torch.as_tensor(samples)
    noise = torch.rand(whole.shape, generator=generator) - 0.5
    return (whole + noise) * STEP


def volume(samples: np.ndarray) -> float:
    """Return the root mean square of 16-bit samples, in full scale ±1, with that of the noise of rounding."""
    return STEP * float(np.sqrt(np.square(samples, dtype=np.float64).mean() + 1 / 12))


def is_silent(samples: np.ndarray) -> bool:
    """Return whether 16-bit samples are silent: their root mean square is below three steps."""
    return not len(samples) or float(np.square(samples, dtype=np.float64).mean()) < (SILENCE / STEP) ** 2


class Segments:
    """Random segments of recordings that contain every sample with the same probability; new ones at every pass.

    A batch is (x, scored, context). A row of x, (batch, history + length), is part of one file: `length` samples to
    score, after up to `history` samples on which a causal model may depend. `scored`, of the same shape, is 1 for the
    samples to score and 0 elsewhere (the history, and the padding after the end of a file). A row that starts at the
    beginning of its file is scored from the first sample on. With frames, the context is (batch, frames, bands) and
    aligned to the rows.

    Arguments:
        recordings: The files.
        length: Samples to score in each row.
        history: Samples before them.
        batch_size: Rows in a batch.
        seed: Seed of the segments and the noise.
        frames: The context of each file, (frames, bands) each, with `hop` samples per frame; default None.
        hop: Samples per frame.
        drop_silence: Leave out silent segments (`is_silent`); default False.

    Raises:
        InputError: Silence is left out, and there is nothing else.
    """

    def __init__(
        self,
        recordings: Recordings,
        length: int,
        history: int,
        batch_size: int,
        seed: int,
        frames: list[Tensor] | None = None,
        hop: int = 1,
        drop_silence: bool = False,
    ) -> None:
        self.recordings = recordings
        self.length = length
        self.history = history
        self.batch_size = batch_size
        self.frames = frames
        self.hop = hop
        self.drop_silence = drop_silence
        self._generator = torch.Generator().manual_seed(seed)
        # A segment may start before its file and end after it, so that all samples have the same probability.
        starts = np.array([len(samples) + length - 1 for samples in recordings.samples])
        self._ends = np.cumsum(starts)
        self.samples = sum(map(len, recordings.samples))
        self._last: list[tuple[int, int]] = [self._draw()]

    def __len__(self) -> int:
        return -(-self.samples // (self.batch_size * self.length))

    @property
    def coverage(self) -> float:
        """The average fraction of the `length` samples of a row that are scored."""
        return self.samples / int(self._ends[-1])

    @property
    def row_length(self) -> int:
        """Samples of a row, including its history, in whole frames."""
        return -(-(self.length + self.history + self.hop - 1) // self.hop) * self.hop

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        for _ in range(len(self)):
            self._last = [self._draw() for _ in range(self.batch_size)]
            yield cut(self, self._last, self._generator)

    def state_dict(self) -> dict[str, Any]:
        """The place in the random numbers after the batch yielded last, on which alone the later ones depend."""
        return {"random": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batch that was yielded last when the state was saved."""
        self._generator.set_state(state["random"])

    def name_rows(self, positions: Tensor) -> str:
        """Describe the first of the segments at these positions in the last batch."""
        file, start = self._last[int(positions[0])]
        return f"{self.recordings.paths[file]} from {max(start, 0) / self.recordings.rate:.2f} s on"

    def _draw(self) -> tuple[int, int]:
        for _ in range(MOST_REDRAWS):
            place = int(torch.randint(int(self._ends[-1]), (), generator=self._generator))
            file = int(np.searchsorted(self._ends, place, side="right"))
            start = place - (int(self._ends[file - 1]) if file else 0) - self.length + 1
            samples = self.recordings.samples[file][max(start, 0) : start + self.length]
            if not (self.drop_silence and is_silent(samples)):
                return file, start
        raise InputError("The recordings contain almost nothing but silence: a model cannot be fitted to them.")


class Tiles:
    """All samples of recordings, each scored once, in rows like those of `Segments`: for held-out likelihoods.

    The noise is the same at every pass, so that likelihoods of different models, or of a model during its training, can
    be compared. Arguments as for `Segments`.
    """

    def __init__(
        self,
        recordings: Recordings,
        length: int,
        history: int,
        batch_size: int,
        seed: int,
        frames: list[Tensor] | None = None,
        hop: int = 1,
        drop_silence: bool = False,
    ) -> None:
        self.rows = Segments(recordings, length, history, batch_size, seed, frames, hop)
        self.seed = seed
        self.places = [
            (file, start)
            for file, samples in enumerate(recordings.samples)
            for start in range(0, len(samples), length)
            if not (drop_silence and is_silent(samples[start : start + length]))
        ]
        if not self.places:
            raise InputError("The held-out recordings contain nothing but silence: there is nothing to score.")

    @property
    def samples(self) -> int:
        """The number of samples that are scored."""
        sizes = self.rows.recordings.samples
        return sum(min(self.rows.length, len(sizes[file]) - start) for file, start in self.places)

    def __len__(self) -> int:
        return -(-len(self.places) // self.rows.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        generator = torch.Generator().manual_seed(self.seed)
        for first in range(0, len(self.places), self.rows.batch_size):
            yield cut(self.rows, self.places[first : first + self.rows.batch_size], generator)


def cut(
    rows: Segments, places: list[tuple[int, int]], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the batch of segments that start at the given (file, sample) places."""
    size = rows.row_length
    whole = np.zeros((len(places), size), dtype=np.int16)
    scored = np.zeros((len(places), size), dtype=np.float32)
    contexts = []
    for row, (file, start) in enumerate(places):
        samples = rows.recordings.samples[file]
        begin = max(0, start - rows.history) // rows.hop * rows.hop
        piece = samples[begin : begin + size]
        whole[row, : len(piece)] = piece
        scored[row, max(start, 0) - begin : min(start + rows.length, len(samples)) - begin] = 1
        if rows.frames is not None:
            frames = rows.frames[file][begin // rows.hop : (begin + size) // rows.hop]
            missing = size // rows.hop - len(frames)
            # Nothing is scored after the end of the file; any context does.
            contexts.append(torch.cat([frames, frames[-1:].expand(missing, -1)]))
    context = torch.stack(contexts) if rows.frames is not None else None
    return dequantized(whole, generator), torch.from_numpy(scored), context


def mel_statistics(mel: LogMel, recordings: Recordings) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each band over all frames of recordings, (bands,) each."""
    frames = torch.cat([mel(torch.from_numpy(samples * np.float32(STEP))) for samples in recordings.samples])
    return frames.mean(0), frames.std(0).clamp_min(1e-3)
