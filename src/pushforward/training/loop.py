"""The training loop: one for every objective that gives a loss per row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pushforward.bijections.base import Bijection
from pushforward.errors import InputError
from pushforward.kernels.threads import torch_in_one_thread
from pushforward.support.progress import ProgressBar, clock, to_standard_error
from pushforward.support.seeding import seeded
from pushforward.training.batches import Batches
from pushforward.training.checkpoint import Checkpoint, pause_after
from pushforward.training.diagnosis import Batch
from pushforward.training.history import CsvLog, History
from pushforward.training.run import Run
from pushforward.training.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(
    fabric: Fabric,
    objective: nn.Module,
    batches: Batches,
    held_out: Callable[[], float],
    settings: Settings,
    *,
    name_rows: Callable[[Tensor], str] | None = None,
    checkpoint: Checkpoint | None = None,
    value: str = "held-out log-likelihood",
    unit: str = "nats per row",
) -> History:
    """Minimize an objective and leave it, in eval mode, with the weights whose held-out value is highest.

    AdamW with warm-up and cosine, clipped gradients, averaged weights, early stopping, and a guard against losses and
    gradients that are not finite. The held-out value is computed with the averaged weights, in eval mode, without
    gradients, before the first step, every `evaluate_every` steps and at the end.

    Arguments:
        fabric: Device, precision and processes (`pushforward.training.fabric.make_fabric`).
        objective: Its forward takes a batch and gives one loss per row (nats), (rows,).
        batches: The training batches: tuples of tensors, or of whatever else the objective's forward takes. With a
            checkpoint they must be `ResumableBatches`.
        held_out: The value to maximize; raises FloatingPointError with a reason if it has none.
        settings: All other choices.
        name_rows: Describes rows of the last batch, given their positions in it, for messages.
        checkpoint: Where the state is saved from time to time and at the end, and what to resume from; None saves none.
        value: What the held-out value is, in messages and the history; default "held-out log-likelihood".
        unit: Its unit; default "nats per row".

    Raises:
        InputError: There is nothing to train, the log cannot be written, or the checkpoint is not of this run.
        TrainingError: Losses or gradients were not finite too often.
    """
    if len(batches) == 0:
        raise InputError("There are no training batches.")
    if not any(p.requires_grad for p in objective.parameters()):
        raise InputError("There is nothing to train: no parameter requires a gradient.")
    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import from_first, interrupts_noted, lost_processes_explained

    path = settings.log_path if fabric.is_global_zero else None
    with (
        lost_processes_explained(fabric, "" if checkpoint is None else f"; resume from {checkpoint.path}"),
        seeded(settings.seed + fabric.global_rank, fabric.device),
        CsvLog(path) as log,
        _threads_of(objective),
    ):
        # Not every machine may see the file.
        saved = from_first(fabric, checkpoint.read_if_wanted) if checkpoint is not None else None
        run = Run(fabric, objective, batches, held_out, settings, name_rows)
        run.history.value, run.history.unit = value, unit
        with interrupts_noted(fabric) as run.agreement.asked_to_stop:
            return _Loop(run, log, checkpoint).complete(saved)


def _threads_of(objective: nn.Module) -> AbstractContextManager[None]:
    """One thread for torch where kernels, which have threads of their own, compute most; else as many as it has."""
    layers = (module for module in objective.modules() if isinstance(module, Bijection))
    return torch_in_one_thread() if any(layer.trains_compiled for layer in layers) else nullcontext()


class _Loop:
    """What happens between the steps of a run: evaluation, checkpoints, the progress bar, and the end."""

    def __init__(self, run: Run, log: CsvLog, checkpoint: Checkpoint | None) -> None:
        self.run = run
        self.log = log
        self.checkpoint = checkpoint
        self.saved_at = 0.0
        self.saving_seconds = 0.0
        self.bar = ProgressBar(run.settings.progress if run.fabric.is_global_zero else False)

    def complete(self, saved: dict[str, Any] | None) -> History:
        """Train to the end, from the start or from a saved state."""
        run = self.run
        try:
            batches = self._start(saved)
            if not run.finished:
                self._take_steps(batches)
                run.finished = True
                self._save()
        except KeyboardInterrupt:
            self._interrupted()
        finally:
            self.bar.close()
            run.finish()
        return run.history

    def _start(self, saved: dict[str, Any] | None) -> Iterator[Batch]:
        run = self.run
        run.stepper.model.train()
        stream = _endless(run.batches)
        if saved is not None:
            assert self.checkpoint is not None
            self.checkpoint.restore(run, saved)
            self.log.start(run.lines)
            run.history.resumed(run.step)
        else:
            self.log.start()
            first = next(stream)
            run.start(first)
            stream = itertools.chain([first], stream)
        self.saved_at = run.agreement.elapsed()
        if saved is None:
            self._evaluate()
            if run.fabric.world_size > 1:
                # One of many processes may end at any time, and ends all others.
                self._save()
        return stream

    def _take_steps(self, batches: Iterator[Batch]) -> None:
        run = self.run
        patience = run.settings.patience
        for batch in batches:
            elapsed = run.agreement.elapsed_in_step()
            progress = run.progress(elapsed)
            if progress >= 1.0:
                run.history.stopped = "finished" if run.step >= run.total_steps else "time"
                break
            run.take_step(batch, progress)
            if run.agreement.stop:
                raise KeyboardInterrupt
            if run.evaluation_due(elapsed):
                self._evaluate()
                if patience is not None and run.evaluations_since_best >= patience:
                    run.history.stopped = "early stopping"
                    break
            if self.checkpoint is not None and elapsed - self.saved_at >= pause_after(self.saving_seconds):
                self._save()
            if self.bar.due(run.agreement.started + elapsed):
                self._show(progress, elapsed)
        if run.evaluated_step < run.step:
            self._evaluate()

    def _evaluate(self) -> None:
        self.log.write(*self.run.evaluate())

    def _save(self) -> None:
        """Write the checkpoint; a full disk must not end the training."""
        if self.checkpoint is None:
            return
        started = self.run.agreement.elapsed()
        state = self.run.state_dict()
        try:
            if self.run.fabric.is_global_zero:
                self.checkpoint.write(state)
        except InputError as error:
            self.run.warn(f"Step {self.run.step}: no checkpoint, {error}")
        self.saved_at = self.run.agreement.elapsed()
        self.saving_seconds = self.saved_at - started

    def _interrupted(self) -> None:
        run = self.run
        run.history.stopped = "interrupted"
        # Steps since the last evaluation may hold the best weights; a second Ctrl-C in here is not caught.
        if run.best_state is not None and run.evaluated_step < run.step:
            self._evaluate()
        if run.best_state is None:
            kept = "the weights as they are"
        else:
            history = run.history
            best = f"{history.value} {run.best_value:.4f} {history.unit}, higher is better"
            kept = f"the weights of step {history.best_step} ({best})"
        self.bar.close()
        if run.fabric.is_global_zero:
            to_standard_error(f"Interrupted at step {run.step}; keeping {kept}.")

    def _show(self, progress: float, elapsed: float) -> None:
        run = self.run
        speed = run.step / elapsed
        seconds_left = run.time_budget - elapsed
        if speed > 0:
            seconds_left = min(seconds_left, (run.total_steps - run.step) / speed)
        # Short enough for a terminal of eighty columns.
        unit = run.history.unit.replace(" per ", "/")
        self.bar.update(
            progress,
            f"step {run.step}, epoch {run.epochs:.0f}, held-out {run.best_value:.4f} {unit}, {speed:.0f}/s, "
            f"{clock(seconds_left)} left",
        )


def _endless(batches: Batches) -> Iterator[Batch]:
    while True:
        yield from batches
