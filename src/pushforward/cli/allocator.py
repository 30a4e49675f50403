"""Memory that is given back to the system at every step has to be fetched, page by page, at the next."""

import ctypes
import sys

# Of mallopt(3). The largest threshold that glibc takes is 32 MB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
LARGEST_BLOCK = 32 * 2**20
KEPT = 2**30


def keep_memory() -> None:
    """Let the C library keep up to 1 GB of freed memory, and blocks of up to 32 MB in it, for the next step.

    For a process of its own, such as a command; a library has no business to decide this for its host. Where the C
    library is not glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK)
        mallopt(_TRIM_THRESHOLD, KEPT)
