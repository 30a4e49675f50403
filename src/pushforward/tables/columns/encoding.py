"""Columns of a table as codes, float64 numbers that say the same, and back: NaN is a missing value.

The code of a number is the number, of a category the place of its level, of a date-time the steps since the origin, of
a constant 0.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.tables.checks import check_columns, leave_out
from pushforward.tables.files.delimited import parsed_numbers
from pushforward.tables.schema.kinds import (
    STEPS,
    AllMissing,
    Bounded,
    Category,
    Column,
    Constant,
    DateTime,
    Integer,
    Level,
    Mixed,
    Periodic,
    Positive,
    Schema,
)

# Text that stands for a missing value, in small letters.
MISSING_TEXT = ["", "na", "n/a", "#n/a", "<na>", "nan", "null"]
_EXACT = 2**53
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
DATE_TIME_TEXT = rf"^{_DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"
ZONE_TEXT = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"


def encode(
    table: pa.Table | pa.RecordBatch,
    schema: Schema,
    columns: Sequence[str],
    *,
    source: str,
    first_row: int = 1,
    gaps: bool = True,
) -> np.ndarray:
    """Turn columns of a table into their codes.

    Arguments:
        table: rows; numbers and date-times may come as text.
        schema: of at least these columns, learned.
        columns: the names of the columns, in the order wanted.
        source: what sentences call the table.
        first_row: the number of its first row within the whole table, counted from 1, default 1.
        gaps: whether values may be missing, default True.

    Returns:
        Float64 array of shape (rows, columns), NaN where a value is missing.

    Raises:
        InputError: a column is missing, or a value is not of its column's kind; the first row concerned is named.

    Example:
        >>> from pushforward.tables.schema.kinds import Category, Continuous
        >>> schema = {"x": Continuous(), "sex": Category(levels=["f", "m"])}
        >>> encode(pa.table({"x": [1.5, None], "sex": ["m", "f"]}), schema, ["x", "sex"], source="the table")
        array([[1.5, 1. ],
               [nan, 0. ]])
    """
    check_columns(columns, table.schema.names, source=source)
    matrix = np.empty((table.num_rows, len(columns)))
    problems: list[tuple[int, str]] = []
    for place, name in enumerate(columns):
        try:
            matrix[:, place] = _codes(table.column(name), schema[name], name, source, first_row)
        except _BadValue as bad:
            problems.append((bad.row, str(bad)))
            continue
        if not gaps and schema[name].modelled:
            empty = np.flatnonzero(np.isnan(matrix[:, place]))
            if len(empty):
                row = first_row + int(empty[0])
                problems.append((row, _gap_sentence(name, source, row)))
    if problems:
        raise InputError(min(problems)[1])
    return matrix


def decode(matrix: np.ndarray, schema: Schema, columns: Sequence[str]) -> pa.Table:
    """The table that codes stand for: integers, text, booleans and times in their own types; NaN is missing.

    Example:
        >>> from pushforward.tables.schema.kinds import Category, Continuous
        >>> schema = {"x": Continuous(), "sex": Category(levels=["f", "m"])}
        >>> decode(np.array([[1.5, 1.0]]), schema, ["x", "sex"]).to_pylist()
        [{'x': 1.5, 'sex': 'm'}]
    """
    arrays = [_decoded(np.ascontiguousarray(matrix[:, place]), schema[name]) for place, name in enumerate(columns)]
    return pa.table(arrays, names=list(columns))


def arrow_type(column: Column) -> Any:
    """The type in which a column's draws are written."""
    if isinstance(column, Category | Constant):
        level = column.value if isinstance(column, Constant) else (column.levels or [""])[0]
        return _type_of_level(level)
    if isinstance(column, DateTime):
        return pa.date32() if column.date else pa.timestamp(_unit(column), column.zone)
    if isinstance(column, Integer) or (isinstance(column, Periodic) and _whole(column)):
        return pa.int64()
    return pa.null() if isinstance(column, AllMissing) else pa.float64()


def numbers(column: Any, name: str, source: str, first_row: int = 1) -> np.ndarray:
    """A column as float64 numbers, NaN where a value is missing.

    Raises:
        InputError: it holds something else, an infinite number, or an integer that float64 cannot hold.
    """
    try:
        return _numbers(column, name, source, first_row)
    except _BadValue as bad:
        raise InputError(str(bad)) from None


def plain(column: Any) -> Any:
    """A column without categories of arrow, and with missing text as missing values."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), value_set=pa.array(MISSING_TEXT, column.type))
        column = pc.if_else(empty, pa.scalar(None, column.type), column)
    return column


def is_text(column: Any) -> bool:
    """Whether a column of arrow holds text."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def ticks(column: Any, name: str, source: str, first_row: int = 1) -> tuple[np.ndarray, np.ndarray, int]:
    """Date-times as whole numbers since 1970.

    Returns:
        The numbers, int64; which of them are there; and how many nanoseconds one is.
    """
    if is_text(column):
        good = pc.fill_null(pc.match_substring_regex(column, DATE_TIME_TEXT), True)
        kind = pa.timestamp("us", "UTC") if pc.any(pc.match_substring_regex(column, ZONE_TEXT)).as_py() else None
        try:
            if not pc.all(good).as_py():
                raise pa.ArrowInvalid("no date-time")
            column = pc.cast(column, kind or pa.timestamp("us"))
        except pa.ArrowInvalid:
            row = next((i for i, ok in enumerate(good.to_pylist()) if not ok), 0)
            raise _BadValue(
                first_row + row,
                f'column "{name}" of {source} holds the text "{column[row].as_py()}" in row {first_row + row}, where a '
                f"date-time such as 2024-02-29 or 2024-02-29 13:05:00 is needed; correct it.",
            ) from None
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        raise _BadValue(
            first_row, f'column "{name}" of {source} is of type {column.type}, where date-times are needed.'
        )
    nanoseconds = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
    there = _numpy(pc.is_valid(column))
    return _numpy(pc.fill_null(pc.cast(column, pa.int64()), 0)), there, nanoseconds


class _BadValue(InputError):
    """A value that is not of its column's kind."""

    def __init__(self, row: int, sentence: str) -> None:
        super().__init__(sentence)
        self.row = row


def _codes(column: Any, kind: Column, name: str, source: str, first_row: int) -> np.ndarray:
    if isinstance(kind, AllMissing):
        return np.full(len(column), np.nan)
    column = plain(column)
    what = f'column "{name}" of {source}'
    if isinstance(kind, Category):
        return _level_codes(column, kind.levels or [], what, name, source, first_row)
    if isinstance(kind, Constant):
        return _constant_codes(column, kind, what, name, source, first_row)
    if isinstance(kind, DateTime):
        return _time_codes(column, kind, what, name, source, first_row)
    values = _numbers(column, name, source, first_row)
    if isinstance(kind, Integer):
        step = kind.step or 1
        _refuse(
            (values - kind.offset) % step != 0,
            values,
            first_row,
            f"{what} holds {{}} in row {{}}, "
            + (f"which is no multiple of {step} above {kind.offset}" if step > 1 else "which is no whole number"),
        )
    if isinstance(kind, Positive):
        _refuse(values <= 0, values, first_row, f"{what} holds {{}} in row {{}}, which is not positive")
    if isinstance(kind, Periodic):
        values = kind.low + np.mod(values - kind.low, kind.period)
        # A tiny negative number modulo the period is the period itself.
        values[values >= kind.low + kind.period] = kind.low
        if kind.step:
            nearest = kind.low + np.round((values - kind.low) / kind.step) * kind.step
            off = np.abs(values - nearest) > 1e-6 * kind.step
            _refuse(off, values, first_row, f"{what} holds {{}} in row {{}}, which is no multiple of {kind.step:g}")
            values = np.where(nearest >= kind.low + kind.period * (1 - 1e-9), kind.low, nearest)
    if isinstance(kind, Bounded | Integer | Mixed):
        if kind.low is not None:
            _refuse(
                values < kind.low, values, first_row, f"{what} holds {{}} in row {{}}, below its bound {kind.low:g}"
            )
        if kind.high is not None:
            _refuse(
                values > kind.high, values, first_row, f"{what} holds {{}} in row {{}}, above its bound {kind.high:g}"
            )
    return values


def _refuse(bad: np.ndarray, values: np.ndarray, first_row: int, sentence: str) -> None:
    rows = np.flatnonzero(bad & ~np.isnan(values))
    if len(rows):
        row = int(rows[0])
        raise _BadValue(
            first_row + row,
            sentence.format(f"{values[row]:.12g}", first_row + row)
            + "; correct it, or fit with a schema that allows it.",
        )


def _level_codes(column: Any, levels: Sequence[Level], what: str, name: str, source: str, first_row: int) -> np.ndarray:
    kind = _type_of_level(levels[0]) if levels else pa.string()
    if pa.types.is_boolean(kind) and is_text(column):
        column = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        levels, kind = [str(level).lower() for level in levels], pa.string()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        column, kind = pa.array(_numbers(column, name, source, first_row), pa.float64(), from_pandas=True), pa.float64()
    try:
        column = pc.cast(column, kind)
    except pa.ArrowException:
        raise _BadValue(first_row, f"{what} is of type {column.type}, and its levels are of type {kind}.") from None
    places = pc.index_in(column, value_set=pa.array([*levels], kind))
    unknown = np.flatnonzero(_numpy(pc.and_(pc.is_null(places), pc.is_valid(column))))
    if len(unknown):
        row = int(unknown[0])
        value = str(column[row].as_py())
        close = difflib.get_close_matches(value, [str(level) for level in levels], n=1)
        hint = f' (did you mean "{close[0]}"?)' if close else ""
        raise _BadValue(
            first_row + row,
            f'{what} holds "{value[:60]}" in row {first_row + row}, which is none of its {len(levels)} levels{hint}; '
            "correct it, or fit with a schema that has it.",
        )
    return _floats(places)


def _constant_codes(column: Any, kind: Constant, what: str, name: str, source: str, first_row: int) -> np.ndarray:
    assert kind.value is not None
    try:
        return _level_codes(column, [kind.value], what, name, source, first_row)
    except _BadValue as bad:
        raise _BadValue(
            bad.row,
            f"{what} is {kind.value} in every row that the model was fitted to, and something else in row {bad.row}: "
            "its probability is 0 there; correct that row, or leave it out.",
        ) from None


def _time_codes(column: Any, kind: DateTime, what: str, name: str, source: str, first_row: int) -> np.ndarray:
    whole, there, nanoseconds = ticks(column, name, source, first_row)
    step = STEPS[kind.step or "second"]
    if nanoseconds >= step:
        steps = whole * (nanoseconds // step)
        broken = np.zeros(len(whole), bool)
    else:
        steps, rest = np.divmod(whole, step // nanoseconds)
        broken = (rest != 0) & there
    if broken.any():
        row = int(broken.argmax())
        raise _BadValue(
            first_row + row,
            f"{what} holds {column[row].as_py()} in row {first_row + row}, which is no whole {kind.step}; round it, or "
            "fit with a schema whose step is shorter.",
        )
    return np.where(there, (steps - (kind.origin or 0)).astype(np.float64), np.nan)


def _numbers(column: Any, name: str, source: str, first_row: int) -> np.ndarray:
    if is_text(column):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        parts, row = [], first_row
        for chunk in chunks:
            parts.append(parsed_numbers(chunk, name, path=source, first_row=row))
            row += len(chunk)
        column = pa.chunked_array(parts, pa.float64())
    kind = column.type
    what = f'column "{name}" of {source}'
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        shown = str(kind)[:60]
        raise _BadValue(first_row, f"{what} is of type {shown}, where numbers are needed; {leave_out(source)}.")
    if pa.types.is_integer(kind) and kind.bit_width == 64:
        whole = _numpy(pc.fill_null(column, 0))
        for row in np.flatnonzero((whole > _EXACT) | (whole < -_EXACT)).tolist():
            if int(float(whole[row])) != int(whole[row]):
                raise _BadValue(
                    first_row + row,
                    f"{what} holds the integer {whole[row]} in row {first_row + row}, which float64 cannot hold "
                    f"exactly; use smaller numbers, or {leave_out(source, 'the column')}.",
                )
    values = _floats(column)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        row = first_row + int(infinite[0])
        raise _BadValue(
            row,
            f"{what} is infinite in row {row}; remove or correct such rows, or {leave_out(source, 'the column')}.",
        )
    return values


def _decoded(values: np.ndarray, column: Column) -> Any:
    kind = arrow_type(column)
    there = ~np.isnan(values)
    if isinstance(column, AllMissing):
        return pa.nulls(len(values))
    if isinstance(column, Constant):
        return pa.array([column.value] * len(values), kind)
    if isinstance(column, Category):
        levels = pa.array(column.levels, kind)
        return levels.take(pa.array(np.where(there, values, 0).astype(np.int64), mask=~there))
    if isinstance(column, DateTime):
        steps = np.where(there, values, 0).astype(np.int64) + (column.origin or 0)
        if column.date:
            return pa.array(steps.astype(np.int32), pa.int32(), mask=~there).cast(kind)
        per_unit = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[_unit(column)]
        return pa.array(steps * (STEPS[column.step or "second"] // per_unit), pa.int64(), mask=~there).cast(kind)
    if pa.types.is_integer(kind):
        return pa.array(np.where(there, values, 0).astype(np.int64), kind, mask=~there)
    return pa.array(values, kind, mask=~there)


def _unit(column: DateTime) -> str:
    """The coarsest unit of arrow that holds the steps."""
    step = STEPS[column.step or "second"]
    return "s" if step >= 10**9 else {10**6: "ms", 10**3: "us", 1: "ns"}[step]


def _whole(column: Periodic) -> bool:
    """Whether the values of an angle are whole numbers."""
    return bool(column.step) and float(column.step or 0.5).is_integer() and column.low.is_integer()


def _type_of_level(level: Level | None) -> Any:
    if isinstance(level, bool):
        return pa.bool_()
    if isinstance(level, int):
        return pa.int64()
    return pa.float64() if isinstance(level, float) else pa.string()


def _gap_sentence(name: str, source: str, row: int) -> str:
    return (
        f'column "{name}" of {source} has no value in row {row}, and this model was fitted to complete rows; fill it, '
        "or fit with --arbitrary-conditions."
    )


def _numpy(column: Any) -> np.ndarray:
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)


def _floats(column: Any) -> np.ndarray:
    """Numbers as float64, missing ones as NaN; a copy of its own."""
    return np.array(_numpy(pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan)), dtype=np.float64)
