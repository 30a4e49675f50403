"""KL(student || teacher) = E_q[log q(x) - log p(x)] from draws of the student, in four ways.

With x = f(z) drawn from the student, and q_t, p_t the laws of x[t] given x[before t],

    joint            log q(x) - log p(x)
    path             the same, its gradient through the draw alone: E_q[∂ log q(x) / ∂weights at fixed x] = 0
    conditional_mc   Σ_t mean_n log q_t(x'_n) - log p_t(x'_n),  x'_n ~ q_t fresh, the teacher run once, on x
    closed_form      Σ_t KL(q_t || p_t) = Σ_t log(σ_p / σ_q) + (σ_q² + (μ_q - μ_p)²) / (2 σ_p²) - 1/2

all with the same expectation. The last two are the first with x[t] averaged out given x[before t] (Rao-Blackwell);
they need a teacher and a student that follow one order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, kl_divergence

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.modules import device_of
from pushforward.support.seeding import seeded
from pushforward.training.distillation.conditionals import (
    NoConditionals,
    TransformedConditionals,
    gaussians_behind,
)
from pushforward.training.distillation.protocol import (
    ConditionalStudent,
    ConditionalTeacher,
    conditional_student,
    conditional_teacher,
)
from pushforward.training.objectives import log_prob_of_still_weights

ESTIMATORS = ("auto", "closed_form", "conditional_mc", "joint", "path")


@dataclass(frozen=True)
class Draw:
    """What a step has drawn from the student, which penalties receive.

    Attributes:
        x: draws, (rows, D), differentiable in the student's weights.
        context: their context, (rows, ...), or None.
        rows: which rows of the context given to `distill` these are, (rows,); to look up data that belong to them.
        student: q_t, the laws of all x[t] given x[before t], where the loss has them; else None.
        teacher: p_t, likewise.
    """

    x: Tensor
    context: Tensor | None
    rows: Tensor | None
    student: Distribution | None
    teacher: Distribution | None


Penalty = Callable[[Draw], Tensor]


class Divergence(nn.Module):
    """An estimate of KL(student || teacher) in nats for each draw, and the penalties.

    Arguments:
        teacher: p, which is not trained.
        student: q.
        estimator: one of the four.
        inner_samples: N of `conditional_mc`.
        log_scale_regularization: λ, which adds λ Σ_t (log σ_q - log σ_p)² of Gaussian conditionals.
        penalties: pairs of a weight and a function of a `Draw`, which gives one number, or one for each row.

    Raises:
        NoConditionals: the estimator or the regularization needs conditionals that do not exist.
    """

    def __init__(
        self,
        teacher: Any,
        student: nn.Module,
        estimator: str,
        inner_samples: int = 16,
        log_scale_regularization: float = 0.0,
        penalties: Sequence[tuple[float, Penalty]] = (),
    ) -> None:
        super().__init__()
        self.student = student
        self.estimator = estimator
        self.inner_samples = inner_samples
        self.log_scale_regularization = log_scale_regularization
        self.penalties = tuple(penalties)
        # In a tuple, so that it is not a submodule: it is not trained, averaged or copied with the best weights.
        self._teacher = (teacher,)
        self._conditionals: tuple[ConditionalTeacher, ConditionalStudent] | None = None
        if estimator in ("closed_form", "conditional_mc") or log_scale_regularization:
            self._conditionals = conditionals_in_one_order(teacher, student)

    @property
    def teacher(self) -> Any:
        """p."""
        return self._teacher[0]

    def train(self, mode: bool = True) -> Divergence:
        """Leave the student in eval mode: its own draws must not initialize layers that start from data."""
        super().train(mode)
        self.student.eval()
        return self

    def forward(self, count: int, context: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Return the loss in nats, (count,), of fresh draws, one for each row of the context if there is one."""
        return self._loss(self.estimator, count, context, rows)

    def value(self, count: int, context: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Return the same in expectation, (count,), its divergence by `joint`, whose error vanishes with it."""
        return self._loss("joint", count, context, rows)

    def _loss(self, estimator: str, count: int, context: Tensor | None, rows: Tensor | None) -> Tensor:
        shape = (count,) if context is None else ()
        student_law = teacher_law = log_q = None
        if self._conditionals is None:
            x, log_q = self.student.rsample_with_log_prob(shape, context)  # type: ignore[operator]
        else:
            teacher, student = self._conditionals
            x, student_law = student.rsample_with_conditionals(shape, context)
            teacher_law = teacher.conditionals(x, context)
        if student_law is not None and teacher_law is not None and estimator != "path":
            loss = self._by_conditionals(estimator, x, student_law, teacher_law)
        else:
            if estimator == "path":
                log_q = log_prob_of_still_weights(self.student, x, context)
            loss = log_q - self.teacher.log_prob(x, context)
        if self.log_scale_regularization:
            assert student_law is not None and teacher_law is not None
            of_student, of_teacher = _gaussians(student_law, teacher_law, "log_scale_regularization")
            difference = of_student.scale.log() - of_teacher.scale.log()
            loss = loss + self.log_scale_regularization * difference.square().sum(-1)
        for weight, penalty in self.penalties:
            loss = loss + weight * penalty(Draw(x, context, rows, student_law, teacher_law))
        return loss

    def _by_conditionals(
        self, estimator: str, x: Tensor, student_law: Distribution, teacher_law: Distribution
    ) -> Tensor:
        if estimator == "closed_form":
            return kl_divergence(*_gaussians(student_law, teacher_law, "estimator='closed_form'")).sum(-1)
        if estimator == "joint":
            return (student_law.log_prob(x) - teacher_law.log_prob(x)).sum(-1)
        inner, log_q = _rsample_with_log_prob(student_law, torch.Size((self.inner_samples,)))
        return (log_q - teacher_law.log_prob(inner)).mean(0).sum(-1)


def choose_estimator(teacher: Any, student: nn.Module, wanted: str, context: Tensor | None) -> tuple[str, str]:
    """Return the estimator to use, and why.

    Arguments:
        teacher: p.
        student: q.
        wanted: "auto", or the one to be checked.
        context: one row, (1, ...), or None, to try teacher and student on.

    Raises:
        InputError: teacher and student do not have what the wanted one needs; the message says what.
    """
    if wanted not in ESTIMATORS:
        raise InputError(f"estimator must be one of {', '.join(ESTIMATORS)}; it is {wanted!r}.")
    if wanted == "path" and not hasattr(student, "log_prob"):
        raise InputError(
            f"estimator='path' needs a student with log_prob(x, context); {type(student).__name__} has none."
        )
    if wanted in ("path", "joint"):
        return wanted, "asked for"
    laws: tuple[Distribution, Distribution] | None = None
    obstacle = ""
    try:
        laws = _example_conditionals(teacher, student, context)
    except NoConditionals as error:
        obstacle = str(error)
    if wanted != "auto":
        if laws is None:
            raise InputError(f"estimator={wanted!r} compares conditionals in one order, and {obstacle}.")
        if wanted == "closed_form":
            _gaussians(*laws, "estimator='closed_form'", "; use 'conditional_mc'")
        return wanted, "asked for"
    if laws is not None and gaussians_behind(*laws) is not None:
        behind = "" if isinstance(laws[0], Normal) else ", transformed by the same maps of single features"
        return "closed_form", f"teacher and student have Gaussian conditionals in one order{behind}"
    if laws is not None:
        of_student, of_teacher = map(_kind, laws)
        return "conditional_mc", f"conditionals in one order are {of_teacher} (teacher) and {of_student} (student)"
    if isinstance(student, Flow) and student.bijection.cost.inverse == "1 pass":
        return "path", f"{obstacle}; the student's density takes one pass"
    return "joint", f"{obstacle}; the student's density takes more than one pass"


def conditionals_in_one_order(teacher: Any, student: Any) -> tuple[ConditionalTeacher, ConditionalStudent]:
    """Teacher and student with their conditionals, wrapped if they are flows.

    Raises:
        NoConditionals: one of them has none, or they follow different orders; the message says which.
    """
    name = "teacher"
    try:
        of_teacher = conditional_teacher(teacher)
        name = "student"
        of_student = conditional_student(student)
    except NoConditionals as error:
        raise NoConditionals(f"the {name} has no conditionals in one order: {error}") from None
    if of_teacher.autoregressive_order != of_student.autoregressive_order:
        raise NoConditionals(
            f"the teacher's order {of_teacher.autoregressive_order} is not the student's, "
            f"{of_student.autoregressive_order}"
        )
    return of_teacher, of_student


def _example_conditionals(
    teacher: Any, student: nn.Module, context: Tensor | None
) -> tuple[Distribution, Distribution]:
    """The conditionals of student and teacher at one draw of the student."""
    of_teacher, of_student = conditionals_in_one_order(teacher, student)
    with torch.no_grad(), seeded(0, device_of(student)):
        x, student_law = of_student.rsample_with_conditionals((1,) if context is None else (), context)
        teacher_law = of_teacher.conditionals(x, context)
    return student_law, teacher_law


def _gaussians(student: Distribution, teacher: Distribution, asks: str, hint: str = "") -> tuple[Normal, Normal]:
    """The Gaussian laws of `gaussians_behind`, which something asks for."""
    pair = gaussians_behind(student, teacher)
    if pair is None:
        raise InputError(
            f"{asks} needs Gaussian conditionals of teacher and student, or Gaussian ones behind the same fixed maps "
            f"of single features; they are {_kind(teacher)} and {_kind(student)}{hint}."
        )
    return pair


def _rsample_with_log_prob(law: Distribution, shape: torch.Size) -> tuple[Tensor, Tensor]:
    if isinstance(law, TransformedConditionals):  # in one pass through its maps, not two
        return law.rsample_with_log_prob(shape)
    x = law.rsample(shape)
    return x, law.log_prob(x)


def _kind(law: Distribution) -> str:
    return type(law).__name__
