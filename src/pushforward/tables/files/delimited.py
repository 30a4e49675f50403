"""Reading CSV files as a stream of text.

All columns are read as text first: a type inferred from the first block could fail in a later one, the text of a
column that is only copied must stay as it was, and the row of a value that is not a number must be known.
"""

import os
import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pushforward.errors import InputError
from pushforward.support.atomic import reason
from pushforward.tables.files.header import Layout, check_header, find_layout

BLOCK = 2**20  # bytes read at a time (pyarrow reads about forty blocks ahead), and the longest row that can be read
# What pyarrow says of a row; a function of Python that is told instead would be called by pyarrow's threads, which may
# outlive the interpreter.
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): ?(.*)", re.DOTALL)


class DelimitedFile:
    """A CSV file: its names, and its rows as a stream of text.

    Arguments:
        path: the file; it exists and is not empty.
        header: whether the first line has the names of the columns, which are called 0, 1, 2, ... otherwise.

    Attributes:
        names: of the columns, in the order of the file.
        notes: what was read in another way than usual, line by line.

    Raises:
        InputError: the file is not text in UTF-8, has no rows, is separated by something that is not read, or has no
            header.
    """

    def __init__(self, path: str, header: bool = True) -> None:
        self.path, self._header = path, header
        _check_text(path)
        try:
            self._layout = find_layout(path, header)
            with self._opened(None) as stream:
                found = stream.names
                try:
                    first = next((batch for batch in stream.batches() if batch.num_rows), None)
                except pa.ArrowException as error:
                    raise self._explained(error, after=0) from error
        except UnicodeDecodeError:
            raise InputError(f"{path} is not text in UTF-8: its header cannot be decoded; save it as UTF-8.") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {reason(error)}.") from error
        self._fields = len(found)
        notes = list(self._layout.notes)
        if header:
            check_header(path, found, self._layout)
        self.names = found if header else [str(place) for place in range(len(found))]
        if first is None:
            raise InputError(f"{path} has no rows under its header; give a table with rows.")
        if header and not found[-1] and any(found) and _is_empty(first.column(self._fields - 1)):
            self.names = found[:-1]
            notes.append("has commas at the ends of its lines: the last column, without name and values, is left out")
        self.notes = tuple(f"{path} {note}" for note in notes)

    def batches(self, columns: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Stream the rows as text.

        Arguments:
            columns: the names of the columns wanted, in the order wanted.

        Yields:
            Batches of string columns, each a block of `BLOCK` bytes of the file; an empty cell is an empty string.

        Raises:
            InputError: a row has the wrong number of fields, holds bytes that are not text in UTF-8, or has a quotation
                mark that is never closed.
        """
        place = {name: str(index) for index, name in enumerate(self.names)}
        last = str(self._fields - 1)  # which shows whether the last quotation mark was closed
        row, last_cell = 1, b""
        with self._opened([*(place[name] for name in columns), last]) as stream:
            source = stream.batches()
            while True:
                try:
                    batch = next(source)
                except StopIteration:
                    break
                except pa.ArrowException as error:
                    raise self._explained(error, after=row - 1) from error
                except OSError as error:
                    raise InputError(f"{self.path} cannot be read after row {row - 1}: {reason(error)}.") from error
                if len(self.names) < self._fields:
                    self._check_unnamed(batch.column(last), row)
                texts = [_decoded(batch.column(place[name]), name, self.path, row) for name in columns]
                yield pa.record_batch(texts, names=list(columns))
                row += batch.num_rows
                if batch.num_rows:
                    last_cell = batch.column(last)[-1].as_py()
        if b"\n" in last_cell and not _ends_with_quotation_mark(self.path):
            raise InputError(_never_closed(self.path, f"in row {row - 1}"))

    def _opened(self, places: Sequence[str] | None) -> "_Stream":
        """The rows as raw bytes of some columns, or, to see the names, as anything."""
        try:
            return _Stream(self.path, self._layout, self._header, places, self._fields if places else 0)
        except pa.ArrowException as error:
            raise self._explained(error, after=0) from error

    def _check_unnamed(self, column: Any, first_row: int) -> None:
        filled = pc.index(pc.greater(pc.binary_length(column), 0), True).as_py()
        if filled >= 0:
            raise InputError(
                f"the last column of {self.path} has no name, and holds a value in row {first_row + filled}; give it a "
                "name, or remove that value."
            )

    def _explained(self, error: Exception, after: int) -> InputError:
        """Say in one sentence what pyarrow found."""
        path, ragged = self.path, _RAGGED.search(str(error))
        if ragged:
            number, expected, actual = (int(part) for part in ragged.groups()[:3])
            # The header is the first of the rows that pyarrow numbers.
            return InputError(_ragged(path, number - self._header, expected, actual, ragged[4], self._header))
        if "mpty CSV" in str(error):
            return InputError(f"{path} has no rows under its header; give a table with rows.")
        if "straddl" in str(error):
            return InputError(_never_closed(path, f"after row {after}, or a row longer than {BLOCK // 2**20} MB"))
        return InputError(f"{path} cannot be read as CSV after row {after}: {' '.join(str(error).split())}.")


class _Stream:
    """pyarrow's stream of a CSV file, which is closed with its file at the end of the block."""

    def __init__(self, path: str, layout: Layout, header: bool, places: Sequence[str] | None, fields: int) -> None:
        if places is None:
            # Without a header the names are made up.
            read: dict[str, Any] = {"autogenerate_column_names": not header}
            convert = pa.csv.ConvertOptions(check_utf8=False)
        else:
            # By places, because names may occur twice.
            read = {"column_names": [str(place) for place in range(fields)], "skip_rows_after_names": int(header)}
            wanted = list(dict.fromkeys(places))
            # Bytes rather than strings, so that the row of a byte that is not UTF-8 can be found.
            types = dict.fromkeys(wanted, pa.binary())
            convert = pa.csv.ConvertOptions(
                check_utf8=False, include_columns=wanted, column_types=types, strings_can_be_null=False
            )
        self._file = pa.OSFile(path)
        self._reader: Any = None
        try:
            self._file.seek(layout.offset)
            self._reader = pa.csv.open_csv(
                self._file,
                # Rows are numbered only when one thread reads.
                read_options=pa.csv.ReadOptions(block_size=BLOCK, use_threads=False, **read),
                parse_options=pa.csv.ParseOptions(newlines_in_values=True, delimiter=layout.separator),
                convert_options=convert,
            )
            self.names = list(self._reader.schema.names)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        while self._reader is not None:
            try:
                yield self._reader.read_next_batch()
            except StopIteration:
                return

    def close(self) -> None:
        """Let pyarrow's threads end, and then close the file that they read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._file.close()


def _ragged(path: str, row: int, expected: int, actual: int, text: str, header: bool) -> str:
    """Say that a row has too few or too many fields."""
    if header and row == 1 and actual == expected + 1 and text.rstrip().endswith((",", ";", "\t")):
        return (
            f"{path} has a comma at the end of row 1, and none at the end of the header; remove the commas at the ends "
            "of the rows, or give the last column a name."
        )
    if header and row == 1 and actual == expected - 1 and _ends_with_comma(path):
        return f"{path} has a comma at the end of the header, and none at the end of row 1; remove it from the header."
    other = f"the header has {expected}" if header else f"the first row has {expected}"
    return (
        f"row {row} of {path} has {_counted(actual)}, and {other}; correct that row (text with a comma in it must be "
        "quoted)."
    )


def _ends_with_comma(path: str) -> bool:
    """Whether the first line that is not blank ends with a comma."""
    with open(path, "rb") as file:
        start = file.read(BLOCK).lstrip(b"\r\n")
    return re.split(rb"[\r\n]", start, maxsplit=1)[0].rstrip().endswith(b",")


def _is_empty(column: Any) -> bool:
    """Whether a column holds nothing, as pyarrow reads it without being told a type."""
    return bool(pa.types.is_null(column.type) or column.null_count == len(column))


def _never_closed(path: str, where: str) -> str:
    return f"{path} has a quotation mark that is never closed {where}; close or remove it."


def _ends_with_quotation_mark(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 4096))
        return file.read().rstrip().endswith(b'"')


def _counted(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _check_text(path: str) -> None:
    """Refuse a file that is clearly not text in UTF-8."""
    with open(path, "rb") as file:
        start = file.read(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is text in UTF-16, not in UTF-8; save it as UTF-8.")
    if b"\0" in start:
        raise InputError(f"{path} is not text, although its name ends in .csv; save the table as CSV in UTF-8.")


def _decoded(raw: Any, name: str, path: str, first_row: int) -> Any:
    """Turn bytes into text."""
    try:
        text = pc.cast(raw, pa.string())
    except pa.ArrowInvalid:
        row = next(row for row, value in enumerate(raw) if not _is_utf8(value.as_py()))
        raise InputError(
            f'column "{name}" of {path} is not text in UTF-8 in row {first_row + row}; save the file as UTF-8.'
        ) from None
    found = pc.index(pc.match_substring(text, "\0"), True).as_py()
    if found >= 0:
        raise InputError(f'column "{name}" of {path} holds a zero byte in row {first_row + found}; remove it.')
    return text


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
