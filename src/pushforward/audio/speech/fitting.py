"""Fit a WaveNet, or a parallel one, to recordings by maximum likelihood."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.audio.models.adaptive import fit_adaptive_scale
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.models.sequences import SequenceDensity
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.audio.recordings.checks import refuse_silence, refuse_unusable
from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.segments import (
    Segments,
    Tiles,
    copies_of_files,
    dequantized,
    is_silent,
    mel_statistics,
    split_files,
)
from pushforward.audio.speech.baselines import Ladder
from pushforward.audio.speech.model import MelFrames, SpeechModel
from pushforward.audio.speech.students import HARMONICS, predictive_student
from pushforward.errors import InputError
from pushforward.support.devices import choose_device
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.support.wording import counted
from pushforward.training.checkpoint import Checkpoint, asked_with, checkpoint_for, line_of_checkpoint
from pushforward.training.history import History
from pushforward.training.loop import train
from pushforward.training.settings import Settings, TrainingOptions, refuse, settings_from

# Steps of a fit without limits.
DEFAULT_STEPS = 4000
REFUSED = ("epochs", "precision")
EVALUATE_EVERY = 500
# Seconds of held-out sound that decide which weights are kept; the final figure comes from all held-out files.
VALIDATION_SECONDS = 30
# Linear prediction needs no more, and all of it is in memory at once.
SECONDS_FOR_PREDICTION = 1200
BANDS, FRAME_MS = 20, 10.0


@dataclass
class SpeechFit:
    """A fitted model of recordings, and its comparison with the baselines.

    Attributes:
        model: The model.
        history: The course of the training; log-likelihoods in nats per sample.
        held_out: Negative log-likelihood of the held-out files, in nats per sample; lower is better.
        baselines: The same for the densities of `pushforward.audio.speech.baselines.Ladder`, fitted to the same files.
    """

    model: SpeechModel
    history: History
    held_out: float
    baselines: dict[str, float]


class SequenceLikelihood(nn.Module):
    """The negative log-likelihood of each row's scored samples, in nats per sample.

    Arguments:
        density: Of sound.
        samples: The average number of scored samples per row.
    """

    def __init__(self, density: SequenceDensity, samples: float) -> None:
        super().__init__()
        self.density = density
        self.samples = samples

    def forward(self, x: Tensor, scored: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the losses, (batch,), of rows x, given which samples are scored, (batch, time), and their context."""
        return -self.density.scored_log_prob(x, scored, context) / self.samples


class HeldOutSamples:
    """The mean log-likelihood of held-out samples, in nats per sample.

    Arguments:
        density: Of sound.
        tiles: Rows of held-out files.
    """

    def __init__(self, density: SequenceDensity, tiles: Tiles) -> None:
        self.density = density
        self.tiles = tiles

    def __call__(self) -> float:
        """Return the mean.

        Raises:
            FloatingPointError: It is not finite.
        """
        device = next(self.density.parameters()).device
        total = 0.0
        for batch in self.tiles:
            x, scored, context = (None if part is None else part.to(device) for part in batch)
            assert x is not None and scored is not None
            total += float(self.density.scored_log_prob(x, scored, context).double().sum())
        if not math.isfinite(total):
            raise FloatingPointError("held-out sounds have no finite likelihood")
        return total / self.tiles.samples


def fit_speech(
    sources: Sequence[str | os.PathLike[str]],
    *,
    mel: bool = False,
    bands: int | None = None,
    frame_ms: float | None = None,
    pitch: bool = False,
    parallel: bool = False,
    channels: int = 16,
    layers: int = 7,
    stacks: int = 2,
    head: Literal["gaussian", "logistic_mixture"] = "gaussian",
    segment: int = 2000,
    held_out_fraction: float = 0.1,
    drop_silence: bool = False,
    announce: Announce = silent,
    **training: Unpack[TrainingOptions],
) -> SpeechFit:
    """Fit p(sound), or p(sound | mel frames), to recordings: `pushforward.audio.models.adaptive_wavenet`.

    With `parallel`, fit a model that generates all samples at once, `predictive_parallel_wavenet`, without a teacher.
    Its likelihood is found step by step in compiled code, and its gradient by the implicit function theorem.

    A fraction of the files, chosen by the seed, is held out: part of it decides which weights are kept, all of it gives
    the held-out figure. The noise of 16-bit rounding is restored, with new noise at every step; the model is a density
    of sound in full scale ±1, not a distribution of 16-bit values.

    Arguments:
        sources: Mono sound files of one sample rate, folders of them, or patterns.
        mel: Whether to condition on log-mel frames.
        bands: Bands of a mel frame; default None, which is 20 if there are mel frames.
        frame_ms: Milliseconds between mel frames; default None, which is 10 if there are mel frames.
        pitch: Whether frames hold the pitch and the voicing as well; default False.
        parallel: Whether to fit a parallel WaveNet; default False.
        channels: Channels of the WaveNet; default 16.
        layers: Layers of each stack; default 7.
        stacks: Stacks of layers; default 2. Of a parallel WaveNet each is a flow.
        head: "gaussian" (default; students are then distilled in closed form) or "logistic_mixture".
        segment: Samples of a training row; default 2000.
        held_out_fraction: Fraction of the files to hold out; default 0.1.
        drop_silence: Leave silent segments (root mean square below three 16-bit steps) out of training and of held-out
            figures; default False, all of each file counts.
        announce: Called with a line that says what is fitted to what.
        training: Options of the run by name: see `pushforward.training.TrainingOptions`. Here `batch_size` is 4,
            `learning_rate` 4e-3, `average_decay` 0.998, `patience` None (never stop early), and `max_steps` 4000 if
            neither it nor `max_time` is given. `epochs` and `precision` are not taken.

    Returns:
        The model, the history, the held-out figure and the baselines.

    Raises:
        InputError: The sounds cannot be used, an option is unknown or out of its range, or the checkpoint is damaged or
            of other data or options.
        TrainingError: Losses or gradients were not finite too often.
    """
    settings = _settings(training)
    bands, frame_ms = _frame_options(mel, bands, frame_ms, pitch)
    if parallel and head != "gaussian":
        raise InputError("A parallel WaveNet has no mixtures: leave out --mixture or --parallel.")
    seed = settings.seed
    recordings = read_recordings(sources)
    refuse_unusable(recordings)
    fitting, held_out = split_files(recordings, held_out_fraction, seed)
    refuse_silence(fitting, "The recordings that are not held out")
    refuse_silence(held_out, "The recordings that are held out")
    mel_frames = _mel_frames(fitting, bands, frame_ms, pitch) if mel else None
    sounds = with_noise(fitting, seed)
    ladder = Ladder.fit(with_noise(_without_silence(fitting), seed) if drop_silence else sounds)
    sizes = {"channels": channels, "layers": layers, "stacks": stacks, "head": head}
    density: AutoregressiveWaveNet | ParallelWaveNet
    with seeded(seed):
        if parallel:
            density = _parallel(fitting.rate, mel_frames, ladder, channels, layers, stacks)
        else:
            density = _autoregressive(fitting.rate, mel_frames, sounds, **sizes)
    model = SpeechModel(density, fitting.rate, mel_frames)
    choices = {"mel": mel, "bands": bands, "frame_ms": frame_ms, "pitch": pitch, "segment": segment}
    choices |= {"held_out_fraction": held_out_fraction, "drop_silence": drop_silence}
    with asked_with({**choices, "parallel": parallel, **sizes, **training}):
        origin = {"recordings": recordings.digest}
        checkpoint = checkpoint_for(density, origin, settings, choose_device(settings.device), **choices)
    if checkpoint is not None:
        # Another training is refused before anything is computed or said.
        checkpoint.read_if_wanted()
    frames = model.frames_of(fitting)
    batches = Segments(fitting, segment, 0, settings.batch_size, seed, frames, model.hop, drop_silence)
    frames_named = "" if mel_frames is None else f", {_described(mel_frames)}"
    announce(
        f"{counted(len(fitting), 'file')} ({fitting.seconds:.0f} s) to train on, {len(held_out)} "
        f"({held_out.seconds:.0f} s) "
        f"held out, {fitting.rate} samples per second; {sum(p.numel() for p in density.parameters())} parameters, "
        f"receptive field {density.receptive_field} samples{frames_named}"
    )
    for line in [*copies_of_files(recordings), *line_of_checkpoint(training)]:
        announce(line)
    validation = model.tiles(shortened(held_out, VALIDATION_SECONDS), seed, drop_silence)
    history = _maximize_likelihood(density, batches, validation, settings, checkpoint)
    held_out_nats = model.negative_log_likelihood(held_out, seed, drop_silence)
    baselines = ladder.score(with_noise(_without_silence(held_out) if drop_silence else held_out, seed))
    model.notes = {
        "mel": mel,
        "files": {"training": len(fitting), "held_out": len(held_out)},
        "seconds_of_sound": {"training": round(fitting.seconds, 3), "held_out": round(held_out.seconds, 3)},
        "held_out_files": [path.name for path in held_out.paths],
        "drop_silence": drop_silence,
        "held_out_nats_per_sample": held_out_nats,
        "baselines": baselines,
        "ladder": ladder.to_dict(),
        "standard_deviation": math.sqrt(ladder.variance),
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
    }
    return SpeechFit(model, history, held_out_nats, baselines)


def _settings(training: TrainingOptions) -> Settings:
    """Complete the options of a fit."""
    refuse("fit_speech", training, REFUSED)
    steps = training.get("max_steps")
    if steps is None and training.get("max_time") is None:
        steps = DEFAULT_STEPS
    defaults = {
        "evaluate_every": EVALUATE_EVERY if steps is None else max(1, min(EVALUATE_EVERY, steps // 4)),
        "batch_size": 4,
        "learning_rate": 4e-3,
        "average_decay": 0.998,
        "patience": None,
    }
    return settings_from({**training, "max_steps": steps}, **defaults)


def _frame_options(mel: bool, bands: int | None, frame_ms: float | None, pitch: bool) -> tuple[int, float]:
    """Return bands and milliseconds of frames; refuse options of mel frames where there are none."""
    if pitch and not mel:
        raise InputError("The pitch is a part of mel frames: a model with a pitch needs them too (--mel).")
    for name, value in (("--bands", bands), ("--frame-ms", frame_ms)):
        if value is not None and not mel:
            raise InputError(f"{name} is an option of mel frames: give --mel as well, or leave it out.")
    frame_ms = FRAME_MS if frame_ms is None else frame_ms
    if not 0 < frame_ms < math.inf:
        raise InputError(
            f"The time between mel frames must be more than 0 ms and finite, not {frame_ms:g} (--frame-ms)."
        )
    return BANDS if bands is None else bands, frame_ms


def _autoregressive(
    rate: int, frames: MelFrames | None, sounds: list[np.ndarray], **sizes: Any
) -> AutoregressiveWaveNet:
    """Return a new WaveNet with the adaptive scale of sounds."""
    context: dict[str, Any] = {} if frames is None else {"context": frames.features, "hop": frames.hop}
    density = adaptive_wavenet(length=rate, **context, **sizes)
    # Segments start anywhere in a file, so their first sample has the average power.
    density.adaptive.load_state_dict(fit_adaptive_scale(sounds, from_start=False).state_dict())
    return density


def _parallel(
    rate: int, frames: MelFrames | None, ladder: Ladder, channels: int, layers: int, stacks: int
) -> ParallelWaveNet:
    """Return a new parallel WaveNet with the linear prediction of the baselines."""
    coefficients = ladder.adaptive.coefficients.float()
    options = {"flows": stacks, "channels": channels, "layers": layers, "univariate": "relative_affine"}
    return predictive_student(coefficients, ladder.error_variance, frames, rate, HARMONICS, length=rate, **options)


def _mel_frames(recordings: Recordings, bands: int, frame_ms: float, pitch: bool) -> MelFrames:
    """Return mel frames standardized on recordings."""
    rate = recordings.rate
    longest, hop = LogMel(rate).n_fft, round(rate * frame_ms / 1000)
    if not 1 <= hop <= longest:
        raise InputError(
            f"At {rate} samples per second the time between mel frames must be from {1000 / rate:g} ms, a sample, to "
            f"{1000 * longest / rate:g} ms, a window: not {frame_ms:g} (--frame-ms)."
        )
    if bands > longest // 2 + 1:
        raise InputError(
            f"At {rate} samples per second a window has {longest // 2 + 1} frequencies, too few for {bands} bands "
            "(--bands)."
        )
    mel = LogMel(rate, bands, hop)
    return MelFrames(mel, *mel_statistics(mel, recordings), pitch)


def _described(frames: MelFrames) -> str:
    milliseconds = 1000 * frames.hop / frames.mel.rate
    return f"{frames.mel.bands} log-mel bands{' and the pitch' if frames.pitch else ''} every {milliseconds:g} ms"


def _maximize_likelihood(
    density: SequenceDensity,
    batches: Segments,
    validation: Tiles,
    settings: Settings,
    checkpoint: Checkpoint | None,
) -> History:
    """Train a density, on the device of the settings; leave it on the CPU."""
    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    device = choose_device(settings.device)
    density.to(device)
    history = train(
        make_fabric(device, settings.precision),
        SequenceLikelihood(density, batches.length * batches.coverage),
        batches,
        HeldOutSamples(density, validation),
        settings,
        name_rows=batches.name_rows,
        checkpoint=checkpoint,
        unit="nats per sample",
    )
    density.to("cpu")
    return history


def with_noise(recordings: Recordings, seed: int) -> list[np.ndarray]:
    """Return recordings as sound in full scale ±1 with the noise of rounding, in float64; at most twenty minutes."""
    generator = torch.Generator().manual_seed(seed)
    sounds = shortened(recordings, SECONDS_FOR_PREDICTION).samples
    return [dequantized(samples, generator).double().numpy() for samples in sounds]


def shortened(recordings: Recordings, seconds: float) -> Recordings:
    """Return files spread evenly over recordings that last about the given number of seconds; at least one."""
    share = min(1.0, seconds / recordings.seconds)
    count = max(1, round(share * len(recordings)))
    return recordings.take(sorted({round(k * (len(recordings) - 1) / max(count - 1, 1)) for k in range(count)}))


def _without_silence(recordings: Recordings) -> Recordings:
    """Return recordings without their silent stretches of a quarter of a second."""
    size = recordings.rate // 4
    kept: list[Any] = []
    for samples in recordings.samples:
        parts = [samples[start : start + size] for start in range(0, len(samples), size)]
        kept.append(np.concatenate([samples[:0], *(part for part in parts if not is_silent(part))]))
    return Recordings(recordings.rate, recordings.paths, [samples for samples in kept if len(samples)])
