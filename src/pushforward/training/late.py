"""Steps on a GPU, whose losses are read several at a time: to read a number is to wait for all that is queued."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from pushforward.training.diagnosis import Batch

# Enough for the processor to stay ahead of the GPU, and few enough to hold their batches.
STEPS_BETWEEN_READINGS = 10


@dataclass
class LateStep:
    """A step whose loss has not been read yet.

    Attributes:
        step: Its number, counted from 1.
        batch: What it was taken on.
        learning_rate: What it was taken with.
        both: The mean loss and the norm of the gradient, (2,), on the device.
        rows: The number of rows.
        name_rows: Describes rows of this batch, given their positions in it.
    """

    step: int
    batch: Batch
    learning_rate: float
    both: Tensor
    rows: int
    name_rows: Callable[[Tensor], str] | None


def reads_late(device: torch.device, processes: int) -> bool:
    """Whether losses are read several steps at a time: on a GPU, where one process trains.

    >>> reads_late(torch.device("cpu"), 1)
    False
    """
    return device.type not in ("cpu", "mps") and processes == 1


def of_this_batch(name_rows: Callable[[Tensor], str] | None) -> Callable[[Tensor], str] | None:
    """The same method of batches as they are now: later it still describes rows of the batch yielded last by now."""
    if not isinstance(name_rows, MethodType):
        return name_rows
    return MethodType(name_rows.__func__, copy.copy(name_rows.__self__))


def step_unless_broken(optimizer: Any, gradients: list[Tensor], both: Tensor, gradient_clip: float) -> None:
    """Take a step that leaves everything as it is if the loss or the norm is not finite, without reading either.

    Arguments:
        optimizer: A fused one of torch, which knows a flag for such steps.
        gradients: Of its parameters; they are clipped.
        both: The mean loss and the norm of the gradients, (2,).
        gradient_clip: The largest norm.
    """
    torch._foreach_mul_(gradients, (gradient_clip / both[1]).clamp(max=1.0))
    optimizer.found_inf = (~both.isfinite()).any().float()
    optimizer.step()
    optimizer.found_inf = None


def read(steps: list[LateStep]) -> list[list[float]]:
    """The losses and norms of some steps, in one transfer."""
    return torch.stack([late.both for late in steps]).tolist() if steps else []
