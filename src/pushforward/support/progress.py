"""What long work shows on standard error: a progress bar, and lines that announce what was chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pushforward.support.standard_error import standard_error

REFRESH_SECONDS = 0.25
PATIENCE_SECONDS = 2.0

# Takes a line that says what was chosen and why.
Announce = Callable[[str], None]


def silent(line: str) -> None:
    """Announce nothing: the default of every function that takes `announce`."""


def to_standard_error(line: str) -> None:
    """Print an announcement to standard error; if nobody reads that any more, it is lost."""
    print(line, file=standard_error())


class ProgressBar:
    """A bar on standard error: the share that is done, and a text.

    Arguments:
        show: True from the start; False never; None once the work has lasted two seconds, if standard error is a
            terminal.
        transient: whether the bar disappears when it is closed; otherwise its last state stays on the screen.
    """

    def __init__(self, show: bool | None, transient: bool = False) -> None:
        self._transient = transient
        self._bar: Any = None
        self._task: Any = None
        self._next = 0.0
        if show is None:
            show = standard_error().isatty()
            self._next = time.monotonic() + PATIENCE_SECONDS
        if not show:
            self._next = math.inf

    def due(self, now: float) -> bool:
        """Whether the bar is to be drawn again at this reading of the monotonic clock."""
        return now >= self._next

    def update(self, share: float, text: str) -> None:
        """Draw the bar.

        Arguments:
            share: the share that is done, from 0 to 1.
            text: stands beside the bar.
        """
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=share, text=text)
        self._bar.refresh()
        self._next = time.monotonic() + REFRESH_SECONDS

    def close(self) -> None:
        """Stop drawing."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._next = math.inf

    def _start(self) -> None:
        # Imported here: work without a bar should not wait for rich.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # Redrawn by hand: rich's own refresh thread would take time from the threads that work.
        self._bar = Progress(
            BarColumn(bar_width=10),
            TextColumn("{task.fields[text]}"),
            # Rich itself would end the process if the reader of standard error left.
            console=Console(file=standard_error()),
            auto_refresh=False,
            transient=self._transient,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0, text="")


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds.

    Example:
        >>> clock(83.4)
        '1:23'
    """
    minutes, rest = divmod(round(seconds) if math.isfinite(seconds) else 0, 60)
    return f"{minutes}:{rest:02d}"


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show a bar for work that lasts more than two seconds, in a terminal, and remove it at the end.

    Arguments:
        label: what is done, such as "scoring".
        quiet: whether to show nothing.

    Yields:
        A function that takes the share that is done, from 0 to 1.
    """
    bar = ProgressBar(False if quiet else None, transient=True)
    start = time.monotonic()

    def report(share: float) -> None:
        now = time.monotonic()
        if bar.due(now):
            seconds_left = (now - start) * (1 - share) / share if share > 0 else math.inf
            bar.update(share, f"{label} {share:.0%}, {clock(seconds_left)} left")

    try:
        yield report
    finally:
        bar.close()
