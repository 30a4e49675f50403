"""What the processes of a run agree on: the time, whether to stop, and means over the rows of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Agreement:
    """The time of a run, requests to stop it, and means over rows, which are the same in all of its processes.

    All of them must take the same decisions, so the clock of the first one counts.

    Arguments:
        fabric: The processes.
        batch_size: Rows of a batch, which the processes share.

    Attributes:
        started: When the run began, by the clock of this process.
        asked_to_stop: Whether this process was asked to stop; where there are several, all hear of it in a step.
        stop: Whether one of several processes was asked to stop before the last step.
    """

    def __init__(self, fabric: Fabric, batch_size: int) -> None:
        self.fabric = fabric
        self.batch_size = batch_size
        self.started = time.monotonic()
        self.asked_to_stop: Callable[[], bool] = bool
        self.stop = False
        # Of the last step.
        self._clock = 0.0

    @property
    def alone(self) -> bool:
        """Whether there is one process."""
        return self.fabric.world_size == 1

    @property
    def share(self) -> float:
        """The rows of a batch that each process has, as nearly as they can be shared."""
        return self.batch_size / self.fabric.world_size

    def elapsed(self) -> float:
        """Seconds of training, those before a checkpoint included; all processes must ask at the same time."""
        elapsed = self.own_clock()
        if not self.alone:
            self._clock = elapsed = self.fabric.broadcast(elapsed)
        return elapsed

    def elapsed_in_step(self) -> float:
        """The same between steps, as of the last step where there are several processes, which costs no message."""
        return self.own_clock() if self.alone else self._clock

    def over_rows(self, both: Tensor, rows: int, gradients: list[Tensor]) -> tuple[Tensor, int]:
        """The mean loss and the norm of its gradient over the rows of all processes, (2,), and how many rows those are.

        Each process took the sum over its rows, and the gradients are means over the processes: here they are scaled so
        that rows count alike, whichever process has them.
        """
        # One message brings all of them; the clock is that of the first process.
        clock = self.own_clock() if self.fabric.is_global_zero else 0.0
        ours = both.new_tensor([rows, clock, self.asked_to_stop()], dtype=torch.float64)
        summed: Any = self.fabric.all_reduce(torch.cat((both.double(), ours)), reduce_op="sum")
        total, self._clock, stops = summed[2:].tolist()
        self.stop = stops > 0
        factor = self.batch_size / total
        if factor != 1 and gradients:
            torch._foreach_mul_(gradients, factor)
        scales = (self.share / total, factor / self.fabric.world_size)
        return summed[:2] * summed.new_tensor(scales), round(total)

    def own_clock(self) -> float:
        """The same by the clock of this process."""
        return time.monotonic() - self.started
