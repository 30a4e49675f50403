"""How many threads the kernels use, and torch beside them.

The kernels have threads of their own, which take parts of the work as they come, so that none waits for a thread that
the system does not run. They are as many as those of torch, `torch.get_num_threads()`, but no more than this process
may use at the same time. No result depends on their number.
"""

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from pushforward.support.processors import usable_processors


class _OfThread(threading.local):
    """What holds for one thread of the host."""

    kernels: int | None = None


_of_thread = _OfThread()


def thread_count() -> int:
    """The number of threads that kernels use now, 1 or more."""
    wanted = torch.get_num_threads() if _of_thread.kernels is None else _of_thread.kernels
    return min(wanted, usable_processors()) if wanted > 1 else 1


@contextmanager
def torch_in_one_thread() -> Iterator[None]:
    """Run torch's own operations in one thread, in the calling thread alone; the kernels keep their number of threads.

    Where kernels compute most, what is left to torch is too little for several threads: with other programs on the
    processors these wait for each other longer than they compute. Nothing is set for other threads of the process, and
    afterwards everything is as before.

    Example:
        >>> with torch_in_one_thread():
        ...     torch.get_num_threads() == 1 or _openmp_setter() is None
        True
    """
    before, set_threads = torch.get_num_threads(), _openmp_setter()
    if before == 1 or set_threads is None:
        yield
        return
    outer, _of_thread.kernels = _of_thread.kernels, before
    set_threads(1)
    try:
        yield
    finally:
        set_threads(before)
        _of_thread.kernels = outer


@functools.cache
def _openmp_setter() -> Callable[[int], object] | None:
    """`omp_set_num_threads` of the OpenMP that torch uses, which holds for the calling thread, or None."""
    try:
        set_threads: Callable[[int], object] = ctypes.CDLL(None).omp_set_num_threads
    except (AttributeError, OSError, TypeError):
        return None
    # Another library may have brought an OpenMP of its own.
    before = torch.get_num_threads()
    set_threads(before + 1)
    is_of_torch = torch.get_num_threads() == before + 1
    set_threads(before)
    return set_threads if is_of_torch else None
