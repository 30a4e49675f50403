"""Distillation: train a student that is fast to sample to match a teacher that is slow to sample."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.devices import choose_device
from pushforward.support.modules import device_of, frozen, tensors
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded, stream
from pushforward.training.checkpoint import Checkpoint, checkpoint_for, content, content_of_module
from pushforward.training.distillation.conditionals import NoConditionals
from pushforward.training.distillation.divergence import Divergence, Penalty, choose_estimator
from pushforward.training.distillation.measurement import context_rows, measure
from pushforward.training.distillation.report import DistillationAlarm, DistillationReport
from pushforward.training.history import History
from pushforward.training.loop import train
from pushforward.training.settings import Settings, TrainingOptions, settings_for_draws

DEFAULT_STEPS = 5000
REFUSED = ("epochs", "precision")
# Numbers (rows times dimensions) that the held-out value rests on, and the limits of its rows.
HELD_OUT_NUMBERS, FEWEST_HELD_OUT, MOST_HELD_OUT = 2**17, 16, 4096
HELD_OUT_CHUNK_NUMBERS = 2**16


def distill(
    teacher: Any,
    student: Any,
    *,
    context: Any = None,
    estimator: str = "auto",
    inner_samples: int = 16,
    log_scale_regularization: float = 0.0,
    penalties: Sequence[tuple[float, Penalty]] = (),
    draws: int = 20_000,
    reference: Any = None,
    timing_rows: int = 1000,
    digest: str | None = None,
    announce: Announce = silent,
    **training: Unpack[TrainingOptions],
) -> DistillationReport:
    """Fit a student q to a teacher p in place: minimize KL(q || p) = E_q[log q(x) - log p(x)] over the student's draws.

    An inverse autoregressive student knows log q of its own draws for free, and an autoregressive teacher scores them
    in one pass: nothing in a step is sequential, though sampling the teacher and scoring with the student are. No data
    are needed, except for contexts. The student is left with the (averaged) weights whose loss on a fixed set of base
    draws is lowest, in eval mode; the figures returned come from fresh draws. The teacher's weights, modes and
    `requires_grad` are as before.

    Arguments:
        teacher: p, anything with `log_prob(x, context)`, normalized and differentiable in x: see
            `pushforward.training.distillation.Teacher`.
        student: q, a module with `rsample_with_log_prob(shape, context)`: see
            `pushforward.training.distillation.Student`.
        context: rows to draw contexts from, (N, C) as a tensor, an array or a data frame, or a tensor (N, ...), for
            conditional densities.
        estimator: of the loss. "closed_form": exact for each x[t] given x[before t], for Gaussian conditionals of both
            in one order. "conditional_mc": the same by `inner_samples` draws, for any conditionals in one order.
            "joint": log q(x) - log p(x). "path": the same, its gradient through the draw alone, for students whose
            density is fast. "auto" (default): the first of closed_form, conditional_mc and path that is possible and
            fast, otherwise joint; the choice and its reason are announced and are part of the report.
        inner_samples: draws of each x[t] given x[before t] in "conditional_mc"; the teacher is run once for all.
        log_scale_regularization: λ, which adds λ Σ_t (log σ_q - log σ_p)² to the loss, for Gaussian conditionals.
        penalties: pairs of a weight and a function of a `Draw` (draws x, their context, its rows, and the conditionals
            where the loss has them) that gives a number, or one for each draw, to be added to the loss in nats.
        draws: fresh draws for the figures returned.
        reference: rows (M, D) whose spread the student's is compared with, in place of draws from the teacher.
        timing_rows: draws at a time in the measurement of speed; 0 for none.
        digest: a hash of the data from which context and penalties were computed, which a checkpoint compares in place
            of the rows of the context; default that of these rows.
        announce: called with a line that says which estimator "auto" has picked.
        training: options of the run by name: see `pushforward.training.TrainingOptions`. Here `batch_size` counts
            draws, `max_steps` is 5000 if neither it nor `max_time` is given, `weight_decay` is 0, `evaluate_every` is
            100 and `patience` is None (never stop early); the values in the log are minus the loss. Student and teacher
            are moved to `device` and stay there. `epochs` and `precision` are not taken. A checkpoint compares a
            teacher that is a module by its weights, and penalties by their weights and names.

    Returns:
        KL in nats with its standard error, for an event and per dimension, effective sample size, largest weight,
        spread with an alarm on collapse, speed, estimator.

    Raises:
        InputError: an option is out of range, an estimator that teacher and student do not allow, a student that shares
            weights with its teacher, a checkpoint that is damaged or of another distillation.
        TrainingError: losses or gradients were not finite too often.

    Cost: a step takes one forward of the student, one log_prob of the teacher, and their backward passes; "path" one
    log_prob of the student as well.

    Source: van den Oord et al. 2017, Parallel WaveNet, arXiv:1711.10433; Ping, Peng and Chen 2018, ClariNet,
    arXiv:1807.07281 (closed form and its regularization); Roeder, Wu and Duvenaud 2017, arXiv:1703.09194 (path).

    Example:
        >>> import pushforward as pf
        >>> affine = pf.bijections.ElementwiseAffine([0.5, -0.5], [0.5, 1.5])
        >>> teacher = pf.Flow(affine, pf.distributions.StandardNormal(2))
        >>> student = pf.iaf(2, layers=1, hidden=(), order="same")
        >>> report = pf.distill(teacher, student, max_steps=300, learning_rate=5e-2, average_decay=None, draws=2000)
        >>> report.estimator, report.kl < 0.02
        ('closed_form', True)
    """
    settings = settings_for_draws("distill", training, DEFAULT_STEPS, refused=REFUSED)
    _check(teacher, student, inner_samples, log_scale_regularization, draws, timing_rows)
    device = choose_device(settings.device)
    student.to(device)
    if isinstance(teacher, nn.Module):
        teacher.to(device)
    rows = context_rows(student, context)
    with frozen(teacher):
        name, reason = choose_estimator(teacher, student, estimator, None if rows is None else rows[:1])
        try:
            objective = Divergence(teacher, student, name, inner_samples, log_scale_regularization, penalties)
        except NoConditionals as error:
            raise InputError(f"log_scale_regularization compares conditionals in one order, and {error}.") from None
        if estimator == "auto":
            announce(f"estimator {name}: {reason}")
        conditions = None if rows is None or digest is not None else content(rows)
        data = {"teacher": content_of_module(teacher), "context": conditions, "source": digest}
        checkpoint = checkpoint_for(student, data, settings, device, **_choices(objective))
        history = _minimize(objective, rows, device, settings, checkpoint)
    report = measure(teacher, student, rows, draws, reference, timing_rows, settings.seed + 2)
    for alarm in report.alarms:
        warnings.warn(alarm, DistillationAlarm, stacklevel=2)
    return dataclasses.replace(report, estimator=name, reason=reason, history=history)


def _check(
    teacher: Any, student: Any, inner_samples: int, log_scale_regularization: float, draws: int, timing_rows: int
) -> None:
    if not hasattr(teacher, "log_prob"):
        raise InputError(f"A teacher needs log_prob(x, context); {type(teacher).__name__} has none.")
    if not isinstance(student, nn.Module) or not hasattr(student, "rsample_with_log_prob"):
        raise InputError(
            f"A student is a module with rsample_with_log_prob(shape, context); {type(student).__name__} is not."
        )
    if inner_samples < 1 or log_scale_regularization < 0:
        raise InputError(
            "inner_samples must be at least 1 and log_scale_regularization 0 or more; they are "
            f"{inner_samples} and {log_scale_regularization}."
        )
    if draws < 2 or timing_rows < 0:
        raise InputError(f"draws must be at least 2 and timing_rows 0 or more; they are {draws} and {timing_rows}.")
    taught = {id(parameter) for parameter in tensors(student)}
    if any(id(tensor) in taught for tensor in tensors(teacher)):
        raise InputError("Student and teacher share weights: give the student its own copies (copy.deepcopy).")


def _choices(objective: Divergence) -> dict[str, Any]:
    """What a checkpoint compares of a loss."""
    return {
        "estimator": objective.estimator,
        "inner_samples": objective.inner_samples,
        "log_scale_regularization": objective.log_scale_regularization,
        "penalties": [
            [weight, getattr(penalty, "__name__", type(penalty).__name__)] for weight, penalty in objective.penalties
        ],
    }


def _minimize(
    objective: Divergence,
    context: Tensor | None,
    device: torch.device,
    settings: Settings,
    checkpoint: Checkpoint | None,
) -> History:
    """Train the student of an objective on draws with contexts from the rows given."""
    seed = settings.seed
    dimensions = _dimensions(objective, None if context is None else context[:1], seed)

    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    return train(
        make_fabric(device, settings.precision),
        objective,
        Draws(settings.batch_size, context, settings.evaluate_every, seed),
        HeldOutDraws(objective, context, dimensions, seed + 1),
        settings,
        checkpoint=checkpoint,
        value="minus the loss",
        unit="nats per draw",
    )


class Draws:
    """How many draws to take in each step, and with which contexts.

    Arguments:
        count: draws in a step.
        context: rows to draw contexts from, (N, ...), or None.
        steps: steps in an epoch.
        seed: of the choice of contexts.
    """

    def __init__(self, count: int, context: Tensor | None, steps: int, seed: int) -> None:
        self.count = count
        self.context = context
        self.steps = steps
        # The noise of the draws has the seed itself.
        self._generator = torch.Generator().manual_seed(stream(seed, "contexts"))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for _ in range(self.steps):
            yield _batch(self.count, self.context, self._generator)

    def state_dict(self) -> dict[str, Any]:
        """The place in the choice of contexts after the batch yielded last."""
        return {"random": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batch that was yielded last when the state was saved."""
        self._generator.set_state(state["random"])


class HeldOutDraws:
    """Minus the loss on base draws and contexts that are the same each time.

    Arguments:
        objective: the loss.
        context: rows to draw contexts from, (N, ...), or None.
        dimensions: D; more of them, fewer draws, but at least two at a time.
        seed: of the draws.
    """

    def __init__(self, objective: Divergence, context: Tensor | None, dimensions: int, seed: int) -> None:
        self.objective = objective
        self.context = context
        self.count = min(max(HELD_OUT_NUMBERS // dimensions, FEWEST_HELD_OUT), MOST_HELD_OUT)
        self.chunks = _chunks(self.count, max(HELD_OUT_CHUNK_NUMBERS // dimensions, 2))
        self.seed = seed

    def __call__(self) -> float:
        """Return the mean, in nats for an event; higher is better."""
        total = 0.0
        generator = torch.Generator().manual_seed(stream(self.seed, "contexts"))
        with torch.no_grad(), seeded(self.seed, device_of(self.objective.student)):
            for count in self.chunks:
                batch = _batch(count, self.context, generator)
                total += float(self.objective.value(*batch).double().sum())
        return -total / self.count


def _chunks(count: int, size: int) -> list[int]:
    """Sizes that sum to count, none of them 1: a penalty may compare the draws of a chunk with each other.

    Example:
        >>> _chunks(10, 4), _chunks(9, 4), _chunks(4, 4)
        ([4, 4, 2], [4, 5], [4])
    """
    whole, rest = divmod(count, size)
    if rest == 1 and whole:
        return [size] * (whole - 1) + [size + 1]
    return [size] * whole + [rest] * bool(rest)


def _batch(count: int, context: Tensor | None, generator: torch.Generator) -> tuple[Any, ...]:
    if context is None:
        return (count,)
    rows = torch.randint(len(context), (count,), generator=generator)
    return count, context[rows.to(context.device)], rows


def _dimensions(objective: Divergence, context: Tensor | None, seed: int) -> int:
    """The number of dimensions; refuses a teacher that has no gradients or takes another shape."""
    student, teacher = objective.student, objective.teacher
    with seeded(seed, device_of(student)):
        shape = (1,) if context is None else ()
        x, log_q = student.rsample_with_log_prob(shape, context)  # type: ignore[operator]
        x = x.detach().requires_grad_()
        log_p = teacher.log_prob(x, context)
    if x.ndim != 2 or log_q.shape != (1,):
        raise InputError(
            f"A student draws x of shape (rows, D) and log q of (rows,); for one row they are {tuple(x.shape)} and "
            f"{tuple(log_q.shape)}."
        )
    if not isinstance(log_p, Tensor) or log_p.shape != (1,):
        found = tuple(log_p.shape) if isinstance(log_p, Tensor) else type(log_p).__name__
        raise InputError(f"The teacher's log_prob must give (rows,) for x of (rows, D); for one row it gives {found}.")
    if not log_p.requires_grad:
        raise InputError("The teacher's log_prob must be differentiable: its result has no gradient with respect to x.")
    return x.shape[-1]
