"""The guard against losses and gradients that are not finite: back to the last good weights, at half the rate."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pushforward.errors import TrainingError
from pushforward.training.average import WeightAverage
from pushforward.training.diagnosis import Batch, diagnose
from pushforward.training.state_dicts import completed, in_order, numbered, tensors_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The fifth batch whose loss or gradient is not finite ends the run.
MOST_FAILURES = 5

NameRows = Callable[[Tensor], str] | None


class Guard:
    """Knows the last good weights, and returns to them when a step has failed.

    Arguments:
        fabric: Device and processes.
        objective: Has the weights.
        model: The objective as Fabric has set it up.
        average: Of the weights, if there is one.
        warn: Called with a sentence about each step that failed.

    Attributes:
        failures: How many steps have failed.
        rate_scale: What learning rates are multiplied by, which each failure halves.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: nn.Module,
        model: Any,
        average: WeightAverage | None,
        warn: Callable[[str], None],
    ) -> None:
        self.fabric = fabric
        self.objective = objective
        self.model = model
        self.average = average
        self.warn = warn
        self.failures = 0
        self.rate_scale = 1.0
        self.mark_good(0)

    def mark_good(self, step: int) -> None:
        """Return to the present weights, which are those after a step, if a later one fails."""
        averaged = [] if self.average is None else self.average.snapshot()
        self._good = (copy.deepcopy(self.objective.state_dict()), averaged, step)

    def recover(self, step: int, batch: Batch, learning_rate: float, name_rows: NameRows) -> None:
        """Say what was not finite, return to the last good weights and halve the learning rate.

        Arguments:
            step: The number of the step that failed.
            batch: What it was taken on.
            learning_rate: What it was taken with.
            name_rows: Describes rows of the batch, given their positions in it.

        Raises:
            TrainingError: Too many steps have failed.
        """
        sentence = f"Step {step}: {self._fault(batch, name_rows)}."
        self.failures += 1
        if self.failures == MOST_FAILURES:
            raise TrainingError(f"Training stopped after {MOST_FAILURES} such failures. {sentence}")
        state, averaged, good_step = self._good
        self.objective.load_state_dict(state)
        if self.average is not None:
            self.average.restore(averaged)
        self.rate_scale *= 0.5
        self.warn(
            f"{sentence} Restored the weights of step {good_step} and halved the learning rate "
            f"(now {learning_rate / 2:.3g})."
        )

    def state_dict(self) -> dict[str, Any]:
        """The last good weights; its counts are saved with those of the steps."""
        good, good_average, good_step = self._good
        return {"good": tensors_of(good), "good_average": numbered(good_average), "good_step": good_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of a run."""
        average = in_order(state["good_average"], self.fabric.device)
        self._good = (completed(self.objective, state["good"]), average, int(state["good_step"]))
        self.failures = int(state["counts"]["failures"])
        self.rate_scale = float(state["counts"]["rate_scale"])

    def _fault(self, batch: Batch, name_rows: NameRows) -> str:
        """What was not finite, in the first process that has such a row."""
        drop_gradients(self.objective.parameters())
        # Each process by itself: some may find a row at fault, and take no gradient.
        with self.fabric.no_backward_sync(self.model, enabled=self.fabric.world_size > 1):
            found = diagnose(self.objective, self.model, self.fabric.backward, batch)
        drop_gradients(self.objective.parameters())
        where = "a gradient is not finite"
        if len(found.rows):
            where = f"the loss of {len(found.rows)} row(s) of the batch is not finite"
            if name_rows is not None:
                where += f", the most extreme is {name_rows(found.rows)}"
        fault = (len(found.rows) == 0, f"{where}; {found}")
        if self.fabric.world_size > 1:
            from pushforward.training.fabric import from_every

            fault = min(from_every(self.fabric, fault), key=lambda one: one[0])
        return fault[1]


def drop_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Free the gradients of some parameters."""
    for parameter in parameters:
        parameter.grad = None
