"""What distillation reports: divergence, importance weights, spread, speed, and alarms."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import torch

from pushforward.support.wording import counted
from pushforward.training.history import History
from pushforward.training.importance import LARGEST_PARETO_K

SMALLEST_SPREAD = 0.5


@dataclass
class Spread:
    """Standard deviations of the student's draws over those of the teacher's, dimension by dimension.

    Attributes:
        ratios: (D,) one for each dimension; all 1 is perfect.
        draws: how many draws of each they are based on.
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
        # Four standard errors of a Gaussian's deviation; with heavy tails only a larger collapse is detected.
        beyond_chance = smallest * (1 + 4 / math.sqrt(2 * self.draws)) < SMALLEST_SPREAD
        return self.ratios.index(smallest) if beyond_chance else None


@dataclass
class Speed:
    """How long sampling takes, the shortest of several measurements.

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
        """How many times as fast as the teacher the student is."""
        return self.teacher_seconds / self.student_seconds


class DistillationAlarm(RuntimeWarning):
    """A warning about what is wrong with a student, which is part of its report as well."""


@dataclass
class DistillationReport:
    """How well a student q matches a teacher p, from fresh draws of the student.

    Attributes:
        kl: KL(q || p) in nats for a whole event (a row of a table, a sequence), the mean of log q(x) - log p(x);
            infinite if p is 0 at a draw.
        kl_error: its standard error; NaN if it is infinite.
        dimensions: D, columns or steps of an event.
        effective_sample_size: (Σ weights)² / Σ weights² of the weights p/q, as a share of the draws: 1 is perfect.
        largest_log_weight: the largest log p(x) - log q(x), in nats.
        pareto_k: shape of the tail of the weights; above 0.7 they cannot be trusted.
        outside: share of draws at which p is 0, which have weight 0.
        nonfinite: share of draws whose log p(x) - log q(x) is not a number or +∞; the divergence and the weights leave
            them out.
        draws: how many draws the figures are based on.
        spread: of the student against the teacher; None where the teacher cannot be sampled and no rows were given.
        speed: of sampling; None where the teacher cannot be sampled, or no timing was asked for.
        estimator: of the loss that was minimized; None for a student that was only measured.
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
    outside: float
    nonfinite: float
    draws: int
    spread: Spread | None = None
    speed: Speed | None = None
    estimator: str | None = None
    reason: str | None = None
    alarms: list[str] = field(default_factory=list)
    history: History | None = None

    @property
    def missing_densities(self) -> list[str]:
        """What is wrong with the densities of the draws, in sentences."""
        sentences = []
        if self.outside:
            sentences.append(
                f"The teacher gives {self.outside:.2%} of the student's draws the density 0: the divergence is "
                "infinite."
            )
        if self.nonfinite:
            sentences.append(
                f"{self.nonfinite:.2%} of the student's draws have a density that is infinite or not a number; they "
                "are left out."
            )
        return sentences

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
            history = self.history
            entries |= {"steps": history.steps, "seconds": history.total_seconds, "stopped": history.stopped}
        return entries

    def __str__(self) -> str:
        divergence = (
            f"is infinite, and p is 0 at {self.outside:.2%} of {self.draws} draws"
            if self.outside
            else f"{self.kl:.4f} ± {self.kl_error:.4f} nats, {self.kl_per_dimension:.5f} for each of {self.dimensions} "
            f"dimensions, from {self.draws} draws"
        )
        lines = [
            f"KL(student || teacher) {divergence}",
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
            threads = counted(self.speed.threads, "thread")
            student, teacher = (1e3 * s for s in (self.speed.student_seconds, self.speed.teacher_seconds))
            lines.append(
                f"sampling {self.speed.factor:.3g} times as fast as the teacher: {self.speed.rows} rows in "
                f"{student:.3g} ms against {teacher:.3g} ms, {threads}"
            )
        if self.estimator is not None:
            lines.append(f"estimator {self.estimator}: {self.reason}")
        return "\n".join([*lines, *(f"Alarm: {alarm}" for alarm in self.alarms)])


def alarms_of(report: DistillationReport) -> list[str]:
    """What is wrong with a student, in sentences: a collapse, values that are not finite, heavy-tailed weights."""
    alarms = []
    if report.spread is not None and report.spread.collapsed is not None:
        worst = report.spread.collapsed
        alarms.append(
            f"The student has collapsed: dimension {worst} spreads {report.spread.ratios[worst]:.2f} times as wide as "
            f"{report.spread.reference} (KL {report.kl:.4f} nats, which hardly penalizes this). Add a penalty on what "
            "is missing, or use a more flexible student."
        )
    alarms += report.missing_densities
    if report.pareto_k > LARGEST_PARETO_K:
        alarms.append(
            f"The importance weights have Pareto k {report.pareto_k:.2f}, above {LARGEST_PARETO_K}: the student's "
            "tails are lighter than the teacher's, or it misses a part of it. Do not reweight its draws."
        )
    return alarms
