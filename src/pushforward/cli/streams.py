"""The standard streams of the process, which its caller may have closed, or may close at any time."""

import os
import sys

from pushforward.support.standard_error import standard_error


def open_standard_streams() -> None:
    """Make sure that nobody who leaves ends the work, and that no file of ours takes the place of a stream.

    What standard error does not take is lost. A standard output that the caller has closed refuses every result.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one. Nothing can be written to it but by those who write errors.
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (it stays open)
    sys.stderr = standard_error()
