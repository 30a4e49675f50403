"""The training loop: one for every objective that gives a loss per row."""

from __future__ import annotations

import copy
import itertools
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from pushforward.errors import InputError, TrainingError
from pushforward.support.progress import ProgressBar, clock
from pushforward.support.seeding import seeded
from pushforward.training.average import WeightAverage
from pushforward.training.checkpoint import Checkpoint, Saved, pause_after
from pushforward.training.diagnosis import Batch, diagnose
from pushforward.training.history import CsvLog, History
from pushforward.training.schedule import learning_rate_factor, run_progress
from pushforward.training.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The fifth batch that gives a loss or gradient that is not finite ends the run.
MOST_FAILURES = 5
# Runs with a time limit are evaluated at least this often, as far as evaluation keeps to its share of the time.
EVALUATIONS_PER_TIMED_RUN = 20
LARGEST_EVALUATION_SHARE = 0.1


class Batches(Protocol):
    """Batches to train on: one pass is an epoch of `len(batches)` batches, each the arguments of the objective.

    Runs with checkpoints also need `state_dict()`, the place after the last batch as tensors and plain JSON, and
    `load_state_dict(state)`, which makes the next pass go on from there.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


def train(
    fabric: Fabric,
    objective: nn.Module,
    batches: Batches,
    held_out: Callable[[], float],
    settings: Settings,
    *,
    name_rows: Callable[[Tensor], str] | None = None,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Minimise an objective and leave it, in eval mode, with the weights whose held-out value is highest.

    AdamW with warm-up and cosine, clipped gradients, averaged weights, early stopping, and a guard against losses and
    gradients that are not finite. The held-out value is taken with the averaged weights, in eval mode, without
    gradients, before the first step, every `evaluate_every` steps and at the end.

    Arguments:
        fabric: Device, precision and processes (`pushforward.training.fabric.make_fabric`).
        objective: Its forward takes a batch and gives one loss per row (nats), (rows,).
        batches: The training batches: tuples of tensors, or of whatever else the objective's forward takes.
        held_out: The value to maximise (nats per row); raises FloatingPointError with a reason if it has none.
        settings: All other choices.
        name_rows: Describes rows of the last batch, given their positions in it, for messages.
        checkpoint: Where the state is kept from time to time and at the end, and what to go on from; None keeps none.

    Raises:
        InputError: There is nothing to train, the log cannot be written, or the checkpoint is not of this run.
        TrainingError: Losses or gradients were not finite too often.
    """
    if len(batches) == 0:
        raise InputError("There are no training batches.")
    if not any(p.requires_grad for p in objective.parameters()):
        raise InputError("There is nothing to train: no parameter requires a gradient.")
    if checkpoint is not None and fabric.world_size > 1:
        raise InputError("Checkpoints are kept by runs of one process only; leave checkpoint out.")
    saved = checkpoint.read() if checkpoint is not None and checkpoint.found else None
    path = settings.log_path if fabric.is_global_zero else None
    with seeded(settings.seed + fabric.global_rank, fabric.device), CsvLog(path) as log:
        return _Run(fabric, objective, batches, held_out, settings, name_rows, log, checkpoint, saved).complete()


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        fabric: Fabric,
        objective: nn.Module,
        batches: Batches,
        held_out: Callable[[], float],
        settings: Settings,
        name_rows: Callable[[Tensor], str] | None,
        log: CsvLog,
        checkpoint: Checkpoint | None,
        saved: Saved | None,
    ) -> None:
        self.fabric = fabric
        self.objective = objective
        self.batches = batches
        self.held_out = held_out
        self.settings = settings
        self.name_rows = name_rows
        self.log = log
        self.checkpoint = checkpoint
        self.saved = saved
        self.history = History()
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.bar = ProgressBar(settings.progress if fabric.is_global_zero else False)

        limits = [settings.max_steps, None if settings.epochs is None else settings.epochs * len(batches)]
        self.total_steps: float = min((limit for limit in limits if limit is not None), default=math.inf)
        self.max_time = math.inf if settings.max_time is None else settings.max_time
        self.time_budget = self.max_time

        self.step = 0
        self.rate_scale = 1.0
        self.failures = 0
        self.best_value = -math.inf
        self.best_state: dict[str, Any] | None = None
        self.average: WeightAverage | None = None
        self.evaluations_since_best = 0
        self.evaluated_step = -1
        self.evaluated_at = 0.0
        self.evaluation_seconds = 0.0
        self.finished = False
        self.last_rate = 0.0
        self._forget_means()

    def complete(self) -> History:
        """Train to the end, whichever it is."""
        self.started = time.monotonic()
        try:
            self._start()
            if not self.finished:
                self._loop()
                self._keep(finished=True)
        except KeyboardInterrupt:
            self._interrupted()
        finally:
            self._finish()
        return self.history

    def _start(self) -> None:
        self.model = self.fabric.setup_module(self.objective)
        self.model.train()
        stream = self._endless_batches()
        if self._resume(stream):
            return
        self.log.start()
        first = next(stream)
        # Layers that initialise themselves on their first batch do so now, before any copy of the weights is taken.
        with torch.no_grad():
            losses = self.model(*self._on_device(first))
        if self.fabric.world_size > 1:
            from pushforward.training.fabric import equalise_processes

            equalise_processes(self.fabric, self.objective)
        self.stream: Iterator[Batch] = itertools.chain([first], stream)
        self._prepare()
        self.good = self._copy_state()
        self._note(float(losses.mean()), math.nan, len(losses), self._learning_rate(0.0))
        self._evaluate()

    def _prepare(self) -> None:
        self.optimizer: Any = self.fabric.setup_optimizers(self._make_optimizer())
        if self.settings.average_decay is not None:
            self.average = WeightAverage(self.objective, self.settings.average_decay)
        self.kept_at = self.elapsed()
        self.keeping_seconds = 0.0

    def _resume(self, stream: Iterator[Batch]) -> bool:
        """Go on from the checkpoint, if there is one to go on from."""
        if self.checkpoint is None or self.saved is None:
            return False
        self._prepare()
        self.checkpoint.restore(self, self.saved)
        self.saved = None
        self.kept_at = self.elapsed()
        self.stream = stream
        self.log.go_on(len(self.history.step))
        self.history.events.append(f"Resumed at step {self.step}.")
        return True

    def _keep(self, finished: bool = False) -> None:
        """Write the checkpoint; a disk that is full must not end the training."""
        if self.checkpoint is None:
            return
        started = self.elapsed()
        try:
            self.checkpoint.write(self, finished)
        except InputError as error:
            self._warn(f"Step {self.step}: no checkpoint, {error}")
        self.kept_at = self.elapsed()
        self.keeping_seconds = self.kept_at - started

    def _loop(self) -> None:
        for batch in self.stream:
            elapsed = self.elapsed()
            progress = run_progress(self.step, self.total_steps, elapsed, self.time_budget)
            if progress >= 1.0:
                self.history.stopped = "finished" if self.step >= self.total_steps else "time"
                break
            self._take_step(self._on_device(batch), self._learning_rate(progress))
            if self._evaluation_due(elapsed):
                self._evaluate()
                if self.settings.patience is not None and self.evaluations_since_best >= self.settings.patience:
                    self.history.stopped = "early stopping"
                    break
            if self.checkpoint is not None and elapsed - self.kept_at >= pause_after(self.keeping_seconds):
                self._keep()
            if self.bar.due(self.started + elapsed):
                self._show(progress, elapsed)
        if self.evaluated_step < self.step:
            self._evaluate()

    def _take_step(self, batch: Batch, learning_rate: float) -> None:
        losses = self.model(*batch)
        loss = losses.mean()
        self.fabric.backward(loss)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        # One transfer brings both numbers; the norm is finite only if every gradient is.
        both: Any = torch.stack((loss.detach(), norm))
        if self.fabric.world_size > 1:
            both = self.fabric.all_reduce(both, reduce_op="mean")
        loss_value, norm_value = both.tolist()
        if not math.isfinite(loss_value) or not math.isfinite(norm_value):
            self._recover(batch, learning_rate)
            return
        # The norm is known here by now, so gradients that are short enough are not multiplied by one.
        if norm_value > self.settings.gradient_clip:
            torch._foreach_mul_(gradients, self.settings.gradient_clip / norm_value)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self._drop_gradients()
        if self.average is not None:
            self.average.update()
        self.step += 1
        self._note(loss_value, norm_value, len(losses), learning_rate)

    def _recover(self, batch: Batch, learning_rate: float) -> None:
        """Say what was not finite, go back to the last good weights and halve the learning rate."""
        self._drop_gradients()
        found = diagnose(self.objective, self.model, self.fabric.backward, batch)
        self._drop_gradients()
        if len(found.rows) == 0:
            where = "a gradient is not finite"
        else:
            where = f"the loss of {len(found.rows)} row(s) of the batch is not finite"
            if self.name_rows is not None:
                where += f", the most extreme is {self.name_rows(found.rows)}"
        sentence = f"Step {self.step + 1}: {where}; {found}."
        self.failures += 1
        if self.failures == MOST_FAILURES:
            sentence = f"Training gave up after {MOST_FAILURES} such failures. {sentence}"
            self.history.events.append(sentence)
            raise TrainingError(sentence)
        state, averaged, good_step = self.good
        self.objective.load_state_dict(state)
        if self.average is not None:
            self.average.restore(averaged)
        self.rate_scale *= 0.5
        self._warn(
            f"{sentence} Went back to the weights of step {good_step} and halved the learning rate "
            f"(now {learning_rate / 2:.3g})."
        )

    def _evaluate(self) -> None:
        started = self.elapsed()
        self.evaluated_step = self.step
        self.model.eval()
        with torch.no_grad(), self.average.applied() if self.average is not None else nullcontext():
            reason = ""
            try:
                value = self.held_out()
            except FloatingPointError as error:
                value, reason = math.nan, f": {error}"
            if self.fabric.world_size > 1:
                value = self.fabric.broadcast(value)
            self.evaluations_since_best += 1
            if math.isfinite(value) and value > self.best_value:
                self.evaluations_since_best = 0
                self.best_value = value
                self.best_state = copy.deepcopy(self.objective.state_dict())
                self.history.best_held_out, self.history.best_step = value, self.step
        self.model.train()
        if math.isfinite(value):
            self.good = self._copy_state()
        else:
            self._warn(f"Step {self.step}: the held-out value is not finite{reason}. These weights are not kept.")
        self._record(value)
        self.evaluated_at = self.elapsed()
        self.evaluation_seconds = self.evaluated_at - started
        # The evaluation at the end belongs to the time limit as well.
        self.time_budget = max(self.max_time - self.evaluation_seconds, self.max_time / 2)

    def _record(self, held_out: float) -> None:
        elapsed = self.elapsed()
        train = -self.loss_sum / self.rows_seen if self.rows_seen else math.nan
        norm = self.norm_sum / self.steps_seen if self.steps_seen else math.nan
        history = self.history
        history.step.append(self.step)
        history.seconds.append(elapsed)
        history.train.append(train)
        history.held_out.append(held_out)
        history.learning_rate.append(self.last_rate)
        epoch = round(self.step / len(self.batches), 4)
        self.log.write(self.step, epoch, round(elapsed, 3), train, held_out, self.last_rate, norm)
        self._forget_means()

    def _note(self, loss: float, norm: float, rows: int, learning_rate: float) -> None:
        self.loss_sum += loss * rows
        self.rows_seen += rows
        self.norm_sum += norm
        self.steps_seen += 1
        self.last_rate = learning_rate

    def _forget_means(self) -> None:
        self.loss_sum = self.norm_sum = 0.0
        self.rows_seen = self.steps_seen = 0

    def _evaluation_due(self, elapsed: float) -> bool:
        if self.evaluated_step == self.step or self.step >= self.total_steps:
            return False
        if self.step % self.settings.evaluate_every == 0:
            return True
        # By the clock only if the run is not repeatable anyway.
        pause = max(self.max_time / EVALUATIONS_PER_TIMED_RUN, self.evaluation_seconds / LARGEST_EVALUATION_SHARE)
        return elapsed - self.evaluated_at >= pause

    def _interrupted(self) -> None:
        self.history.stopped = "interrupted"
        # Steps since the last evaluation may hold the best weights; a second Ctrl-C in here is not caught.
        if self.best_state is not None and self.evaluated_step < self.step:
            self._evaluate()
        if self.best_state is None:
            kept = "the weights as they are"
        else:
            kept = f"the weights of step {self.history.best_step} ({self.best_value:.4f} held-out nats per row)"
        self._say(f"Interrupted at step {self.step}; keeping {kept}.")

    def _finish(self) -> None:
        self.bar.close()
        if self.best_state is not None:
            self.objective.load_state_dict(self.best_state)
        elif self.average is not None:
            self.average.copy_to_module()
        self._drop_gradients()
        self.objective.eval()
        self.history.steps = self.step
        self.history.epochs = self.step / len(self.batches)
        self.history.total_seconds = time.monotonic() - self.started

    def _drop_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _make_optimizer(self) -> torch.optim.AdamW:
        parameters = self.parameters
        # Biases, shifts and log-scales have no reason to be near zero; only matrices decay.
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        # None where fusing is not supported: PyTorch then updates all parameters of a group together or one by one.
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate, fused=fused or None)

    def _learning_rate(self, progress: float) -> float:
        factor = learning_rate_factor(self.step, self.settings.warmup_steps, progress)
        return self.settings.learning_rate * self.rate_scale * factor

    def _copy_state(self) -> tuple[dict[str, Any], list[Tensor], int]:
        averaged = [] if self.average is None else self.average.snapshot()
        return copy.deepcopy(self.objective.state_dict()), averaged, self.step

    def _endless_batches(self) -> Iterator[Batch]:
        while True:
            yield from self.batches

    def _on_device(self, batch: Batch) -> Batch:
        device = self.fabric.device
        if device.type == "cpu":
            return batch
        return tuple(part.to(device) if isinstance(part, Tensor) else part for part in batch)

    def elapsed(self) -> float:
        """Seconds of training, those before a checkpoint included."""
        elapsed = time.monotonic() - self.started
        # Processes must take every decision alike, so the first one's clock counts.
        return elapsed if self.fabric.world_size == 1 else self.fabric.broadcast(elapsed)

    def _show(self, progress: float, elapsed: float) -> None:
        speed = self.step / elapsed
        seconds_left = self.time_budget - elapsed
        if speed > 0:
            seconds_left = min(seconds_left, (self.total_steps - self.step) / speed)
        epoch = self.step / len(self.batches)
        # Short enough for a terminal of eighty columns.
        self.bar.update(
            progress,
            f"step {self.step}, epoch {epoch:.0f}, held-out {self.best_value:.4f} nats/row, {speed:.0f}/s, "
            f"{clock(seconds_left)} left",
        )

    def _warn(self, sentence: str) -> None:
        self.history.events.append(sentence)
        if self.fabric.is_global_zero:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def _say(self, sentence: str) -> None:
        self.bar.close()
        if self.fabric.is_global_zero:
            print(sentence, file=sys.stderr)
