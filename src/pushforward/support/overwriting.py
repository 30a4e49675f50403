"""What is read is not written over."""

import os
from collections.abc import Iterable

from pushforward.errors import InputError


def check_not_read(output: str | os.PathLike[str], read: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to write over a file, or into a folder, that is read, also where a link leads to it.

    Arguments:
        output: what is to be written.
        read: the names of what is read, some of which may belong to nothing.

    Raises:
        InputError: it is one of them.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = pathlib.Path(folder, "rows.csv")
        ...     rows.touch()
        ...     check_not_read(f"{folder}/scores.csv", [rows, "columns"])
    """
    if os.path.exists(output) and any(os.path.exists(name) and os.path.samefile(output, name) for name in read):
        raise InputError(f"{os.fspath(output)} would be written over a file that is read; name another output.")
