"""Reading CSV files as a stream of text.

All columns are read as text first: a type inferred from the first block could fail in a later one, the text of a
column that is only copied must stay as it was, and the row of a value that is not a number must be known.
"""

import contextlib
import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.support.wording import counted
from pushforward.tables.files.header import START, Layout, check_first_row, check_header, find_layout
from pushforward.tables.files.stored import StoredTable
from pushforward.tables.files.text import BLOCK, Text
from pushforward.tables.raw_text import has_any

# What pyarrow says of a row; a function of Python that is told instead would be called by pyarrow's threads, which may
# outlive the interpreter.
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): ?(.*)", re.DOTALL)
# What other files begin with, in small letters, that are named .csv.
_OTHERS = {
    b"pk\x03\x04": "a spreadsheet or a zip archive", b"\xd0\xcf\x11\xe0": "an old spreadsheet", b"%pdf": "a PDF",
    b"\x1f\x8b": "compressed by gzip", b"<!doctype": "a page of HTML", b"<html": "a page of HTML",
    b"<table": "a page of HTML", b"<?xml": "XML", b"[{": "JSON", b'{"': "JSON",
}  # fmt: skip


# Behind a backslash that ends a text, such as a folder of Windows, the field ends.
_BACKSLASH = re.compile(rb'(?:^|[,;\t\n])("[^"\n]{0,40}\\"[^",;\t\r\n][^",;\t\r\n]{0,20}"?)')


class DelimitedTable(StoredTable):
    """A CSV file: its names, and its rows as a stream of text, in one row group.

    Arguments:
        text: the bytes of the file.
        header: whether the first line has the names of the columns, which are called 0, 1, 2, ... otherwise.
        separator: of the columns; default what the header says.
        empty: whether the file may have no rows; default False.

    Raises:
        InputError: the file is not text in UTF-8, has no rows, is separated by something that is not read, or has no
            header, or one where there should be none.
    """

    written = True

    def __init__(self, text: Text, header: bool = True, separator: str | None = None, empty: bool = False) -> None:
        self.name, self._text, self._header = text.name, text, header
        head = text.head
        _check_text(self.name, head)
        _check_quotes(self.name, head)
        self._layout = find_layout(self.name, head, header, separator)
        try:
            with self._opened(pa.BufferReader(head), None) as stream:
                found = stream.names
                try:
                    first = next((batch for batch in stream.batches() if batch.num_rows), None)
                except pa.ArrowException as error:
                    raise self._explained(error, after=0) from error
        except UnicodeDecodeError:
            raise InputError(
                f"{self.name} is not text in UTF-8: its header cannot be decoded; save it as UTF-8."
            ) from None
        self._fields = len(found)
        notes = list(self._layout.notes)
        if header:
            check_header(self.name, head, found, self._layout)
        else:
            check_first_row(self.name, head, self._layout)
        self._names = found if header else [str(place) for place in range(len(found))]
        if first is None and not empty:
            raise InputError(_without_rows(self.name))
        self.bytes = text.size
        self.rows = 0 if first is None else None
        self.sizes = [self.rows]
        if header and not found[-1] and any(found) and first is not None and _is_empty(first.column(self._fields - 1)):
            self._names = found[:-1]
            notes.append("has commas at the ends of its lines: the last column, without name and values, is left out")
        self.notes = tuple(f"{self.name} {note}" for note in notes)
        self.schema = pa.schema([(name, pa.string()) for name in self._names])

    def batches(
        self, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the rows as text.

        Arguments:
            columns: the names of the columns wanted, in the order wanted.
            rows: not used: each batch is a block of the file.
            groups: not used: there is one.

        Yields:
            Batches of string columns, each a block of `BLOCK` bytes of the file; an empty cell is an empty string.

        Raises:
            InputError: a row has the wrong number of fields, holds bytes that are not text in UTF-8, or has a quotation
                mark that is never closed.
        """
        if self.rows == 0:
            return
        place = {name: str(index) for index, name in enumerate(self._names)}
        last = str(self._fields - 1)  # which shows whether the last quotation mark was closed
        row, last_cell, blocks = 1, b"", 0
        wanted = [*(place[name] for name in columns), last]
        with contextlib.closing(self._text.open()) as file, self._opened(file, wanted) as stream:
            source = stream.batches()
            while True:
                try:
                    batch = next(source)
                except StopIteration:
                    break
                except pa.ArrowException as error:
                    self._text.check_unchanged()
                    raise self._explained(error, after=row - 1) from error
                except OSError as error:
                    raise self._text.damaged(error, row - 1) from error
                if len(self._names) < self._fields:
                    self._check_unnamed(batch.column(last), row)
                blocks += 1
                self.progress = min(1.0, blocks * BLOCK / self.bytes) if self.bytes else 0.0
                texts = [_decoded(batch.column(place[name]), name, self.name, row) for name in columns]
                yield pa.record_batch(texts, names=list(columns))
                row += batch.num_rows
                if batch.num_rows:
                    last_cell = batch.column(last)[-1].as_py()
        if b"\n" in last_cell and not self._text.tail().rstrip().endswith(b'"'):
            raise InputError(_never_closed(self.name, f"in row {row - 1}"))
        self._text.check_unchanged()
        # Counted now.
        self.sizes = [row - 1]

    def _opened(self, file: Any, places: Sequence[str] | None) -> "_Stream":
        """The rows as raw bytes of some columns, or, to see the names, as anything."""
        try:
            return _Stream(file, self._layout, self._header, places, self._fields if places else 0)
        except pa.ArrowException as error:
            raise self._explained(error, after=0) from error

    def _check_unnamed(self, column: Any, first_row: int) -> None:
        filled = pc.index(pc.greater(pc.binary_length(column), 0), True).as_py()
        if filled >= 0:
            raise InputError(
                f"the last column of {self.name} has no name, and holds a value in row {first_row + filled}; give it a "
                "name, or remove that value."
            )

    def _explained(self, error: Exception, after: int) -> InputError:
        """Say in one sentence what pyarrow found."""
        path, ragged = self.name, _RAGGED.search(str(error))
        if ragged:
            number, expected, actual = (int(part) for part in ragged.groups()[:3])
            # The header is the first of the rows that pyarrow numbers.
            return InputError(
                _ragged(path, self._text.head, number - self._header, expected, actual, ragged[4], self._header)
            )
        if "mpty CSV" in str(error):
            return InputError(_without_rows(path))
        if "straddl" in str(error):
            return InputError(_never_closed(path, f"after row {after}, or a row longer than {BLOCK // 2**20} MB"))
        return InputError(f"{path} cannot be read as CSV after row {after}: {' '.join(str(error).split())}.")


class _Stream:
    """pyarrow's stream of a CSV file, which is closed with the file at the end of the block."""

    def __init__(self, file: Any, layout: Layout, header: bool, places: Sequence[str] | None, fields: int) -> None:
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
        self._file = file
        self._reader: Any = None
        try:
            if layout.offset:
                file.read(layout.offset)
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


def _without_rows(path: str) -> str:
    return f"{path} has no rows under its header; give a table with rows."


def _ragged(path: str, head: bytes, row: int, expected: int, actual: int, text: str, header: bool) -> str:
    """Say that a row has too few or too many fields."""
    if header and row == 1 and actual == expected + 1 and text.rstrip().endswith((",", ";", "\t")):
        return (
            f"{path} has a comma at the end of row 1, and none at the end of the header; remove the commas at the ends "
            "of the rows, or give the last column a name."
        )
    if header and row == 1 and actual == expected - 1 and _ends_with_comma(head):
        return f"{path} has a comma at the end of the header, and none at the end of row 1; remove it from the header."
    if not text.strip("\x1a \t\r\n"):
        return f"row {row} of {path} is a line of spaces alone; remove it, or leave nothing in it."
    if header and row == 1 and expected == 1:
        title = shortened(_first_line(head), 40)
        return (
            f'the first line of {path} ("{title}") has 1 field, and row 1 has {actual}; remove it if it is a title and '
            "not the header, and quote text with a comma in it if it is the header."
        )
    found = f"{counted(actual, 'field')}, and {'the header' if header else 'the first row'} has {expected}"
    if text.lstrip().startswith("#"):
        # Only at the beginning of a file are comments left out: further down a # may belong to a value.
        return f"row {row} of {path} begins with # and has {found}; if it is a comment, remove it."
    if actual == 1:
        shown = shortened(" ".join(text.split()), 40)
        return f'row {row} of {path} ("{shown}") has {found}; correct or remove that row.'
    return f"row {row} of {path} has {found}; correct that row (text with a comma in it must be quoted)."


def _ends_with_comma(head: bytes) -> bool:
    """Whether the first line that is not blank ends with a comma."""
    return _first_line(head).endswith(",")


def _first_line(head: bytes) -> str:
    """The first line that is not blank."""
    start = head[:START].lstrip(b"\r\n")
    return re.split(rb"[\r\n]", start, maxsplit=1)[0].decode("utf-8-sig", "replace").rstrip()


def _is_empty(column: Any) -> bool:
    """Whether a column holds nothing, as pyarrow reads it without being told a type."""
    return bool(pa.types.is_null(column.type) or column.null_count == len(column))


def _never_closed(path: str, where: str) -> str:
    return f"{path} has a quotation mark that is never closed {where}; close or remove it."


def _check_text(path: str, head: bytes) -> None:
    """Refuse a file that is clearly not text in UTF-8."""
    start = head[:4096]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is text in UTF-16, not in UTF-8; save it as UTF-8.")
    bare = b"".join(start[:200].split()).lower()
    other = next((called for magic, called in _OTHERS.items() if bare.startswith(magic)), None)
    if other is not None:
        raise InputError(f"{path} is {other}, although it should be CSV; save the table as CSV in UTF-8.")
    if b"\0" in start:
        raise InputError(f"{path} is not text, although it should be CSV; save the table as CSV in UTF-8.")


def _check_quotes(path: str, head: bytes) -> None:
    """Refuse quotation marks within quoted text that stand behind backslashes, as some databases write them."""
    found = _BACKSLASH.search(head[:START])
    if found:
        shown = found[1].decode("utf-8", "replace")
        raise InputError(
            f"{path} has a quotation mark behind a backslash in quoted text ({shown}); write quotation marks in text "
            "twice, without backslashes."
        )


def _decoded(raw: Any, name: str, path: str, first_row: int) -> Any:
    """Turn bytes into text."""
    try:
        text = pc.cast(raw, pa.string())
    except pa.ArrowInvalid:
        row = next(row for row, value in enumerate(raw) if not _is_utf8(value.as_py()))
        raise InputError(
            f'column "{name}" of {path} is not text in UTF-8 in row {first_row + row}; save the file as UTF-8.'
        ) from None
    if has_any(raw, b"\0"):
        found = pc.index(pc.match_substring(text, "\0"), True).as_py()
        raise InputError(f'column "{name}" of {path} holds a zero byte in row {first_row + found}; remove it.')
    return text


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
