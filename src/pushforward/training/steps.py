"""Steps of a training run: gradients, clipping, AdamW, the average of the weights, and the guard."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pushforward.errors import TrainingError
from pushforward.support.modules import sent
from pushforward.training.average import WeightAverage
from pushforward.training.diagnosis import Batch, diagnose
from pushforward.training.late import (
    STEPS_BETWEEN_READINGS,
    LateStep,
    of_this_batch,
    read,
    reads_late,
    step_unless_broken,
)
from pushforward.training.schedule import learning_rate_factor
from pushforward.training.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The fifth batch whose loss or gradient is not finite ends the run.
MOST_FAILURES = 5


class Stepper:
    """Takes steps down the gradient of an objective, and returns to the last good weights if one fails.

    Arguments:
        fabric: Device, precision and processes.
        objective: Its forward takes a batch and gives one loss per row, (rows,).
        settings: The choices of the run.
        name_rows: Describes rows of the last batch, given their positions in it, for messages.
        warn: Called with a sentence about each step that failed.
        elapsed: Gives the seconds of training by the clock of this process.

    Attributes:
        asked_to_stop: Whether this process was asked to stop; where there are several, all hear of it in a step.
        stop: Whether one of several processes was asked to stop before the last step.
        clock: The seconds by the clock of the first process in the last step, where there are several processes.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: nn.Module,
        settings: Settings,
        name_rows: Callable[[Tensor], str] | None,
        warn: Callable[[str], None],
        elapsed: Callable[[], float],
    ) -> None:
        self.fabric = fabric
        self.objective = objective
        self.settings = settings
        self.name_rows = name_rows
        self.warn = warn
        self.elapsed = elapsed
        self.asked_to_stop: Callable[[], bool] = bool
        self.stop = False
        self.clock = 0.0
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.model = fabric.setup_module(objective)
        self.average: WeightAverage | None = None
        self.step = 0
        self.rate_scale = 1.0
        self.failures = 0
        self.reads_late = reads_late(fabric.device, fabric.world_size)
        self.unread: list[LateStep] = []

    def initialize(self, first: Batch) -> tuple[float, int]:
        """Let layers initialize themselves on the first batch, and return its mean loss and number of rows."""
        with torch.no_grad():
            losses: Tensor = self.model(*self.on_device(first))
        if self.fabric.world_size > 1:
            # Imported here: it takes seconds, and is loaded already.
            from pushforward.training.fabric import equalize_processes

            equalize_processes(self.fabric, self.objective)
        self._prepare()
        self.mark_good()
        if self.fabric.world_size == 1:
            return float(losses.mean()), len(losses)
        both, rows = self._over_processes(losses.sum().div(self._share).repeat(2), len(losses), [])
        return float(both[0]), rows

    def take(self, batch: Batch, learning_rate: float) -> tuple[float, float, int] | None:
        """Take a step.

        Returns:
            The mean loss, the norm of the gradient and the number of rows; None if the step failed, or if they are left
            to `read_late`.

        Raises:
            TrainingError: Too many steps have failed.
        """
        losses = self.model(*batch)
        loss = losses.mean() if self.fabric.world_size == 1 else losses.sum() / self._share
        self.fabric.backward(loss)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        # One transfer brings both numbers; the norm is finite only if every gradient is.
        both: Any = torch.stack((loss.detach(), norm))
        rows = len(losses)
        if self.reads_late:
            self._take_late(LateStep(self.step + 1, batch, learning_rate, both, rows, None), gradients)
            return None
        if self.fabric.world_size > 1:
            both, rows = self._over_processes(both, rows, gradients)
        loss_value, norm_value = both.tolist()
        if not math.isfinite(loss_value) or not math.isfinite(norm_value):
            self._recover(batch, learning_rate)
            return None
        # The norm is known on the CPU by now, so short gradients need not be multiplied by one.
        if norm_value > self.settings.gradient_clip:
            torch._foreach_mul_(gradients, self.settings.gradient_clip / norm_value)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.drop_gradients()
        if self.average is not None:
            self.average.update()
        self.step += 1
        return loss_value, norm_value, rows

    @property
    def reading_due(self) -> bool:
        """Whether enough steps wait to be read."""
        return len(self.unread) >= STEPS_BETWEEN_READINGS

    def read_late(self) -> list[tuple[float, float, int, float]]:
        """Read the steps that were left to be read.

        Returns:
            Of each that did not fail the mean loss, the norm of the gradient, the number of rows and the learning rate.

        Raises:
            TrainingError: Too many steps have failed.
        """
        steps, self.unread = self.unread, []
        taken = []
        for late, (loss, norm) in zip(steps, read(steps), strict=True):
            if math.isfinite(loss) and math.isfinite(norm):
                taken.append((loss, norm, late.rows, late.learning_rate))
            else:
                self._recover_late(late)
        return taken

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate after this share of the run."""
        factor = learning_rate_factor(self.step, self.settings.warmup_steps, progress)
        return self.settings.learning_rate * self.rate_scale * factor

    def mark_good(self) -> None:
        """Return to the present weights if a later step fails."""
        averaged = [] if self.average is None else self.average.snapshot()
        self.good = (copy.deepcopy(self.objective.state_dict()), averaged, self.step)

    def on_device(self, batch: Batch) -> Batch:
        """Move the tensors of a batch to the device."""
        device = self.fabric.device
        if device.type == "cpu":
            return batch
        return tuple(sent(part, device) if isinstance(part, Tensor) else part for part in batch)

    def drop_gradients(self) -> None:
        """Free the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes from step to step."""
        good, good_average, good_step = self.good
        return {
            "weights": tensors_of(self.objective.state_dict()),
            "good": tensors_of(good),
            "good_average": _numbered(good_average),
            "good_step": good_step,
            "average": _numbered([] if self.average is None else self.average.snapshot()),
            "average_updates": 0 if self.average is None else self.average.updates,
            "optimizer": {
                f"{index}.{name}": moment
                for index, moments in self.optimizer.optimizer.state_dict()["state"].items()
                for name, moment in moments.items()
            },
            "counts": {"step": self.step, "rate_scale": self.rate_scale, "failures": self.failures},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, in place of `initialize`.

        Raises:
            Exception: The state is not that of such a run.
        """
        self._prepare()
        self.objective.load_state_dict(self.complete(state["weights"]))
        average, good_average = (
            [state[part][key].to(self.fabric.device) for key in sorted(state[part], key=int)]
            for part in ("average", "good_average")
        )
        self.good = (self.complete(state["good"]), good_average, int(state["good_step"]))
        if self.average is not None:
            self.average.restore(average)
            self.average.updates = int(state["average_updates"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state["optimizer"].items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        optimizer = self.optimizer.optimizer
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        counts = state["counts"]
        self.step, self.failures = int(counts["step"]), int(counts["failures"])
        self.rate_scale = float(counts["rate_scale"])

    def complete(self, weights: dict[str, Tensor]) -> dict[str, Any]:
        """Check the names and shapes of saved weights, and add the entries of the state that are not tensors."""
        own = self.objective.state_dict()
        expected = tensors_of(own)
        if weights.keys() != expected.keys() or any(weights[name].shape != expected[name].shape for name in expected):
            raise ValueError("weights of another shape")
        return {**own, **weights}

    @property
    def _share(self) -> float:
        """The rows of a batch that each process has, as nearly as they can be shared."""
        return self.settings.batch_size / self.fabric.world_size

    def _over_processes(self, both: Tensor, rows: int, gradients: list[Tensor]) -> tuple[Tensor, int]:
        """The mean loss and the norm of its gradient over the rows of all processes, (2,), and how many rows those are.

        Each process took the sum over its rows, and the gradients are means over the processes: here they are scaled so
        that rows count alike, whichever process has them.
        """
        # One message brings all of them; the clock is that of the first process.
        clock = self.elapsed() if self.fabric.is_global_zero else 0.0
        ours = both.new_tensor([rows, clock, self.asked_to_stop()], dtype=torch.float64)
        summed: Any = self.fabric.all_reduce(torch.cat((both.double(), ours)), reduce_op="sum")
        total, self.clock, stops = summed[2:].tolist()
        self.stop = stops > 0
        factor = self.settings.batch_size / total
        if factor != 1 and gradients:
            torch._foreach_mul_(gradients, factor)
        scales = (self._share / total, factor / self.fabric.world_size)
        return summed[:2] * summed.new_tensor(scales), round(total)

    def _prepare(self) -> None:
        self.optimizer: Any = self.fabric.setup_optimizers(make_optimizer(self.parameters, self.settings))
        if self.settings.average_decay is not None:
            self.average = WeightAverage(self.objective, self.settings.average_decay)

    def _take_late(self, late: LateStep, gradients: list[Tensor]) -> None:
        """Take a step whose loss and norm are on the device and stay there for now."""
        late.name_rows = of_this_batch(self.name_rows)
        for group in self.optimizer.param_groups:
            group["lr"] = late.learning_rate
        step_unless_broken(self.optimizer.optimizer, gradients, late.both, self.settings.gradient_clip)
        self.drop_gradients()
        if self.average is not None:
            self.average.update()
        self.step += 1
        self.unread.append(late)

    def _recover_late(self, late: LateStep) -> None:
        """Recover from a step that turned out to have failed, some steps later."""
        steps, name_rows = self.step, self.name_rows
        self.step, self.name_rows = late.step - 1, late.name_rows
        try:
            self._recover(late.batch, late.learning_rate)
        finally:
            # The failed step does not count.
            self.step, self.name_rows = steps - 1, name_rows

    def _recover(self, batch: Batch, learning_rate: float) -> None:
        """Say what was not finite, return to the last good weights and halve the learning rate."""
        sentence = f"Step {self.step + 1}: {self._fault(batch)}."
        self.failures += 1
        if self.failures == MOST_FAILURES:
            raise TrainingError(f"Training stopped after {MOST_FAILURES} such failures. {sentence}")
        state, averaged, good_step = self.good
        self.objective.load_state_dict(state)
        if self.average is not None:
            self.average.restore(averaged)
        self.rate_scale *= 0.5
        self.warn(
            f"{sentence} Restored the weights of step {good_step} and halved the learning rate "
            f"(now {learning_rate / 2:.3g})."
        )

    def _fault(self, batch: Batch) -> str:
        """What was not finite, in the first process that has such a row."""
        self.drop_gradients()
        # Each process by itself: some may find a row at fault, and take no gradient.
        with self.fabric.no_backward_sync(self.model, enabled=self.fabric.world_size > 1):
            found = diagnose(self.objective, self.model, self.fabric.backward, batch)
        self.drop_gradients()
        where = "a gradient is not finite"
        if len(found.rows):
            where = f"the loss of {len(found.rows)} row(s) of the batch is not finite"
            if self.name_rows is not None:
                where += f", the most extreme is {self.name_rows(found.rows)}"
        fault = (len(found.rows) == 0, f"{where}; {found}")
        if self.fabric.world_size > 1:
            from pushforward.training.fabric import from_every

            fault = min(from_every(self.fabric, fault), key=lambda one: one[0])
        return fault[1]


def make_optimizer(parameters: list[nn.Parameter], settings: Settings) -> torch.optim.AdamW:
    """Return AdamW, whose weight decay leaves out vectors: biases, shifts and log-scales need not be near zero."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    # None where fusing is not supported: PyTorch then updates all parameters of a group together or one by one.
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused or None)


def tensors_of(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the entries of a state dict that are tensors."""
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _numbered(tensors: list[Tensor]) -> dict[str, Tensor]:
    return {str(index): tensor for index, tensor in enumerate(tensors)}
