"""A table outside memory: what all readers of it rely on, whether it is a file, a folder or the answer to a query."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.tables.numbers import BadValue


class StoredTable(ABC):
    """A table outside memory, whose rows come in the same order whenever they are read.

    It holds nothing open between reads, so that several of its row groups can be read side by side.

    Attributes:
        name: what messages call it.
        schema: the names and types of its columns; those of a CSV are text.
        written: whether text is that of a CSV, where some words stand for missing values.
        rows: the number of rows, None if they have to be read to be counted.
        sizes: the same for each row group.
        notes: what was read in another way than usual, line by line.
        bytes: about how many bytes of text it has, where its rows are not counted; None if nobody knows.
        progress: the part that has been read, where its rows are not counted, from 0 to 1.
        sparse: whether a column that it lacks is one without values, as in JSON.
        light: whether it may be kept in memory beside thousands of others.
        files: its files on this machine, which no output may replace, and its folders and patterns, to which none is
            added.
        temporary: a file that it has put on the disk for itself, which disappears when it is closed; or None.
    """

    name: str
    schema: Any
    written: bool = False
    rows: int | None = None
    sizes: Sequence[int | None] = (None,)
    notes: tuple[str, ...] = ()
    bytes: int | None = None
    progress: float = 0.0
    sparse: bool = False
    light: bool = False
    files: tuple[str, ...] = ()
    temporary: Any = None

    @abstractmethod
    def batches(
        self, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the named columns.

        Arguments:
            columns: their names, in the order wanted.
            rows: about how many rows a batch should have.
            groups: the row groups to read; default all, in their order.

        Raises:
            InputError: the table is damaged, or has disappeared or changed since it was opened.
        """

    def place(self, row: int) -> tuple[str, int]:
        """The file that a row is in, and its number there, both counted from 1; all rows before it have been read."""
        return self.name, row

    def close(self) -> None:
        """Remove what the table has put on the disk for itself."""
        if self.temporary is not None:
            self.temporary.close()

    def __enter__(self) -> "StoredTable":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def located(table: StoredTable) -> Iterator[None]:
    """Name the file, too, in the message about a bad row of a table of several files."""
    try:
        yield
    except BadValue as bad:
        name, row = table.place(bad.row)
        if name == table.name:
            raise
        raise InputError(f"{str(bad).rstrip('.')} (row {row} of {name}).") from bad
