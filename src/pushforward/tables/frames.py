"""Matrices from the tables of other libraries, and back."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from pushforward.errors import InputError
from pushforward.tables.arrays import arrow_column, columns_of, refuse_times_among_dates
from pushforward.tables.checks import FRAME, check_columns, check_distinct
from pushforward.tables.mixed_types import first_of_another_type
from pushforward.tables.numbers import numeric_matrix
from pushforward.tables.pandas_types import plain_series


def matrix_from_frame(
    data: Any, columns: Sequence[str] | None = None, gaps: bool = False
) -> tuple[np.ndarray, list[str] | None]:
    """Turn a data frame, an array, a tensor or nested lists into a matrix of float64 numbers.

    Arguments:
        data: a data frame of pandas, polars or any library that narwhals knows (lazy ones are collected; a pandas
            index is ignored), a table of pyarrow, an array or tensor of shape (rows, columns) or (rows,), or a list of
            rows. Text of numbers is read as in a file.
        columns: the names of the columns wanted, default all; for data without names, the names to give them.
        gaps: whether values may be missing, which are NaN then; default False.

    Returns:
        The matrix, of shape (rows, columns), and the names of its columns, or None for data without names.

    Raises:
        InputError: the data are not a table, a column is missing or not numeric, or a value is not a finite number.
            Rows are counted from 1, and so are columns without names.

    Example:
        >>> matrix_from_frame([[1, 2.5], [3, 4]])
        (array([[1. , 2.5],
               [3. , 4. ]]), None)
    """
    if (isinstance(data, np.ndarray | list | tuple) or _is_tensor(data)) and not _has_fields(data):
        return _from_array(data, columns, gaps)
    table = table_from_frame(data, columns)
    return numeric_matrix(table, table.column_names, source=FRAME, gaps=gaps), table.column_names


def table_from_frame(data: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """Turn a data frame, an array, a tensor or nested lists into a table of pyarrow, keeping the types of columns.

    Arguments:
        data: as for `matrix_from_frame`; columns of arrays and lists are called 0, 1, ..., and those of records as
            their fields. What is masked is missing.
        columns: the names of the columns wanted, default all.

    Raises:
        InputError: the data are not a table, or a column is missing or has no type in pyarrow.

    Example:
        >>> table_from_frame([[1, "a"], [3, None]]).to_pydict()
        {'0': [1, 3], '1': ['a', None]}
    """
    if isinstance(data, pa.Table | pa.RecordBatch):
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    elif _is_tensor(data):
        table = _table_of_array(_from_tensor(data))
    elif isinstance(data, np.ndarray | list | tuple):
        table = _table_of_array(data)
    else:
        return _table_of_frame(data, columns)
    check_distinct(table.column_names, source=FRAME)
    if columns is not None:
        check_columns(columns, table.column_names, source=FRAME)
        table = table.select(list(columns))
    return table


def to_table(matrix: np.ndarray, names: Sequence[str]) -> pa.Table:
    """Turn a matrix into a table.

    Arguments:
        matrix: numbers, shape (rows, columns).
        names: the names of the columns.

    Returns:
        A table with float64 columns.

    Raises:
        InputError: the numbers of names and columns differ, or a name occurs twice.

    Example:
        >>> to_table(np.array([[1.0, 2.0]]), ["x", "y"]).to_pylist()
        [{'x': 1.0, 'y': 2.0}]
    """
    _check_count(matrix, names)
    check_distinct(names, source=FRAME)
    values = np.asarray(matrix, dtype=np.float64)
    return pa.table([pa.array(np.ascontiguousarray(column)) for column in values.T], names=list(names))


def _has_fields(data: Any) -> bool:
    """Whether data are records of numpy."""
    return isinstance(data, np.ndarray) and data.dtype.names is not None


def _is_tensor(data: Any) -> bool:
    return hasattr(data, "detach") and hasattr(data, "cpu")


def _from_tensor(tensor: Any) -> np.ndarray:
    values = tensor.detach().cpu()
    try:
        return values.numpy()
    except TypeError:
        # numpy lacks bfloat16, which float64 holds exactly.
        return values.double().numpy()


def _array(data: Any) -> np.ndarray:
    """Rows as a matrix of numbers, or of anything."""
    try:
        values = np.asanyarray(data) if isinstance(data, np.ma.MaskedArray) else np.asarray(data)
        if values.dtype.kind not in "iufb" and not isinstance(data, np.ndarray):
            values = np.asarray(data, dtype=object)  # or numpy would turn numbers beside text into text
    except ValueError:
        raise InputError(f"{FRAME} has rows of different lengths; give each the same number of values.") from None
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise InputError(f"{FRAME} has shape {values.shape}; give one of shape (rows, columns).")
    return values


def _table_of_array(data: Any) -> pa.Table:
    columns = columns_of(data.ravel() if _has_fields(data) else _array(data))
    return pa.table([_column(values, name) for name, values in columns.items()], names=list(columns))


def _from_array(data: Any, columns: Sequence[str] | None, gaps: bool) -> tuple[np.ndarray, list[str] | None]:
    values = _array(_from_tensor(data) if _is_tensor(data) else data)
    names = None if columns is None else list(columns)
    if names is not None:
        _check_count(values, names)
        check_distinct(names, source=FRAME)
    if values.dtype.kind == "f" and not isinstance(values, np.ma.MaskedArray):
        matrix = np.array(values, dtype=np.float64, order="C")
        if np.isfinite(matrix).all():
            return matrix, names
        values = matrix
    called = names or [str(number) for number in range(1, values.shape[1] + 1)]
    table = pa.table([_column(values[:, index], name) for index, name in enumerate(called)], names=called)
    return numeric_matrix(table, called, source=FRAME, gaps=gaps), names


def _column(values: np.ndarray, name: str) -> Any:
    """Turn a column of any kind into one of pyarrow."""
    try:
        return arrow_column(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        several = "" if values.ndim == 1 else f", {values.shape[1:]} values in a row"
        objects = values.tolist() if values.ndim == 1 and values.dtype.kind == "O" else []
        raise _not_numbers(name, f"{values.dtype}{several}", first_of_another_type(objects)) from None


def _table_of_frame(data: Any, columns: Sequence[str] | None) -> pa.Table:
    try:
        frame = nw.from_native(data, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        repeated = Counter(str(name) for name in data.columns).most_common(1)[0][0]
        raise InputError(f'{FRAME} has several columns named "{repeated}"; give each column its own name.') from None
    if frame is data:
        raise InputError(
            f"{FRAME} is a {type(data).__name__}; give a data frame, an array of shape (rows, columns) or a tensor."
        )
    if isinstance(frame, nw.Series):
        frame = frame.alias(str(frame.name or "value")).to_frame()
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    originals = {str(name): name for name in frame.columns}
    names = list(originals) if columns is None else [str(name) for name in columns]
    check_columns(names, [str(name) for name in frame.columns], source=FRAME)
    arrays = []
    for name in names:
        series = frame.get_column(originals[name])
        try:
            native = plain_series(series.to_native())
            arrays.append(nw.from_native(native, series_only=True).to_arrow())
            if str(getattr(native, "dtype", "")) == "object":
                refuse_times_among_dates(native, arrays[-1].type)
        except Exception as error:  # each library has its own
            kind = getattr(series.to_native(), "dtype", series.dtype)
            index = getattr(series.to_native(), "index", None)
            raise _not_numbers(name, str(kind), first_of_another_type(series.to_list(), index)) from error
    return pa.table(arrays, names=names)


def _check_count(matrix: np.ndarray, names: Sequence[str]) -> None:
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise InputError(f"{FRAME} has shape {matrix.shape}, and {len(names)} names are given; give one name a column.")


def _not_numbers(name: str, kind: str, reason: str | None = None) -> InputError:
    where = "" if reason is None else f": {reason}"
    return InputError(
        f'column "{name}" of {FRAME} cannot be read as numbers (type {kind}){where}; convert it, or leave it out with '
        "columns="
    )
