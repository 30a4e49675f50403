"""Reading CSV files as a stream of text.

All columns are read as text first: a type inferred from the first block could fail in a later one, the text of a
column that is only copied must stay as it was, and the row of a value that is not a number must be known.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pushforward.errors import InputError
from pushforward.support.atomic import reason

BLOCK = 2**20  # bytes read at a time (pyarrow reads about forty blocks ahead), and the longest row that can be read
SEPARATORS = {
    ";": "semicolons", "\t": "tabs", "|": "vertical bars", ":": "colons", " ": "spaces", "\x1f": "unit separators",
}  # fmt: skip


def header_names(path: str) -> list[str]:
    """Read the names in a CSV file's header, and check that rows follow it.

    Arguments:
        path: the file; it exists and is not empty.

    Returns:
        The names, in the order of the file.

    Raises:
        InputError: the file is not text in UTF-8, has no rows, is not separated by commas, or has no header.
    """
    _check_text(path)
    try:
        with pa.OSFile(path) as file:
            stream, malformed = _open(file, path, None)
            names = list(stream.schema.names)
            try:
                has_rows = any(batch.num_rows for batch in stream)
            except pa.ArrowException as error:
                raise _explained(error, path, malformed, after=0) from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8: its header cannot be decoded; save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}.") from error
    _check_header(path, names)
    if not has_rows:
        raise InputError(f"{path} has no rows under its header; give a table with rows.")
    return names


def text_batches(file: Any, path: str, columns: Sequence[str], last_name: str) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a CSV file as text.

    Arguments:
        file: the file, opened by pyarrow for reading.
        path: its name, for messages.
        columns: the names of the columns wanted, in the order wanted.
        last_name: the name of the file's last column, which shows whether the last quotation mark was closed.

    Yields:
        Batches of string columns, each a block of `BLOCK` bytes of the file; an empty cell is an empty string.

    Raises:
        InputError: a row has the wrong number of fields, holds bytes that are not text in UTF-8, or has a quotation
            mark that is never closed.
    """
    stream, malformed = _open(file, path, list(dict.fromkeys([*columns, last_name])))
    row = 1
    last_cell = b""
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            break
        except pa.ArrowException as error:
            raise _explained(error, path, malformed, after=row - 1) from error
        except OSError as error:
            raise InputError(f"{path} cannot be read after row {row - 1}: {reason(error)}.") from error
        texts = [_decoded(batch.column(name), name, path, row) for name in columns]
        yield pa.record_batch(texts, names=list(columns))
        row += batch.num_rows
        if batch.num_rows:
            last_cell = batch.column(last_name)[-1].as_py()
    if b"\n" in last_cell and not _ends_with_quotation_mark(path):
        raise InputError(_never_closed(path, f"in row {row - 1}"))


def _open(file: Any, path: str, columns: Sequence[str] | None) -> tuple[Any, list[Any]]:
    """Open a stream of raw bytes; rows with the wrong number of fields are noted in the list returned with it."""
    malformed: list[Any] = []

    def note(row: Any) -> str:
        malformed.append(row)
        return "error"

    convert = pa.csv.ConvertOptions(check_utf8=False)
    if columns is not None:
        # Bytes rather than strings, so that the row of a byte that is not UTF-8 can be found.
        types = dict.fromkeys(columns, pa.binary())
        convert = pa.csv.ConvertOptions(include_columns=list(columns), column_types=types, strings_can_be_null=False)
    try:
        stream = pa.csv.open_csv(
            file,
            # Rows are numbered only when one thread reads.
            read_options=pa.csv.ReadOptions(block_size=BLOCK, use_threads=False),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=convert,
        )
    except pa.ArrowException as error:
        raise _explained(error, path, malformed, after=0) from error
    return stream, malformed


def _explained(error: Exception, path: str, malformed: list[Any], after: int) -> InputError:
    """Say in one sentence what pyarrow found."""
    if malformed:
        row = malformed[0]
        # The header is the first of the rows that pyarrow numbers.
        return InputError(
            f"row {row.number - 1} of {path} has {_counted(row.actual_columns)}, and the header has "
            f"{row.expected_columns}; correct that row (text with a comma in it must be quoted)."
        )
    if "mpty CSV" in str(error):
        return InputError(f"{path} has no rows under its header; give a table with rows.")
    if "straddl" in str(error):
        return InputError(_never_closed(path, f"after row {after}, or a row longer than {BLOCK // 2**20} MB"))
    return InputError(f"{path} cannot be read as CSV after row {after}: {' '.join(str(error).split())}.")


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


def _check_header(path: str, names: list[str]) -> None:
    """Refuse a header that shows another separator, or that is really the first row of numbers."""
    if len(names) == 1:
        for separator, called in SEPARATORS.items():
            # Names rarely contain semicolons or tabs; they may contain the others, so the first row must have them too.
            if separator in names[0] and (separator in ";\t" or _separates_numbers(path, names[0], separator)):
                raise InputError(f"{path} separates its columns by {called}; save it with commas.")
    # Whole numbers such as 0, 1, 2 are used as names of columns; 0.37 is not.
    if all(_is_number(name) for name in names) and not all(name.strip().isdigit() for name in names):
        raise InputError(f"{path} has numbers where its header should be; put the columns' names in the first line.")


def _separates_numbers(path: str, name: str, separator: str) -> bool:
    """Whether the line after the header has as many parts as the header has, all of them numbers."""
    with open(path, "rb") as file:
        lines = [line.decode("utf-8", "replace").strip("\r\n") for line in file.read(BLOCK).split(b"\n")]
    rows = [line for line in lines if line.strip()]
    parts = rows[1].split(separator) if len(rows) > 1 else []
    return len(parts) == len(name.split(separator)) and all(_is_number(part) for part in parts)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


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
