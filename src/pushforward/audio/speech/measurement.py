"""Measure models of recordings: likelihood, divergence, loudness, spectra, speed and exactness."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward.audio.evaluation.copies import Copies, System, baseline_vocoders, copy_recordings
from pushforward.audio.recordings.checks import refuse_silence
from pushforward.audio.recordings.files import Recordings
from pushforward.audio.recordings.spectral import log_spectral_distance, multi_resolution_distance
from pushforward.audio.speech.aligned_segments import aligned_segments
from pushforward.audio.speech.baselines import Ladder
from pushforward.audio.speech.distillation import SMALLEST_SPREAD
from pushforward.audio.speech.fitting import with_noise
from pushforward.audio.speech.model import SpeechModel, check_duration
from pushforward.errors import InputError
from pushforward.support.seeding import seeded

TIMING_REPEATS = 5
# Samples of a segment, at least.
FEWEST_SAMPLES = 256
# The largest difference between the noise of a draw and the noise recovered from it, in float64.
LARGEST_INEXACTNESS = 1e-10


@dataclass
class SpeechFigures:
    """The figures of one model; None where a figure does not apply.

    Attributes:
        name: Name of the model, from its file.
        kind: "teacher", "student" or "parallel", as `SpeechModel.kind`.
        conditional: Whether it takes mel frames.
        parameters: Number of parameters.
        nll: Negative log-likelihood of all samples of the recordings, in nats per sample.
        segment_nll: The same for some segments, scored from their first sample. A parallel model is scored through its
            slow inverse; it can be compared with its teacher here.
        reference: Of a parallel model the name of the WaveNet with which it is compared: its teacher if that is among
            the models, otherwise the first that takes the same context.
        kl: KL(model || reference) in nats per sample, from new draws.
        kl_error: Its standard error.
        kl_of_segment: The same in nats for a segment of `segment` samples.
        segment: Samples of these draws.
        standard_deviation: Standard deviation of draws.
        spread: Standard deviation of draws over that of the segments.
        spread_of_reference: Standard deviation of draws over that of the reference's draws.
        log_spectral_distance: Distance of draws from the segments, in decibels.
        spectral_convergence: Distance of draws from the segments with the same mel frames, over several windows; 0 is
            perfect.
        real_time_factor: Seconds of sound generated in a second, one sound at a time.
        naive_real_time_factor: The same if the whole receptive field were computed again for each sample.
        inexactness: Largest difference between the noise of a draw and the noise recovered from it, in float64.
        alarms: Sentences that say what is wrong.
    """

    name: str
    kind: str
    conditional: bool
    parameters: int
    nll: float | None = None
    segment_nll: float | None = None
    reference: str | None = None
    kl: float | None = None
    kl_error: float | None = None
    kl_of_segment: float | None = None
    segment: int | None = None
    standard_deviation: float | None = None
    spread: float | None = None
    spread_of_reference: float | None = None
    log_spectral_distance: float | None = None
    spectral_convergence: float | None = None
    real_time_factor: float | None = None
    naive_real_time_factor: float | None = None
    inexactness: float | None = None
    alarms: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the main figures in one line."""
        parts = []
        if self.nll is not None:
            parts.append(f"negative log-likelihood {self.nll:.3f} nats per sample")
        if self.kl is not None and self.kl_of_segment is not None:
            parts.append(
                f"KL to {self.reference} {self.kl:.4f} nats per sample ({self.kl_of_segment:.1f} in {self.segment} "
                "samples)"
            )
        if self.spread is not None:
            parts.append(f"volume {self.spread:.2f} of the recordings'")
        if self.real_time_factor is not None:
            parts.append(f"{self.real_time_factor:.3g} times real time")
        return ", ".join(parts)


@dataclass
class SpeechReport:
    """Figures of several models on the same recordings.

    Attributes:
        rate: Samples per second.
        seconds: Total duration of the recordings.
        files: Number of files.
        threads: Number of threads.
        baselines: Negative log-likelihoods of the recordings under the baselines of a teacher's training files.
        models: The figures of each model.
        data: Segments of the recordings, (rows, samples).
        draws: Draws of each model, (rows, samples), with the mel frames of these segments if it takes any.
        copies: Copies of some recordings by the conditional models and by two vocoders, if they are wanted.
    """

    rate: int
    seconds: float
    files: int
    threads: int
    baselines: dict[str, float]
    models: list[SpeechFigures]
    data: Tensor
    draws: list[Tensor]
    copies: Copies | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain numbers, for JSON, without the sounds."""
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            "files": self.files,
            "threads": self.threads,
            "baselines": self.baselines,
            "models": [asdict(figures) for figures in self.models],
            "copies": None if self.copies is None else self.copies.to_dict(),
        }


def measure(
    models: Sequence[SpeechModel],
    names: Sequence[str],
    recordings: Recordings,
    *,
    rows: int = 16,
    seconds: float = 1.0,
    segment: int = 2000,
    copies: int = 0,
    seed: int = 0,
    report: Callable[[float], None] = lambda fraction: None,
) -> SpeechReport:
    """Measure models on recordings that none of them was fitted to.

    A parallel model is compared with its teacher, or with the first WaveNet of the same context if that is not there.

    Arguments:
        models: Of one sample rate, in any order.
        names: Their names, each another one.
        recordings: Sound files of that sample rate.
        rows: The number of draws of each model, and of segments of the recordings.
        seconds: Duration of each of them; less if no file is as long.
        segment: Samples of the segments whose likelihoods are compared, and of the draws for the divergence.
        copies: The number of recordings, spread evenly over them, that the conditional models and two vocoders without
            learning copy from their mel frames (`pushforward.audio.evaluation.copies`); default 0.
        seed: Seed of draws and noise.
        report: Called with the fraction that is done, from 0 to 1.

    Returns:
        All figures, and the sounds from which they were computed.

    Raises:
        InputError: There is no model, two have one name, models or recordings have different sample rates, there is no
            sound in them, or the draws are too short.
    """
    lengths = _lengths(models, names, recordings, seconds, segment)
    measured: list[_Measured] = []
    share = 0.7 if copies and any(model.frames is not None for model in models) else 0.0
    data = aligned_segments(models[0], recordings, lengths.draw, rows, seed)[0]
    for number, (model, name) in enumerate(zip(models, names, strict=True)):

        def done(fraction: float, number: int = number) -> None:
            report((1 - share) * (number + fraction) / len(models))

        measured.append(_measure_one(model, name, recordings, lengths, rows, seed, done))
    for one in measured:
        if (reference := _reference(one, measured)) is not None:
            _compare(one, reference, lengths, seed)
        one.figures.alarms = alarms_of(one.figures)
    ladder = next((m.notes["ladder"] for m in models if "ladder" in m.notes), None)
    baselines = {} if ladder is None else Ladder.from_dict(ladder).score(with_noise(recordings, seed))
    return SpeechReport(
        recordings.rate,
        recordings.seconds,
        len(recordings),
        torch.get_num_threads(),
        baselines,
        [one.figures for one in measured],
        data,
        [one.draws for one in measured],
        copied(models, names, recordings, copies, seed, lambda fraction: report(1 - share + share * fraction))
        if share
        else None,
    )


def copied(
    models: Sequence[SpeechModel],
    names: Sequence[str],
    recordings: Recordings,
    count: int,
    seed: int = 0,
    report: Callable[[float], None] = lambda fraction: None,
) -> Copies:
    """Copy recordings by the conditional models, and by vocoders from the mel frames of the first of them.

    Arguments:
        models: At least one of them with mel frames.
        names: Their names.
        recordings: That none was fitted to.
        count: The number of recordings, spread evenly over them.
        seed: Seed of the copies.
        report: Called with the fraction that is done, from 0 to 1.
    """
    conditional = [(name, model) for name, model in zip(names, models, strict=True) if model.frames is not None]
    systems: dict[str, System] = {name: partial(model.copy, seed=seed) for name, model in conditional}
    if conditional and conditional[0][1].frames is not None:
        systems |= baseline_vocoders(conditional[0][1].frames.mel, seed)
    places = np.linspace(0, len(recordings) - 1, min(count, len(recordings))).round().astype(int)
    return copy_recordings(systems, recordings.take(sorted(set(places.tolist()))), report=report)


class _Lengths(NamedTuple):
    """Samples of a draw, of a segment whose likelihood is computed, and of a frame of the conditional models."""

    draw: int
    segment: int
    hop: int


def _lengths(
    models: Sequence[SpeechModel], names: Sequence[str], recordings: Recordings, seconds: float, segment: int
) -> _Lengths:
    """Check that models and recordings belong together, and choose lengths of whole frames."""
    if not models:
        raise InputError("Name at least one model.")
    check_duration(seconds)
    if twice := [name for name in names if list(names).count(name) > 1]:
        raise InputError(f"{twice[0]} is named twice: name each model of a report once.")
    for model, name in zip(models, names, strict=True):
        if model.rate != recordings.rate:
            raise InputError(f"{name} has {model.rate} samples per second, but the recordings have {recordings.rate}.")
    refuse_silence(recordings)
    hops = {name: model.hop for model, name in zip(models, names, strict=True) if model.frames is not None}
    hop = max(hops.values(), default=1)
    for name, other in hops.items():
        if other != hop:
            longer = next(known for known, frame in hops.items() if frame == hop)
            raise InputError(
                f"{name} has mel frames of {1000 * other / recordings.rate:g} ms, {longer} of "
                f"{1000 * hop / recordings.rate:g} ms: write a report of each."
            )
    longest, asked = max(map(len, recordings.samples)), round(seconds * recordings.rate)
    draw = min(asked, longest) // hop * hop
    short = min(segment, draw) // hop * hop
    if short < FEWEST_SAMPLES:
        least = -(-FEWEST_SAMPLES // hop) * hop
        few = "The longest recording has" if longest < asked else f"{seconds:g} seconds (--seconds) are"
        raise InputError(f"{few} {min(asked, longest)} samples: a comparison needs at least {least}.")
    return _Lengths(draw, short, hop)


class _Measured(NamedTuple):
    """A model with its figures, its draws, and the context of short segments."""

    model: SpeechModel
    figures: SpeechFigures
    draws: Tensor
    context: Tensor | None


def _measure_one(
    model: SpeechModel,
    name: str,
    recordings: Recordings,
    lengths: _Lengths,
    rows: int,
    seed: int,
    done: Callable[[float], None],
) -> _Measured:
    """Return the figures and the draws of one model, without a comparison with another one."""
    parameters = sum(p.numel() for p in model.density.parameters())
    figures = SpeechFigures(name, model.kind, model.frames is not None, parameters)
    # The same seed gives the same segments to every model, whatever its context.
    sounds, context = aligned_segments(model, recordings, lengths.draw, rows, seed)
    with seeded(seed):
        drawn = model.density.sample((rows,) if context is None else (), context, length=lengths.draw)
    done(0.3)
    figures.standard_deviation = float(drawn.std())
    figures.spread = figures.standard_deviation / float(sounds.std())
    figures.log_spectral_distance = log_spectral_distance(drawn, sounds)
    if context is not None:
        figures.spectral_convergence = multi_resolution_distance(drawn, sounds)[0]
    figures.nll = model.negative_log_likelihood(recordings, seed)
    done(0.6)
    short_context = None if context is None else context[:, : lengths.segment // lengths.hop]
    with torch.inference_mode():
        log_prob = model.density.log_prob(sounds[:, : lengths.segment], short_context)
    figures.segment_nll = -float(log_prob.double().mean()) / lengths.segment
    done(0.8)
    _time(figures, model, lengths.draw, context)
    figures.inexactness = inexactness(model, None if context is None else context[:1])
    done(1.0)
    return _Measured(model, figures, drawn, short_context)


def inexactness(model: SpeechModel, context: Tensor | None = None, samples: int = 400) -> float:
    """Return the largest difference, in float64, between the noise of a draw and the noise recovered from the draw.

    A teacher's draw is made step by step and scored in one pass, a student's is made in one pass and inverted step by
    step: see `round_trip_error` of the models.

    Arguments:
        model: Teacher or student.
        context: The context of one row, (1, frames, bands), or None.
        samples: Samples of the draw; default 400.
    """
    density = copy.deepcopy(model.density).double()
    if context is not None:
        context = context.double()
        samples = min(samples, context.shape[1] * model.hop)
    with seeded(0):
        return density.round_trip_error(samples, context)


def _reference(one: _Measured, measured: Sequence[_Measured]) -> _Measured | None:
    """Return the WaveNet with which a parallel model is compared; None for other models, or if there is none."""
    if not one.model.is_parallel:
        return None
    features = one.model.density.context_features
    wavenets = [
        other for other in measured if not other.model.is_parallel and other.model.density.context_features == features
    ]
    teachers = [
        other for other in wavenets if other.model.notes and other.model.notes == one.model.notes.get("teacher")
    ]
    return next(iter([*teachers, *wavenets]), None)


@torch.no_grad()
def _compare(one: _Measured, reference: _Measured, lengths: _Lengths, seed: int) -> None:
    """Estimate KL(model || reference) from 64 new draws, each with the frames of the same segments."""
    log_weights, figures, segment = [], one.figures, lengths.segment
    with seeded(seed + 1):
        for _ in range(8):
            chosen = None if one.context is None else torch.randint(len(one.context), (8,))
            rows, others = (
                None if chosen is None or context is None else context[chosen]
                for context in (one.context, reference.context)
            )
            density: Any = one.model.density
            x, log_q = density.rsample_with_log_prob((8,) if rows is None else (), rows, length=segment)
            log_weights.append((log_q - reference.model.density.log_prob(x, others)).double())
    divergence = torch.cat(log_weights)
    figures.reference = reference.figures.name
    figures.segment = segment
    figures.kl_of_segment = float(divergence.mean())
    figures.kl = figures.kl_of_segment / segment
    figures.kl_error = float(divergence.std()) / math.sqrt(len(divergence)) / segment
    figures.spread_of_reference = float(one.draws.std()) / float(reference.draws.std())


@torch.no_grad()
def _time(figures: SpeechFigures, model: SpeechModel, length: int, context: Tensor | None) -> None:
    """Measure real-time factors, one sound at a time: the least of several measurements."""
    one = None if context is None else context[:1]
    shape = (1,) if one is None else ()
    # Every step costs the same: a tenth of a second is enough.
    size = length if model.is_parallel else min(length, model.rate // 10)
    if one is not None and not model.is_parallel:
        one = one[:, : -(-size // model.hop)]
    seconds = _least_seconds(lambda: model.density.sample(shape, one, length=size))
    figures.real_time_factor = size / model.rate / seconds
    if not model.is_parallel:
        window = torch.zeros(1, model.density.receptive_field)
        frames = None
        if context is not None:
            frames = context[:1, :1].expand(-1, -(-window.shape[1] // model.hop), -1)
        seconds = _least_seconds(lambda: model.density.log_prob(window, frames))
        figures.naive_real_time_factor = 1 / model.rate / seconds


def _least_seconds(function: Callable[[], Any]) -> float:
    function()
    least = math.inf
    for _ in range(TIMING_REPEATS):
        started = time.perf_counter()
        function()
        least = min(least, time.perf_counter() - started)
    return least


def alarms_of(figures: SpeechFigures) -> list[str]:
    """Return sentences about a model that is too quiet, or whose draws do not have the density that it states."""
    alarms = []
    remedy = "distill with a power loss, or give it more weight" if figures.kind == "student" else "fit it longer"
    ratios = ((figures.spread, "the recordings"), (figures.spread_of_reference, f"the draws of {figures.reference}"))
    for ratio, whose in ratios:
        if ratio is not None and ratio < SMALLEST_SPREAD:
            alarms.append(
                f"{figures.name} is too quiet: the standard deviation of its draws is {ratio:.2f} of that of {whose}. "
                f"The divergence hardly shows this: {remedy}."
            )
    if figures.inexactness is not None and not figures.inexactness < LARGEST_INEXACTNESS:
        alarms.append(
            f"{figures.name} is not exact: noise is recovered with an error of {figures.inexactness:.1e} in float64."
        )
    return alarms
