"""The progress bar of a training run."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

REFRESH_SECONDS = 0.25
QUIET_SECONDS = 2.0


class ProgressBar:
    """A bar on standard error with step, epoch, best held-out nats per row so far, steps per second and time left.

    Arguments:
        show: True from the start; False never; None once the run has lasted two seconds, if standard error is a
            terminal.
    """

    def __init__(self, show: bool | None) -> None:
        self._bar: Any = None
        self._task: Any = None
        if show is None:
            show = sys.stderr.isatty()
            self._next = time.monotonic() + QUIET_SECONDS
        else:
            self._next = 0.0
        if not show:
            self._next = math.inf

    def due(self, now: float) -> bool:
        """Whether the bar is to be drawn again at this reading of the monotonic clock."""
        return now >= self._next

    def update(self, progress: float, seconds_left: float, step: int, epoch: float, best: float, speed: float) -> None:
        """Draw the bar: share done, seconds left, steps, epochs, best held-out nats per row, steps per second."""
        if self._bar is None:
            self._start()
        minutes, seconds = divmod(round(seconds_left) if math.isfinite(seconds_left) else 0, 60)
        # Short enough for a terminal of eighty columns.
        text = (
            f"step {step}, epoch {epoch:.0f}, held-out {best:.4f} nats/row, {speed:.0f}/s, {minutes}:{seconds:02d} left"
        )
        self._bar.update(self._task, completed=progress, text=text)
        self._bar.refresh()
        self._next = time.monotonic() + REFRESH_SECONDS

    def close(self) -> None:
        """Leave the last state of the bar on the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._next = math.inf

    def _start(self) -> None:
        # Imported here: a run without a bar should not wait for rich.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # Redrawn by hand: rich's own refresh thread would take time from the training threads.
        self._bar = Progress(
            BarColumn(bar_width=10), TextColumn("{task.fields[text]}"), console=Console(stderr=True), auto_refresh=False
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0, text="")
