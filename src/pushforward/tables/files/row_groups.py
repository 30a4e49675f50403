"""A table in a file as row groups that can be read in any order, each as a stream."""

import os
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.tables.files.columnar import FeatherTable, ParquetTable
from pushforward.tables.files.formats import table_format
from pushforward.tables.files.reading import TableReader, with_numbers
from pushforward.tables.missing import Marks


class RowGroups:
    """The row groups of a Parquet file or the batches of a Feather file; a CSV is one row group.

    Arguments:
        path: the file.
        columns: the names of the columns wanted.
        text: the columns of a CSV that stay text; all others are numbers. Default: none.
        marks: {column: what stands for a missing value}; default null and NaN, and the list in a CSV.
        header: whether the first line of a CSV has the names of its columns; default True.

    Attributes:
        starts: the number of rows before each row group.
        rows: the number of rows, or None for a CSV, which has to be read to be counted.
        written: whether text is that of a CSV.
        progress: the part of the table up to the end of the last batch, from 0 to 1.

    Raises:
        InputError: as for `TableReader`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Sequence[str],
        text: Sequence[str] = (),
        marks: Mapping[str, Marks] | None = None,
        header: bool = True,
    ) -> None:
        self.path = os.fspath(path)
        self.columns = list(columns)
        self.text = list(text)
        self._header = header
        self.progress = 0.0
        with TableReader(path, self.columns, only_numeric=True, header=header) as reader:
            self.rows = reader.rows
            self.written = reader.written
        default = Marks(self.written)
        self.marks = {name: (marks or {}).get(name, default) for name in self.columns}
        sizes = [0]
        if table_format(path) == "parquet":
            metadata = pyarrow.parquet.read_metadata(self.path)
            sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        elif table_format(path) == "feather":
            sizes = FeatherTable(self.path).sizes
        self.starts = [sum(sizes[:index]) for index in range(len(sizes))]

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, group: int, rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Stream one row group.

        Arguments:
            group: its position, from 0.
            rows: the most rows of a batch.

        Yields:
            The number of rows before a batch in the whole table, and the batch.

        Raises:
            InputError: the file is damaged, or a value in a numeric column of a CSV is not a number.
        """
        first = self.starts[group]
        kind = table_format(self.path)
        if kind == "csv":
            numeric = {name: marks for name, marks in self.marks.items() if name not in self.text}
            with TableReader(self.path, self.columns, keep_text=True, only_numeric=True, header=self._header) as reader:
                for batch in reader.batches(rows):
                    self.progress = reader.progress
                    yield first, with_numbers(batch, numeric, self.path, first + 1)
                    first += batch.num_rows
            return
        file = ParquetTable(self.path) if kind == "parquet" else FeatherTable(self.path)
        try:
            for batch in file.row_group(group, self.columns, rows):
                self.progress = (first + batch.num_rows) / (self.rows or 1)
                yield first, batch
                first += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path} is damaged: it cannot be read after row {first}.") from error
        finally:
            file.close()
