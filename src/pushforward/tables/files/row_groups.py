"""A table outside memory as row groups that can be read in any order, each as a stream."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.tables.files.opening import Data, open_table
from pushforward.tables.files.reading import TableReader, resized, with_numbers
from pushforward.tables.missing import Marks, blank_rows
from pushforward.tables.numbers import BadValue

# Whole numbers are written so only where they are codes.
CODE = r"^\s*0[0-9]+\s*$"


class Contradicted(BadValue):
    """A value that is not what the first rows of a CSV made one expect of its column.

    Attributes:
        rows: the value's row and some after it, all text.
        code: the column, if the value is a code such as 02139, which could be read as a number; or None.
    """

    def __init__(self, row: int, message: str, rows: pa.RecordBatch, code: str | None = None) -> None:
        super().__init__(row, message)
        self.rows, self.code = rows, code


class RowGroups:
    """The row groups of Parquet files or the batches of Feather files; each CSV is one row group.

    Arguments:
        data: the table: a path, a list of paths, or what `open_table` gives.
        columns: the names of the columns wanted.
        text: the columns of a CSV that stay text; all others are numbers. Default: none.
        marks: {column: what stands for a missing value}; default null and NaN, and the list in a CSV.
        unsettled: the columns of numbers of a CSV in which a code, such as 02139, is refused; default none.
        blank: rows without a value in any of these columns are left out; default none, which leaves out no row.
        header: whether the first line of a CSV has the names of its columns; default True.

    Attributes:
        rows: the number of rows, also those left out, or None before all of a CSV has been read and counted.
        first_blank: the number of the first row that was left out, counted from 1, or None.
        written: whether text is that of a CSV.
        progress: the part of the table up to the end of the last batch, from 0 to 1.

    Raises:
        InputError: as for `TableReader`.
    """

    def __init__(
        self,
        data: Data,
        columns: Sequence[str],
        text: Sequence[str] = (),
        marks: Mapping[str, Marks] | None = None,
        unsettled: Collection[str] = (),
        blank: Sequence[str] = (),
        header: bool = True,
    ) -> None:
        self.table = open_table(data, header=header)
        self.path, self.written = self.table.name, self.table.written
        self.columns = list(columns)
        self.text, self.unsettled = list(text), unsettled
        self.progress = 0.0
        TableReader(self.table, self.columns, only_numeric=True).close()  # which checks them
        default = Marks(self.written)
        self.marks = {name: (marks or {}).get(name, default) for name in self.columns}
        self._decisive = {name: self.marks[name] for name in blank}
        self.first_blank: int | None = None
        self._sizes = list(self.table.sizes)
        # Is shown each batch as it was read, and its columns.
        self.watch: Callable[[pa.RecordBatch, Sequence[str]], None] | None = None

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def rows(self) -> int | None:
        """The number of rows, or None before they are counted."""
        return None if None in self._sizes else self._before(len(self._sizes))

    def read(self, group: int, rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Stream one row group.

        Arguments:
            group: its position, from 0.
            rows: the most rows of a batch.

        Yields:
            The number of rows before a batch in the whole table, and the batch. Batches end where rows are left out.

        Raises:
            InputError: the table is damaged.
            Contradicted: a value in a numeric column of a CSV is not a number.
        """
        first = start = self._before(group)
        for batch in resized(self.table.batches(self.columns, rows, [group]), rows):
            total = self.rows
            self.progress = self.table.progress if total is None else (first + batch.num_rows) / (total or 1)
            if self.watch is not None:
                self.watch(batch, self.columns)
            for before, part in self._filled(batch, first):
                yield before, self._typed(part, before) if self.written else part
            first += batch.num_rows
        self._sizes[group] = first - start

    def _filled(self, batch: pa.RecordBatch, before: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The parts of a batch between rows that are left out, each with the number of rows before it."""
        blank = np.flatnonzero(blank_rows(batch, self._decisive))
        if len(blank):
            first = before + int(blank[0]) + 1
            self.first_blank = first if self.first_blank is None else min(self.first_blank, first)
        start = 0
        for end in (*blank.tolist(), batch.num_rows):
            if end > start:
                yield before + start, batch.slice(start, end - start)
            start = end + 1

    def _typed(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """Turn the text of a CSV's columns of numbers into numbers."""
        for name in self.unsettled:
            place = pc.index(pc.match_substring_regex(batch.column(name), CODE), True).as_py()
            if place >= 0:
                row = before + place + 1
                message = f'column "{name}" of {self.path} holds a number with a leading zero in row {row}.'
                raise Contradicted(row, message, batch.slice(place), name)
        numeric = {name: marks for name, marks in self.marks.items() if name not in self.text}
        try:
            return with_numbers(batch, numeric, self.path, before + 1)
        except BadValue as bad:
            raise Contradicted(bad.row, str(bad), batch.slice(bad.row - before - 1)) from bad

    def _before(self, group: int) -> int:
        """The number of rows before a row group, which are counted where that is not known yet."""
        for index, size in enumerate(self._sizes[:group]):
            if size is None:
                counted = self.table.batches(self.columns[:1], 2**16, [index])
                self._sizes[index] = sum(batch.num_rows for batch in counted)
        return sum(size or 0 for size in self._sizes[:group])
