"""Reading tables from files: as a stream in constant memory, or whole."""

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.tables.checks import ReadByModel, check_columns, check_distinct
from pushforward.tables.columns.base import Column
from pushforward.tables.files.opening import Data, opened
from pushforward.tables.files.stored import located
from pushforward.tables.missing import WRITTEN, Marks
from pushforward.tables.numbers import BadValue, parsed_numbers
from pushforward.tables.schema.inference import marks_of

_CHUNK = 2**16  # rows read at a time when a whole table is wanted
_MOST_BYTES = 2**28  # of rows that are joined into a batch
_LARGEST_TABLE = 2**30  # bytes of a table that is read whole; tables of numbers are streamed from far fewer


class TableReader:
    r"""A table outside memory, read as a stream in constant memory.

    Use it as a context manager. Rows are numbered from 1; the header and blank lines of a CSV are not counted.

    Arguments:
        data: the table: a path, a list of paths, or what `open_table` gives.
        numeric: the names of the columns that are numbers. In a CSV these are read as float64, whatever their first
            rows look like, and all others as text. Default: none.
        keep_text: leave the numeric columns of a CSV as the text they are in the file, so that they can be written
            again unchanged; default False.
        only_numeric: leave all other columns out of the batches; default False.
        header: whether the first line of a CSV has the names of its columns, which are called 0, 1, 2, ... otherwise;
            default True. A table that is open knows.
        schema: that of the model that reads the table, which says what stands for a missing value in numeric columns of
            a CSV; default the list for all of them, in a table for a fit.
        needed: the columns that the table must have; default the numeric ones.

    Attributes:
        path: what messages call the table.
        names: the names of all columns of the table.
        schema: names and types of the batches.
        rows: the number of rows, or None where they have to be read to be counted.
        written: whether text is that of a CSV, where some words stand for missing values.
        files: the paths of its files on this machine.
        notes: what was read in another way than usual, line by line.

    Raises:
        InputError: the table cannot be read, has no rows, has two columns of the same name, or lacks a needed column.

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
        data: Data,
        numeric: Sequence[str] | None = None,
        *,
        keep_text: bool = False,
        only_numeric: bool = False,
        header: bool = True,
        schema: Mapping[str, Column] | None = None,
        needed: Sequence[str] | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._table = self._stack.enter_context(opened(data, header=header, once=True))
        self.path = self._table.name if schema is None else ReadByModel(self._table.name)
        self.written, self.notes = self._table.written, self._table.notes
        self.rows, self.files = self._table.rows, self._table.files
        self.names = list(self._table.schema.names)
        self._streams: list[Generator[pa.RecordBatch, None, None]] = []  # that are being read
        self._read = 0  # rows yielded so far
        self._ended = False
        self._numeric = None if numeric is None else list(numeric)
        self._keep_text = keep_text
        self._declared = schema or {}
        try:
            check_distinct(self.names, source=self.path)
            if needed or self._numeric or only_numeric:
                check_columns(needed or self._numeric or (), self.names, source=self.path)
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
        with located(self._table):
            try:
                if isinstance(error, BadValue):
                    raise error
            finally:
                self.close()

    def close(self) -> None:
        """Close the table."""
        # A stream that is not read to its end must not outlive the table.
        while self._streams:
            self._streams.pop().close()
        self._stack.close()

    @property
    def progress(self) -> float:
        """The part of the table that has been read, from 0 to 1; for a CSV in steps of a block of the file."""
        if self._ended:
            return 1.0
        if self.rows is not None:
            return self._read / self.rows
        return self._table.progress if self._read else 0.0

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the table from its first row.

        Arguments:
            rows: the number of rows of a batch; the last batch may have fewer, and so may batches of more than 256 MB.

        Yields:
            Batches with the columns and types of `schema`, in the order of the table.

        Raises:
            InputError: a row of a CSV is malformed, a numeric column holds something else, or a file is damaged.
        """
        for first_row, batch in self._raw_batches(rows):
            yield batch if self._keep_text else self._with_numbers(batch, first_row)

    def _schema(self) -> Any:
        known = self._table.schema
        if not self.written:
            return pa.schema([known.field(name) for name in self._columns], metadata=known.metadata)
        numbers = set() if self._keep_text else set(self._numeric or [])
        return pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in self._columns])

    def _raw_batches(self, rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Stream batches as they are in the table, each with the number of its first row."""
        if rows < 1:
            raise ValueError("a batch needs at least one row")
        self._read = 0
        self._ended = False
        stream = self._table.batches(self._columns, rows)
        self._streams.append(stream)
        for batch in resized(stream, rows):
            first_row = self._read + 1
            self._read += batch.num_rows
            yield first_row, batch
        self._ended = True

    def _with_numbers(self, batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        """Turn the text of a CSV's numeric columns into numbers; other formats have them already."""
        if not self.written or not self._numeric:
            return batch
        marks = {name: marks_of(name, self._declared, WRITTEN) for name in self._numeric}
        return with_numbers(batch, marks, self.path, first_row)


def with_numbers(batch: pa.RecordBatch, marks: Mapping[str, Marks], source: str, first_row: int) -> pa.RecordBatch:
    """Turn the text of some columns of a CSV into numbers.

    Arguments:
        batch: some rows, all text.
        marks: what stands for a missing value in each of the columns.
        source: what messages call the table.
        first_row: the number of the first row in the whole table, counted from 1.

    Raises:
        BadValue: some text is not a number.
    """
    columns = [
        parsed_numbers(column, name, source=source, first_row=first_row, marks=marks[name]) if name in marks else column
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


def column_names(data: Data, header: bool = True) -> list[str]:
    """Return the names of all columns of a table.

    Arguments:
        data: a path, a list of paths, or what `open_table` gives.
        header: whether the first line of a CSV has the names of its columns; default True.

    Raises:
        InputError: the table cannot be read.
    """
    with TableReader(data, header=header) as table:
        return table.names


def read_columns(data: Data, columns: Sequence[str] | None = None, *, header: bool = True) -> pa.Table:
    r"""Read a whole table, or some of its columns, in the types of the file; a CSV is all text.

    Arguments:
        data: a path, a list of paths, or what `open_table` gives.
        columns: the names of the columns wanted, in this order; default all.
        header: whether the first line of a CSV has the names of its columns; default True.

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
    with opened(data, header=header, once=True) as stored:
        columns = stored.schema.names if columns is None else columns
        with TableReader(stored, columns, keep_text=True, only_numeric=True) as table:
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
