"""From columns of a table to float64 numbers: the one place that says what a number is, in a file or in memory."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.tables.arrow import pa, pc
from pushforward.tables.checks import check_columns, leave_out
from pushforward.tables.missing import TYPED, WRITTEN, Marks, is_text, plain

LARGEST_EXACT = 2**53  # float64 holds every integer up to here; the next one would become this one
_INTEGER = r"^[+-]?[0-9]+$"


class BadValue(InputError):
    """A value that cannot be what its column is.

    Attributes:
        row: the number of its row in the whole table, counted from 1.
    """

    def __init__(self, row: int, message: str) -> None:
        # Both, so that another process can send it.
        super().__init__(row, message)
        self.row = row

    def __str__(self) -> str:
        return str(self.args[1])


def numeric_matrix(
    table: "pa.RecordBatch | pa.Table",
    columns: Sequence[str],
    *,
    source: str,
    first_row: int = 1,
    gaps: bool = False,
    marks: Marks = TYPED,
) -> np.ndarray:
    """Turn columns of a table into a matrix of finite numbers.

    Arguments:
        table: some rows; integers, floats, decimals and text of numbers are numbers.
        columns: the names of the columns, in the order wanted.
        source: what messages call the table, usually the name of its file.
        first_row: the number of the first of these rows in the whole table, counted from 1; default 1.
        gaps: whether values may be missing, which are NaN then; default False.
        marks: what stands for a missing value; default null and NaN alone.

    Returns:
        Float64 array of shape (rows, columns), C-contiguous.

    Raises:
        InputError: a column is missing or is not numeric, or a value is missing, infinite, or an integer that
            float64 cannot hold exactly; the first such row is named.

    Example:
        >>> numeric_matrix(pa.table({"x": [1, 2], "y": [0.5, 1.5]}), ["y", "x"], source="the table")
        array([[0.5, 1. ],
               [1.5, 2. ]])
    """
    check_columns(columns, table.schema.names, source=source)
    matrix = np.empty((table.num_rows, len(columns)), dtype=np.float64)
    problems: list[BadValue] = []
    for place, name in enumerate(columns):
        try:
            matrix[:, place] = numbers(table.column(name), name, source, first_row, gaps, marks)
        except BadValue as bad:
            problems.append(bad)
    if problems:
        raise min(problems, key=lambda bad: bad.row)
    return matrix


def numbers(
    column: Any, name: str, source: str, first_row: int = 1, gaps: bool = True, marks: Marks = TYPED
) -> np.ndarray:
    """Return a column of pyarrow as float64 numbers, NaN where a value is missing; the array is a copy.

    Arguments:
        column: of integers, floats, decimals, or text of numbers.
        name: the column's name, for messages.
        source: what messages call the table.
        first_row: the number of the first row in the whole table, counted from 1; default 1.
        gaps: whether values may be missing; default True.
        marks: what stands for a missing value; default null and NaN alone.

    Raises:
        BadValue: a value is not a number, is infinite, is missing where that is not allowed, or is an integer that
            float64 cannot hold exactly.

    Example:
        >>> numbers(pa.array(["1", " 2.5", "NA"]), "x", "stars.csv", marks=WRITTEN)
        array([1. , 2.5, nan])
    """
    what = f'column "{name}" of {source}'
    if is_text(column):
        column = _parsed_chunks(column, name, source, first_row, marks)
    column = marks.applied(column)
    if pa.types.is_null(column.type) and gaps:
        return np.full(len(column), np.nan)
    _check_type(column.type, what, source, first_row)
    if pa.types.is_integer(column.type) and column.type.bit_width == 64:
        _check_exact(to_numpy(pc.fill_null(column, 0)), what, source, first_row)
    if column.type != pa.float64():
        column = pc.cast(column, pa.float64(), safe=False)
    values = np.array(to_numpy(pc.fill_null(column, np.nan) if column.null_count else column), dtype=np.float64)
    bad = np.flatnonzero(np.isinf(values) if gaps else ~np.isfinite(values))
    if len(bad):
        row = first_row + int(bad[0])
        problem, remedy = ("has no value", "remove or fill the rows with missing values")
        if np.isinf(values[bad[0]]):
            problem, remedy = ("is infinite", "remove or correct such rows")
        raise BadValue(row, f"{what} {problem} in row {row}; {remedy}, or {leave_out(source, 'the column')}.")
    return values


def parsed_numbers(text: Any, name: str, *, source: str, first_row: int, marks: Marks = WRITTEN) -> Any:
    """Turn text into numbers.

    Arguments:
        text: string array of pyarrow.
        name: the column's name, for messages.
        source: what messages call the table.
        first_row: the number of the first row in the whole table, counted from 1.
        marks: what stands for a missing value; default the list for CSV files.

    Returns:
        Float64 array of the same length, null where the text stands for a missing value.

    Raises:
        BadValue: some text is not a number, or is an integer that float64 cannot hold exactly.

    Example:
        >>> parsed_numbers(pa.array(["1", " 2.5", "NA"]), "x", source="stars.csv", first_row=1).to_pylist()
        [1.0, 2.5, None]
    """
    if marks.listed:
        text = plain(text, marks)
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        text = pc.utf8_trim_whitespace(plain(text, marks))
        try:
            values = pc.cast(text, pa.float64())
        except pa.ArrowInvalid:
            row = _first_failure(text)
            raise BadValue(first_row + row, _not_a_number(text[row].as_py(), name, source, first_row + row)) from None
    _check_integers(text, values, f'column "{name}" of {source}', source, first_row)
    return values


def to_numpy(column: Any) -> np.ndarray:
    """Return an array or a chunked array of pyarrow, without nulls, as numpy's."""
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)


def _parsed_chunks(text: Any, name: str, source: str, first_row: int, marks: Marks) -> Any:
    parts, row = [], first_row
    for chunk in text.chunks if isinstance(text, pa.ChunkedArray) else [text]:
        parts.append(parsed_numbers(chunk, name, source=source, first_row=row, marks=marks))
        row += len(chunk)
    return pa.chunked_array(parts, pa.float64())


def _check_type(kind: Any, what: str, source: str, first_row: int) -> None:
    """Refuse a column that does not hold numbers."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return
    if pa.types.is_null(kind):
        raise BadValue(first_row, f"{what} has no values at all (type null); {leave_out(source)}.")
    shown = "categorical" if pa.types.is_dictionary(kind) else shortened(str(kind))
    raise BadValue(first_row, f"{what} is of type {shown}, where numbers are needed; {leave_out(source)}.")


def _check_exact(whole: np.ndarray, what: str, source: str, first_row: int) -> None:
    """Refuse an integer that float64 would silently change."""
    # Both comparisons, because the absolute value of the smallest int64 is not an int64.
    for row in np.flatnonzero((whole > LARGEST_EXACT) | (whole < -LARGEST_EXACT)).tolist():
        if int(float(whole[row])) != int(whole[row]):
            raise _inexact_row(what, whole[row], source, first_row + row)


def _check_integers(text: Any, values: Any, what: str, source: str, first_row: int) -> None:
    """Refuse a written integer, such as a long identifier, that would silently become another number."""
    ends = pc.min_max(values)
    if max(-(ends["min"].as_py() or 0.0), ends["max"].as_py() or 0.0) < LARGEST_EXACT:
        return
    large = pc.fill_null(pc.greater_equal(pc.abs(values), float(LARGEST_EXACT)), False)
    digits = pc.match_substring_regex(pc.utf8_trim_whitespace(text), _INTEGER)
    for row in np.flatnonzero(to_numpy(pc.and_(large, pc.fill_null(digits, False)))):
        written, value = Decimal(text[int(row)].as_py().strip()), values[int(row)].as_py()
        # Writers of CSV also pad the digits that identify a float64 with zeros: nothing is lost.
        if np.isfinite(value) and written not in (Decimal(value), Decimal(repr(value))):
            raise _inexact_row(what, written, source, first_row + int(row))


def inexact(what: str, numbers: str, advice: str) -> str:
    """Say that a column holds numbers that float64 cannot hold exactly, and what to do."""
    return f"{what} holds {numbers}, which float64 cannot hold exactly; {advice}."


def _inexact_row(what: str, value: Any, source: str, row: int) -> BadValue:
    advice = f"use smaller numbers, or {leave_out(source, 'the column')}"
    return BadValue(row, inexact(what, f"the integer {value} in row {row}", advice))


def _first_failure(text: Any) -> int:
    """Find the first text that is not a number, by bisection."""
    low, high = 0, len(text)  # all before low are numbers; one before high is not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(text.slice(low, middle - low), pa.float64())
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low


def _not_a_number(text: str, name: str, source: str, row: int) -> str:
    if "\n" in text:
        return (
            f"{source} has a quotation mark that is never closed in row {row}, or a text of several lines in the "
            f'numeric column "{name}"; close or remove it.'
        )
    advice = "correct that row"
    if re.fullmatch(r"[+-]?[0-9.]*,[0-9]+", text):
        advice = "write decimals with a point, and no commas between digits"
    return (
        f'column "{name}" of {source} holds the text "{shortened(text, 40)}" in row {row}, where a number is needed; '
        f"{advice}, or {leave_out(source, 'the column')}."
    )
