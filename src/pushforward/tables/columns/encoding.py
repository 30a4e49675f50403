"""Columns of a table as codes, float64 numbers that say the same, and back; NaN is a missing value."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.tables.checks import check_columns
from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.text_format import read_as, write_as
from pushforward.tables.columns.values import UNSEEN, Values
from pushforward.tables.missing import Marks, blank_rows, plain
from pushforward.tables.numbers import BadValue


def encode(
    table: pa.Table | pa.RecordBatch,
    schema: Schema,
    columns: Sequence[str],
    *,
    source: str,
    first_row: int = 1,
    gaps: bool | Collection[str] = True,
    strict: bool | Collection[str] = True,
    written: bool = False,
) -> np.ndarray:
    """Turn columns of a table into their codes.

    Arguments:
        table: some rows; numbers and date-times may be text.
        schema: complete, of at least these columns.
        columns: the names of the columns, in the order wanted.
        source: what messages call the table.
        first_row: the number of the first of these rows in the whole table, counted from 1; default 1.
        gaps: whether values may be missing, or the columns in which they may; default True.
        strict: whether a value of the right type to which its column gives probability 0, such as an unknown level, is
            an error; or the columns for which it is. Default True.
        written: whether text comes from a CSV, where some words stand for missing values; default False.

    Returns:
        Float64 array of shape (rows, columns), NaN where a value is missing, `UNSEEN` where its probability is 0.

    Raises:
        InputError: a column is missing, or a value is not of its column's kind; the first such row is named.

    Example:
        >>> from pushforward.tables.columns.kinds import Category, Continuous
        >>> schema = {"x": Continuous(), "sex": Category(levels=["f", "m"])}
        >>> encode(pa.table({"x": [1.5, None], "sex": ["m", "f"]}), schema, ["x", "sex"], source="the table")
        array([[1.5, 1. ],
               [nan, 0. ]])
    """
    check_columns(columns, table.schema.names, source=source)
    matrix = np.empty((table.num_rows, len(columns)))
    default = Marks(written)
    problems: list[BadValue] = []
    for place, name in enumerate(columns):
        try:
            refused = strict if isinstance(strict, bool) else name in strict
            marks = schema[name].marks(default)
            values = read_as(Values(table.column(name), name, source, first_row, marks, refused), schema[name].format)
            matrix[:, place] = schema[name].encode(values)
            matrix[values.unseen, place] = UNSEEN
            allowed = gaps if isinstance(gaps, bool) else name in gaps
            if not allowed and schema[name].modeled:
                _refuse_gaps(matrix[:, place], name, source, first_row)
        except BadValue as bad:
            problems.append(bad)
    if problems:
        first = min(problems, key=lambda bad: bad.row)
        found = {name: schema[name].marks(default) for name in columns}
        if blank_rows(table.slice(first.row - first_row, 1), found).any():
            raise _blank(first.row, source)
        raise first
    return matrix


def decode(matrix: np.ndarray, schema: Schema, columns: Sequence[str], *, as_text: bool = False) -> pa.Table:
    """Return the table that codes stand for: integers, text, booleans and times in their own types.

    A code that is NaN is a missing value, and so is `UNSEEN`, which does not say what the value is.

    Arguments:
        matrix: codes, (rows, columns).
        schema: complete, of at least these columns.
        columns: the names of the columns of the matrix.
        as_text: whether they become text of a CSV, where a style counts as a format; default False.

    Example:
        >>> from pushforward.tables.columns.kinds import Category, Continuous
        >>> schema = {"x": Continuous(), "sex": Category(levels=["f", "m"])}
        >>> decode(np.array([[1.5, 1.0]]), schema, ["x", "sex"]).to_pylist()
        [{'x': 1.5, 'sex': 'm'}]
    """
    codes = (np.where(column == UNSEEN, np.nan, column) for column in matrix.T)
    return pa.table(
        [
            write_as(schema[name].decode(column), schema[name].format_as_text if as_text else schema[name].format)
            for name, column in zip(columns, codes, strict=True)
        ],
        names=list(columns),
    )


def with_unseen(decoded: Any, original: Any, unseen: np.ndarray, name: str) -> Any:
    """Return decoded values with the original ones where those were never seen, in the type of the decoded ones.

    Arguments:
        decoded: array of pyarrow, or chunked.
        original: the values that were encoded, of any type.
        unseen: (n,) where the code is `UNSEEN`.
        name: the column's name, for errors.

    Raises:
        InputError: such a value does not fit the type.
    """
    if not unseen.any():
        return decoded
    if pa.types.is_null(decoded.type):
        return decoded  # a column without values is empty in draws
    rows = np.flatnonzero(unseen)
    try:
        values = pc.cast(plain(original).take(rows), decoded.type)
    except pa.ArrowException:
        shown = plain(original)[int(rows[0])].as_py()
        raise InputError(
            f'Column "{name}" holds {shown}, which was never seen, and cannot be written beside values of type '
            f"{decoded.type}; remove such rows."
        ) from None
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.replace_with_mask(decoded, pa.array(unseen), values)


def _blank(row: int, source: str) -> BadValue:
    return BadValue(
        row,
        f"row {row} of {source} has no value in any column, and this model was fitted to complete rows; remove it, or "
        "fit with --arbitrary-conditions.",
    )


def _refuse_gaps(codes: np.ndarray, name: str, source: str, first_row: int) -> None:
    empty = np.flatnonzero(np.isnan(codes))
    if len(empty):
        row = first_row + int(empty[0])
        raise BadValue(
            row,
            f'column "{name}" of {source} has no value in row {row}, and this model was fitted to complete rows; fill '
            "it, or fit with --arbitrary-conditions.",
        )
