"""Where a loss or a gradient first stopped being finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Batch = tuple[Any, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What a second run of a batch found.

    Attributes:
        rows: Positions in the batch of the rows whose own loss is not finite, (k,).
        module: The first module, in order of execution, with an output that is not finite.
        parameter: The first parameter that is not finite, or whose gradient is not.
    """

    rows: Tensor
    module: str | None
    parameter: str | None

    def __str__(self) -> str:
        if self.parameter is not None:
            return self.parameter
        if self.module is not None:
            return f"the first output that is not finite comes from module {self.module!r}"
        return "no single module or parameter is at fault"


def diagnose(
    objective: nn.Module, forward: Callable[..., Tensor], backward: Callable[[Tensor], None], batch: Batch
) -> Diagnosis:
    """Run a batch again, and find the rows, the module or the parameter that is not finite.

    Arguments:
        objective: The module whose submodules and parameters are checked.
        forward: Gives the loss of each row of a batch, through `objective`.
        backward: Computes the gradients of a loss with respect to the parameters.
        batch: The arguments of `forward`.
    """
    broken: list[str] = []
    handles = [
        module.register_forward_hook(_OutputCheck(name, broken)) for name, module in objective.named_modules() if name
    ]
    try:
        with torch.no_grad():
            losses = forward(*batch)
    finally:
        for handle in handles:
            handle.remove()
    rows = (~losses.isfinite()).nonzero()[:, 0]
    module = broken[0] if broken else None
    parameter = next(
        (
            f"parameter {name!r} is not finite"
            for name, p in objective.named_parameters()
            if not bool(p.isfinite().all())
        ),
        None,
    )
    if parameter is None and len(rows) == 0:
        backward(forward(*batch).mean())
        parameter = next(
            (
                f"the gradient of parameter {name!r} is not finite"
                for name, p in objective.named_parameters()
                if p.grad is not None and not bool(p.grad.isfinite().all())
            ),
            None,
        )
    return Diagnosis(rows, module, parameter)


class _OutputCheck:
    """A forward hook that records a module's name if its output is not finite."""

    def __init__(self, name: str, broken: list[str]) -> None:
        self.name = name
        self.broken = broken

    def __call__(self, module: nn.Module, inputs: object, output: object) -> None:
        parts = output if isinstance(output, tuple | list) else (output,)
        if any(isinstance(p, Tensor) and p.is_floating_point() and not bool(p.isfinite().all()) for p in parts):
            self.broken.append(self.name)
