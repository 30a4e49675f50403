"""A model of recordings: a density of sound, its sample rate, and the mel frames of a conditional one."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.audio.recordings.files import ENDINGS, STEP, Recordings, read_recordings
from pushforward.audio.recordings.foreign_frames import doubt, read_frames
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.pitch import pitch, pitch_features
from pushforward.audio.recordings.segments import Tiles
from pushforward.errors import InputError
from pushforward.store.description import describe
from pushforward.store.model_file import load, save
from pushforward.support.seeding import seed_or_random

# Samples of a row when a likelihood is computed, and the history before it besides the network's receptive field:
# enough for the slowest average of the adaptive scale to forget its start.
ROW, LOOK_BACK = 8000, 2048
ROWS_AT_A_TIME = 8
# The ending of files with frames.
FRAMES = ".npy"
# Samples of a draw between reports of progress.
CHUNK = 1024


@dataclass
class MelFrames:
    """Log-mel frames, with or without the pitch: from them the context of a conditional model, of order one.

    A frame holds the bands of `LogMel` and, with the pitch, the pitch in Hz, 0 where it is unvoiced. In the context,
    bands are standardized, and the pitch is replaced by the two features of `pitch_features`.

    Attributes:
        mel: Computes the frames.
        mean: Mean of each band over the training files, (bands,).
        deviation: Standard deviation of each band, (bands,).
        pitch: Whether frames hold the pitch.
    """

    mel: LogMel
    mean: Tensor
    deviation: Tensor
    pitch: bool = False

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.mel.hop

    @property
    def columns(self) -> int:
        """Numbers in a frame."""
        return self.mel.bands + self.pitch

    @property
    def features(self) -> int:
        """Numbers in a frame of the context."""
        return self.mel.bands + 2 * self.pitch

    def of(self, samples: np.ndarray) -> Tensor:
        """Return the context, (frames, features), of 16-bit samples, (samples,)."""
        return self.context_of(self.frames_of(samples))

    def frames_of(self, samples: np.ndarray) -> np.ndarray:
        """Return the frames, float32 (frames, columns), of 16-bit samples, (samples,)."""
        frames = self.mel(torch.from_numpy(samples.astype(np.float32)) * STEP).numpy()
        if not self.pitch:
            return frames
        return np.column_stack([frames, pitch(samples, self.mel.rate, self.hop)]).astype(np.float32)

    def context_of(self, frames: np.ndarray) -> Tensor:
        """Return the context, (frames, features), of frames (frames, columns)."""
        bands = (torch.from_numpy(frames[:, : self.mel.bands]) - self.mean) / self.deviation
        return torch.cat([bands, pitch_features(frames[:, -1])], 1) if self.pitch else bands

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return frames that another program has computed, from a .npy file: see `read_frames`."""
        return read_frames(path, self.mel, self.pitch)

    def doubt(self, frames: np.ndarray) -> str:
        """Return a sentence about frames that are far from those of the training; "" if they are not."""
        return doubt(frames, self.mean.numpy(), self.deviation.numpy(), self.mel.rate)


@dataclass
class SpeechModel:
    """A density of recordings, p(sound) or p(sound | mel frames), that can be scored and sampled.

    Attributes:
        density: An autoregressive WaveNet, which may be a teacher, or a parallel one.
        rate: Samples per second.
        frames: The mel frames that a conditional model follows; None for p(sound).
        notes: Figures and settings of the fit.
    """

    density: AutoregressiveWaveNet | ParallelWaveNet
    rate: int
    frames: MelFrames | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_parallel(self) -> bool:
        """Whether it computes all samples of a draw at once."""
        return self.density.samples_in_parallel

    @property
    def kind(self) -> str:
        """Whether it is a "teacher", a "student" of one, or "parallel": a parallel WaveNet that has no teacher."""
        if not self.is_parallel:
            return "teacher"
        return "student" if "teacher" in self.notes else "parallel"

    @property
    def hop(self) -> int:
        """Samples per mel frame; 1 without mel frames."""
        return 1 if self.frames is None else self.frames.hop

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one `.safetensors` file, atomically."""
        frames = None
        if self.frames is not None:
            mel = self.frames.mel
            frames = {"bands": mel.bands, "hop": mel.hop, "n_fft": mel.n_fft}
            frames |= {"mean": self.frames.mean.tolist(), "deviation": self.frames.deviation.tolist()}
            frames["pitch"] = self.frames.pitch
        save(self.density, path, speech={"rate": self.rate, "frames": frames, "kind": self.kind}, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SpeechModel:
        """Read a file written by `save`.

        Raises:
            InputError: The file is not a model, or not a model of recordings.
        """
        notes = describe(path)["notes"]
        speech = notes.get("speech") if isinstance(notes, dict) else None
        density = load(path)
        if not isinstance(speech, dict) or not isinstance(density, AutoregressiveWaveNet | ParallelWaveNet):
            raise InputError(f"{path} is not a model of sound: fit one with pushforward speech fit.")
        try:
            rate, frames = int(speech["rate"]), None
            if (stored := speech["frames"]) is not None:
                mel = LogMel(rate, stored["bands"], stored["hop"], stored["n_fft"])
                mean, deviation = (torch.tensor(stored[key]) for key in ("mean", "deviation"))
                # Files from before there was a pitch do not mention it.
                frames = MelFrames(mel, mean, deviation, bool(stored.get("pitch", False)))
                if frames.mean.shape != (mel.bands,) or frames.deviation.shape != (mel.bands,):
                    raise ValueError
            expected = (0, None) if frames is None else (frames.features, frames.hop)
            if (density.context_features, density.hop) != expected:
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} has a damaged description of its sound: it cannot be loaded.") from error
        return cls(density, rate, frames, notes.get("fit", {}))

    def frames_of(self, recordings: Recordings) -> list[Tensor] | None:
        """Return the context of each file, (frames, bands) each; None if the model takes none."""
        return None if self.frames is None else [self.frames.of(samples) for samples in recordings.samples]

    def tiles(self, recordings: Recordings, seed: int = 0, drop_silence: bool = False) -> Tiles:
        """Return all samples of recordings in the rows that `negative_log_likelihood` scores.

        Those of a parallel model are whole files: its noise, found from the sound, depends on all samples before it.
        """
        row, history = ROW, LOOK_BACK + self.density.receptive_field
        if self.is_parallel:
            row, history = max(map(len, recordings.samples)), 0
        context = self.frames_of(recordings)
        return Tiles(recordings, row, history, ROWS_AT_A_TIME, seed, context, self.hop, drop_silence)

    def negative_log_likelihood(self, recordings: Recordings, seed: int = 0, drop_silence: bool = False) -> float:
        """Return the mean of -log p(sample | those before it) over recordings, in nats per sample; lower is better.

        Rounding noise is added, of the same seed for every model. The figure of a parallel model is found step by step,
        in compiled code at many times real time.

        Arguments:
            recordings: Files of the model's sample rate.
            seed: Seed of the noise.
            drop_silence: Leave out silent rows, of a parallel model silent files; default False.
        """
        tiles = self.tiles(recordings, seed, drop_silence)
        total = 0.0
        with torch.inference_mode():
            for x, scored, context in tiles:
                total -= float(self.density.scored_log_prob(x, scored, context).double().sum())
        return total / tiles.samples

    def copy(self, samples: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return a sound, full scale ±1, that follows the frames of 16-bit samples, (samples,); as long as they are."""
        assert self.frames is not None
        generator = torch.Generator().manual_seed(seed)
        context = self.frames.of(samples)[None]
        return self.density.sample((), context, length=len(samples), generator=generator)[0].double().numpy()

    def sample(
        self,
        seconds: float | None = None,
        *,
        like: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
        report: Callable[[float], None] = lambda fraction: None,
        doubts: Callable[[str], None] = warnings.warn,
    ) -> np.ndarray:
        """Draw a sound, float32, (samples,), full scale ±1: see `stream`."""
        options: dict[str, Any] = {"seed": seed, "temperature": temperature, "report": report, "doubts": doubts}
        return np.concatenate(list(self.stream(seconds, like=like, **options)))

    def stream(
        self,
        seconds: float | None = None,
        *,
        like: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
        report: Callable[[float], None] = lambda fraction: None,
        doubts: Callable[[str], None] = warnings.warn,
    ) -> Iterator[np.ndarray]:
        """Draw a sound in chunks.

        Arguments:
            seconds: Duration; for a conditional model at most, and by default, that of what it follows.
            like: Sound file, or .npy file of frames (`MelFrames.read`), that a conditional model follows.
            seed: Seed of the draw; default a new draw every time.
            temperature: Factor on the noise; default 1, an exact draw.
            report: Called with the fraction that is done, from 0 to 1.
            doubts: Called with a sentence if the frames of a file are far from those of the training; default a
                warning.

        Yields:
            float32, (samples,), full scale ±1.

        Raises:
            InputError: seconds or like is missing or does not suit the model, or the file has another sample rate.
        """
        if self.frames is None and like is not None:
            raise InputError("This model is not conditional: leave out --like.")
        if self.frames is None and seconds is None:
            raise InputError("Give the duration of the sound (--seconds).")
        if seconds is not None:
            check_duration(seconds)
        if not 0 <= temperature < math.inf:
            raise InputError(f"The temperature must be 0 or more, not {temperature}.")
        length = None if seconds is None else max(1, round(seconds * self.rate))
        context = None
        if self.frames is not None:
            if like is None:
                raise InputError("This model follows the mel frames of a sound: give a sound file (--like).")
            context, length = self._followed(like, length, doubts)
        assert length is not None
        return self._chunks(context, length, temperature, seed, report)

    def _followed(
        self, like: str | os.PathLike[str], length: int | None, doubts: Callable[[str], None]
    ) -> tuple[Tensor, int]:
        """Return the context of one draw, and its length."""
        assert self.frames is not None
        if Path(like).suffix.lower() == FRAMES:
            frames = self.frames.read(like)
            if sentence := self.frames.doubt(frames):
                doubts(sentence)
            available = len(frames) * self.hop
        else:
            samples = self._sound(like)
            available = len(samples)
            frames = self.frames.frames_of(samples[:length])
        if length is not None and length > available:
            raise InputError(
                f"{like} lasts {available / self.rate:.2f} s, less than the requested {length / self.rate:g} s."
            )
        return self.frames.context_of(frames)[None], available if length is None else length

    def _sound(self, like: str | os.PathLike[str]) -> np.ndarray:
        """Return the samples of a sound file."""
        try:
            found = read_recordings([like], self.rate)
        except InputError as error:
            if Path(like).suffix.lower() in ENDINGS or not Path(like).is_file():
                raise
            reason = str(error).rstrip(".")
            raise InputError(f"{reason}; frames of another program are read from files that end in .npy.") from error
        if len(found) > 1:
            raise InputError(f"{like} holds {len(found)} sounds where one is wanted: name a file.")
        return found.samples[0]

    def _chunks(
        self, context: Tensor | None, length: int, temperature: float, seed: int | None, report: Callable[[float], None]
    ) -> Iterator[np.ndarray]:
        generator = torch.Generator().manual_seed(seed_or_random(seed))
        shape = () if context is not None else (1,)
        done = 0
        for chunk in self.density.stream(
            shape, context, length=length, temperature=temperature, generator=generator, chunk=CHUNK
        ):
            yield chunk[0].float().numpy()
            done += chunk.shape[-1]
            report(done / length)


def check_duration(seconds: float) -> None:
    """Raise an InputError if a sound cannot last so long, before the work is done."""
    if not 0 < seconds < math.inf:
        raise InputError(f"The duration must be more than 0 seconds, not {seconds:g} (--seconds).")
