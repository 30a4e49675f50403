"""What distillation requires of a teacher and of a student, and what either may offer beyond that."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from pushforward.flow import Flow
from pushforward.training.distillation.conditionals import FlowConditionals, NoConditionals


class Teacher(Protocol):
    """A density p that can be evaluated: a flow, a WaveNet, a density of the user's own.

    Events are vectors (D,), or sequences of D steps in time. `log_prob` must be differentiable in x. Optional methods:
    `sample(shape, context)`, to compare the spread and the speed of sampling.
    """

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x | context) in nats, (rows,), of x, (rows, D), and context, (rows, ...)."""
        ...


class Student(Protocol):
    """A module that draws from its density q, differentiably, and knows the density of its draws.

    Without a context it is asked for `shape` = (rows,), with a context of one row a draw, (rows, ...), for shape (). A
    student of sequences of any length must have a fixed length, or take it from its context. Optional methods:
    `log_prob(x, context)`, by the path estimator, and `sample(shape, context)`.
    """

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Differentiable draws x, (rows, D), and log q(x | context) in nats, (rows,)."""
        ...


@runtime_checkable
class ConditionalTeacher(Protocol):
    """A teacher that knows p(x[t] | x[before t], context) for every t at once."""

    @property
    def autoregressive_order(self) -> Hashable:
        """What "before" means, to be compared with the student's by `==`.

        The tuple of features from first to last of a vector, "time" for a sequence.
        """
        ...

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """As for `Teacher`."""
        ...

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """The laws of all x[t] given x[before t], of batch shape (rows, D), differentiable in x.

        A `torch.distributions.Normal` where they are Gaussian; else any distribution with a `log_prob` that takes
        values (n, rows, D). Their log_prob of x, summed over t, is `log_prob(x, context)`.
        """
        ...


@runtime_checkable
class ConditionalStudent(Protocol):
    """A student that knows, with its draw, q(x[t] | x[before t], context) for every t at once."""

    @property
    def autoregressive_order(self) -> Hashable:
        """As for `ConditionalTeacher`."""
        ...

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As for `Student`."""
        ...

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draws x, (rows, D), and the laws of all x[t] given x[before t], of batch shape (rows, D).

        Both are differentiable in the weights. The distribution is a `torch.distributions.Normal` where the laws are
        Gaussian; else it has `rsample` and `log_prob`. Its log_prob of x, summed over t, is log q(x | context).
        """
        ...


def conditional_teacher(teacher: Any) -> ConditionalTeacher:
    """The teacher with its conditionals, wrapped if it is a flow.

    Raises:
        NoConditionals: it has none in one order; the message says why.
    """
    if isinstance(teacher, ConditionalTeacher):
        return teacher
    if isinstance(teacher, Flow):
        return FlowConditionals(teacher)
    raise NoConditionals(f"{type(teacher).__name__} has no conditionals(x, context)")


def conditional_student(student: Any) -> ConditionalStudent:
    """The student with its conditionals, wrapped if it is a flow.

    Raises:
        NoConditionals: it has none in one order; the message says why.
    """
    if isinstance(student, ConditionalStudent):
        return student
    if isinstance(student, Flow):
        return FlowConditionals(student)
    raise NoConditionals(f"{type(student).__name__} has no rsample_with_conditionals(shape, context)")
