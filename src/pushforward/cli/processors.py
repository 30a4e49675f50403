"""How the threads of torch share the processors with other programs, which only the start of a process can decide."""

import os

from pushforward.support.processors import processors_of_affinity, usable_processors


def share_processors() -> None:
    """Let threads of torch that have nothing to do sleep, and have no more of them than a container may run.

    Before torch is imported, and only for a process that belongs to this program, such as a command: a library must not
    decide this for its host. What the user has set in the environment stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if usable_processors() < processors_of_affinity():
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_processors()))
