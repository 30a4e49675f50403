"""Teach a parallel WaveNet what an autoregressive one has learned of recordings."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.audio.models.adaptive_wavenet import AdaptiveWaveNet
from pushforward.audio.models.architectures import Family, parallel_wavenet
from pushforward.audio.models.predictive_student import predictive_parallel_wavenet
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.recordings.segments import Segments, cut
from pushforward.audio.recordings.spectral import PowerLoss
from pushforward.audio.speech.model import SpeechModel
from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.training.distillation import DistillationReport, distill
from pushforward.training.distillation.divergence import Draw

DEFAULT_STEPS = 2000
# Segments of recordings from which contexts are drawn and with whose spectra draws are compared.
SEGMENTS = 2048
# A student whose standard deviation is less than this share of the recordings' has gone quiet.
SMALLEST_SPREAD = 0.5
# Fresh draws for the divergence at the end.
DRAWS = 256


@dataclass
class SpeechDistillation:
    """A student of a model of recordings.

    Attributes:
        model: the student.
        report: KL(student || teacher) in nats for a segment, and per sample, from fresh draws.
        alarms: sentences about what is wrong.
    """

    model: SpeechModel
    report: DistillationReport
    alarms: list[str]


class PowerPenalty:
    """A power loss between a step's draws and segments of recordings: those of the same context, or any.

    Arguments:
        loss: `PowerLoss`, paired for conditional models.
        data: segments, (N, T), in the order of the contexts given to `distill`.
    """

    def __init__(self, loss: PowerLoss, data: Tensor) -> None:
        self.loss = loss
        self.data = data

    def __call__(self, draw: Draw) -> Tensor:
        """Return the loss of each draw, (rows,)."""
        rows = torch.randint(len(self.data), (len(draw.x),)) if draw.rows is None else draw.rows
        return self.loss(draw.x, self.data[rows.to(self.data.device)].to(draw.x))


class ContrastivePenalty:
    """- log q(x | c) + log p_T(x | c'), c' the context of another draw: with the divergence, Parallel WaveNet's loss.

        KL(q(x | c) || p_T(x | c)) - gamma KL(q(x | c) || p_T(x | c'))

    is the divergence with this penalty of weight gamma. A student that hears its context makes what is unlikely under
    another; one that ignores it gains nothing by the second term.

    Arguments:
        teacher: has `log_prob(x, context)`.

    Source: van den Oord et al., 2017, arXiv:1711.10433.
    """

    def __init__(self, teacher: Any) -> None:
        self.teacher = teacher

    def __call__(self, draw: Draw) -> Tensor:
        """Return the penalty of each draw, (rows,)."""
        if draw.context is None or len(draw.x) < 2:
            raise InputError("The contrastive loss needs a conditional model and at least two draws in a step.")
        other = self.teacher.log_prob(draw.x, draw.context.roll(1, 0))
        own = 0.0 if draw.student is None else draw.student.log_prob(draw.x).sum(-1)
        return other - own


def distill_speech(
    teacher: SpeechModel,
    sources: Sequence[str | os.PathLike[str]] = (),
    *,
    flows: int = 2,
    channels: int = 16,
    layers: int = 8,
    univariate: Family = "relative_affine",
    log_scale_regularization: float = 0.0,
    power: float = 0.3,
    contrastive: float = 0.0,
    segment: int = 1000,
    batch_size: int = 4,
    max_time: float | None = None,
    max_steps: int | None = None,
    learning_rate: float = 1e-2,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
    log_path: str | Path | None = None,
    announce: Announce = silent,
) -> SpeechDistillation:
    """Fit a parallel WaveNet to a teacher by KL(student || teacher), in nats, and losses against quiet output.

    The divergence hardly minds a student that is too quiet: a teacher that gives silence a chance of e^-70 in a segment
    lets a silent student get away with 70 nats, 0.035 a sample. The power loss does mind.

    Arguments:
        teacher: an autoregressive model.
        sources: recordings that contexts come from and whose spectra the power loss wants: a conditional teacher cannot
            do without; another one can if `power` is 0.
        flows: of the student, default 2.
        channels: of each, default 16.
        layers: of each, default 8.
        univariate: "relative_affine" (default), "affine" or "spline"; behind the linear prediction of the teacher, if
            it has one (`predictive_parallel_wavenet`).
        log_scale_regularization: λ of ClariNet, which used 4; default 0.
        power: weight of the power loss ("log_average") in nats per sample, default 0.3; 0 leaves it out.
        contrastive: γ of Parallel WaveNet, which used 0.3; for conditional teachers; default 0.
        segment: samples of a draw, default 1000: shorter ones make more steps in a minute.
        batch_size: draws in a step.
        max_time: most seconds of the fit.
        max_steps: most steps; 2000 if neither is given.
        learning_rate: peak learning rate, default 1e-2.
        seed: of weights, contexts and draws.
        device: "auto", "cpu", "cuda" or "mps".
        progress: whether to show a progress bar; None shows one in a terminal after two seconds.
        log_path: CSV file for the course of the run, its values minus the loss in nats for a segment.
        announce: is told what is done.

    Returns:
        The student and the report of its divergence.

    Raises:
        InputError: the teacher is a student, recordings are missing or do not fit, or an option is out of range.
        TrainingError: losses were not finite too often.
    """
    if teacher.is_student:
        raise InputError("This model is a student already: distil its teacher.")
    if min(log_scale_regularization, power, contrastive) < 0:
        raise InputError("The weights of losses must be 0 or more.")
    if contrastive and teacher.frames is None:
        raise InputError("The contrastive loss is for conditional models: this one takes no mel frames.")
    if not sources and (teacher.frames is not None or power):
        need = "its mel frames" if teacher.frames is not None else "the power loss (--power 0 leaves it out)"
        raise InputError(f"Name the recordings that the teacher was fitted to: {need} cannot be had without.")
    hop = 1 if teacher.frames is None else teacher.frames.hop
    segment = -(-segment // hop) * hop
    contexts = None
    if sources:
        recordings = read_recordings(sources, teacher.rate)
        data, contexts = aligned_segments(teacher, recordings, segment, SEGMENTS, seed)
    else:
        with seeded(seed):
            data = teacher.density.sample((DRAWS,), length=segment)
    penalties: list[tuple[float, Any]] = []
    if power:
        penalties.append((power * segment, PowerPenalty(PowerLoss(paired=contexts is not None), data)))
    if contrastive:
        penalties.append((contrastive, ContrastivePenalty(teacher.density)))
    with seeded(seed):
        student = _student(teacher, univariate, flows=flows, channels=channels, layers=layers, length=segment)
    announce(
        f"{flows} flows of {channels} channels and {layers} layers, {sum(p.numel() for p in student.parameters())} "
        f"weights, on segments of {segment} samples"
    )
    with warnings.catch_warnings():
        # Of a sequence, samples one by one and weights of whole segments say little; the alarms here judge the volume.
        warnings.filterwarnings("ignore", "The student has collapsed|The importance weights", RuntimeWarning)
        report = distill(
            teacher.density,
            student,
            context=contexts,
            log_scale_regularization=log_scale_regularization,
            penalties=penalties,
            batch_size=batch_size,
            max_steps=DEFAULT_STEPS if max_time is None and max_steps is None else max_steps,
            max_time=max_time,
            learning_rate=learning_rate,
            average_decay=0.995,
            draws=DRAWS,
            reference=data,
            timing_rows=0,
            seed=seed,
            device=device,
            progress=progress,
            log_path=log_path,
            announce=announce,
        )
    student.to("cpu")
    teacher.density.to("cpu")
    with seeded(seed):
        some = None if contexts is None else contexts[:DRAWS]
        spread = float(student.sample((DRAWS,) if some is None else (), some).std() / data.std())
    notes = {
        "teacher": teacher.notes,
        "losses": {"log_scale_regularization": log_scale_regularization, "power": power, "contrastive": contrastive},
        "estimator": report.estimator,
        "kl_nats_per_sample": report.kl_per_dimension,
        "kl_nats_per_segment": report.kl,
        "kl_error": report.kl_error,
        "spread": spread,
        "segment": segment,
        "seed": seed,
    }
    if report.history is not None:
        notes |= {"steps": report.history.steps, "seconds": round(report.history.total_seconds, 3)}
    return SpeechDistillation(
        SpeechModel(student, teacher.rate, teacher.frames, notes), report, _alarms(spread, report)
    )


def _student(teacher: SpeechModel, univariate: Family, **sizes: Any) -> ParallelWaveNet:
    """A fresh student: behind the teacher's linear prediction if there is one."""
    density = teacher.density
    sizes |= {"context": density.context_features, "hop": None if teacher.frames is None else teacher.frames.hop}
    ladder = teacher.notes.get("ladder")
    if isinstance(density, AdaptiveWaveNet) and density.adaptive.order and ladder:
        student = predictive_parallel_wavenet(
            order=density.adaptive.order, univariate=univariate, scale=math.sqrt(ladder["error_variance"]), **sizes
        )
        student.coefficients.copy_(density.adaptive.coefficients)
        return student
    scale = float(teacher.notes.get("standard_deviation", 0.05))
    return parallel_wavenet(univariate=univariate, scale=scale, **sizes)


def _alarms(spread: float, report: DistillationReport) -> list[str]:
    alarms = []
    if spread < SMALLEST_SPREAD:
        alarms.append(
            f"the student is too quiet: the standard deviation of its draws is {spread:.2f} of what it should be, "
            "which the divergence hardly minds. Give the power loss a greater weight, or more time."
        )
    if report.nonfinite:
        alarms.append(f"{report.nonfinite:.2%} of the student's draws have a density that is not finite.")
    return alarms


def aligned_segments(
    model: SpeechModel, recordings: Recordings, length: int, count: int, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Random stretches of recordings with their contexts, each from a whole frame on and inside its file.

    Arguments:
        model: whose context to take, if it has any.
        recordings: files, of which those that are long enough are used.
        length: samples of a stretch, whole frames.
        count: how many.
        seed: of the draw and of the noise of rounding.

    Returns:
        Sound, (count, length), and context, (count, frames, bands) or None.

    Raises:
        InputError: no file is long enough.
    """
    long_enough = [i for i, samples in enumerate(recordings.samples) if len(samples) >= length]
    if not long_enough:
        raise InputError(
            f"No file lasts {length / recordings.rate:.2f} s, the length of a segment: choose a shorter one."
        )
    kept = recordings.take(long_enough)
    hop = 1 if model.frames is None else model.frames.hop
    rows = Segments(kept, length, 0, 1, seed, model.frames_of(kept), hop)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.tensor([(len(samples) - length) // hop + 1 for samples in kept.samples])
    ends = starts.cumsum(0)
    places = torch.randint(int(ends[-1]), (count,), generator=generator)
    files = torch.searchsorted(ends, places, right=True)
    firsts = (places - ends[files] + starts[files]) * hop
    x, _, context = cut(rows, list(zip(files.tolist(), firsts.tolist(), strict=True)), generator)
    frames = length // hop
    return x[:, :length].contiguous(), None if context is None else context[:, :frames].contiguous()
