"""Writing tables to files, so that the final name only ever belongs to a complete table."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.support.arguments import check_local
from pushforward.support.atomic import atomic_path, reason
from pushforward.support.overwriting import check_not_read
from pushforward.tables.checks import check_distinct
from pushforward.tables.files.formats import table_format
from pushforward.tables.files.listing import takes
from pushforward.tables.raw_text import has_any

STANDARD_OUTPUT = "-"

_GROUP_ROWS = 2**17  # rows collected into one row group of Parquet, or one batch of Feather,
_GROUP_BYTES = 2**26  # or fewer where rows are wide
_LINES = 2**14  # rows turned into lines of CSV at a time
_PLAIN = pa.csv.WriteOptions(include_header=False, quoting_style="none", batch_size=_LINES)


class TableWriter:
    """A table that is written to a CSV, Parquet or Feather file.

    Use it as a context manager. The rows go to a temporary file in the same folder, which takes the final name when
    the block ends; if it ends with an exception, the temporary file is removed and an older file stays as it was.

    Arguments:
        path: the file, whose ending tells the format; `-` is CSV to the standard output.
        schema: names and types of the columns. Categorical columns are written as their plain values, except to
            Parquet.
        read: the files, folders and patterns that are read at the same time, which are not written over or into;
            default none.

    Raises:
        InputError: the ending or a column's type cannot be written, two columns have the same name, the file is one
            that is read or would be, or (on entering the block or later) the file cannot be written.

    Example:
        >>> with TableWriter("-", pa.schema([("name", pa.string()), ("mass", pa.float64())])) as table:
        ...     table.write(pa.table({"name": ["Vega", "a, b"], "mass": [2.1, None]}))
        name,mass
        Vega,2.1
        "a, b",
    """

    def __init__(self, path: str | os.PathLike[str], schema: pa.Schema, read: Sequence[str] = ()) -> None:
        self.path = os.fspath(path)
        if self.path != STANDARD_OUTPUT:
            check_local(self.path, "results")
            check_apart(self.path, read)
        self._called = "the standard output" if self.path == STANDARD_OUTPUT else self.path
        self._format = "csv" if self.path == STANDARD_OUTPUT else table_format(self.path)
        check_distinct(schema.names, source=f"the table to be written to {self._called}")
        self._schema = schema if self._format == "parquet" else _plain_schema(schema)
        if self._format == "csv":
            _check_flat(self._schema, self._called)
        self._stack = contextlib.ExitStack()
        self._output: _Output | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0

    def __enter__(self) -> "TableWriter":
        with contextlib.ExitStack() as stack, self._explained():
            self._output = self._opened(stack)
            stack.push(self._flush_unless_failed)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._explained():
            self._stack.__exit__(kind, error, traceback)
        self._output = None

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Write some rows after those written before.

        Arguments:
            batch: the rows, with the columns of the schema in the same order.

        Raises:
            InputError: the file cannot be written, for instance because the disk is full.
        """
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        if table.schema.names != self._schema.names:
            raise ValueError(f"the rows have columns {table.schema.names}, the file {self._schema.names}")
        with self._explained():
            table = table.cast(self._schema)
            self._waiting.append(table)
            self._waiting_rows += table.num_rows
            self._waiting_bytes += table.nbytes
            # Collecting lines of CSV gains nothing, and would delay whoever reads the standard output.
            if self._format == "csv" or self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
                self._flush()

    def _opened(self, stack: contextlib.ExitStack) -> "_Output":
        if self.path == STANDARD_OUTPUT:
            return stack.enter_context(_csv_to_standard_output(self._schema))
        temporary = stack.enter_context(atomic_path(self.path))
        if self._format == "csv":
            return stack.enter_context(_csv_file(temporary, self._schema))
        sink = stack.enter_context(pa.OSFile(os.fspath(temporary), "wb"))
        if self._format == "parquet":
            return stack.enter_context(_parquet_file(sink, self._schema))
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        return stack.enter_context(pa.ipc.new_file(sink, self._schema, options=options))

    def _flush(self) -> None:
        if self._waiting and self._output is not None:
            table = pa.concat_tables(self._waiting).combine_chunks()
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
            self._output.write_table(table)

    def _flush_unless_failed(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence what the system or pyarrow reports."""
        try:
            yield
        except BrokenPipeError:
            raise  # the reader of the standard output has left, which the command line handles
        except OSError as error:
            raise InputError(f"cannot write {self._called}: {reason(error)}.") from error
        except pa.ArrowException as error:
            raise InputError(f"cannot write {self._called}: {' '.join(str(error).split())}.") from error


def check_apart(output: str | os.PathLike[str], read: Sequence[str]) -> None:
    """Refuse to write over a file that is read, or among the files of a folder or pattern that is read.

    Arguments:
        output: the file that is to be written.
        read: the paths of the files that are read, and the folders and patterns that were named.

    Raises:
        InputError: it is one of them, or would be the next time.
    """
    check_not_read(output, read)
    among = next((name for name in read if takes(name, os.fspath(output))), None)
    if among is not None:
        raise InputError(
            f"{os.fspath(output)} would become a part of {among}, which is read; name an output elsewhere."
        )


class _Output(Protocol):
    """What the writers of the three formats have in common."""

    def write_table(self, table: pa.Table) -> None: ...


class _CsvOutput:
    """Lines of CSV: text is quoted only where it must be, and numbers read back as exactly the same float64.

    pyarrow's own writer quotes all text or none, so that it writes the rows none of which needs that.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._file = file
        self._single = len(schema) == 1
        self._names: list[str] | None = schema.names

    def write_header(self) -> None:
        """Write the header, unless it has been written: with the first rows, or at the end where there are none."""
        if self._names is not None:
            names, self._names = self._names, None
            self._file.write(self._lines([pa.array([name], pa.large_string()) for name in names]))

    def write_table(self, table: pa.Table) -> None:
        self.write_header()
        for batch in table.to_batches(max_chunksize=_LINES):
            if self._single or any(_is_text(column) and has_any(column, b'",\r\n') for column in batch.columns):
                self._file.write(self._lines([_as_text(column) for column in batch.columns]))
                continue
            texts = pa.record_batch([column.cast(pa.string()) for column in batch.columns], names=batch.schema.names)
            lines = pa.BufferOutputStream()
            pa.csv.write_csv(texts, lines, _PLAIN)
            self._file.write(memoryview(lines.getvalue()))

    def _lines(self, columns: Sequence[Any]) -> memoryview:
        quoted = [_quoted_where_needed(column, empty=self._single) for column in columns]
        end = pa.scalar("\n", pa.large_string())
        nothing = pa.scalar("", pa.large_string())
        lines = pc.binary_join_element_wise(*quoted, pa.scalar(",", pa.large_string()))
        lines = pc.binary_join_element_wise(lines, nothing, end)
        # An array of strings stores them one after the other, exactly like a file of lines.
        return memoryview(lines.buffers()[2])


@contextlib.contextmanager
def _csv_file(path: Path, schema: pa.Schema) -> Iterator[_CsvOutput]:
    with open(path, "wb", buffering=2**18) as file:
        output = _CsvOutput(file, schema)
        yield output
        output.write_header()


@contextlib.contextmanager
def _csv_to_standard_output(schema: pa.Schema) -> Iterator[_CsvOutput]:
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    file: Any = binary if binary is not None else _TextOutput()
    output = _CsvOutput(file, schema)
    yield output
    # Whatever is refused with the first rows leaves nothing behind, not even a header.
    output.write_header()
    file.flush()


def _parquet_file(sink: Any, schema: pa.Schema) -> pa.parquet.ParquetWriter:
    # Floats rarely repeat, so a dictionary of them gains nothing; split into bytes they pack better and faster.
    floats = [field.name for field in schema if field.type in (pa.float32(), pa.float64())]
    others = [field.name for field in schema if field.name not in floats]
    return pa.parquet.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=others or False,
        use_byte_stream_split=floats or False,
    )


class _TextOutput:
    """A standard output that takes only text, as in notebooks and doctests."""

    def write(self, data: memoryview) -> None:
        sys.stdout.write(data.tobytes().decode("utf-8"))

    def flush(self) -> None:
        sys.stdout.flush()


def _is_text(column: Any) -> bool:
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def _as_text(column: Any) -> Any:
    return pc.cast(column, pa.large_string())


def _quoted_where_needed(text: Any, *, empty: bool) -> Any:
    """Quote text that would be read differently without quotation marks; missing values become empty text."""
    text = pc.fill_null(text, pa.scalar("", pa.large_string()))
    needed = pc.match_substring_regex(text, '[",\r\n]')
    if empty:
        # Most readers skip an empty line.
        needed = pc.or_(needed, pc.equal(pc.binary_length(text), 0))
    if not pc.any(needed).as_py():
        return text
    quote, nothing = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
    doubled = pc.replace_substring(text, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise(quote, doubled, quote, nothing), text)


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """Replace categorical types with those of their values, because the categories may change from batch to batch."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _check_flat(schema: pa.Schema, called: str) -> None:
    """Refuse columns that cannot be written as text."""
    for field in schema:
        kind = field.type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise InputError(
                f'column "{field.name}" is of type {kind}, which CSV cannot hold: {called} cannot be written; '
                "write .parquet instead."
            )
