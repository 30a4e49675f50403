"""Distill a parallel WaveNet from an autoregressive one that was fitted to recordings."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor

from pushforward.audio.models.architectures import Family, parallel_wavenet
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.recordings.checks import refuse_unusable
from pushforward.audio.recordings.files import Recordings, read_recordings
from pushforward.audio.recordings.segments import Segments, cut, volume
from pushforward.audio.speech.losses import penalties_of
from pushforward.audio.speech.model import SpeechModel
from pushforward.audio.speech.students import HARMONICS, predictive_student
from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.training.checkpoint import asked_with, line_of_checkpoint
from pushforward.training.distillation import DistillationReport, distill
from pushforward.training.settings import TrainingOptions

DEFAULT_STEPS = 2000
DEFAULTS: TrainingOptions = {"batch_size": 4, "learning_rate": 3e-3, "average_decay": 0.995}
# Segments of recordings that give the contexts, and the spectra with which draws are compared.
SEGMENTS = 2048
# Segments from which loud ones are chosen, for each of them.
CANDIDATES = 8
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
    power: float = 0.3,
    spectral: float = 0.0,
    mel: float = 0.0,
    contrastive: float = 0.0,
    harmonics: int | None = None,
    loud: bool = False,
    segment: int = 1000,
    announce: Announce = silent,
    **training: Unpack[TrainingOptions],
) -> SpeechDistillation:
    """Fit a parallel WaveNet to a teacher by KL(student || teacher), in nats, and a loss against quiet output.

    The divergence hardly penalizes a student that is too quiet: if the teacher gives silence a probability of e^-70 in
    a segment, a silent student has a divergence of 70 nats, 0.035 per sample. The power loss does penalize it.

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
        power: Weight of the power loss ("log_average"), in nats per sample; default 0.3, 0 for none.
        spectral: Weight of the loss of `MultiResolutionLoss`, in nats per sample; for conditional teachers; default 0.
        mel: Weight of the loss of `MelPenalty`, likewise; default 0.
        contrastive: γ of Parallel WaveNet, which used 0.3; for conditional teachers; default 0.
        harmonics: Of the student's voice (`HarmonicSource`), if the frames of the teacher hold the pitch; default None,
            which is 20 for such a teacher.
        loud: Whether to choose the segments of the recordings with probabilities proportional to their volume, so that
            pauses have little weight in all losses, and in the divergence that is returned; default False.
        segment: Samples of a draw; default 1000. Shorter draws make more steps in the same time.
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
    weights = {"power": power, "spectral": spectral, "mel": mel, "contrastive": contrastive}
    _check_losses(teacher, univariate, {**weights, "regularization": log_scale_regularization})
    _check_sources(teacher, sources, power)
    harmonics = _harmonics(teacher, harmonics)
    seed = training.get("seed", 0)
    segment = -(-segment // teacher.hop) * teacher.hop
    recordings = read_recordings(sources, teacher.rate) if sources else None
    if recordings is not None:
        refuse_unusable(recordings)
    data, contexts = _references(teacher, recordings, segment, seed, loud)
    penalties = penalties_of(teacher, data, contexts, power=power, spectral=spectral, mel=mel, contrastive=contrastive)
    with seeded(seed):
        student = _student(
            teacher, univariate, harmonics, flows=flows, channels=channels, layers=layers, length=segment
        )
    announce(
        f"{flows} flows of {channels} channels and {layers} layers, {sum(p.numel() for p in student.parameters())} "
        f"parameters, on segments of {segment} samples"
    )
    for line in line_of_checkpoint(training):
        announce(line)
    losses = {**weights, "log_scale_regularization": log_scale_regularization}
    sizes = {"flows": flows, "channels": channels, "layers": layers, "univariate": univariate, "harmonics": harmonics}
    options: TrainingOptions = {**DEFAULTS, **training}
    if options.get("max_time") is None and options.get("max_steps") is None:
        options["max_steps"] = DEFAULT_STEPS
    asked = {**sizes, **losses, "loud": loud, "segment": segment, **training}
    with warnings.catch_warnings(), asked_with(asked):
        # Spreads of single samples and importance weights of whole segments say little; the alarms here judge loudness.
        warnings.filterwarnings("ignore", "The student has collapsed|The importance weights", RuntimeWarning)
        report = distill(
            teacher.density,
            student,
            context=contexts,
            log_scale_regularization=log_scale_regularization,
            penalties=penalties,
            draws=DRAWS,
            reference=data,
            timing_rows=0,
            # Contexts may differ in the last digit from those before an interruption.
            digest=None if recordings is None else f"{recordings.digest}{' loud' * loud}",
            announce=announce,
            **options,
        )
    student.to("cpu")
    teacher.density.to("cpu")
    spread = _spread(student, data, contexts, seed)
    notes = {
        "teacher": teacher.notes,
        "losses": losses,
        "harmonics": 0 if student.source is None else student.source.harmonics,
        "loud": loud,
        **_measured(report),
        "spread": spread,
        "segment": segment,
        "seed": seed,
        **_course(report),
    }
    model = SpeechModel(student, teacher.rate, teacher.frames, notes)
    return SpeechDistillation(model, report, _alarms(spread, report))


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


def _check_losses(teacher: SpeechModel, univariate: Family, weights: dict[str, float]) -> None:
    """Refuse a teacher that cannot be distilled, and losses that do not suit it, before the work is done."""
    if teacher.kind == "student":
        raise InputError("This model is a student already: distill its teacher.")
    if teacher.is_parallel:
        raise InputError(
            "This model generates all samples at once and has no teacher (speech fit --parallel): distill one that was "
            "fitted without --parallel."
        )
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise InputError(f"The weight of a loss must be 0 or more and finite: --{name} is {weight:g}.")
    for name in ("contrastive", "spectral", "mel"):
        if weights[name] and teacher.frames is None:
            raise InputError(f"The {name} loss is for conditional models: this one takes no mel frames.")
    if weights["regularization"] and univariate == "spline":
        raise InputError("--regularization needs normal conditionals: leave out --spline or --regularization.")
    if weights["regularization"] and not teacher.density.normal_conditionals:
        raise InputError(
            "--regularization needs normal conditionals, and those of this teacher are mixtures (speech fit "
            "--mixture): leave out --regularization."
        )


def _check_sources(teacher: SpeechModel, sources: Sequence[str | os.PathLike[str]], power: float) -> None:
    if not sources and (teacher.frames is not None or power):
        need = "its mel frames" if teacher.frames is not None else "the power loss (--power 0 leaves it out)"
        raise InputError(f"Name the recordings that the teacher was fitted to: they are needed for {need}.")


def _harmonics(teacher: SpeechModel, harmonics: int | None) -> int:
    """Return the harmonics of the student's voice; refuse those asked for where the frames have no pitch."""
    if harmonics and (teacher.frames is None or not teacher.frames.pitch):
        raise InputError(
            "--harmonics needs a teacher with the pitch in its mel frames (speech fit --mel --pitch): leave it out."
        )
    return HARMONICS if harmonics is None else harmonics


def _student(teacher: SpeechModel, univariate: Family, harmonics: int, **sizes: Any) -> ParallelWaveNet:
    """Return a new student, with the teacher's linear prediction if it has one, and a voice if its frames have it."""
    density = teacher.density
    coefficients, ladder = density.prediction_coefficients, teacher.notes.get("ladder")
    if coefficients is None or not ladder:
        scale = float(teacher.notes.get("standard_deviation", 0.05))
        sizes |= {"context": density.context_features, "hop": density.hop}
        return parallel_wavenet(univariate=univariate, scale=scale, **sizes)
    variance = ladder["error_variance"]
    return predictive_student(
        coefficients, variance, teacher.frames, teacher.rate, harmonics, univariate=univariate, **sizes
    )


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
    if report.nonfinite:
        alarms.append(f"{report.nonfinite:.2%} of the student's draws have a density that is not finite.")
    return alarms


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
            f"No file lasts {length / recordings.rate:.2f} s, the length of a segment: choose a shorter one."
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
