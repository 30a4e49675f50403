"""Columns of objects of several types."""

import numbers
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pushforward.support.suggestions import shortened


def first_of_another_type(values: Iterable[Any], index: Any = None) -> str | None:
    """Say which value is the first of another type than those before it; None if all are of one.

    Numbers of any type are alike if other values differ more. What is missing has no type.

    Arguments:
        values: objects.
        index: of a data frame, which names its rows; default none.

    Example:
        >>> first_of_another_type([1, None, 2.5, "x"])
        'row 4 holds "x" (str), and row 1 a value of type int'
        >>> first_of_another_type(["x", "y"]) is None
        True
    """
    listed = list(values)
    present = [(place, _family(value)) for place, value in enumerate(listed) if not _is_missing(value)]
    place = next((place for place, family in present if family is not present[0][1]), None)
    if place is None:
        return None
    first, value = present[0][0], listed[place]
    called = "" if index is None else f" (index {shortened(str(index[place]), 40)})"
    shown = f'"{shortened(value, 40)}"' if isinstance(value, str) else shortened(str(value), 40)
    return (
        f"row {place + 1}{called} holds {shown} ({type(value).__name__}), and row {first + 1} a value of type "
        f"{type(listed[first]).__name__}"
    )


def _family(value: Any) -> Any:
    """The type of a value, the same for all numbers but truth values and decimal ones."""
    alike = isinstance(value, numbers.Number) and not isinstance(value, bool | Decimal)
    return numbers.Number if alike else type(value)


def _is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, NaT, or NA of pandas."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )
