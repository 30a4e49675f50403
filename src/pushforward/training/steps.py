"""Steps of a training run: gradients, clipping, AdamW, the average of the weights, and the guard."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pushforward.support.modules import sent
from pushforward.training.agreement import Agreement
from pushforward.training.average import WeightAverage
from pushforward.training.diagnosis import Batch
from pushforward.training.guard import Guard, NameRows, drop_gradients
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
from pushforward.training.state_dicts import completed, in_order, load_moments, moments_of, numbered, tensors_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Stepper:
    """Takes steps down the gradient of an objective, and returns to the last good weights if one fails.

    Arguments:
        fabric: Device, precision and processes.
        objective: Its forward takes a batch and gives one loss per row, (rows,).
        settings: The choices of the run.
        name_rows: Describes rows of the last batch, given their positions in it, for messages.
        warn: Called with a sentence about each step that failed.
        agreement: What the processes agree on in each step.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: nn.Module,
        settings: Settings,
        name_rows: NameRows,
        warn: Callable[[str], None],
        agreement: Agreement,
    ) -> None:
        self.fabric = fabric
        self.objective = objective
        self.settings = settings
        self.name_rows = name_rows
        self.warn = warn
        self.agreement = agreement
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.model = fabric.setup_module(objective)
        self.average: WeightAverage | None = None
        self.step = 0
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
        if self.fabric.world_size == 1:
            return float(losses.mean()), len(losses)
        both, rows = self.agreement.over_rows(losses.sum().div(self.agreement.share).repeat(2), len(losses), [])
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
        loss = losses.mean() if self.fabric.world_size == 1 else losses.sum() / self.agreement.share
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
            both, rows = self.agreement.over_rows(both, rows, gradients)
        loss_value, norm_value = both.tolist()
        if not math.isfinite(loss_value) or not math.isfinite(norm_value):
            self.guard.recover(self.step + 1, batch, learning_rate, self.name_rows)
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
                # The failed step does not count.
                self.step -= 1
                self.guard.recover(late.step, late.batch, late.learning_rate, late.name_rows)
        return taken

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate after this share of the run."""
        factor = learning_rate_factor(self.step, self.settings.warmup_steps, progress)
        return self.settings.learning_rate * self.guard.rate_scale * factor

    def mark_good(self) -> None:
        """Return to the present weights if a later step fails."""
        self.guard.mark_good(self.step)

    def on_device(self, batch: Batch) -> Batch:
        """Move the tensors of a batch to the device."""
        device = self.fabric.device
        if device.type == "cpu":
            return batch
        return tuple(sent(part, device) if isinstance(part, Tensor) else part for part in batch)

    def drop_gradients(self) -> None:
        """Free the gradients."""
        drop_gradients(self.parameters)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes from step to step."""
        return {
            "weights": tensors_of(self.objective.state_dict()),
            **self.guard.state_dict(),
            "average": numbered([] if self.average is None else self.average.snapshot()),
            "average_updates": 0 if self.average is None else self.average.updates,
            "optimizer": moments_of(self.optimizer.optimizer),
            "counts": {"step": self.step, "rate_scale": self.guard.rate_scale, "failures": self.guard.failures},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, in place of `initialize`.

        Raises:
            Exception: The state is not that of such a run.
        """
        self._prepare()
        self.objective.load_state_dict(completed(self.objective, state["weights"]))
        self.guard.load_state_dict(state)
        if self.average is not None:
            self.average.restore(in_order(state["average"], self.fabric.device))
            self.average.updates = int(state["average_updates"])
        load_moments(self.optimizer.optimizer, state["optimizer"])
        self.step = int(state["counts"]["step"])

    def _prepare(self) -> None:
        self.optimizer: Any = self.fabric.setup_optimizers(make_optimizer(self.parameters, self.settings))
        if self.settings.average_decay is not None:
            self.average = WeightAverage(self.objective, self.settings.average_decay)
        self.guard = Guard(self.fabric, self.objective, self.model, self.average, self.warn)

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


def make_optimizer(parameters: list[nn.Parameter], settings: Settings) -> torch.optim.AdamW:
    """Return AdamW, whose weight decay leaves out vectors: biases, shifts and log-scales need not be near zero."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    # None where fusing is not supported: PyTorch then updates all parameters of a group together or one by one.
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused or None)
