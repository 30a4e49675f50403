"""The state of a training run: its steps, its evaluations, its best weights and its history."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from pushforward.training.agreement import Agreement
from pushforward.training.batches import Batches, ResumableBatches
from pushforward.training.diagnosis import Batch
from pushforward.training.history import History
from pushforward.training.means import Means
from pushforward.training.place import go_to_place, places
from pushforward.training.schedule import run_progress
from pushforward.training.settings import Settings
from pushforward.training.state_dicts import completed, tensors_of
from pushforward.training.steps import Stepper

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Runs with a time limit are evaluated at least this often, as far as evaluation keeps to its share of the time.
EVALUATIONS_PER_TIMED_RUN = 20
LARGEST_EVALUATION_SHARE = 0.1
# The attributes of a run that are saved as numbers, beside those of its steps and means.
COUNTS = (
    "best_value",
    "evaluations_since_best",
    "evaluated_step",
    "evaluated_at",
    "evaluation_seconds",
    "time_budget",
)


class Run:
    """A training run, which can be saved between two steps.

    Arguments:
        fabric: Device, precision and processes.
        objective: Its forward takes a batch and gives one loss per row, (rows,).
        batches: The training batches; they must be `ResumableBatches` for the run to be saved.
        held_out: The value to maximize; raises FloatingPointError with a reason if it has none.
        settings: All other choices.
        name_rows: Describes rows of the last batch, given their positions in it, for messages.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: nn.Module,
        batches: Batches,
        held_out: Callable[[], float],
        settings: Settings,
        name_rows: Callable[[Tensor], str] | None = None,
    ) -> None:
        self.fabric = fabric
        self.objective = objective
        self.batches = batches
        self.held_out = held_out
        self.settings = settings
        self.history = History()
        # Those of `CsvLog`: a run that resumes writes them again.
        self.lines: list[tuple[float, ...]] = []
        self.agreement = Agreement(fabric, settings.batch_size)
        self.stepper = Stepper(fabric, objective, settings, name_rows, self.warn, self.agreement)
        self.means = Means()

        limits = [settings.max_steps, None if settings.epochs is None else settings.epochs * len(batches)]
        self.total_steps: float = min((limit for limit in limits if limit is not None), default=math.inf)
        self.max_time = math.inf if settings.max_time is None else settings.max_time
        self.time_budget = self.max_time

        self.best_value = -math.inf
        self.best_state: dict[str, Any] | None = None
        self.evaluations_since_best = 0
        self.evaluated_step = -1
        self.evaluated_at = 0.0
        self.evaluation_seconds = 0.0
        # Of the steps, and of these the part in which a processor worked for this thread.
        self.step_seconds = self.worked_seconds = 0.0
        self.finished = False

    @property
    def step(self) -> int:
        """The number of steps taken."""
        return self.stepper.step

    @property
    def epochs(self) -> float:
        """The number of passes over the batches, a fraction included."""
        return self.step / len(self.batches)

    def progress(self, elapsed: float) -> float:
        """The share of the run that is over."""
        return run_progress(self.step, self.total_steps, elapsed, self.time_budget)

    def start(self, first: Batch) -> None:
        """Initialize the objective on the first batch, which is trained on as well."""
        loss, rows = self.stepper.initialize(first)
        self.means.note(loss, math.nan, rows, self.stepper.learning_rate(0.0))

    def take_step(self, batch: Batch, progress: float) -> None:
        """Take a step at the learning rate that belongs to this share of the run."""
        learning_rate = self.stepper.learning_rate(progress)
        started, worked = time.perf_counter(), time.thread_time()
        taken = self.stepper.take(self.stepper.on_device(batch), learning_rate)
        self.step_seconds += time.perf_counter() - started
        self.worked_seconds += time.thread_time() - worked
        if taken is not None:
            self.means.note(*taken, learning_rate)
        elif self.stepper.reading_due:
            self._read_late()

    def evaluation_due(self, elapsed: float) -> bool:
        """Whether it is time to evaluate between two steps."""
        if self.evaluated_step == self.step or self.step >= self.total_steps:
            return False
        if self.step % self.settings.evaluate_every == 0:
            return True
        # By the clock only if the run is not repeatable anyway.
        pause = max(self.max_time / EVALUATIONS_PER_TIMED_RUN, self.evaluation_seconds / LARGEST_EVALUATION_SHARE)
        return elapsed - self.evaluated_at >= pause

    def evaluate(self) -> tuple[float, ...]:
        """Evaluate the averaged weights, and keep them if they are the best so far.

        Returns:
            The line of this evaluation for `CsvLog`.
        """
        self._read_late()
        started = self.agreement.elapsed()
        self.evaluated_step = self.step
        average = self.stepper.average
        self.stepper.model.eval()
        with torch.no_grad(), average.applied() if average is not None else nullcontext():
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
        self.stepper.model.train()
        if math.isfinite(value):
            self.stepper.mark_good()
        else:
            self.warn(f"Step {self.step}: the held-out value is not finite{reason}. These weights are not kept.")
        line = self._record(value)
        self.evaluated_at = self.agreement.elapsed()
        self.evaluation_seconds = self.evaluated_at - started
        # The evaluation at the end is within the time limit as well.
        self.time_budget = max(self.max_time - self.evaluation_seconds, self.max_time / 2)
        return line

    def finish(self) -> None:
        """Leave the objective with its best weights in eval mode, and complete the history."""
        if self.best_state is not None:
            self.objective.load_state_dict(self.best_state)
        elif self.stepper.average is not None:
            self.stepper.average.copy_to_module()
        self.stepper.drop_gradients()
        self.objective.eval()
        self.history.steps = self.step
        self.history.epochs = self.epochs
        self.history.total_seconds = self.agreement.own_clock()
        if self.step_seconds and self.fabric.device.type == "cpu" and self.fabric.world_size == 1:
            self.history.processor_share = self.worked_seconds / self.step_seconds

    def warn(self, sentence: str) -> None:
        """Warn of an event, and record it."""
        self.history.events.append(sentence)
        if self.fabric.is_global_zero:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during a run: values, and dictionaries of values, that are tensors or plain JSON.

        All processes must ask for it at the same time.
        """
        self._read_late()
        steps = self.stepper.state_dict()
        counts = {**steps["counts"], **{name: getattr(self, name) for name in COUNTS}, **asdict(self.means)}
        return {
            **steps,
            "best": tensors_of(self.best_state or {}),
            "has_best": self.best_state is not None,
            "counts": counts,
            "elapsed": self.agreement.elapsed(),
            "finished": self.finished,
            "history": asdict(self.history),
            "lines": self.lines,
            **places(self.fabric, cast(ResumableBatches, self.batches)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, in place of `start`.

        Raises:
            Exception: The state is not that of such a run.
        """
        self.stepper.load_state_dict(state)
        self.best_state = completed(self.objective, state["best"]) if state["has_best"] else None
        for name in COUNTS:
            setattr(self, name, type(getattr(self, name))(state["counts"][name]))
        for name, value in asdict(self.means).items():
            setattr(self.means, name, type(value)(state["counts"][name]))
        history = {field.name: state["history"][field.name] for field in fields(History)}
        self.history = History(**{**history, "rows": tuple(history["rows"])})
        # A checkpoint of an earlier version has none.
        self.lines = [tuple(line) for line in state.get("lines", [])]
        self.agreement.started -= float(state["elapsed"])
        self.finished = bool(state["finished"])
        go_to_place(self.fabric, cast(ResumableBatches, self.batches), state, (self.settings.seed, self.step))

    def _record(self, held_out: float) -> tuple[float, ...]:
        elapsed = self.agreement.elapsed()
        loss, norm = self.means.taken()
        rate = self.means.last_rate
        self.history.append(self.step, elapsed, -loss, held_out, rate)
        line = (self.step, round(self.epochs, 4), round(elapsed, 3), -loss, held_out, rate, norm)
        self.lines.append(line)
        return line

    def _read_late(self) -> None:
        """Note the steps whose losses a GPU has computed meanwhile."""
        for taken in self.stepper.read_late():
            self.means.note(*taken)
