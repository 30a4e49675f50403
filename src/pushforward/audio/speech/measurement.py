"""How good models of recordings are: likelihood, divergence, volume, spectra, speed, exactness."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.audio.models.adaptive_wavenet import AdaptiveWaveNet
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.audio.recordings.files import Recordings
from pushforward.audio.recordings.spectral import log_spectral_distance, multi_resolution_distance
from pushforward.audio.speech.baselines import Ladder
from pushforward.audio.speech.distillation import SMALLEST_SPREAD, aligned_segments
from pushforward.audio.speech.fitting import with_noise
from pushforward.audio.speech.model import SpeechModel, receptive_field
from pushforward.errors import InputError
from pushforward.support.seeding import seeded

TIMING_REPEATS = 5
# How far a sound made step by step may lie, in units of its noise, from the same one scored at once.
LARGEST_INEXACTNESS = 1e-9


@dataclass
class SpeechFigures:
    """What was measured of one model; None where it does not apply or was not asked for.

    Attributes:
        name: of the model, its file.
        kind: "teacher" or "student".
        conditional: whether it is told mel frames.
        weights: how many.
        nll: negative log-likelihood of the recordings, all samples, nats per sample; of teachers.
        segment_nll: the same of some segments, scored from their first sample, of teachers and, by their slow inverse,
            of students: these may be compared.
        kl: KL(student || teacher) in nats per sample, from fresh draws.
        kl_error: its standard error.
        kl_of_segment: the same in nats for a segment of `segment` samples.
        segment: how many samples those draws have.
        standard_deviation: of draws.
        spread: that over the standard deviation of the segments.
        spread_of_teacher: that over the standard deviation of its teacher's draws.
        log_spectral_distance: of draws from the segments, in decibels.
        spectral_convergence: of draws from the segments of the same mel frames, over several windows; 0 is perfect.
        real_time_factor: seconds of sound made in a second, one sound at a time.
        naive_real_time_factor: the same if the whole receptive field were computed anew for each sample.
        inexactness: largest difference between noise and what scoring makes of the sound made from it, float64.
        alarms: sentences about what is wrong.
    """

    name: str
    kind: str
    conditional: bool
    weights: int
    nll: float | None = None
    segment_nll: float | None = None
    kl: float | None = None
    kl_error: float | None = None
    kl_of_segment: float | None = None
    segment: int | None = None
    standard_deviation: float | None = None
    spread: float | None = None
    spread_of_teacher: float | None = None
    log_spectral_distance: float | None = None
    spectral_convergence: float | None = None
    real_time_factor: float | None = None
    naive_real_time_factor: float | None = None
    inexactness: float | None = None
    alarms: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """The main figures in a line."""
        parts = []
        if self.nll is not None:
            parts.append(f"negative log-likelihood {self.nll:.3f} nats per sample")
        if self.kl is not None and self.kl_of_segment is not None:
            parts.append(
                f"KL to its teacher {self.kl:.4f} nats per sample ({self.kl_of_segment:.1f} in {self.segment} samples)"
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
        rate: samples per second.
        seconds: of recordings.
        files: how many.
        threads: of the processor.
        baselines: negative log-likelihoods of the recordings under the ladder of a teacher's training files.
        models: the figures of each model.
        data: some segments, (rows, samples).
        draws: of each model as many, with the same mel frames if it takes any.
    """

    rate: int
    seconds: float
    files: int
    threads: int
    baselines: dict[str, float]
    models: list[SpeechFigures]
    data: Tensor
    draws: list[Tensor]

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain numbers, for JSON; without the sounds."""
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            "files": self.files,
            "threads": self.threads,
            "baselines": self.baselines,
            "models": [asdict(figures) for figures in self.models],
        }


def measure(
    models: Sequence[SpeechModel],
    names: Sequence[str],
    recordings: Recordings,
    *,
    rows: int = 16,
    seconds: float = 1.0,
    segment: int = 2000,
    seed: int = 0,
    report: Callable[[float], None] = lambda part: None,
) -> SpeechReport:
    """Measure teachers and students on recordings that none of them was fitted to.

    A student is compared with the first teacher before it in the list that takes the same context.

    Arguments:
        models: of one rate.
        names: what to call them.
        recordings: sound files of that rate.
        rows: draws of each model, and segments of the recordings.
        seconds: how long each of them is; shorter if no file is as long.
        segment: samples of the segments of which likelihoods are compared, and of the draws for the divergence.
        seed: of draws and noise.
        report: is told the share that is done, from 0 to 1.

    Returns:
        All figures, and the sounds they rest on.

    Raises:
        InputError: no model, or models or recordings of different rates.
    """
    if not models:
        raise InputError("Name at least one model.")
    for model, name in zip(models, names, strict=True):
        if model.rate != recordings.rate:
            raise InputError(
                f"{name} makes sound of {model.rate} samples per second, the recordings have {recordings.rate}."
            )
    hop = max(1 if model.frames is None else model.frames.hop for model in models)
    longest = max(map(len, recordings.samples))
    length = min(round(seconds * recordings.rate), longest) // hop * hop
    short = min(segment, length) // hop * hop
    if short < 256:
        raise InputError(f"The longest recording has {longest} samples: too few to compare anything.")
    results: list[SpeechFigures] = []
    draws: list[Tensor] = []
    teachers: list[tuple[SpeechModel, Tensor]] = []
    data = aligned_segments(models[0], recordings, length, rows, seed)[0]
    for number, (model, name) in enumerate(zip(models, names, strict=True)):
        steps = _Steps(report, number, len(models))
        figures = SpeechFigures(name, "student" if model.is_student else "teacher", model.frames is not None, 0)
        figures.weights = sum(p.numel() for p in model.density.parameters())
        # The same seed gives the same segments to every model, whatever its context.
        sounds, context = _segments(model, recordings, length, rows, seed, hop)
        with seeded(seed):
            made = _draw(model, rows, length, context)
        steps.done(0.3)
        draws.append(made)
        figures.standard_deviation = float(made.std())
        figures.spread = figures.standard_deviation / float(sounds.std())
        figures.log_spectral_distance = log_spectral_distance(made, sounds)
        if context is not None:
            figures.spectral_convergence = multi_resolution_distance(made, sounds)[0]
        if isinstance(model.density, AutoregressiveWaveNet):
            figures.nll = model.negative_log_likelihood(recordings, seed)
            teachers.append((model, made))
        steps.done(0.6)
        short_sounds, short_context = sounds[:, :short], None if context is None else context[:, : short // hop]
        with torch.inference_mode():
            log_prob = model.density.log_prob(short_sounds, short_context)
        figures.segment_nll = -float(log_prob.double().mean()) / short
        steps.done(0.8)
        teacher, heard = _teacher_of(model, teachers)
        if teacher is not None and heard is not None:
            _compare(figures, model, teacher, short, context, hop, seed)
            figures.spread_of_teacher = figures.standard_deviation / float(heard.std())
        _time(figures, model, length, context)
        figures.inexactness = inexactness(model, None if context is None else context[:1])
        figures.alarms = _alarms(figures)
        steps.done(1.0)
        results.append(figures)
    ladder = next((m.notes["ladder"] for m in models if "ladder" in m.notes), None)
    baselines = {} if ladder is None else Ladder.from_dict(ladder).score(with_noise(recordings, seed))
    return SpeechReport(
        recordings.rate,
        recordings.seconds,
        len(recordings),
        torch.get_num_threads(),
        baselines,
        results,
        data,
        draws,
    )


@torch.no_grad()
def inexactness(model: SpeechModel, context: Tensor | None = None, samples: int = 400) -> float:
    """Largest difference, in float64, between noise and the noise that scoring finds in the sound made from it.

    Of a teacher the sound is made step by step and scored at once; of a student it is made at once and inverted step by
    step. Of a mixture of logistics the noise is not unique; there samples are compared, made at once from the
    parameters of the finished sound.

    Arguments:
        model: teacher or student.
        context: of one row, (1, frames, bands), or None.
        samples: of the sound, default 400.
    """
    density: Any = copy.deepcopy(model.density).double()
    context = None if context is None else context.double()
    if context is not None:
        samples = min(samples, context.shape[1] * model.frames.hop)  # type: ignore[union-attr]
    with seeded(0):
        if isinstance(density, ParallelWaveNet):
            noise = density._noise((1, samples))
            found = density.to_latent(density.to_data(noise, context), context)
            return float((found - noise).abs().max())
        noise = density.head.noise(torch.zeros(1, samples, dtype=torch.float64))
        x = density.from_noise(noise, context)
        law = density.conditionals(x, context)
        if noise.shape[-1] == 1:
            return float(((x - law.loc) / law.scale - noise[..., 0]).abs().max())
        if isinstance(density, AdaptiveWaveNet):
            location, log_scale, heard = density.adaptive(x)
            scale = log_scale.exp()
        else:
            location, scale, heard = torch.zeros_like(x), torch.full_like(x, density.scale), x / density.scale
        again = location + scale * density.head.draw(density.network(heard, context), noise)
        return float(((again - x) / scale).abs().max())


def _segments(
    model: SpeechModel, recordings: Recordings, length: int, rows: int, seed: int, hop: int
) -> tuple[Tensor, Tensor | None]:
    if model.frames is not None and model.frames.hop != hop:
        raise InputError("All conditional models of a report must have frames of one length.")
    return aligned_segments(model, recordings, length, rows, seed)


def _draw(model: SpeechModel, rows: int, length: int, context: Tensor | None) -> Tensor:
    return model.density.sample((rows,) if context is None else (), context, length=length)


def _teacher_of(
    model: SpeechModel, teachers: list[tuple[SpeechModel, Tensor]]
) -> tuple[SpeechModel | None, Tensor | None]:
    if not model.is_student:
        return None, None
    fitting = [pair for pair in teachers if (pair[0].frames is None) == (model.frames is None)]
    return fitting[0] if fitting else (None, None)


@torch.no_grad()
def _compare(
    figures: SpeechFigures,
    student: SpeechModel,
    teacher: SpeechModel,
    segment: int,
    context: Tensor | None,
    hop: int,
    seed: int,
) -> None:
    """KL(student || teacher) from 64 fresh draws."""
    log_weights = []
    with seeded(seed + 1):
        for _ in range(8):
            rows = None if context is None else context[torch.randint(len(context), (8,)), : segment // hop]
            density: Any = student.density
            x, log_q = density.rsample_with_log_prob((8,) if rows is None else (), rows, length=segment)
            log_weights.append((log_q - teacher.density.log_prob(x, rows)).double())
    divergence = torch.cat(log_weights)
    figures.segment = segment
    figures.kl_of_segment = float(divergence.mean())
    figures.kl = figures.kl_of_segment / segment
    figures.kl_error = float(divergence.std()) / math.sqrt(len(divergence)) / segment


@torch.no_grad()
def _time(figures: SpeechFigures, model: SpeechModel, length: int, context: Tensor | None) -> None:
    """Real-time factors of one sound at a time: least of several measurements."""
    one = None if context is None else context[:1]
    shape = (1,) if one is None else ()
    # Stepping costs the same for every sample; a tenth of a second of them tells.
    size = length if model.is_student else min(length, model.rate // 10)
    if one is not None and not model.is_student:
        one = one[:, : -(-size // model.frames.hop)]  # type: ignore[union-attr]
    seconds = _least_seconds(lambda: model.density.sample(shape, one, length=size))
    figures.real_time_factor = size / model.rate / seconds
    if isinstance(model.density, AutoregressiveWaveNet):
        window = torch.zeros(1, receptive_field(model.density))
        frames = None
        if context is not None:
            need = -(-window.shape[1] // model.frames.hop)  # type: ignore[union-attr]
            frames = context[:1, :1].expand(-1, need, -1)
        density = model.density
        seconds = _least_seconds(lambda: density.conditionals(window, frames))
        figures.naive_real_time_factor = 1 / model.rate / seconds


def _least_seconds(function: Callable[[], Any]) -> float:
    function()
    least = math.inf
    for _ in range(TIMING_REPEATS):
        started = time.perf_counter()
        function()
        least = min(least, time.perf_counter() - started)
    return least


def _alarms(figures: SpeechFigures) -> list[str]:
    alarms = []
    for ratio, whose in ((figures.spread, "the recordings"), (figures.spread_of_teacher, "its teacher's draws")):
        if ratio is not None and ratio < SMALLEST_SPREAD:
            alarms.append(
                f"{figures.name} is too quiet: the standard deviation of its draws is {ratio:.2f} of that of {whose}. "
                "A small divergence does not show this; distil with a power loss, or with a greater weight of it."
            )
    if figures.inexactness is not None and not figures.inexactness < LARGEST_INEXACTNESS:
        alarms.append(
            f"{figures.name} is not exact: noise is found again with an error of {figures.inexactness:.1e} in float64."
        )
    return alarms


class _Steps:
    """Turns shares of one model's work into shares of all."""

    def __init__(self, report: Callable[[float], None], number: int, models: int) -> None:
        self.report = report
        self.number = number
        self.models = models

    def done(self, share: float) -> None:
        self.report((self.number + share) / self.models)
