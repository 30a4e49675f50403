"""Distill a parallel WaveNet from an autoregressive one that was fitted to recordings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from torch import Tensor

from pushforward.audio.models.architectures import Family
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.recordings.checks import refuse_unusable
from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.speech.aligned_segments import aligned_segments
from pushforward.audio.speech.checks import check_distillation
from pushforward.audio.speech.losses import penalties_of
from pushforward.audio.speech.model import SpeechModel
from pushforward.audio.speech.students import HARMONICS, student_of
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.training.checkpoint import asked_with, line_of_checkpoint
from pushforward.training.distillation import DistillationReport, distill
from pushforward.training.settings import TrainingOptions

DEFAULT_STEPS = 2000
DEFAULTS: TrainingOptions = {"batch_size": 4, "learning_rate": 3e-3, "average_decay": 0.995}
# Against quiet output: the weight of the power loss without mel frames, and of the mel loss with them.
POWER, MEL = 0.3, 3.0
# Segments of recordings that give the contexts, and the spectra with which draws are compared.
SEGMENTS = 2048
# A student is too quiet if its standard deviation is less than this fraction of the recordings'.
SMALLEST_SPREAD = 0.5
# New draws for the final divergence.
DRAWS = 256


@dataclass
class SpeechDistillation:
    """A student of a model of recordings.

    Attributes:
        model: The student.
        report: KL(student || teacher) in nats per segment and per sample, from new draws.
        alarms: Sentences that say what is wrong.
    """

    model: SpeechModel
    report: DistillationReport
    alarms: list[str]


def distill_speech(
    teacher: SpeechModel,
    sources: Sequence[str | os.PathLike[str]] = (),
    *,
    flows: int = 2,
    channels: int = 16,
    layers: int = 8,
    univariate: Family = "relative_affine",
    log_scale_regularization: float = 0.0,
    power: float | None = None,
    spectral: float = 0.0,
    mel: float | None = None,
    contrastive: float = 0.0,
    harmonics: int | None = None,
    loud: bool = False,
    segment: int | None = None,
    announce: Announce = silent,
    **training: Unpack[TrainingOptions],
) -> SpeechDistillation:
    """Fit a parallel WaveNet to a teacher by KL(student || teacher), in nats, and a loss against quiet output.

    The divergence hardly penalizes a student that is too quiet: if the teacher gives silence a probability of e^-70 in
    a segment, a silent student has a divergence of 70 nats, 0.035 per sample. The power loss and the mel loss do.

    Arguments:
        teacher: An autoregressive model.
        sources: Recordings for the contexts and for the spectra of the power loss: a conditional teacher needs them, an
            unconditional one only if `power` is not 0.
        flows: Flows of the student; default 2.
        channels: Channels of each flow; default 16.
        layers: Layers of each flow; default 8.
        univariate: "relative_affine" (default), "affine" or "spline"; followed by the linear prediction of the teacher
            if it has one (`predictive_parallel_wavenet`).
        log_scale_regularization: λ of ClariNet, which used 4; default 0.
        power: Weight of the power loss ("log_average"), in nats per sample; default None, which is 0.3 for
            unconditional teachers and 0 for conditional ones.
        spectral: Weight of the loss of `MultiResolutionLoss`, in nats per sample; for conditional teachers; default 0.
        mel: Weight of the loss of `MelPenalty`, likewise; default None, which is 3 for conditional teachers.
        contrastive: γ of Parallel WaveNet, which used 0.3; for conditional teachers; default 0.
        harmonics: Of the student's voice (`HarmonicSource`), if the frames of the teacher hold the pitch; default None,
            which is 20 for such a teacher.
        loud: Whether to choose the segments of the recordings with probabilities proportional to their volume, so that
            pauses have little weight in all losses, and in the divergence that is returned; default False.
        segment: Samples of a draw; default those of an eighth of a second. Shorter draws make more steps in the same
            time.
        announce: Called with lines that say what is trained, and which estimator is used.
        training: Options of the run by name, as for `pushforward.distill`. Here `batch_size` is 4, `learning_rate`
            3e-3, `average_decay` 0.995, and `max_steps` 2000 if neither it nor `max_time` is given; the values in the
            log are minus the loss, in nats per segment.

    Returns:
        The student and the report of its divergence.

    Raises:
        InputError: The teacher is parallel, recordings are missing or do not fit, an option is unknown or out of
            its range, or the checkpoint is damaged or of another distillation.
        TrainingError: Losses or gradients were not finite too often.
    """
    default = {"power": POWER, "mel": 0.0} if teacher.frames is None else {"power": 0.0, "mel": MEL}
    weights = {
        "power": default["power"] if power is None else power,
        "spectral": spectral,
        "mel": default["mel"] if mel is None else mel,
        "contrastive": contrastive,
    }
    regularized = {**weights, "regularization": log_scale_regularization}
    check_distillation(teacher, sources, univariate, regularized, harmonics)
    harmonics = HARMONICS if harmonics is None else harmonics
    seed = training.get("seed", 0)
    segment = -(-(teacher.rate // 8 if segment is None else segment) // teacher.hop) * teacher.hop
    recordings = read_recordings(sources, teacher.rate) if sources else None
    if recordings is not None:
        refuse_unusable(recordings)
    data, contexts = _references(teacher, recordings, segment, seed, loud)
    penalties = penalties_of(teacher, data, contexts, **weights)
    sizes = {"flows": flows, "channels": channels, "layers": layers}
    with seeded(seed):
        student = student_of(teacher, univariate, harmonics, length=segment, **sizes)
    announce(
        f"{flows} flows of {channels} channels and {layers} layers, {sum(p.numel() for p in student.parameters())} "
        f"parameters, on segments of {segment} samples"
    )
    for line in line_of_checkpoint(training):
        announce(line)
    losses = {**weights, "log_scale_regularization": log_scale_regularization}
    asked = {**sizes, "univariate": univariate, "harmonics": harmonics, **losses, "loud": loud, "segment": segment}
    with asked_with({**asked, **training}):
        report = _distilled(
            teacher,
            student,
            context=contexts,
            log_scale_regularization=log_scale_regularization,
            penalties=penalties,
            reference=data,
            # Contexts may differ in the last digit from those before an interruption.
            digest=None if recordings is None else f"{recordings.digest}{' loud' * loud}",
            announce=announce,
            **_limited(training),
        )
    spread = _spread(student, data, contexts, seed)
    voiced = 0 if student.source is None else student.source.harmonics
    notes = {"teacher": teacher.notes, "losses": losses, "harmonics": voiced, "loud": loud, **_measured(report)}
    notes |= {"spread": spread, "segment": segment, "seed": seed, **_course(report)}
    model = SpeechModel(student, teacher.rate, teacher.frames, notes)
    return SpeechDistillation(model, report, _alarms(spread, report))


def _limited(training: TrainingOptions) -> TrainingOptions:
    """Complete the options of a run, which ends after a number of steps if it has no other limit."""
    options: TrainingOptions = {**DEFAULTS, **training}
    if options.get("max_time") is None and options.get("max_steps") is None:
        options["max_steps"] = DEFAULT_STEPS
    return options


def _distilled(teacher: SpeechModel, student: ParallelWaveNet, **options: Any) -> DistillationReport:
    """Distill, on the device of the options; leave both on the CPU."""
    with warnings.catch_warnings():
        # Spreads of single samples and importance weights of whole segments say little; the alarms here judge loudness.
        warnings.filterwarnings("ignore", "The student has collapsed|The importance weights", RuntimeWarning)
        report = distill(teacher.density, student, draws=DRAWS, timing_rows=0, **options)
    student.to("cpu")
    teacher.density.to("cpu")
    return report


def _references(
    teacher: SpeechModel, recordings: Recordings | None, segment: int, seed: int, loud: bool
) -> tuple[Tensor, Tensor | None]:
    """Segments to compare draws with, and their contexts: of recordings, or draws of the teacher without any."""
    if recordings is not None:
        return aligned_segments(teacher, recordings, segment, SEGMENTS, seed, loud)
    with seeded(seed):
        return teacher.density.sample((DRAWS,), length=segment), None


def _measured(report: DistillationReport) -> dict[str, Any]:
    """What the notes of a student say about its divergence."""
    return {
        "estimator": report.estimator,
        "kl_nats_per_sample": report.kl_per_dimension,
        "kl_nats_per_segment": report.kl,
        "kl_error": report.kl_error,
    }


def _course(report: DistillationReport) -> dict[str, Any]:
    """What they say about the training."""
    if report.history is None:
        return {}
    history = report.history
    return {"steps": history.steps, "seconds": round(history.total_seconds, 3), "stopped": history.stopped}


def _spread(student: ParallelWaveNet, data: Tensor, contexts: Tensor | None, seed: int) -> float:
    """Return the standard deviation of the student's draws over that of data."""
    with seeded(seed):
        draws = student.sample((DRAWS,)) if contexts is None else student.sample((), contexts[:DRAWS])
    return float(draws.std() / data.std())


def _alarms(spread: float, report: DistillationReport) -> list[str]:
    alarms = []
    if spread < SMALLEST_SPREAD:
        alarms.append(
            f"the student is too quiet: the standard deviation of its draws is {spread:.2f} of what it should be, "
            "which the divergence hardly penalizes. Give the power loss more weight, or the fit more time."
        )
    return [*alarms, *report.missing_densities]
