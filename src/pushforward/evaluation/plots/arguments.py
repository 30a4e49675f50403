"""Arguments of figures that are refused in one sentence."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.arguments import path_of
from pushforward.support.wording import counted


def check_path(path: Any) -> None:
    """Refuse what cannot be the name of a file, before anything is drawn; None writes no file."""
    if path is not None:
        path_of(path)


def texts(names: Any, columns: int) -> list[str]:
    """Names of columns as a list.

    Raises:
        InputError: they are not as many as columns, or a text by itself.

    Example:
        >>> texts("ab", 2)
        Traceback (most recent call last):
        pushforward.errors.InputError: names is a list of 2 texts, one for each column, not 'ab'.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise InputError(f"names is a list of {counted(columns, 'text')}, one for each column, not {_short(names)}.")
    found = [str(name) for name in names]
    if len(found) != columns:
        raise InputError(
            f"There are {counted(columns, 'column')} and {counted(len(found), 'name')}: give one for each."
        )
    return found


def matrix(values: Any, name: str, picture: str) -> np.ndarray:
    """Numbers as an array in double precision.

    Arguments:
        values: a table, an array or nested lists.
        name: of the argument.
        picture: that is drawn of it, in words.

    Raises:
        InputError: they are no numbers.

    Example:
        >>> matrix([["a"]], "data", "A corner picture")
        Traceback (most recent call last):
        pushforward.errors.InputError: A corner picture needs numbers, and data holds others: [['a']].
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{picture} needs numbers, and {name} holds others: {_short(values)}.") from None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
