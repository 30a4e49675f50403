"""Levels, the values of a category or of a constant column: text, booleans or numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.support.suggestions import nearest, shortened
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue, numbers, to_numpy

Level = bool | int | float | str
MOST_LEVELS = 1_000


def arrow_type_of(level: Level | None) -> Any:
    """Return the type of pyarrow for a level; text for none."""
    if isinstance(level, bool):
        return pa.bool_()
    if isinstance(level, int):
        return pa.int64()
    return pa.float64() if isinstance(level, float) else pa.string()


def is_number(level: Level) -> bool:
    """Whether a level is a number, and neither text nor a boolean."""
    return not isinstance(level, bool | str)


def short(level: Level) -> str:
    """Return a level for a description."""
    return shortened(str(level), 20)


def positions(values: Values, levels: Sequence[Level]) -> np.ndarray:
    """Return the position of each value among some levels, (n,) float64, NaN where it is missing.

    Raises:
        BadValue: a value is not of the levels' type, or is not among them and the values are strict.
    """
    column, kind = values.column, arrow_type_of(levels[0] if levels else None)
    if pa.types.is_boolean(kind) and values.is_text:
        column = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        levels, kind = [str(level).lower() for level in levels], pa.string()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        kind = pa.float64()
        column = pa.array(numbers(column, values.name, values.source, values.first_row), kind, from_pandas=True)
    try:
        column = pc.cast(column, kind)
    except pa.ArrowException:
        raise BadValue(
            values.first_row, f"{values.what} is of type {column.type}, and its levels are of type {kind}."
        ) from None
    found = pc.index_in(column, value_set=pa.array([*levels], kind))
    unknown = np.flatnonzero(to_numpy(pc.and_(pc.is_null(found), pc.is_valid(column))))
    values.unseen[unknown] = True
    if len(unknown) and values.strict:
        place = int(unknown[0])
        value = str(column[place].as_py())
        problem = f"which is not one of its {len(levels)} levels"
        remedy = f"{nearest(value, levels)} Correct it, or fit with a schema that has it"
        raise values.bad_value(place, f'"{shortened(value)}"', problem, remedy)
    return np.array(to_numpy(pc.fill_null(pc.cast(found, pa.float64()), np.nan)), dtype=np.float64)
