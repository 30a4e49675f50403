"""Reading Parquet and Feather (Arrow IPC) files as a stream of batches."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.support.atomic import reason

# A few kilobytes may unpack to billions of equal numbers, more than can be read in a reasonable time.
LARGEST_UNCHECKED, MOST_NUMBERS_PER_BYTE = 2**24, 200

# A few kilobytes may also unpack to many copies of one long text; a batch holds no more bytes of text than this.
LARGEST_TEXT = 2**28

_BUFFER = 2**20  # bytes of a Parquet column read at a time, instead of the whole column of a row group


class ColumnarFile(Protocol):
    """An open file with its columns and its number of rows."""

    schema: Any
    rows: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the named columns; batches have about `rows` rows."""

    def close(self) -> None:
        """Close the file."""


class ParquetTable:
    """A Parquet file.

    Arguments:
        path: the file; it exists and is not empty.

    Raises:
        InputError: the file is damaged or is not a Parquet file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = self._open(path, [])
            self.schema = self._file.schema_arrow
            text = [field.name for field in self.schema if _is_text(field.type)]
            if text:
                self._file.close()
                self._file = self._open(path, text)
        except (pa.ArrowException, OSError) as error:
            raise _foreign(path, "Parquet", error) from error
        self._path = path
        self.rows: int = self._file.metadata.num_rows
        numbers = self.rows * len(self.schema)
        if numbers > LARGEST_UNCHECKED and numbers > os.path.getsize(path) * MOST_NUMBERS_PER_BYTE:
            raise InputError(
                f"{path} claims to hold {numbers} numbers in {os.path.getsize(path)} bytes: measured values do "
                "not pack so tightly; write it again without columns that never change."
            )

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the named columns, at most `rows` rows at a time."""
        return self._stream(columns, rows, None)

    def row_group(self, index: int, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Stream one row group."""
        return self._stream(columns, rows, [index])

    def _stream(self, columns: Sequence[str], rows: int, groups: list[int] | None) -> Iterator[pa.RecordBatch]:
        for batch in self._file.iter_batches(batch_size=rows, row_groups=groups, columns=list(columns)):
            # Parquet also reads columns whose names begin with one of these and a dot.
            kept = pa.schema([self.schema.field(name) for name in columns], self.schema.metadata)
            yield pa.record_batch([self._unpacked(batch.column(field.name), field) for field in kept], schema=kept)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self, path: str, text: Sequence[str]) -> Any:
        # Text stays packed, each value once, until its unpacked size is known.
        return pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=list(text))

    def _unpacked(self, column: Any, field: Any) -> Any:
        if not pa.types.is_dictionary(column.type):
            return column
        if _is_text(column.type.value_type):
            sizes = pc.binary_length(column.dictionary).take(column.indices)
            size = pc.sum(sizes).as_py() or 0
            if size > LARGEST_TEXT:
                raise InputError(
                    f'column "{field.name}" of {self._path} unpacks to {size / 2**20:.0f} MB of text in {len(column)} '
                    "rows, which is too much for one batch; leave the column out of the table."
                )
        return column if column.type == field.type else column.cast(field.type)


def _is_text(kind: Any) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


class FeatherTable:
    """A Feather file, which is an Arrow IPC file; it is mapped into memory, not read into it.

    Arguments:
        path: the file; it exists and is not empty.

    Raises:
        InputError: the file is damaged or is not a Feather file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._map = pa.memory_map(path)
            self._file = pa.ipc.open_file(self._map)
            self.schema = self._file.schema
            # Counting the rows of one column avoids unpacking a whole compressed file.
            options = pa.ipc.IpcReadOptions(included_fields=[0] if len(self.schema) else None)
            counter = pa.ipc.open_file(self._map, options=options)
            self.sizes = [counter.get_batch(index).num_rows for index in range(counter.num_record_batches)]
            self.rows = sum(self.sizes)
        except (pa.ArrowException, OSError) as error:
            raise _foreign(path, "Feather (Arrow IPC)", error) from error

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the named columns in the batches of the file."""
        for index in range(self._file.num_record_batches):
            yield self._file.get_batch(index).select(list(columns))

    def row_group(self, index: int, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Stream one batch of the file, cut into smaller ones."""
        batch = self._file.get_batch(index).select(list(columns))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)

    def close(self) -> None:
        """Close the file."""
        self._map.close()


def _foreign(path: str, kind: str, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.errno:
        return InputError(f"{path} cannot be read: {reason(error)}.")
    return InputError(f"{path} is damaged, or is not a {kind} file although its name says so; write it again.")
