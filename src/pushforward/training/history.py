"""What happened in a training run: its values over time, its best, and why it ended."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pushforward.errors import InputError
from pushforward.support.wording import counted

# With a smaller share of a processor a run of limited time is much worse than it could be.
LITTLE = 0.6
RESUMED = "Resumed"


@dataclass(repr=False)
class History:
    """What happened in a training run: values that it maximizes, by default log-likelihoods in nats per row.

    Attributes:
        step: Steps taken at each evaluation; the first evaluation is at step 0, before any step.
        seconds: Seconds since the start at each evaluation.
        train: Mean training value since the evaluation before, at the weights of each step.
        held_out: Held-out value of the weights that would be kept (the averaged ones unless switched off).
        learning_rate: Learning rate of the last step before each evaluation.
        best_held_out: Highest held-out value; NaN if none was finite.
        best_step: Step of that evaluation, whose weights the flow holds.
        steps: Steps taken.
        epochs: Passes over the training rows, including a fraction of one.
        total_seconds: Duration of the run.
        stopped: "finished", "early stopping", "time" or "interrupted".
        processor_share: The share of the time of the steps in which a processor worked on them; 1 where that is not
            measured, on other devices and by several processes.
        rows: Numbers of training and held-out rows.
        events: One sentence for each unusual event, in order.
        value: What the held-out values are: "held-out log-likelihood", or minus the loss of a distillation, or the
            evidence lower bound of a fit to a target.
        unit: Their unit.
    """

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_held_out: float = float("nan")
    best_step: int = 0
    steps: int = 0
    epochs: float = 0.0
    total_seconds: float = 0.0
    stopped: str = "finished"
    processor_share: float = 1.0
    rows: tuple[int, int] = (0, 0)
    events: list[str] = field(default_factory=list)
    value: str = "held-out log-likelihood"
    unit: str = "nats per row"

    def resumed(self, step: int) -> None:
        """Add the event that a run continues from a checkpoint."""
        self.events.append(f"{RESUMED} at step {step}.")

    @property
    def resumptions(self) -> list[str]:
        """The events of `resumed`."""
        return [event for event in self.events if event.startswith(RESUMED)]

    @property
    def shortage(self) -> str | None:
        """A sentence about a run that took no step, or had little of a busy machine until its time ended; else None."""
        if self.stopped == "time" and not self.steps:
            return (
                f"Alarm: the training took no step in {self.total_seconds:.1f} s, so that the flow has the weights "
                "that it started with; fit again, and give it more time"
            )
        if self.stopped != "time" or self.processor_share > LITTLE:
            return None
        return (
            f"the machine was busy: the training had {self.processor_share:.0%} of a processor and took "
            f"{counted(self.steps, 'step')}, where an idle machine takes about "
            f"{round(self.steps / self.processor_share):,}; fit again, or give it more time"
        )

    def append(self, step: int, seconds: float, train: float, held_out: float, learning_rate: float) -> None:
        """Add the values of an evaluation."""
        self.step.append(step)
        self.seconds.append(seconds)
        self.train.append(train)
        self.held_out.append(held_out)
        self.learning_rate.append(learning_rate)

    def __repr__(self) -> str:
        rows = f" ({self.rows[0]} training rows, {self.rows[1]} held out)" if any(self.rows) else ""
        events = f"\n{counted(len(self.events), 'event')}, the last: {self.events[-1]}" if self.events else ""
        return (
            f"{counted(self.steps, 'step')} in {self.total_seconds:.1f} s ({self.stopped}); best {self.value} "
            f"{self.best_held_out:.4f} {self.unit} at step {self.best_step}{rows}{events}"
        )


class CsvLog:
    """A file with one line of values per evaluation, written and flushed as they come.

    Call `start` first.

    Arguments:
        path: The file; None writes nothing.

    Raises:
        InputError: The file cannot be written.
    """

    COLUMNS = ("step", "epoch", "seconds", "train_nats", "held_out_nats", "learning_rate", "gradient_norm")

    def __init__(self, path: str | Path | None) -> None:
        self._file: TextIO | None = None
        if path is None:
            return
        try:
            # Emptied only when the run starts.
            self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115 (closed by __exit__)
        except OSError as error:
            raise InputError(f"The training log {str(path)!r} cannot be written: {error.strerror}.") from error

    def start(self, lines: Iterable[Sequence[object]] = ()) -> None:
        """Empty the file, and write the names of the columns and the lines of the run so far."""
        if self._file is not None:
            self._file.truncate(0)
        for line in [self.COLUMNS, *lines]:
            self.write(*line)

    def write(self, *values: object) -> None:
        """Append one line."""
        if self._file is not None:
            csv.writer(self._file).writerow(values)
            self._file.flush()

    def __enter__(self) -> CsvLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
