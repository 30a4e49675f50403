"""A model of recordings: a density of sound with its sample rate and, if it is told of a sound, how it is told."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.audio.recordings.files import STEP, Recordings, read_recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.segments import Tiles
from pushforward.errors import InputError
from pushforward.networks.wavenet import WaveNet
from pushforward.store.description import describe
from pushforward.store.model_file import load, save

# Samples of a row when a likelihood is computed, and what it may look back on besides the network's receptive field:
# enough for the slowest average of the adaptive scale to forget how it began.
ROW, LOOK_BACK = 8000, 2048
ROWS_AT_A_TIME = 8
# Samples of a draw between reports of progress.
CHUNK = 1024


@dataclass
class MelFrames:
    """Standardised log-mel frames: the context of a conditional model.

    Attributes:
        mel: the frames.
        mean: of each band over the training files, (bands,).
        deviation: its standard deviation, (bands,).
    """

    mel: LogMel
    mean: Tensor
    deviation: Tensor

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.mel.hop

    def of(self, samples: np.ndarray) -> Tensor:
        """The frames of 16-bit samples, (samples,): (frames, bands)."""
        sound = torch.from_numpy(samples.astype(np.float32)) * STEP
        return (self.mel(sound) - self.mean) / self.deviation


@dataclass
class SpeechModel:
    """A density of recordings, p(sound) or p(sound | mel frames), that can be scored and sampled.

    Attributes:
        density: the teacher, an autoregressive WaveNet, or a student of it, a parallel one.
        rate: samples per second.
        frames: how a conditional model is told of a sound; None for p(sound).
        notes: what the fit left to be known.
    """

    density: AutoregressiveWaveNet | ParallelWaveNet
    rate: int
    frames: MelFrames | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_student(self) -> bool:
        """Whether it makes all samples at once."""
        return isinstance(self.density, ParallelWaveNet)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one `.safetensors` file, atomically."""
        frames = None
        if self.frames is not None:
            mel = self.frames.mel
            frames = {"bands": mel.bands, "hop": mel.hop, "n_fft": mel.n_fft}
            frames |= {"mean": self.frames.mean.tolist(), "deviation": self.frames.deviation.tolist()}
        save(self.density, Path(path), speech={"rate": self.rate, "frames": frames}, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SpeechModel:
        """Read a file written by `save`.

        Raises:
            InputError: the file is no model, or no model of recordings.
        """
        notes = describe(Path(path))["notes"]
        speech = notes.get("speech") if isinstance(notes, dict) else None
        density = load(Path(path))
        if not isinstance(speech, dict) or not isinstance(density, AutoregressiveWaveNet | ParallelWaveNet):
            raise InputError(f"{path} is no model of sound: make one with pushforward speech fit.")
        try:
            rate, frames = int(speech["rate"]), None
            if (stored := speech["frames"]) is not None:
                mel = LogMel(rate, stored["bands"], stored["hop"], stored["n_fft"])
                frames = MelFrames(mel, *(torch.tensor(stored[key]) for key in ("mean", "deviation")))
                if frames.mean.shape != (mel.bands,) or frames.deviation.shape != (mel.bands,):
                    raise ValueError
            hop = None if frames is None else frames.hop
            for network in networks(density):
                if (network.context_features, network.hop) != (0 if frames is None else frames.mel.bands, hop):
                    raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} has a damaged description of its sound: it cannot be loaded.") from error
        return cls(density, rate, frames, notes.get("fit", {}))

    def frames_of(self, recordings: Recordings) -> list[Tensor] | None:
        """The context of each file, (frames, bands) each; None if the model takes none."""
        return None if self.frames is None else [self.frames.of(samples) for samples in recordings.samples]

    def tiles(self, recordings: Recordings, seed: int = 0, drop_silence: bool = False) -> Tiles:
        """All samples of recordings in rows, as `negative_log_likelihood` scores them."""
        look_back = LOOK_BACK + receptive_field(self.density)
        hop = 1 if self.frames is None else self.frames.hop
        context = self.frames_of(recordings)
        return Tiles(recordings, ROW, look_back, ROWS_AT_A_TIME, seed, context, hop, drop_silence)

    def negative_log_likelihood(self, recordings: Recordings, seed: int = 0, drop_silence: bool = False) -> float:
        """Mean over the samples of recordings of -log p(sample | those before it), in nats: lower is better.

        Rounding noise is put back, the same for every model. For teachers, whose density takes one pass; of a student,
        see `pushforward.audio.report.compare`.

        Arguments:
            recordings: files of the model's rate.
            seed: of the noise.
            drop_silence: leave out rows of silence, default False: all is scored.
        """
        if not isinstance(self.density, AutoregressiveWaveNet):
            raise InputError("A student has no quick density: score its teacher.")
        tiles = self.tiles(recordings, seed, drop_silence)
        total = 0.0
        with torch.inference_mode():
            for x, scored, context in tiles:
                total -= float((self.density.conditionals(x, context).log_prob(x) * scored).double().sum())
        return total / tiles.samples

    def sample(
        self,
        seconds: float | None = None,
        *,
        like: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
        report: Callable[[float], None] = lambda part: None,
    ) -> np.ndarray:
        """Draw a sound.

        Arguments:
            seconds: how long; for a conditional model at most, and by default, as long as the sound it is told of.
            like: sound file whose mel frames a conditional model follows.
            seed: makes the draw repeat; default a new draw every time.
            temperature: factor on the noise, default 1, an exact draw.
            report: is told the share that is done, from 0 to 1.

        Returns:
            float32, (samples,), full scale ±1.

        Raises:
            InputError: seconds or like are missing, do not go with the model, or are of another rate.
        """
        if self.frames is None and like is not None:
            raise InputError("This model is not conditional: leave out the sound to be like.")
        if self.frames is None and seconds is None:
            raise InputError("Say how long the sound shall be (--seconds).")
        if seconds is not None and not 0 < seconds < math.inf:
            raise InputError(f"A sound lasts more than 0 seconds, not {seconds}.")
        if not 0 <= temperature < math.inf:
            raise InputError(f"The temperature must be 0 or more, not {temperature}.")
        wanted = None if seconds is None else max(1, round(seconds * self.rate))
        context = None
        if self.frames is not None:
            if like is None:
                raise InputError("This model follows the mel frames of a sound: name a sound file (--like).")
            samples = read_recordings([like], self.rate).samples[0]
            if wanted is not None and wanted > len(samples):
                raise InputError(f"{like} lasts {len(samples) / self.rate:.2f} s, less than the {seconds} s asked for.")
            wanted = len(samples) if wanted is None else wanted
            context = self.frames.of(samples[:wanted])[None]
        generator = torch.Generator().manual_seed(secrets.randbits(63) if seed is None else seed)
        shape = () if context is not None else (1,)
        chunks: list[Tensor] = []
        assert wanted is not None
        for chunk in self.density.stream(
            shape, context, length=wanted, temperature=temperature, generator=generator, chunk=CHUNK
        ):
            chunks.append(chunk[0])
            report(min(1.0, len(chunks) * CHUNK / wanted))
        return torch.cat(chunks).float().numpy()


def networks(density: AutoregressiveWaveNet | ParallelWaveNet) -> list[WaveNet]:
    """The network of a teacher, or those of a student's flows."""
    return [module for module in density.modules() if isinstance(module, WaveNet)]


def receptive_field(density: AutoregressiveWaveNet | ParallelWaveNet) -> int:
    """How many samples a sample sees: of the data for a teacher, of the noise for a student."""
    return sum(network.receptive_field for network in networks(density))
