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

from pushforward.training.batches import Batches, ResumableBatches
from pushforward.training.diagnosis import Batch
from pushforward.training.history import History
from pushforward.training.schedule import run_progress
from pushforward.training.settings import Settings
from pushforward.training.steps import Stepper, tensors_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Runs with a time limit are evaluated at least this often, as far as evaluation keeps to its share of the time.
EVALUATIONS_PER_TIMED_RUN = 20
LARGEST_EVALUATION_SHARE = 0.1
# The attributes of a run that are saved as numbers, beside those of its steps.
COUNTS = (
    "best_value",
    "evaluations_since_best",
    "evaluated_step",
    "evaluated_at",
    "evaluation_seconds",
    "time_budget",
    "loss_sum",
    "norm_sum",
    "rows_seen",
    "steps_seen",
    "last_rate",
)


# The states of random generators.
RANDOM = ("random", "random_cuda")


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
        self.started = time.monotonic()
        self.stepper = Stepper(fabric, objective, settings, name_rows, self.warn, self._own_clock)

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
        self.last_rate = 0.0
        self._reset_means()

    @property
    def step(self) -> int:
        """The number of steps taken."""
        return self.stepper.step

    @property
    def epochs(self) -> float:
        """The number of passes over the batches, a fraction included."""
        return self.step / len(self.batches)

    def elapsed(self) -> float:
        """Seconds of training, those before a checkpoint included.

        All processes must take the same decisions, so the first one's clock counts; all must ask at the same time.
        """
        elapsed = self._own_clock()
        if self.fabric.world_size > 1:
            self.stepper.clock = elapsed = self.fabric.broadcast(elapsed)
        return elapsed

    def elapsed_in_step(self) -> float:
        """The same between steps, as of the last step where there are several processes, which costs no message."""
        return self._own_clock() if self.fabric.world_size == 1 else self.stepper.clock

    def progress(self, elapsed: float) -> float:
        """The share of the run that is over."""
        return run_progress(self.step, self.total_steps, elapsed, self.time_budget)

    def start(self, first: Batch) -> None:
        """Initialize the objective on the first batch, which is trained on as well."""
        loss, rows = self.stepper.initialize(first)
        self._note(loss, math.nan, rows, self.stepper.learning_rate(0.0))

    def take_step(self, batch: Batch, progress: float) -> None:
        """Take a step at the learning rate that belongs to this share of the run."""
        learning_rate = self.stepper.learning_rate(progress)
        started, worked = time.perf_counter(), time.thread_time()
        taken = self.stepper.take(self.stepper.on_device(batch), learning_rate)
        self.step_seconds += time.perf_counter() - started
        self.worked_seconds += time.thread_time() - worked
        if taken is not None:
            self._note(*taken, learning_rate)
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
        started = self.elapsed()
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
        self.evaluated_at = self.elapsed()
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
        self.history.total_seconds = time.monotonic() - self.started
        if self.step_seconds and self.fabric.device.type == "cpu" and self.fabric.world_size == 1:
            self.history.processor_share = self.worked_seconds / self.step_seconds

    def warn(self, sentence: str) -> None:
        """Warn of an event, and record it."""
        self.history.events.append(sentence)
        if self.fabric.is_global_zero:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during a run: values, and dictionaries of values, that are tensors or plain JSON.

        All processes must ask for it at the same time. What differs from process to process is in `processes`, by their
        numbers; the first one's is outside as well, for a run that resumes with another number of processes.
        """
        self._read_late()
        steps = self.stepper.state_dict()
        batches, random = cast(ResumableBatches, self.batches).state_dict(), self._random_states()
        state = {
            **steps,
            "best": tensors_of(self.best_state or {}),
            "has_best": self.best_state is not None,
            "counts": {**steps["counts"], **{name: getattr(self, name) for name in COUNTS}},
            "elapsed": self.elapsed(),
            "finished": self.finished,
            "history": asdict(self.history),
            "lines": self.lines,
            "batches": batches,
            **random,
        }
        if self.fabric.world_size > 1:
            # Imported here: it takes seconds, and is loaded already.
            from pushforward.training.fabric import from_every

            every = from_every(self.fabric, {**batches, **random})
            state["processes"] = {
                f"{place}.{name}": part for place, own in enumerate(every) for name, part in own.items()
            }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, in place of `start`.

        Raises:
            Exception: The state is not that of such a run.
        """
        self.stepper.load_state_dict(state)
        self.best_state = self.stepper.complete(state["best"]) if state["has_best"] else None
        for name in COUNTS:
            setattr(self, name, type(getattr(self, name))(state["counts"][name]))
        history = {field.name: state["history"][field.name] for field in fields(History)}
        self.history = History(**{**history, "rows": tuple(history["rows"])})
        # A checkpoint of an earlier version has none.
        self.lines = [tuple(line) for line in state.get("lines", [])]
        self.started -= float(state["elapsed"])
        self.finished = bool(state["finished"])
        self._load_place(state)

    def _load_place(self, state: dict[str, Any]) -> None:
        """Go to the place of this process in the batches, and in its random numbers."""
        number, every = self.fabric.global_rank, state.get("processes", {})
        saved = len({name.partition(".")[0] for name in every}) or 1
        batches, random = state["batches"], {name: state[name] for name in RANDOM if name in state}
        if saved == self.fabric.world_size > 1:
            batches = {name: every[f"{number}.{name}"] for name in batches}
            random = {name: every[f"{number}.{name}"] for name in random}
        cast(ResumableBatches, self.batches).load_state_dict(batches)
        # Last: nothing between here and the next step draws random numbers.
        if saved != self.fabric.world_size and number > 0:
            # A process that the saved run did not have; its numbers are those of no other process or step.
            torch.manual_seed(hash((self.settings.seed, self.step, number)))
            return
        if self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(random["random_cuda"], self.fabric.device)
        torch.default_generator.set_state(random["random"])

    def _random_states(self) -> dict[str, Tensor]:
        """The states of the random generators of this process."""
        states = {"random": torch.default_generator.get_state()}
        if self.fabric.device.type == "cuda":
            states["random_cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        return states

    def _own_clock(self) -> float:
        return time.monotonic() - self.started

    def _record(self, held_out: float) -> tuple[float, ...]:
        elapsed = self.elapsed()
        train = -self.loss_sum / self.rows_seen if self.rows_seen else math.nan
        norm = self.norm_sum / self.steps_seen if self.steps_seen else math.nan
        self.history.append(self.step, elapsed, train, held_out, self.last_rate)
        self._reset_means()
        line = (self.step, round(self.epochs, 4), round(elapsed, 3), train, held_out, self.last_rate, norm)
        self.lines.append(line)
        return line

    def _read_late(self) -> None:
        """Note the steps whose losses a GPU has computed meanwhile."""
        for taken in self.stepper.read_late():
            self._note(*taken)

    def _note(self, loss: float, norm: float, rows: int, learning_rate: float) -> None:
        self.loss_sum += loss * rows
        self.rows_seen += rows
        self.norm_sum += norm
        self.steps_seen += 1
        self.last_rate = learning_rate

    def _reset_means(self) -> None:
        self.loss_sum = self.norm_sum = 0.0
        self.rows_seen = self.steps_seen = 0
