"""One file, on this machine or in a file system of pyarrow, that must stay as it is while it is read."""

import os
from typing import Any

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.atomic import reason
from pushforward.support.suggestions import shortened

MOST_CHARACTERS = 200  # of what a library says


class StoredFile:
    """One file that is read from its beginning to its end, perhaps more than once.

    Arguments:
        path: the file in its file system.
        filesystem: of pyarrow; default None, the files of this machine.
        name: what messages call it; default the path.

    Attributes:
        name: what messages call it.
        path: the file in its file system.
        local: whether that is this machine's.
        size: in bytes.

    Raises:
        InputError: the file is missing, a folder, or may not be read.

    Example:
        >>> StoredFile("nowhere.csv")
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: nowhere.csv does not exist; check the name and the folder.
    """

    def __init__(self, path: str, filesystem: Any = None, name: str | None = None) -> None:
        self.path, self._filesystem = path, filesystem
        self.name, self.local = path if name is None else name, filesystem is None
        if filesystem is None:
            _check_readable(path, self.name)
        self._state = self._look()
        self.size: int = self._state[0]

    def check_filled(self) -> None:
        """Refuse a file without a byte."""
        if not self.size:
            raise InputError(f"{self.name} is empty; give a file with a header and rows.")

    def open(self) -> Any:
        """The file for random access.

        Raises:
            InputError: it has disappeared or changed, or cannot be read.
        """
        self.check_unchanged()
        try:
            return pa.OSFile(self.path) if self._filesystem is None else self._filesystem.open_input_file(self.path)
        except OSError as error:
            raise self.unreadable(error) from error

    def check_unchanged(self) -> None:
        """Refuse a file that is not what it was when it was opened first.

        Raises:
            InputError: it has disappeared, or has another size or time.
        """
        try:
            state = self._look()
        except InputError as error:
            raise InputError(f"{self.name} has disappeared while it was read; run again with all files.") from error
        if state != self._state:
            raise InputError(f"{self.name} has changed while it was read; run again when it is complete.")

    def damaged(self, error: Exception, row: int) -> InputError:
        """What is wrong with a file that cannot be read on after a row."""
        try:
            self.check_unchanged()
        except InputError as changed:
            return changed
        if isinstance(error, OSError) and self._filesystem is not None:
            return InputError(f"{self.name} cannot be read after row {row}: {first_sentence(error)}.")
        return InputError(f"{self.name} is damaged: it cannot be read after row {row}.")

    def unreadable(self, error: Exception) -> InputError:
        """What is wrong with a file that cannot be opened."""
        return InputError(f"{self.name} cannot be read: {first_sentence(error)}.")

    def _look(self) -> tuple[int, ...]:
        try:
            if self._filesystem is None:
                state = os.stat(self.path)
                return state.st_size, state.st_mtime_ns, state.st_ino
            info = self._filesystem.get_file_info(self.path)
        except (OSError, pa.ArrowException) as error:
            raise self.unreadable(error) from error
        if not info.is_file:
            raise InputError(f"{self.name} does not exist; check the name and the folder.")
        return info.size or 0, info.mtime_ns or 0


def _check_readable(path: str, name: str) -> None:
    if not os.path.exists(path):
        raise InputError(f"{name} does not exist; check the name and the folder.")
    if os.path.isdir(path):
        raise InputError(f"{name} is a folder; give the name of a table file.")
    if not os.path.isfile(path):
        # Reading a pipe could wait forever.
        raise InputError(f"{name} is not an ordinary file; give the name of a table file, or - and the table as input.")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{name} cannot be read: {reason(error)}.") from error


def first_sentence(error: Exception) -> str:
    """The reason of the system, or what pyarrow says of it, without its details."""
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    return shortened(" ".join(str(error).split(" Detail:")[0].split()).rstrip("."), MOST_CHARACTERS)
