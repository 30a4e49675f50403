"""How many processors this process may use, which in a container are fewer than the machine shows."""

import functools
import os
from pathlib import Path

# A quota that limits nothing.
ANY_NUMBER = float(2**31)


def usable_processors() -> int:
    """How many threads the system runs for this process at the same time, at least 1.

    These are the processors of its affinity, or the whole ones of the quota of its control groups if those are fewer:
    what a quota gives beyond, a further thread would use in turns with long pauses.

    Example:
        >>> usable_processors() >= 1
        True
    """
    return max(1, min(processors_of_affinity(), int(quota())))


def processors_of_affinity() -> int:
    """How many processors the system may choose among for this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def quota(root: Path = Path("/")) -> float:
    """How many processors the control groups of this process allow it, of version 1 or 2; 2^31 for any number.

    Arguments:
        root: the folder that holds `proc` and `sys`, default "/".
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ANY_NUMBER
    least = ANY_NUMBER
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup"
        top = mounted / controllers if (mounted / controllers).is_dir() else mounted / "cpu"
        parts = Path(path).parts[1:]
        # A group has no more than those above it. In a container the path may be that outside, and not be there.
        least = min([least, *(_quota_of(top.joinpath(*parts[:depth])) for depth in range(len(parts) + 1))])
    return least


def _quota_of(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return ANY_NUMBER if limit == "max" or int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError):
        return ANY_NUMBER
