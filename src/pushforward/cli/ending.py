"""The end of the process of a command."""

import atexit
import contextlib
import os
import sys
from collections.abc import Callable


def end_at_once() -> Callable[[int], None]:
    """Let the process end when everything that was registered for its exit is done, without taking Python apart.

    A thread of pyarrow may still read ahead in a file of Python's when a command has refused its input. Python ends
    such a thread by an exception that C++ does not let pass, which aborts the process.

    Returns:
        A function that is told the status of the process, until then 1.
    """
    status = 1

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            # What nobody reads any more is lost.
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    # Whatever is registered later runs before.
    atexit.register(end)

    def end_with(found: int) -> None:
        nonlocal status
        status = found

    return end_with
