"""Columns of pyarrow from arrays of numpy, in all their types."""

import datetime
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

# Units of dates and of durations that pyarrow has, or that become one without loss.
_DATES = {
    "Y": "D",
    "M": "D",
    "W": "D",
    "D": "D",
    "h": "s",
    "m": "s",
    **{unit: unit for unit in ("s", "ms", "us", "ns")},
}
_DURATIONS = {unit: other.replace("D", "s") for unit, other in _DATES.items() if unit not in "YM"}


def columns_of(data: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of an array by name: the fields of records, or those of a matrix as 0, 1, ....

    Arguments:
        data: (rows, columns), or records, (rows,).
    """
    if data.dtype.names is not None:
        return {name: data[name] for name in data.dtype.names}
    return {str(index): data[:, index] for index in range(data.shape[1])}


def arrow_column(values: np.ndarray) -> Any:
    """Turn a column of numpy into one of pyarrow; what is masked, or no time (NaT), is null.

    Arguments:
        values: (rows,).

    Raises:
        TypeError: pyarrow has no such type.

    Example:
        >>> arrow_column(np.ma.array([1, 2], mask=[False, True])).to_pylist()
        [1, None]
        >>> arrow_column(np.array(["2024-02"], dtype="datetime64[M]")).to_pylist()
        [datetime.date(2024, 2, 1)]
    """
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    values = np.ma.getdata(values)
    if values.ndim != 1:
        raise TypeError("a field of several values")
    dtype: Any = values.dtype
    kind = dtype.kind
    if kind in "OT":
        listed = values.tolist()
        if kind == "T":
            # What a StringDType has for missing values is an object of any type.
            listed = [value if isinstance(value, str) else None for value in listed]
        if mask is not None:
            listed = [None if gone else value for value, gone in zip(listed, mask, strict=True)]
        column = pa.array(listed)
        refuse_times_among_dates(listed, column.type)
        return column
    if kind in "cV":
        raise TypeError("no such type")
    if kind == "S":
        values = np.char.decode(values, "utf-8")
    if kind in "Mm":
        unit = (_DATES if kind == "M" else _DURATIONS).get(np.datetime_data(dtype)[0])
        if unit is None:
            raise TypeError("no such unit")
        values = values.astype(f"{kind}8[{unit}]")
    if kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
    return pa.array(values, mask=mask)


def refuse_times_among_dates(values: Iterable[Any], kind: Any) -> None:
    """Refuse objects that pyarrow would make dates, dropping the times of some.

    Raises:
        TypeError: some values are dates and some have a time.
    """
    if pa.types.is_date(kind) and any(isinstance(value, datetime.datetime) for value in values):
        raise TypeError("dates beside date-times")
