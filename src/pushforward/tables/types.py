"""Types of pyarrow as columns can have them: those that say the same in another way become plain ones."""

from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.tables.arrow import pa, pc

_READ = (
    *("null", "boolean", "integer", "floating", "decimal", "string", "large_string"),
    *("date", "timestamp", "time", "duration"),
)


def readable(column: Any, what: str, remedy: str) -> Any:
    """Return a column of pyarrow in a type that has kernels: numbers, text, booleans, dates, times or durations.

    Arguments:
        column: array of pyarrow.
        what: what a message calls the column.
        remedy: how it is left out.

    Raises:
        InputError: the values are of another type, which is named.

    Example:
        >>> readable(pa.array(["a"], pa.string_view()), 'column "x"', "leave it out").type
        DataType(string)
        >>> readable(pa.array([[1]]), 'column "x" of t', "leave it out")
        Traceback (most recent call last):
        pushforward.errors.InputError: column "x" of t is of type list<item: int64>, which is ...
    """
    kind = column.type
    if pa.types.is_run_end_encoded(kind):
        return readable(_mapped(column, _without_runs), what, remedy)
    if pa.types.is_dictionary(kind) and _is_read(kind.value_type):
        return column
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name in ("arrow.bool8", "arrow.json"):
        storage = _mapped(column, lambda part: part.storage)
        return pc.cast(storage, pa.bool_()) if kind.extension_name == "arrow.bool8" else storage
    if pa.types.is_string_view(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_float16(kind):
        return _mapped(column, _from_half)
    if pa.types.is_decimal(kind) and not pa.types.is_decimal128(kind):
        return pc.cast(column, pa.float64())
    if not _is_read(kind):
        raise InputError(
            f"{what} is of type {shortened(str(kind))}, which is neither numbers, text, booleans, dates nor times; "
            f"convert it, or {remedy}."
        )
    return column


def _is_read(kind: Any) -> bool:
    return not isinstance(kind, pa.BaseExtensionType) and any(getattr(pa.types, f"is_{name}")(kind) for name in _READ)


def _mapped(column: Any, change: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return change(column)
    return pa.chunked_array([change(part) for part in column.chunks] or [change(column.combine_chunks())])


def _without_runs(column: Any) -> Any:
    """A run-end encoded column as it is without runs, and without a dictionary."""
    kind = column.type.value_type
    if pa.types.is_dictionary(kind):
        values = pc.cast(column.values, kind.value_type)
        offset, count = column.offset, len(column)
        column = pa.RunEndEncodedArray.from_arrays(column.run_ends, values).slice(offset, count)
    return pc.run_end_decode(column)


def _from_half(column: Any) -> Any:
    """Half precision as the shortest decimals of the numbers, so that 0.1 is 0.1."""
    values = column.to_numpy(zero_copy_only=False).astype(np.float16)
    different, places = np.unique(values, return_inverse=True)
    decimals = np.array([float(str(number)) for number in different])
    return pa.array(decimals[places], pa.float64(), from_pandas=True)
