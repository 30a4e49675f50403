"""Fit a WaveNet to recordings by maximum likelihood."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.audio.models.adaptive import fit_adaptive_scale
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.segments import Segments, Tiles, dequantized, is_silent, mel_statistics, split_files
from pushforward.audio.speech.baselines import Ladder
from pushforward.audio.speech.model import MelFrames, SpeechModel
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.training.history import History
from pushforward.training.loop import train
from pushforward.training.settings import Settings, choose_device

# Without limits a fit ends after this many steps.
DEFAULT_STEPS = 4000
EVALUATE_EVERY = 500
# Held-out seconds that decide which weights are kept; the figure at the end comes from all held-out files.
VALIDATION_SECONDS = 30
# Linear prediction needs no more, and all of it is in memory at once.
SECONDS_TO_LOOK_AT = 1200


@dataclass
class SpeechFit:
    """A fitted model of recordings, and how it compares.

    Attributes:
        model: the density.
        history: the course of the training, log-likelihoods in nats per sample.
        held_out: negative log-likelihood of the held-out files, nats per sample: lower is better.
        baselines: the same of the densities of `pushforward.audio.speech.baselines.ladder`, fitted to the same files.
    """

    model: SpeechModel
    history: History
    held_out: float
    baselines: dict[str, float]


class SequenceLikelihood(nn.Module):
    """The negative log-likelihood of each row's scored samples, in nats per sample.

    Arguments:
        density: a teacher.
        samples: how many samples of a row are scored on average.
    """

    def __init__(self, density: AutoregressiveWaveNet, samples: float) -> None:
        super().__init__()
        self.density = density
        self.samples = samples

    def forward(self, x: Tensor, scored: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the losses, (batch,), of rows x and their scored samples, (batch, time), and their context."""
        return -(self.density.conditionals(x, context).log_prob(x) * scored).sum(-1) / self.samples


class HeldOutSamples:
    """The mean log-likelihood of held-out samples in nats per sample.

    Arguments:
        density: a teacher.
        tiles: rows of held-out files.
    """

    def __init__(self, density: AutoregressiveWaveNet, tiles: Tiles) -> None:
        self.density = density
        self.tiles = tiles

    def __call__(self) -> float:
        """Return the mean.

        Raises:
            FloatingPointError: it is not finite.
        """
        device = next(self.density.parameters()).device
        total = 0.0
        for x, scored, context in self.tiles:
            on_device = [None if part is None else part.to(device) for part in (x, context)]
            log_prob = self.density.conditionals(*on_device).log_prob(on_device[0])  # type: ignore[arg-type]
            total += float((log_prob * scored.to(device)).double().sum())
        if not math.isfinite(total):
            raise FloatingPointError("held-out sounds have no finite likelihood")
        return total / self.tiles.samples


def fit_speech(
    sources: Sequence[str | os.PathLike[str]],
    *,
    mel: bool = False,
    channels: int = 16,
    layers: int = 7,
    stacks: int = 2,
    head: Literal["gaussian", "logistic_mixture"] = "gaussian",
    segment: int = 2000,
    batch_size: int = 4,
    max_time: float | None = None,
    max_steps: int | None = None,
    learning_rate: float = 4e-3,
    held_out_fraction: float = 0.1,
    drop_silence: bool = False,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
    log_path: str | Path | None = None,
    announce: Announce = silent,
) -> SpeechFit:
    """Fit p(sound), or p(sound | mel frames), to recordings: `pushforward.audio.models.adaptive_wavenet`.

    A share of the files, chosen by the seed, is held out: part of it decides which weights are kept, all of it gives
    the held-out figure. The noise of 16-bit rounding is put back, anew at every step; what is learned is a density of
    sound in full scale ±1, not a table of probabilities.

    Arguments:
        sources: mono sound files of one rate, folders of them, or patterns.
        mel: whether to condition on log-mel frames: 20 bands, a frame every 10 ms.
        channels: of the WaveNet, default 16.
        layers: in each of its stacks, default 7.
        stacks: default 2.
        head: "gaussian" (default: a student then learns by the closed form) or "logistic_mixture".
        segment: samples of a training row, default 2000.
        batch_size: rows in a step, default 4.
        max_time: most seconds of training.
        max_steps: most steps; 4000 if neither is given.
        learning_rate: peak learning rate.
        held_out_fraction: share of the files to hold out.
        drop_silence: leave out segments of silence (root mean square below three 16-bit steps) in training and in
            held-out figures; by default all of each file counts.
        seed: of the split, the weights, the segments and the noise.
        device: "auto", "cpu", "cuda" or "mps".
        progress: whether to show a progress bar; None shows one in a terminal after two seconds.
        log_path: CSV file for the course of the training.
        announce: is told what is fitted to what.

    Returns:
        The model, the history, the held-out figure and the ladder of baselines.

    Raises:
        InputError: sounds or options that cannot be used.
        TrainingError: training met too many numbers that are not finite.
    """
    limit = DEFAULT_STEPS if max_time is None and max_steps is None else max_steps
    settings = Settings(
        evaluate_every=EVALUATE_EVERY if limit is None else max(1, min(EVALUATE_EVERY, limit // 4)),
        max_steps=limit,
        max_time=max_time,
        learning_rate=learning_rate,
        average_decay=0.998,
        patience=None,
        seed=seed,
        device=device,
        progress=progress,
        log_path=log_path,
    )
    recordings = read_recordings(sources)
    training, held_out = split_files(recordings, held_out_fraction, seed)
    frames = None
    if mel:
        log_mel = LogMel(recordings.rate)
        frames = MelFrames(log_mel, *mel_statistics(log_mel, training))
    with seeded(seed):
        density = adaptive_wavenet(
            channels=channels,
            layers=layers,
            stacks=stacks,
            head=head,
            context=0 if frames is None else log_mel.bands,
            hop=None if frames is None else log_mel.hop,
            length=recordings.rate,
        )
    sounds = with_noise(training, seed)
    # Segments begin anywhere: their first sample is as loud as any.
    density.adaptive.load_state_dict(fit_adaptive_scale(sounds, from_start=False).state_dict())
    model = SpeechModel(density, recordings.rate, frames)
    hop = 1 if frames is None else frames.hop
    batches = Segments(
        training, segment, 0, batch_size, seed, model.frames_of(training), hop, drop_silence=drop_silence
    )
    validation = model.tiles(shortened(held_out, VALIDATION_SECONDS), seed, drop_silence)
    announce(
        f"{len(training)} files ({training.seconds:.0f} s) to train on, {len(held_out)} ({held_out.seconds:.0f} s) "
        f"held out, {recordings.rate} samples per second; {sum(p.numel() for p in density.parameters())} weights, "
        f"receptive field {density.network.receptive_field} samples" + (", log-mel frames" if mel else "")
    )
    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    chosen = choose_device(device)
    density.to(chosen)
    history = train(
        make_fabric(chosen, settings.precision),
        SequenceLikelihood(density, segment * batches.coverage),
        batches,
        HeldOutSamples(density, validation),
        settings,
        name_rows=batches.name_rows,
    )
    density.to("cpu")
    held_out_nats = model.negative_log_likelihood(held_out, seed, drop_silence)
    ladder = Ladder.fit(with_noise(_loud(training), seed) if drop_silence else sounds)
    baselines = ladder.score(with_noise(_loud(held_out) if drop_silence else held_out, seed))
    model.notes = {
        "mel": mel,
        "files": {"training": len(training), "held_out": len(held_out)},
        "seconds_of_sound": {"training": round(training.seconds, 3), "held_out": round(held_out.seconds, 3)},
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


def with_noise(recordings: Recordings, seed: int) -> list[np.ndarray]:
    """Recordings as sound in full scale ±1 with the noise of rounding, float64, at most twenty minutes of them."""
    generator = torch.Generator().manual_seed(seed)
    sounds = shortened(recordings, SECONDS_TO_LOOK_AT).samples
    return [dequantized(samples, generator).double().numpy() for samples in sounds]


def shortened(recordings: Recordings, seconds: float) -> Recordings:
    """Files spread evenly over recordings, so many that they last about so many seconds; at least one."""
    share = min(1.0, seconds / recordings.seconds)
    count = max(1, round(share * len(recordings)))
    return recordings.take(sorted({round(k * (len(recordings) - 1) / max(count - 1, 1)) for k in range(count)}))


def _loud(recordings: Recordings) -> Recordings:
    """The same without its silent stretches of a quarter of a second."""
    size = recordings.rate // 4
    kept: list[Any] = []
    for samples in recordings.samples:
        parts = [samples[start : start + size] for start in range(0, len(samples), size)]
        kept.append(np.concatenate([samples[:0], *(part for part in parts if not is_silent(part))]))
    return Recordings(recordings.rate, recordings.paths, [samples for samples in kept if len(samples)])
