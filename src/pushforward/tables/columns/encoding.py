"""Columns of a table as codes, float64 numbers that say the same, and back; NaN is a missing value."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pushforward.tables.checks import check_columns
from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.text_format import read_as, write_as
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue


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
        table: some rows; numbers and date-times may be text.
        schema: complete, of at least these columns.
        columns: the names of the columns, in the order wanted.
        source: what messages call the table.
        first_row: the number of the first of these rows in the whole table, counted from 1; default 1.
        gaps: whether values may be missing; default True.

    Returns:
        Float64 array of shape (rows, columns), NaN where a value is missing.

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
    problems: list[BadValue] = []
    for place, name in enumerate(columns):
        try:
            matrix[:, place] = schema[name].encode(
                read_as(Values(table.column(name), name, source, first_row), schema[name].format)
            )
            if not gaps and schema[name].modeled:
                _refuse_gaps(matrix[:, place], name, source, first_row)
        except BadValue as bad:
            problems.append(bad)
    if problems:
        raise min(problems, key=lambda bad: bad.row)
    return matrix


def decode(matrix: np.ndarray, schema: Schema, columns: Sequence[str]) -> pa.Table:
    """Return the table that codes stand for: integers, text, booleans and times in their own types; NaN is missing.

    Arguments:
        matrix: codes, (rows, columns).
        schema: complete, of at least these columns.
        columns: the names of the columns of the matrix.

    Example:
        >>> from pushforward.tables.columns.kinds import Category, Continuous
        >>> schema = {"x": Continuous(), "sex": Category(levels=["f", "m"])}
        >>> decode(np.array([[1.5, 1.0]]), schema, ["x", "sex"]).to_pylist()
        [{'x': 1.5, 'sex': 'm'}]
    """
    codes = (np.ascontiguousarray(column) for column in matrix.T)
    return pa.table(
        [
            write_as(schema[name].decode(column), schema[name].format)
            for name, column in zip(columns, codes, strict=True)
        ],
        names=list(columns),
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
