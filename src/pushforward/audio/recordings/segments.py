"""Segments of recordings as training sees them: with their past, with the noise of rounding, with mel frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pushforward.audio.recordings.files import STEP, Recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.errors import InputError
from pushforward.training.splitting import split_rows

# Root mean square of what counts as silence where silence is dropped: three 16-bit steps.
SILENCE = 3 * STEP
# How often a silent segment is drawn again before the recordings are called silent.
MOST_REDRAWS = 1000


def split_files(recordings: Recordings, fraction: float = 0.1, seed: int = 0) -> tuple[Recordings, Recordings]:
    """Hold out whole files: two segments of one file are too much alike to judge one by the other.

    Arguments:
        recordings: at least two files.
        fraction: share of the files to hold out, at least one.
        seed: of the draw.

    Returns:
        The files to train on and those held out.

    Raises:
        InputError: fewer than two files.
    """
    if len(recordings) < 2:
        raise InputError(
            f"{recordings.paths[0]} is the only file: at least 2 are needed, one to train on and one to hold out; "
            "cut it in two at a pause."
        )
    training, held_out = split_rows(len(recordings), fraction, seed)
    return recordings.take(sorted(training.tolist())), recordings.take(held_out.tolist())


def dequantized(samples: np.ndarray | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """16-bit samples as sound, with what rounding took away put back as noise: (samples + U(-1/2, 1/2)) / 32768.

    Without it the density of digital silence, and of any value that recurs exactly, would grow without bound. The
    density of the result is a density of sound in full scale ±1; less ln 32768 = 10.397 nats a sample, its mean
    log-likelihood bounds that of the 16-bit values from below.

    Arguments:
        samples: whole numbers from -32768 to 32767, any shape.
        generator: of the noise, default torch's own; new noise at every call.

    Returns:
        float32, the same shape.

    Source: Theis, van den Oord and Bethge, 2016, arXiv:1511.01844.

    Example:
        >>> sound = dequantized(np.zeros(1000, dtype=np.int16)) * 32768
        >>> bool(sound.abs().max() <= 0.5), bool(sound.std() > 0.25)
        (True, True)
    """
    whole = torch.as_tensor(samples)
    noise = torch.rand(whole.shape, generator=generator) - 0.5
    return (whole + noise) * STEP


def is_silent(samples: np.ndarray) -> bool:
    """Whether 16-bit samples are silence: their root mean square is below three steps."""
    return not len(samples) or float(np.square(samples, dtype=np.float64).mean()) < (SILENCE / STEP) ** 2


class Segments:
    """Random segments of recordings, each sample with the same chance, new ones at every pass.

    A batch is (x, scored, context). A row of x, (batch, history + length), is a piece of one file: `length` samples to
    be scored, after up to `history` samples that a causal model may look back on; `scored`, of the same shape, is 1 on
    the former and 0 elsewhere (history, and silence after the file's end). Where a row begins with its file, scoring
    begins with the first sample. The context, with frames, is (batch, frames, bands) and aligned to the rows.

    Arguments:
        recordings: the files.
        length: samples of a row to be scored.
        history: samples before them.
        batch_size: rows in a batch.
        seed: of the draws and the noise.
        frames: what describes each file, (frames, bands) each, `hop` samples a frame; default none.
        hop: samples a frame.
        drop_silence: leave out segments of digital or near silence (`is_silent`), default False.

    Raises:
        InputError: nothing but silence, where silence is dropped.
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
        # A segment may start before its file and end after it; with these starts all samples are alike.
        starts = np.array([len(samples) + length - 1 for samples in recordings.samples])
        self._ends = np.cumsum(starts)
        self.samples = sum(map(len, recordings.samples))
        self._last: list[tuple[int, int]] = [self._draw()]

    def __len__(self) -> int:
        return -(-self.samples // (self.batch_size * self.length))

    @property
    def coverage(self) -> float:
        """Which share of `length` samples is scored in a row, on average."""
        return self.samples / int(self._ends[-1])

    @property
    def row_length(self) -> int:
        """Samples of a row, history included, in whole frames."""
        return -(-(self.length + self.history + self.hop - 1) // self.hop) * self.hop

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        for _ in range(len(self)):
            self._last = [self._draw() for _ in range(self.batch_size)]
            yield cut(self, self._last, self._generator)

    def name_rows(self, positions: Tensor) -> str:
        """Name the segments at these positions of the last batch."""
        file, start = self._last[int(positions[0])]
        return f"{self.recordings.paths[file]} from {max(start, 0) / self.recordings.rate:.2f} s on"

    def _draw(self) -> tuple[int, int]:
        for _ in range(MOST_REDRAWS):
            place = int(torch.randint(int(self._ends[-1]), (), generator=self._generator))
            file = int(np.searchsorted(self._ends, place, side="right"))
            start = place - (int(self._ends[file - 1]) if file else 0) - self.length + 1
            heard = self.recordings.samples[file][max(start, 0) : start + self.length]
            if not (self.drop_silence and is_silent(heard)):
                return file, start
        raise InputError("The recordings hold next to nothing but silence: there is nothing to learn from them.")


class Tiles:
    """All samples of recordings, each scored once, in the rows that `Segments` makes: for held-out likelihoods.

    The noise is the same at every pass, so that likelihoods of several models, or of one at several times, differ by
    the models alone. Arguments as for `Segments`.
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
        # One rule for what a row is.
        self.rows = Segments(recordings, length, history, batch_size, seed, frames, hop)
        self.seed = seed
        self.places = [
            (file, start)
            for file, samples in enumerate(recordings.samples)
            for start in range(0, len(samples), length)
            if not (drop_silence and is_silent(samples[start : start + length]))
        ]
        if not self.places:
            raise InputError("The held-out recordings hold nothing but silence: there is nothing to score.")

    @property
    def samples(self) -> int:
        """How many samples are scored."""
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
    """The batch of segments that start at these samples of these files."""
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
            # After the end of the file nothing is scored; any number will do there.
            contexts.append(torch.cat([frames, frames[-1:].expand(missing, -1)]))
    context = torch.stack(contexts) if rows.frames is not None else None
    return dequantized(whole, generator), torch.from_numpy(scored), context


def mel_statistics(mel: LogMel, recordings: Recordings) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band over all frames of recordings, (bands,) each."""
    frames = torch.cat([mel(torch.from_numpy(samples * np.float32(STEP))) for samples in recordings.samples])
    return frames.mean(0), frames.std(0).clamp_min(1e-3)
