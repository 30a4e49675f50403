"""What a computation ran on: versions of libraries, and the machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform

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


def machine() -> str:
    """The machine in a few words."""
    return f"{platform.system()} {platform.machine()}, {counted(os.cpu_count() or 1, 'processor')}"


def now() -> str:
    """The time in UTC, by ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
