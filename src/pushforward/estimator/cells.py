"""What the estimators are given, checked cell by cell: scikit-learn names neither the column nor a remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.utils.validation import check_array

from pushforward.errors import InputError
from pushforward.estimator.rows import FLOATS, unmasked
from pushforward.estimator.shapes import check_shape
from pushforward.support.suggestions import shortened

INSTEAD = "or use fit_table, which models"
NUMBERS = "iufb"


def readable(values: Any, name: str = "X", *, gaps: bool = False) -> Any:
    """What an estimator was given, if all that it holds can be read as numbers.

    What is not a number of any kind is left to scikit-learn.

    Arguments:
        values: an array, or a data frame of pandas, polars or pyarrow.
        name: of the argument.
        gaps: whether values may be missing; they become NaN.

    Raises:
        InputError: another shape, records, two columns of one name, masked values or missing ones where none may be, or
            a column of dates or of text, which is named.

    Example:
        >>> readable(np.array([[1.0, 2.0]])).shape
        (1, 2)
        >>> readable(np.array([["a", "2"], ["b", "3"]]))
        Traceback (most recent call last):
        pushforward.errors.InputError: column "0" of X holds the text "a" in row 1: estimators take numbers; ...
    """
    if gaps and isinstance(values, np.ma.MaskedArray) and values.dtype.kind in NUMBERS:
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    values = unmasked(values, name)
    if isinstance(values, str | bytes):
        raise InputError(f"{name} is text: give an array or a data frame; fit_table reads files.")
    check_shape(values, name)
    for column, cells in _columns(values, name):
        what = f'column "{column}" of {name}'
        if cells.dtype.kind in "Mm":
            kind = "dates" if cells.dtype.kind == "M" else "durations"
            raise InputError(f"{what} holds {kind}: give them as numbers, such as days, {INSTEAD} {kind}.")
        if cells.dtype.kind not in NUMBERS:
            _check(cells, what, name, gaps)
    return _with_nan(values) if gaps else values


def _with_nan(values: Any) -> Any:
    """Objects that stand for missing values as NaN, which is a number; the rest as it is."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.size:
        return np.where(np.vectorize(is_gap, otypes=[bool])(values), np.nan, values)
    frame = nw.from_native(values, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or not frame.implementation.is_pandas():
        return values
    objects = [column for column, dtype in values.dtypes.items() if dtype.kind == "O"]
    return values.assign(**{column: _with_nan(values[column].to_numpy()) for column in objects}) if objects else values


def readable_targets(y: Any) -> Any:
    """The same of targets, if none is missing or infinite: scikit-learn does not say where."""
    targets = readable(y, "y")
    if targets is not None:
        numbers = check_array(targets, ensure_2d=False, dtype=FLOATS, ensure_all_finite=False, input_name="y")
        check_finite(numbers, y, "y")
    return targets


def check_finite(rows: np.ndarray, values: Any, name: str = "X", *, gaps: bool = False) -> None:
    """Refuse rows, (n,) or (n, D), with a gap or an infinite number, and name its column.

    Arguments:
        rows: the numbers.
        values: that they were read from.
        name: of the argument.
        gaps: whether there may be gaps.
    """
    bad = np.isinf(rows) if gaps else ~np.isfinite(rows)
    if not bad.any():
        return
    place = np.argwhere(bad)[0]
    frame = nw.from_native(values, eager_only=True, pass_through=True)
    column = int(place[1]) if len(place) > 1 else 0
    what = f'column "{frame.columns[column] if isinstance(frame, nw.DataFrame) else column}" of {name}'
    what = what if len(place) > 1 else name
    if np.isnan(rows[tuple(place)]):
        raise _gap(what, place[0], name)
    raise InputError(f"{what} is infinite (inf) in row {place[0] + 1}: remove or correct such rows.")


def _columns(values: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """The columns that may hold something else than numbers, each with its name."""
    if isinstance(values, np.ndarray | list | tuple):
        yield from _columns_of_array(values)
        return
    try:
        frame = nw.from_native(values, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        repeated = Counter(str(column) for column in values.columns).most_common(1)[0][0]
        raise InputError(f'{name} has several columns named "{repeated}"; give each its own name.') from None
    if isinstance(frame, nw.LazyFrame):
        raise InputError(f"{name} is a {type(values).__name__}, which has no rows yet; give {name}.collect().")
    if isinstance(frame, nw.Series):
        frame = frame.alias(str(frame.name or name)).to_frame()
    if not isinstance(frame, nw.DataFrame):
        if hasattr(values, "__array__"):  # an index of pandas, a tensor
            yield from _columns_of_array(np.asarray(values))
        return
    for column in frame.columns:
        series = frame.get_column(column)
        dtype = series.dtype
        if dtype.is_temporal():
            yield str(column), np.zeros(0, "m8[s]" if dtype in (nw.Duration, nw.Time) else "M8[s]")
        elif not (dtype.is_numeric() or dtype == nw.Boolean):
            yield str(column), np.array([*series.to_list(), None], dtype=object)[:-1]


def _columns_of_array(values: Any) -> Iterator[tuple[str, np.ndarray]]:
    try:
        array = np.asarray(values)
    except ValueError:
        return  # of rows of different lengths
    if array.ndim not in (1, 2) or array.dtype.kind in NUMBERS + "c":
        return
    if array.dtype.kind in "UST" and not isinstance(values, np.ndarray):
        array = np.array(values, dtype=object)  # or numbers beside text would be text
    for place, column in enumerate(array.reshape(len(array), -1).T):
        yield str(place), column


def _check(cells: np.ndarray, what: str, name: str, gaps: bool) -> None:
    """Refuse a column that is not all numbers, or text of numbers, but for gaps if there may be some."""
    for row, cell in enumerate(cells.tolist()):
        if isinstance(cell, str | bytes):
            try:
                float(cell)
            except ValueError:
                shown = shortened(cell if isinstance(cell, str) else repr(cell), 40)
                raise InputError(
                    f'{what} holds the text "{shown}" in row {row + 1}: estimators take numbers; encode it as numbers, '
                    f"{INSTEAD} text, or leave the column out."
                ) from None
        elif is_gap(cell):
            if not gaps:
                raise _gap(what, row, name)
        elif isinstance(cell, list | tuple | np.ndarray):
            raise InputError(f"{what} holds several values in row {row + 1}; give each a column of its own.")
        elif isinstance(cell, complex | np.complexfloating):
            raise InputError(
                f"Complex data not supported: {what} holds {cell} in row {row + 1}; split it in two columns."
            )
        elif hasattr(cell, "year") or hasattr(cell, "total_seconds"):
            raise InputError(
                f"{what} holds {shortened(str(cell), 40)} in row {row + 1}: give dates and times as numbers, such as "
                f"days, {INSTEAD} dates."
            )


def is_gap(cell: Any) -> bool:
    """Whether an object stands for a missing value, other than NaN."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def _gap(what: str, row: int, name: str) -> InputError:
    if name == "y":
        return InputError(f"{what} has no value (NaN) in row {row + 1}: a target may not be missing; remove such rows.")
    return InputError(
        f"{what} has no value (NaN) in row {row + 1}: estimators take no missing values; fill or remove such rows, "
        f"{INSTEAD} gaps."
    )
