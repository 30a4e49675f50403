"""From the columns of a table to a matrix of float64 numbers, and what a matrix must be for a density to exist."""

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError

FRAME = "the table"  # the source named in sentences about data that came from memory, not from a file
_EXACT = 2**53  # float64 holds every integer up to here
_RESOLUTION = 1e-12  # relative differences below this are rounding, not data


def numeric_matrix(
    batch: pa.RecordBatch | pa.Table, columns: Sequence[str], *, source: str, first_row: int = 1
) -> np.ndarray:
    """Turn columns of a table into a matrix, and refuse whatever is no finite number.

    Arguments:
        batch: rows of a table; integers, floats and decimals are numbers.
        columns: the names of the columns, in the order wanted.
        source: what sentences call the table, usually the name of its file.
        first_row: the number of the batch's first row within the whole table, counted from 1, default 1.

    Returns:
        Float64 array of shape `(rows, columns)`, C-contiguous.

    Raises:
        InputError: a column is missing or is not numeric, or a value is missing, infinite, or an integer that
            float64 can't hold exactly; the first row concerned is named.

    Example:
        >>> numeric_matrix(pa.table({"x": [1, 2], "y": [0.5, 1.5]}), ["y", "x"], source="the table")
        array([[0.5, 1. ],
               [1.5, 2. ]])
    """
    check_columns(columns, batch.schema.names, source=source)
    for name in columns:
        _check_type(name, batch.schema.field(name).type, source)
    matrix = np.empty((batch.num_rows, len(columns)), dtype=np.float64)
    problems: list[tuple[int, str]] = []
    for index, name in enumerate(columns):
        problem = _fill(matrix[:, index], batch.column(name), name, source, first_row)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise InputError(min(problems, key=lambda problem: problem[0])[1])
    return matrix


def check_columns(columns: Sequence[str], names: Sequence[str], *, source: str) -> None:
    """Refuse columns that the table hasn't got, or that are asked for twice.

    Arguments:
        columns: the names wanted.
        names: the names that the table has.
        source: what sentences call the table.

    Raises:
        InputError: a column is missing (names close to it, and the names there are, are listed), or named twice.

    Example:
        >>> check_columns(["mas"], ["mass", "radius"], source="stars.csv")
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: stars.csv has no column "mas"; did you mean "mass"? It has "mass", "radius".
    """
    check_distinct(names, source=source)
    for name, count in Counter(columns).items():
        if count > 1:
            raise InputError(f'column "{name}" of {source} is asked for {count} times; name it once.')
    if not columns:
        raise InputError(f"no column of {source} is named; it has {_listed(names)}.")
    known = set(names)  # of a hundred thousand columns each is looked for
    for name in columns:
        if name not in known:
            raise InputError(f'{source} has no column "{name}"; {_suggestion(name, names)} It has {_listed(names)}.')


def check_distinct(names: Sequence[str], *, source: str) -> None:
    """Refuse a table in which two columns have the same name.

    Arguments:
        names: the names of the columns.
        source: what sentences call the table.

    Raises:
        InputError: a name occurs twice, or there is none at all.
    """
    if not names:
        raise InputError(f"{source} has no columns; give a table with at least one.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise InputError(f'{source} has {count} columns named "{name}"; give each column a name of its own.')


def check_for_fitting(matrix: np.ndarray, names: Sequence[str], *, source: str, minimum_rows: int) -> None:
    """Refuse a matrix that has no density to be fitted, or too few rows for one.

    Arguments:
        matrix: finite numbers, shape `(rows, columns)`.
        names: the names of the columns.
        source: what sentences call the table.
        minimum_rows: how many rows are needed.

    Raises:
        InputError: there are too few rows, a column is constant (or varies by no more than rounding), or one column
            is a linear function of another; the columns are named.

    Example:
        >>> check_for_fitting(np.array([[1.0], [1.0]]), ["x"], source="stars.csv", minimum_rows=2)
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: column "x" of stars.csv is 1.0 in every row: a density does not exist for it;
        leave it out with --columns.
    """
    rows, count = matrix.shape
    needed = max(minimum_rows, 1)
    if rows < needed:
        raise InputError(f"{source} has {_counted(rows)}, and at least {needed} are needed; add rows.")
    scaled = np.empty((rows, count))
    for index, name in enumerate(names):
        scaled[:, index] = _standardized(matrix[:, index], name, source)
    correlation = np.abs(scaled.T @ scaled) / rows
    for first, second in np.argwhere(np.triu(correlation >= 1 - _RESOLUTION, 1)):
        relation = (
            "are equal in every row"
            if np.array_equal(matrix[:, first], matrix[:, second])
            else "determine each other exactly, by a straight line"
        )
        raise InputError(
            f'columns "{names[first]}" and "{names[second]}" of {source} {relation}: their joint density would be '
            f"infinite; {leave_out(source, 'one of them')}."
        )


def _check_type(name: str, kind: Any, source: str) -> None:
    """Refuse a column that does not hold numbers."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return
    if pa.types.is_null(kind):
        raise InputError(f'column "{name}" of {source} has no values at all (type null); {leave_out(source)}.')
    shown = "categorical" if pa.types.is_dictionary(kind) else _shortened(str(kind))
    raise InputError(
        f'column "{name}" of {source} is of type {shown}, and only numeric columns are supported for now; '
        f"{leave_out(source)}."
    )


def _fill(target: np.ndarray, column: Any, name: str, source: str, first_row: int) -> tuple[int, str] | None:
    """Copy a column into the target; return the first row that is no usable number and the sentence about it."""
    usable = len(column)
    if column.null_count:
        usable = pc.index(pc.is_null(column), True).as_py()
    head = column.slice(0, usable)
    if pa.types.is_decimal(column.type):
        head = pc.cast(head, pa.float64())
    # Arrays take this option and chunked arrays need none, since a head without nulls can always be copied.
    values = head.to_numpy(zero_copy_only=False) if isinstance(head, pa.Array) else head.to_numpy()
    target[:usable] = values
    what = f'column "{name}" of {source}'
    if pa.types.is_integer(column.type):
        row = _first_inexact(values)
        if row is not None:
            return first_row + row, (
                f"{what} holds the integer {values[row]} in row {first_row + row}, which float64 cannot hold exactly; "
                f"use smaller numbers, or {leave_out(source, 'the column')}."
            )
    bad = np.flatnonzero(~np.isfinite(target[:usable]))
    if bad.size:
        row = int(bad[0])
        if np.isinf(target[row]):
            return first_row + row, (
                f"{what} is infinite in row {first_row + row}; remove or correct such rows, "
                f"or {leave_out(source, 'the column')}."
            )
        usable = row
    if usable < len(column):
        return first_row + usable, (
            f"{what} has no value in row {first_row + usable}; remove or fill the rows with missing values, "
            f"or {leave_out(source, 'the column')}."
        )
    return None


def _first_inexact(values: np.ndarray) -> int | None:
    """Find the first integer that float64 would silently change."""
    # Both comparisons, because the absolute value of the smallest int64 is not an int64.
    large = np.flatnonzero((values > _EXACT) | (values < -_EXACT)) if values.dtype.itemsize == 8 else ()
    return next((int(row) for row in large if int(float(values[row])) != int(values[row])), None)


def _standardized(column: np.ndarray, name: str, source: str) -> np.ndarray:
    """Shift a column to mean zero and scale it to unit spread, or refuse it as constant."""
    low, high = float(column.min()), float(column.max())
    what = f'column "{name}" of {source}'
    if low == high:
        raise InputError(f"{what} is {low} in every row: a density does not exist for it; {leave_out(source)}.")
    magnitude = max(abs(low), abs(high))
    # Dividing first keeps the squares of huge numbers finite and those of tiny ones above zero.
    relative = column / magnitude
    relative -= relative.mean()
    spread = float(np.sqrt(np.mean(relative**2)))
    if spread < _RESOLUTION:
        raise InputError(
            f"{what} is constant up to rounding (all values lie between {low} and {high}): a density does not exist "
            f"for it; {leave_out(source)}, or subtract its mean before it is rounded."
        )
    return relative / spread


def leave_out(source: str, what: str = "it") -> str:
    """Say how a column is left out: by the option of the command line, or by the argument in Python."""
    return f"leave {what} out with {'columns=' if source == FRAME else '--columns'}"


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _suggestion(name: str, names: Sequence[str]) -> str:
    """Offer the names closest to one that is missing."""
    folded = {other.strip().casefold(): other for other in reversed(names)}
    close = difflib.get_close_matches(name.strip().casefold(), list(folded), n=2)
    if not close:
        return "check its name."
    return f"did you mean {' or '.join(_quoted(folded[match]) for match in close)}?"


def _listed(names: Sequence[str], most: int = 12) -> str:
    """List names, shortened if there are many."""
    shown = ", ".join(_quoted(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _quoted(name: str) -> str:
    return f'"{_shortened(name)}"'


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
