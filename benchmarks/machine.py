"""Which machine a benchmark ran on, for its results file."""

import os
import platform
from pathlib import Path

from pushforward.kernels import native
from pushforward.support.processors import usable_processors


def processor() -> str:
    """The name of the processor, as the system gives it.

    Example:
        >>> bool(processor())
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """Processor, its count, instructions that the kernels use, and system, in one line."""
    kernels = "no kernels" if native is None else f"kernels for {native.instructions}"
    usable, shown = usable_processors(), os.cpu_count()
    count = f"{shown} processors" if usable == shown else f"{usable} of {shown} processors"
    return f"{processor()} ({platform.machine()}), {count}, {kernels}, {platform.system()}"
