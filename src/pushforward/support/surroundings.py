"""What a computation ran on: versions of libraries, and the machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

from pushforward.support.processors import usable_processors
from pushforward.support.wording import counted
from pushforward.version import __version__

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pyarrow")


def versions() -> dict[str, str]:
    """The versions of Python, of this library and of those that numbers depend on.

    Example:
        >>> sorted(versions())[:2]
        ['numpy', 'pushforward']
    """
    found = {"python": platform.python_version(), "pushforward": __version__}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The name of the processor, as the system gives it.

    Example:
        >>> bool(processor())
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """The machine in one line: its processor, how many this process may use, and the system."""
    usable, shown = usable_processors(), os.cpu_count() or 1
    count = counted(shown, "processor") if usable == shown else f"{usable} of {counted(shown, 'processor')}"
    return f"{processor()} ({platform.machine()}), {count}, {platform.system()}"


def now() -> str:
    """The time in UTC, by ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
