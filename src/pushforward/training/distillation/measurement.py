"""Measurement of a student: divergence, importance weights, spread and speed, from fresh draws."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.modules import device_of, frozen, tensors
from pushforward.support.seeding import seeded
from pushforward.training.distillation.report import (
    DistillationAlarm,
    DistillationReport,
    Speed,
    Spread,
    alarms_of,
)
from pushforward.training.importance import effective_share, pareto_k
from pushforward.training.rows import as_matrix, in_dtype_of

# Numbers (rows times dimensions) drawn at a time.
CHUNK_NUMBERS = 2**18
# Draws of each for the spread: sampling a teacher of long sequences is slow.
FEWEST_FOR_SPREAD, SPREAD_DRAWS = 64, 4096
TIMING_REPEATS = 5
# A draw that takes longer than this is timed once.
PATIENCE_SECONDS = 1.0


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
    """Measure how well a student matches its teacher, from fresh draws of the student.

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
        what is wrong: a collapse of the spread, heavy-tailed weights, values that are not finite.

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
    """The report of `evaluate_student`, without warning of its alarms."""
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
        finite, outside = log_weight.isfinite(), log_weight == -torch.inf
        kept, counted = log_weight[finite], log_weight[finite | outside]
        if len(kept) < 2:
            raise InputError("log p(x) - log q(x) is finite for none of the student's draws: do they share a support?")
        spread = _spread(teacher, torch.cat(first)[:wanted], context, reference)
        speed = _speed(teacher, student, context, timing_rows)
    report = DistillationReport(
        # Where p is 0, the mean is infinite and the deviation NaN.
        kl=-float(counted.mean()),
        kl_error=float(counted.std()) / math.sqrt(len(counted)),
        dimensions=dimensions,
        effective_sample_size=effective_share(counted),
        largest_log_weight=float(kept.max()),
        pareto_k=pareto_k(kept),
        outside=float(outside.double().mean()),
        nonfinite=1 - len(counted) / draws,
        draws=draws,
        spread=spread,
        speed=speed,
    )
    report.alarms = alarms_of(report)
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
