"""Keeping freed memory, which would otherwise be fetched from the system again, page by page, at every step."""

import ctypes
import sys

# Parameters of mallopt(3). The largest threshold that glibc accepts is 32 MB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
LARGEST_BLOCK = 32 * 2**20
KEPT = 2**30


def keep_memory() -> None:
    """Let the C library keep up to 1 GB of freed memory, and blocks of up to 32 MB in it, for the next step.

    Only for a process that belongs to this program, such as a command: a library must not decide this for its host.
    With a C library other than glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK)
        mallopt(_TRIM_THRESHOLD, KEPT)
