"""A bar for long work of which the share that is done is known."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A bar on standard error for work that lasts more than two seconds, in a terminal.

    Yields:
        A function to be told the share that is done, from 0 to 1.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda part: None
        return
    # Imported here: work without a bar should not wait for rich.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=1.0)
    start = time.monotonic()

    def report(part: float) -> None:
        if not bar.live.is_started and time.monotonic() - start > PATIENCE_SECONDS:
            bar.start()
        bar.update(task, completed=part)

    try:
        yield report
    finally:
        bar.stop()
