"""Reading Parquet and Feather (Arrow IPC) files as a stream of batches."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.tables.files.formats import Kind, believed
from pushforward.tables.files.stored import StoredTable
from pushforward.tables.files.stored_file import StoredFile

# A few kilobytes may unpack to billions of equal numbers, more than can be read in a reasonable time.
LARGEST_UNCHECKED, MOST_NUMBERS_PER_BYTE = 2**24, 200

# A few kilobytes may also unpack to many copies of one long text; a batch holds no more bytes of text than this.
LARGEST_TEXT = 2**28

_BUFFER = 2**20  # bytes of a Parquet column read at a time, instead of the whole column of a row group


class _ColumnarTable(StoredTable):
    """What both formats have in common: row groups of known sizes, which are read one after the other.

    Arguments:
        file: the file.
    """

    called: str
    kind: Kind

    def __init__(self, file: StoredFile) -> None:
        self.name, self._file = file.name, file
        with self._opened() as source:
            try:
                self.schema, self.sizes = self._described(source)
            except (pa.ArrowException, OSError) as error:
                raise self._foreign(error) from error
        self.rows = sum(size or 0 for size in self.sizes)

    def batches(
        self, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the named columns, at most `rows` rows at a time."""
        chosen = range(len(self.sizes)) if groups is None else groups
        read = sum(size or 0 for size in self.sizes[: min(chosen, default=0)])
        with self._opened() as source:
            stream = self._stream(source, columns, rows, chosen)
            while True:
                try:
                    batch = next(stream)
                except StopIteration:
                    break
                except (pa.ArrowException, OSError) as error:
                    raise self._file.damaged(error, read) from error
                read += batch.num_rows
                yield batch
        self._file.check_unchanged()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        with self._file.open() as file:
            try:
                source = self._open(file)
            except (pa.ArrowException, OSError) as error:
                raise self._foreign(error) from error
            yield source

    def _foreign(self, error: Exception) -> InputError:
        self._file.check_unchanged()
        if isinstance(error, OSError) and error.errno:
            return self._file.unreadable(error)
        why = believed(self.name, self.kind)
        return InputError(f"{self.name} is damaged, or is not a {self.called} file {why}; write it again.")

    def _open(self, file: Any) -> Any:
        raise NotImplementedError

    def _described(self, source: Any) -> tuple[Any, list[int | None]]:
        """The schema and the sizes of the row groups."""
        raise NotImplementedError

    def _stream(
        self, source: Any, columns: Sequence[str], rows: int, groups: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError


class ParquetTable(_ColumnarTable):
    """A Parquet file.

    Arguments:
        file: the file.

    Raises:
        InputError: the file is damaged or is not a Parquet file.
    """

    called, kind = "Parquet", "parquet"
    _metadata: Any = None
    _text: Sequence[str] = ()

    def __init__(self, file: StoredFile) -> None:
        super().__init__(file)
        self._text = [field.name for field in self.schema if _is_text(field.type)]
        numbers = (self.rows or 0) * len(self.schema)
        if numbers > LARGEST_UNCHECKED and numbers > file.size * MOST_NUMBERS_PER_BYTE:
            raise InputError(
                f"{self.name} claims to hold {numbers} numbers in {file.size} bytes: measured values do "
                "not pack so tightly; write it again without columns that never change."
            )

    def _open(self, file: Any) -> Any:
        # Text stays packed, each value once, until its unpacked size is known.
        packed: dict[str, Any] = {"read_dictionary": list(self._text), "metadata": self._metadata}
        return pyarrow.parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False, **packed)

    def _described(self, source: Any) -> tuple[Any, list[int | None]]:
        self._metadata = source.metadata
        return source.schema_arrow, [
            self._metadata.row_group(index).num_rows for index in range(self._metadata.num_row_groups)
        ]

    def _stream(
        self, source: Any, columns: Sequence[str], rows: int, groups: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        kept = pa.schema([self.schema.field(name) for name in columns], self.schema.metadata)
        for batch in source.iter_batches(batch_size=rows, row_groups=list(groups), columns=list(columns)):
            # Parquet also reads columns whose names begin with one of these and a dot.
            yield pa.record_batch([self._unpacked(batch.column(field.name), field) for field in kept], schema=kept)

    def _unpacked(self, column: Any, field: Any) -> Any:
        if not pa.types.is_dictionary(column.type):
            return column
        if _is_text(column.type.value_type):
            sizes = pc.binary_length(column.dictionary).take(column.indices)
            size = pc.sum(sizes).as_py() or 0
            if size > LARGEST_TEXT:
                raise InputError(
                    f'column "{field.name}" of {self.name} unpacks to {size / 2**20:.0f} MB of text in {len(column)} '
                    "rows, which is too much for one batch; leave the column out of the table."
                )
        return column if column.type == field.type else column.cast(field.type)


def _is_text(kind: Any) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


class FeatherTable(_ColumnarTable):
    """A Feather file, which is an Arrow IPC file; its batches are its row groups.

    Arguments:
        file: the file.

    Raises:
        InputError: the file is damaged or is not a Feather file.
    """

    called, kind = "Feather (Arrow IPC)", "feather"

    def _open(self, file: Any) -> Any:
        # Not mapped into memory: a file that is cut short would then end the process.
        return file, pa.ipc.open_file(file)

    def _described(self, source: Any) -> tuple[Any, list[int | None]]:
        schema = source[1].schema
        # Counting the rows of one column avoids reading all.
        counter = _with_columns(source[0], [0] if len(schema) else None)
        return schema, [counter.get_batch(index).num_rows for index in range(counter.num_record_batches)]

    def _stream(
        self, source: Any, columns: Sequence[str], rows: int, groups: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        reader = _with_columns(source[0], [names.index(name) for name in columns])
        for index in groups:
            batch = reader.get_batch(index).select(list(columns))
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def _with_columns(file: Any, places: Sequence[int] | None) -> Any:
    options = pa.ipc.IpcReadOptions(included_fields=None if places is None else list(places))
    return pa.ipc.open_file(file, options=options)
