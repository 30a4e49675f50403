"""Reading tables from files: as a stream in constant memory, or whole."""

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.atomic import reason
from pushforward.tables.checks import check_columns, check_distinct
from pushforward.tables.files.columnar import ColumnarFile, FeatherTable, ParquetTable
from pushforward.tables.files.delimited import BLOCK, header_names, text_batches
from pushforward.tables.files.formats import check_readable, table_format
from pushforward.tables.numbers import parsed_numbers

_CHUNK = 2**16  # rows read at a time when a whole table is wanted
_MOST_BYTES = 2**28  # of rows that are joined into a batch
_LARGEST_TABLE = 2**30  # bytes of a table that is read whole; tables of numbers are streamed from far fewer


class TableReader:
    r"""A table in a CSV, Parquet or Feather file, read as a stream in constant memory.

    Use it as a context manager. Rows are numbered from 1; the header and blank lines of a CSV are not counted.

    Arguments:
        path: the file; its ending tells the format.
        numeric: the names of the columns that are numbers. In a CSV these are read as float64, whatever their first
            rows look like, and all others as text. Default: none.
        keep_text: leave the numeric columns of a CSV as the text they are in the file, so that they can be written
            again unchanged; default False.
        only_numeric: leave all other columns out of the batches; default False.

    Attributes:
        path: the file's name as given.
        names: the names of all columns in the file.
        schema: names and types of the batches.
        rows: the number of rows, or None for a CSV, which has to be read to be counted.

    Raises:
        InputError: the file cannot be read, has no rows, has two columns of the same name, or lacks a numeric column.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "stars.csv"
        ...     _ = file.write_text("name,mass\nVega,2.10\nSirius,2\n")
        ...     with TableReader(file, ["mass"]) as table:
        ...         [batch.to_pylist() for batch in table.batches(rows=1)]
        [[{'name': 'Vega', 'mass': 2.1}], [{'name': 'Sirius', 'mass': 2.0}]]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        numeric: Sequence[str] | None = None,
        *,
        keep_text: bool = False,
        only_numeric: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self.rows: int | None = None
        self._file: ColumnarFile | None = None
        self._stream: Any = None  # the CSV file while it is read
        self._read = 0  # rows yielded so far
        self._blocks = 0  # blocks of a CSV read so far
        self._ended = False
        self._numeric = None if numeric is None else list(numeric)
        self._keep_text = keep_text

        kind = table_format(self.path)
        check_readable(self.path)
        if kind == "csv":
            self.names = header_names(self.path)
        else:
            self._file = ParquetTable(self.path) if kind == "parquet" else FeatherTable(self.path)
            self.names = list(self._file.schema.names)
            self.rows = self._file.rows
        try:
            check_distinct(self.names, source=self.path)
            if self._numeric is not None:
                check_columns(self._numeric, self.names, source=self.path)
            if self.rows == 0:
                raise InputError(f"{self.path} has no rows; give a table with rows.")
        except InputError:
            self.close()
            raise
        self._columns = (self._numeric or []) if only_numeric else self.names
        self.schema = self._schema()

    def __enter__(self) -> "TableReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    @property
    def progress(self) -> float:
        """The part of the table that has been read, from 0 to 1; for a CSV in steps of a block of the file."""
        if self._ended:
            return 1.0
        if self.rows is not None:
            return self._read / self.rows
        return min(1.0, self._blocks * BLOCK / max(1, os.path.getsize(self.path)))

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the table from its first row.

        Arguments:
            rows: the number of rows of a batch; the last batch may have fewer, and so may batches of more than 256 MB.

        Yields:
            Batches with the columns and types of `schema`, in the order of the file.

        Raises:
            InputError: a row of a CSV is malformed, a numeric column holds something else, or the file is damaged.
        """
        for first_row, batch in self._raw_batches(rows):
            yield batch if self._keep_text else self._with_numbers(batch, first_row)

    def _schema(self) -> Any:
        if self._file is not None:
            kept = [self._file.schema.field(name) for name in self._columns]
            return pa.schema(kept, metadata=self._file.schema.metadata)
        numbers = set() if self._keep_text else set(self._numeric or [])
        return pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in self._columns])

    def _raw_batches(self, rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Stream batches as they are in the file, each with the number of its first row."""
        if rows < 1:
            raise ValueError("a batch needs at least one row")
        self._read = self._blocks = 0
        self._ended = False
        for batch in resized(self._source(rows), rows):
            first_row = self._read + 1
            self._read += batch.num_rows
            yield first_row, batch
        self._ended = True

    def _source(self, rows: int) -> Iterator[pa.RecordBatch]:
        if self._file is None:
            try:
                self._stream = pa.OSFile(self.path)
            except OSError as error:
                raise InputError(f"{self.path} cannot be read: {reason(error)}.") from error
            with self._stream:
                for batch in text_batches(self._stream, self.path, self._columns, self.names[-1]):
                    self._blocks += 1
                    yield batch
            return
        source = self._file.batches(self._columns, rows)
        read = 0
        while True:
            try:
                batch = next(source)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.path} is damaged: it cannot be read after row {read}.") from error
            read += batch.num_rows
            yield batch

    def _with_numbers(self, batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        """Turn the text of a CSV's numeric columns into numbers; other formats have them already."""
        if self._file is not None or not self._numeric:
            return batch
        numeric = set(self._numeric)
        columns = [
            parsed_numbers(column, name, source=self.path, first_row=first_row) if name in numeric else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.record_batch(columns, names=batch.schema.names)


def resized(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Cut and join batches so that each has the same number of rows, or fewer where those would exceed 256 MB.

    Arguments:
        batches: batches of any sizes, all with the same columns.
        rows: how many rows each gets; the last one, and those of long text, may have fewer.

    Yields:
        The same rows in the same order.

    Example:
        >>> sizes = [pa.record_batch({"x": list(range(n))}) for n in (1, 5, 1)]
        >>> [batch.num_rows for batch in resized(iter(sizes), 3)]
        [3, 3, 1]
    """
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, rows - count)
            waiting.append(part)
            start += part.num_rows
            count += part.num_rows
            size += part.nbytes
            if count == rows or size > _MOST_BYTES:
                yield from _joined(waiting)
                waiting, count, size = [], 0, 0
    yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if len(batches) < 2:
        return batches
    return pa.Table.from_batches(batches).combine_chunks().to_batches()


def column_names(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of all columns of a table.

    Arguments:
        path: a CSV, Parquet or Feather file.

    Raises:
        InputError: the file cannot be read.
    """
    with TableReader(path) as table:
        return table.names


def read_columns(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pa.Table:
    r"""Read a whole table, or some of its columns, in the types of the file; a CSV is all text.

    Arguments:
        path: a CSV, Parquet or Feather file.
        columns: the names of the columns wanted, in this order; default all.

    Raises:
        InputError: the file cannot be read, or a column is missing.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "stars.csv"
        ...     _ = file.write_text("mass,radius\n1,2.5\n3,4\n")
        ...     read_columns(file, ["radius"]).to_pydict()
        {'radius': ['2.5', '4']}
    """
    if columns is None:
        columns = column_names(path)
    with TableReader(path, columns, keep_text=True, only_numeric=True) as table:
        return pa.Table.from_batches(_limited(table), table.schema).select(list(columns))


def _limited(table: TableReader) -> Iterator[pa.RecordBatch]:
    size = 0
    for batch in table.batches(_CHUNK):
        size += batch.nbytes
        if size > _LARGEST_TABLE:
            raise InputError(
                f"{table.path} has more than {_LARGEST_TABLE // 2**20} MB in the columns that are read, much of it "
                "long text; name the wanted columns with --columns."
            )
        yield batch
