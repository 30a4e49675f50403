"""Folders that are filled once for all processes of a test run, so that fits that many tests read are made once."""

import fcntl
import os


def shared_folder(factory, name, fill):
    """The folder of this name, filled by whichever process asks for it first; the others wait.

    Arguments:
        factory: pytest's `tmp_path_factory`.
        name: of the folder.
        fill: a function of the folder's path.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"shared-{name}"
    with open(base / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            started = factory.mktemp(name)
            fill(started)
            # A folder that is there is whole.
            started.rename(folder)
    return folder
