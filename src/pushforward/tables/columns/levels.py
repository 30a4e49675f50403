"""Levels, the values of a category or of a constant column: text, booleans or numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pushforward.support.suggestions import nearest, quoted, shortened
from pushforward.tables.arrow import pa, pc
from pushforward.tables.columns.values import Values
from pushforward.tables.missing import composed, normal
from pushforward.tables.numbers import BadValue, numbers, to_numpy

Level = bool | int | float | str


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
    """Return a level for a description, in quotation marks if it has a comma: descriptions are lists."""
    return quoted(str(level), 20)


def same_text(column: Any) -> Any:
    """Return text in the form in which it is compared: without spaces around it, and composed (NFC).

    Example:
        >>> same_text(pa.array([" e\u0301 ", None])).to_pylist() == ["\u00e9", None]
        True
    """
    return composed(pc.utf8_trim_whitespace(column))


def same(level: Level) -> Level:
    """Return a level in the form in which it is compared with others: one for all that are equal."""
    if isinstance(level, str):
        return normal(level)
    return level if isinstance(level, bool) else float(level)


def widened(number: float) -> float:
    """Return the number that was written, of one that was rounded to single precision: its shortest decimal.

    Example:
        >>> widened(float(np.float32(0.1))), widened(0.1), widened(1 / 3)
        (0.1, 0.1, 0.3333333333333333)
    """
    with np.errstate(over="ignore"):
        single = np.float32(number)
    return float(str(single)) if float(single) == number else number


def positions(values: Values, levels: Sequence[Level]) -> np.ndarray:
    """Return the position of each value among some levels, (n,) float64, NaN where it is missing.

    Raises:
        BadValue: a value is not of the levels' type, or is not among them and the values are strict.
    """
    column, keys = _comparable(values, levels)
    found = pc.index_in(column, value_set=pa.array(list(keys), column.type))
    found = pc.take(pa.array([*keys.values()], pa.int32()), found)
    unknown = np.flatnonzero(to_numpy(pc.and_(pc.is_null(found), pc.is_valid(column))))
    values.unseen[unknown] = True
    if len(unknown) and values.strict:
        place = int(unknown[0])
        value = str(column[place].as_py())
        problem = f"which is not one of its {len(levels)} levels"
        remedy = f"{nearest(value, levels)} Correct it, or fit with a schema that has it"
        raise values.bad_value(place, f'"{shortened(value)}"', problem, remedy)
    return np.array(to_numpy(pc.fill_null(pc.cast(found, pa.float64()), np.nan)), dtype=np.float64)


def _comparable(values: Values, levels: Sequence[Level]) -> tuple[Any, dict[Any, int]]:
    """The values as they are compared with levels, and {what a level compares as: its position}."""
    kind = arrow_type_of(levels[0] if levels else None)
    if _are_truths(levels):
        return _as_truths(values), {str(level).strip().lower(): place for place, level in enumerate(levels)}
    if not pa.types.is_string(kind):
        # Adding 0 makes one of both zeros.
        column = values.column
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        found = numbers(column, values.name, values.source, values.first_row) + 0.0
        keys: dict[Any, int] = {float(level) + 0.0: place for place, level in enumerate(levels)}
        # The same numbers in single and half precision, unless these are levels of their own.
        narrow = pa.types.is_floating(values.column.type) and values.column.type != pa.float64()
        for place, level in enumerate(levels):
            # Nobody has rounded whole numbers but those that were read in so few bits.
            if not narrow and float(level).is_integer():
                continue
            with np.errstate(over="ignore"):
                for width in (np.float32, np.float16):
                    keys.setdefault(float(width(level)), place)
            keys.setdefault(widened(float(level)), place)
        return pa.array(found, pa.float64(), from_pandas=True), keys
    try:
        column = pc.cast(values.column, kind)
    except pa.ArrowException:
        raise BadValue(
            values.first_row, f"{values.what} is of type {values.type}, and its levels are of type {kind}."
        ) from None
    return same_text(column), {same(level): place for place, level in enumerate(levels)}


def _are_truths(levels: Sequence[Level]) -> bool:
    """Whether levels are true and false, as booleans or as words."""
    words = [str(level).strip().lower() for level in levels]
    return set(words) <= {"true", "false"} and len(set(words)) == len(words) > 0


def _as_truths(values: Values) -> Any:
    """Booleans, words and the numbers 1 and 0 as "true" and "false"."""
    column = values.column
    if not (values.is_text or pa.types.is_boolean(column.type)):
        found = numbers(column, values.name, values.source, values.first_row)
        column = pa.array(found, pa.float64(), from_pandas=True)
    column = pc.utf8_lower(pc.utf8_trim_whitespace(pc.cast(column, pa.string())))
    for digit, word in (("1", "true"), ("0", "false")):
        column = pc.replace_substring_regex(column, rf"^-?{digit}(\.0)?$", word)
    return column
