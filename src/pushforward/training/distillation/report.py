"""How good a student is: divergence, importance weights, spread, speed."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.modules import device_of, frozen, tensors
from pushforward.support.seeding import seeded
from pushforward.training.history import History
from pushforward.training.importance import LARGEST_PARETO_K, effective_share, pareto_k
from pushforward.training.rows import as_matrix, in_dtype_of

# Numbers (rows times dimensions) drawn at a time.
CHUNK_NUMBERS = 2**18
SMALLEST_SPREAD = 0.5
# Of each, for the spread: sampling a teacher of long sequences takes its time.
FEWEST_FOR_SPREAD, SPREAD_DRAWS = 64, 4096
TIMING_REPEATS = 5
# A draw that takes longer is timed once.
PATIENCE_SECONDS = 1.0


@dataclass
class Spread:
    """Standard deviations of the student's draws over those of the teacher's, dimension by dimension.

    Attributes:
        ratios: (D,) one for each dimension; all 1 is perfect.
        draws: how many draws of each they rest on.
        reference: what the student is compared with: "teacher draws" or "reference rows".
    """

    ratios: list[float]
    draws: int
    reference: str

    @property
    def middle(self) -> float:
        """The median of the ratios."""
        return float(torch.tensor(self.ratios).median())

    @property
    def collapsed(self) -> int | None:
        """The dimension of the smallest ratio, if that is below a half beyond chance; else None."""
        smallest = min(self.ratios)
        # Two standard errors each way of a Gaussian's deviation: heavy tails need a wider miss than this to be seen.
        beyond_chance = smallest * (1 + 4 / math.sqrt(2 * self.draws)) < SMALLEST_SPREAD
        return self.ratios.index(smallest) if beyond_chance else None


@dataclass
class Speed:
    """How long sampling takes, least of several measurements.

    Attributes:
        rows: draws at a time.
        threads: of the processor.
        teacher_seconds: for all rows.
        student_seconds: for all rows.
    """

    rows: int
    threads: int
    teacher_seconds: float
    student_seconds: float

    @property
    def factor(self) -> float:
        """How many times as quick as the teacher the student is."""
        return self.teacher_seconds / self.student_seconds


class DistillationAlarm(RuntimeWarning):
    """A sentence about what is wrong with a student, which stands in its report as well."""


@dataclass
class DistillationReport:
    """How well a student q stands for a teacher p, from fresh draws of the student.

    Attributes:
        kl: KL(q || p) in nats for a whole event (a row of a table, a sequence), the mean of log q(x) - log p(x).
        kl_error: its standard error.
        dimensions: D, columns or steps of an event.
        effective_sample_size: (Σ weights)² / Σ weights² of the weights p/q, as a share of the draws: 1 is perfect.
        largest_log_weight: the largest log p(x) - log q(x), in nats.
        pareto_k: shape of the tail of the weights; above 0.7 nothing that rests on them is to be trusted.
        nonfinite: share of draws whose log p(x) - log q(x) is not finite; they are left out of all other figures.
        draws: how many draws the figures rest on.
        spread: of the student against the teacher; None where the teacher cannot be sampled and no rows were given.
        speed: of sampling; None where the teacher cannot be sampled, or no timing was asked for.
        estimator: of the loss that was minimised; None of a student that was only measured.
        reason: why this one.
        alarms: sentences about what is wrong.
        history: the course of the distillation, its values minus the KL (and penalties); None without one.
    """

    kl: float
    kl_error: float
    dimensions: int
    effective_sample_size: float
    largest_log_weight: float
    pareto_k: float
    nonfinite: float
    draws: int
    spread: Spread | None = None
    speed: Speed | None = None
    estimator: str | None = None
    reason: str | None = None
    alarms: list[str] = field(default_factory=list)
    history: History | None = None

    @property
    def kl_per_dimension(self) -> float:
        """KL(q || p) in nats for one column, or one step in time."""
        return self.kl / self.dimensions

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain numbers, for JSON; without the history."""
        entries = dataclasses.asdict(dataclasses.replace(self, history=None))
        del entries["history"]
        entries["kl_per_dimension"] = self.kl_per_dimension
        if self.speed is not None:
            entries["speed"]["factor"] = self.speed.factor
        if self.history is not None:
            entries |= {"steps": self.history.steps, "seconds": self.history.total_seconds}
        return entries

    def __str__(self) -> str:
        lines = [
            f"KL(student || teacher) {self.kl:.4f} ± {self.kl_error:.4f} nats, {self.kl_per_dimension:.5f} for each of "
            f"{self.dimensions} dimensions, from {self.draws} draws",
            f"importance weights: effective sample size {self.effective_sample_size:.1%}, largest log-weight "
            f"{self.largest_log_weight:.2f}, Pareto k {self.pareto_k:.2f}, not finite {self.nonfinite:.2%}",
        ]
        if self.spread is not None:
            ratios = self.spread.ratios
            lines.append(
                f"spread of the student over that of {self.spread.reference}: median {self.spread.middle:.3f}, from "
                f"{min(ratios):.3f} to {max(ratios):.3f}"
            )
        if self.speed is not None:
            threads = "1 thread" if self.speed.threads == 1 else f"{self.speed.threads} threads"
            student, teacher = (1e3 * s for s in (self.speed.student_seconds, self.speed.teacher_seconds))
            lines.append(
                f"sampling {self.speed.factor:.3g} times as quick as the teacher: {self.speed.rows} rows in "
                f"{student:.3g} ms against {teacher:.3g} ms, {threads}"
            )
        if self.estimator is not None:
            lines.append(f"estimator {self.estimator}: {self.reason}")
        return "\n".join([*lines, *(f"Alarm: {alarm}" for alarm in self.alarms)])


def evaluate_student(
    teacher: Any,
    student: Any,
    *,
    context: Any = None,
    draws: int = 20_000,
    reference: Any = None,
    timing_rows: int = 1000,
    seed: int = 0,
) -> DistillationReport:
    """Measure how well a student stands for its teacher, from fresh draws of the student.

    Arguments:
        teacher: p: has `log_prob(x, context)`; with `sample(shape, context)` its spread and speed are compared too.
        student: q: has `rsample_with_log_prob(shape, context)`.
        context: rows to draw contexts from, (N, ...), for conditional densities.
        draws: how many draws to take.
        reference: rows (M, D) whose spread the student's is compared with, in place of draws from the teacher.
        timing_rows: draws at a time in the measurement of speed; 0 for none.
        seed: of the draws.

    Returns:
        KL in nats with its standard error, effective sample size, largest weight, spread, speed. A RuntimeWarning says
        what is wrong: a collapse of the spread, weights with too heavy a tail, values that are not finite.

    Raises:
        InputError: no draw has a finite weight.

    Cost: one pass of student and teacher for each draw, and up to 4096 draws of the teacher (64 of long sequences).

    Example:
        >>> import pushforward as pf
        >>> flow = pf.maf(2, layers=1)
        >>> report = evaluate_student(flow, flow, draws=1000, timing_rows=0)
        >>> abs(report.kl) < 1e-5, round(report.effective_sample_size, 4)
        (True, 1.0)
    """
    report = measure(teacher, student, context, draws, reference, timing_rows, seed)
    for alarm in report.alarms:
        warnings.warn(alarm, DistillationAlarm, stacklevel=2)
    return report


def measure(
    teacher: Any, student: Any, context: Any, draws: int, reference: Any, timing_rows: int, seed: int
) -> DistillationReport:
    """The report of `evaluate_student`, whose alarms are left for the caller to warn of."""
    if draws < 2 or timing_rows < 0:
        raise InputError(f"draws must be at least 2 and timing_rows 0 or more; they are {draws} and {timing_rows}.")
    context = context_rows(student, context)
    reference = None if reference is None else as_matrix(reference, "reference")[0]
    with frozen(teacher), frozen(student), torch.no_grad(), seeded(seed, device_of(student)):
        log_weights, first = [], []
        dimensions = wanted = kept_rows = 0
        for x, log_q, rows in draws_of(student, draws, context):
            log_weights.append((teacher.log_prob(x, rows).double() - log_q.double()).cpu())
            dimensions = x.shape[-1]
            wanted = min(SPREAD_DRAWS, max(FEWEST_FOR_SPREAD, CHUNK_NUMBERS // dimensions))
            if kept_rows < wanted:
                first.append(x.double().cpu())
                kept_rows += len(x)
        log_weight = torch.cat(log_weights)
        finite = log_weight.isfinite()
        kept = log_weight[finite]
        if len(kept) < 2:
            raise InputError("log p(x) - log q(x) is finite for none of the student's draws: do they share a support?")
        spread = _spread(teacher, torch.cat(first)[:wanted], context, reference)
        speed = _speed(teacher, student, context, timing_rows)
    report = DistillationReport(
        kl=-float(kept.mean()),
        kl_error=float(kept.std()) / math.sqrt(len(kept)),
        dimensions=dimensions,
        effective_sample_size=effective_share(kept),
        largest_log_weight=float(kept.max()),
        pareto_k=pareto_k(kept),
        nonfinite=1 - len(kept) / draws,
        draws=draws,
        spread=spread,
        speed=speed,
    )
    report.alarms = _alarms(report)
    return report


def draws_of(student: Any, draws: int, context: Tensor | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield draws x, their log q(x | context) and their context, chunk by chunk; contexts are drawn from its rows."""
    done, chunk = 0, 64
    while done < draws:
        count = min(chunk, draws - done)
        rows = None if context is None else context[torch.randint(len(context), (count,)).to(context.device)]
        x, log_q = student.rsample_with_log_prob((count,) if rows is None else (), rows)
        yield x, log_q, rows
        done += count
        chunk = max(1, CHUNK_NUMBERS // x.shape[-1])


def context_rows(student: Any, context: Any) -> Tensor | None:
    """The context as a tensor (N, ...) on the student's device and, of a table, in its precision."""
    if context is None:
        return None
    tensor = next(tensors(student), None)
    if isinstance(context, Tensor) and context.ndim > 2:  # of sequences
        rows = context if tensor is None else context.to(tensor.dtype)
    else:
        rows = as_matrix(context, "context")[0]
        rows = in_dtype_of(student, rows, "context") if isinstance(student, nn.Module) else rows
    if len(rows) == 0:
        raise InputError("context has no rows to draw from.")
    return rows if tensor is None else rows.to(tensor.device)


def _spread(teacher: Any, x: Tensor, context: Tensor | None, reference: Tensor | None) -> Spread | None:
    if reference is not None:
        other, name = reference.double().cpu(), "reference rows"
    elif hasattr(teacher, "sample"):
        # As many draws as of the student; contexts by chance, as the student's were.
        rows = None if context is None else context[torch.randint(len(context), (len(x),)).to(context.device)]
        other, name = teacher.sample((len(x),) if rows is None else (), rows).double().cpu(), "teacher draws"
    else:
        return None
    if other.shape[-1] != x.shape[-1]:
        raise InputError(f"reference has {other.shape[-1]} columns, the student draws {x.shape[-1]}.")
    ratios = x.std(0) / other.std(0)
    return Spread(ratios.tolist(), min(len(x), len(other)), name)


def _speed(teacher: Any, student: Any, context: Tensor | None, count: int) -> Speed | None:
    if not count or not hasattr(teacher, "sample"):
        return None
    rows = None if context is None else context[torch.randint(len(context), (count,)).to(context.device)]
    shape = (count,) if rows is None else ()
    seconds = [
        _least_seconds(sample, shape, rows)
        for sample in (teacher.sample, getattr(student, "sample", student.rsample_with_log_prob))
    ]
    return Speed(count, torch.get_num_threads(), *seconds)


def _least_seconds(function: Callable[..., Any], *arguments: Any) -> float:
    least = math.inf
    for _ in range(TIMING_REPEATS):
        started = time.perf_counter()
        function(*arguments)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        least = min(least, time.perf_counter() - started)
        if least > PATIENCE_SECONDS:
            break
    return least


def _alarms(report: DistillationReport) -> list[str]:
    alarms = []
    if report.spread is not None and report.spread.collapsed is not None:
        worst = report.spread.collapsed
        alarms.append(
            f"The student has collapsed: dimension {worst} spreads {report.spread.ratios[worst]:.2f} times as wide as "
            f"{report.spread.reference} (KL {report.kl:.4f} nats, which punishes that little). Add a penalty on what "
            "is missing, or take a richer student."
        )
    if report.nonfinite:
        alarms.append(
            f"{report.nonfinite:.2%} of the student's draws have a density that is not finite; they are left out."
        )
    if report.pareto_k > LARGEST_PARETO_K:
        alarms.append(
            f"The importance weights have Pareto k {report.pareto_k:.2f}, above {LARGEST_PARETO_K}: the student's "
            "tails are lighter than the teacher's, or it misses a part of it. Do not reweight its draws."
        )
    return alarms
