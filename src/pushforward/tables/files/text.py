"""The bytes of text: of a file, compressed or not, or of the standard input."""

import contextlib
import sys
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.tables.files.stored_file import StoredFile

BLOCK = 2**20  # bytes read at a time, and the longest row that can be read
HEAD = 2 * BLOCK  # bytes at the beginning by which a table is opened: a whole block, and what shows where it ends
TAIL = 4096
# Compressed numbers become about so many times as long; text often more.
EXPANSION = 4
STANDARD_INPUT = "the standard input"


class Text(Protocol):
    """Where text comes from.

    Attributes:
        name: what messages call it.
        size: about how many bytes there are; None if nobody knows.
    """

    name: str
    size: int | None

    @property
    def head(self) -> bytes:
        """The first bytes."""

    @property
    def whole(self) -> bool:
        """Whether these are all."""

    def open(self) -> Any:
        """The bytes from their beginning, a file of pyarrow.

        Raises:
            InputError: they cannot be read, or cannot be read again.
        """

    def tail(self) -> bytes:
        """The last bytes, once all are read."""

    def check_unchanged(self) -> None:
        """Refuse what has changed since it was opened first."""

    def damaged(self, error: Exception, row: int) -> InputError:
        """What is wrong if no more can be read after a row."""


class FileText:
    """The text of a file; see `Text`.

    Arguments:
        file: the file.
        compression: as pyarrow calls it, or None.
    """

    def __init__(self, file: StoredFile, compression: str | None = None) -> None:
        self._file, self._compression = file, compression
        self.name = file.name
        self.size: int | None = file.size if compression is None else file.size * EXPANSION

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        try:
            with contextlib.closing(self.open()) as stream:
                return _read(stream, HEAD + 1)
        except (OSError, pa.ArrowException) as error:
            if self._compression is None:
                raise self._file.unreadable(error) from error
            raise InputError(
                f"{self.name} is damaged, or is not compressed by {self._compression} although its "
                f"{'beginning' if self.name == STANDARD_INPUT else 'name'} says so; write it again."
            ) from error

    @property
    def whole(self) -> bool:
        """Whether these are all."""
        return len(self.head) <= HEAD

    def open(self) -> Any:
        """The file from its beginning, decompressed."""
        file = self._file.open()
        return file if self._compression is None else pa.CompressedInputStream(file, self._compression)

    def tail(self) -> bytes:
        """The last bytes of the file."""
        with self.open() as stream:
            if self._compression is None:
                stream.seek(max(0, self._file.size - TAIL))
                return bytes(stream.read())
            last = b""
            while block := stream.read(BLOCK):
                last = (last + block)[-TAIL:]
        return last

    def check_unchanged(self) -> None:
        """Refuse a file that has changed."""
        self._file.check_unchanged()

    def damaged(self, error: Exception, row: int) -> InputError:
        """What is wrong with the file."""
        return self._file.damaged(error, row)


class InputText:
    """The text of the standard input, which can be read once; see `Text`.

    Arguments:
        stream: of bytes.
        head: the first bytes, which have been taken from it.
        compression: as pyarrow calls it, or None.
    """

    size: int | None = None

    def __init__(self, stream: Any, head: bytes, compression: str | None = None) -> None:
        self.name = STANDARD_INPUT
        self._rest: Any = _Rest(head, stream)
        self._stream = pa.PythonFile(self._rest, mode="r")
        if compression is not None:
            self._stream = pa.CompressedInputStream(self._stream, compression)
        try:
            self.head = _read(self._stream, HEAD + 1)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self.name} is damaged: it cannot be decompressed.") from error
        self.whole = len(self.head) <= HEAD
        self._opened: _Rest | None = None

    def open(self) -> Any:
        """The input from its beginning, once."""
        if self._opened is not None:
            raise InputError(f"{self.name} can be read only once; write the table to a file first.")
        self._opened = _Rest(self.head, self._stream)
        return pa.PythonFile(self._opened, mode="r")

    def tail(self) -> bytes:
        """The last bytes that were read."""
        return b"" if self._opened is None else self._opened.last

    def check_unchanged(self) -> None:
        """What is read once cannot change."""

    def damaged(self, error: Exception, row: int) -> InputError:
        """What is wrong with the input."""
        return InputError(f"{self.name} is damaged: it cannot be read after row {row}.")


class _Rest:
    """Some bytes, and the stream that continues after them."""

    closed = False

    def __init__(self, head: bytes, stream: Any) -> None:
        self._head, self._stream = head, stream
        self.last = b""

    def read(self, count: int) -> bytes:
        taken, self._head = self._head[:count], self._head[count:]
        if len(taken) < count:
            taken += self._stream.read(count - len(taken))
        self.last = (self.last + taken)[-TAIL:]
        return taken

    def close(self) -> None:
        """Nothing is closed: the standard input belongs to the process."""


def standard_input() -> Any:
    """The standard input as a stream of bytes.

    Raises:
        InputError: there is none.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("there is no standard input to read; give the name of a file.")
    return stream


def _read(stream: Any, count: int) -> bytes:
    """So many bytes, or fewer at the end."""
    parts: list[bytes] = []
    while count and (part := bytes(stream.read(count))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
