"""Shapes of what an estimator is given, where scikit-learn's sentence would show the whole array or not say what to do.

Its checks demand parts of some sentences ("Reshape your data", "Complex data not supported"), which are here as well;
others, such as those about the number of columns, are its own.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.wording import counted

TABLE = "an array of shape (rows, columns) or a data frame"


def check_shape(values: Any, name: str = "X") -> None:
    """Refuse what is not a table, or for y neither a table nor a column.

    Arguments:
        values: an array, nested lists, a data frame, or anything else.
        name: of the argument, "X" or "y".

    Raises:
        InputError: no dimension, too few or too many of them, rows of different lengths, or complex numbers.

    Example:
        >>> check_shape(np.zeros(3))
        Traceback (most recent call last):
        pushforward.errors.InputError: X has shape (3,), and rows and columns are needed. Reshape your data: \
X.reshape(-1, 1) makes one column of it, X.reshape(1, -1) one row.
    """
    shape, wanted = _shape_of(values, name), TABLE if name == "X" else "an array of shape (rows,) or (rows, targets)"
    if shape is None:
        return
    if shape == ():
        shown = "None" if values is None else f"a single {type(values).__name__}"
        raise InputError(f"{name} is {shown}; give {wanted}.")
    if isinstance(values, np.ndarray | list | tuple) and np.iscomplexobj(values):  # of a frame the column is named
        raise InputError(
            f"Complex data not supported: {name} holds complex numbers; give their real and imaginary parts as columns "
            "of their own."
        )
    if len(shape) == 1 and name == "X":
        how = (
            f"{name}.to_frame() makes one column of it."
            if hasattr(values, "to_frame")
            else f"{name}.reshape(-1, 1) makes one column of it, {name}.reshape(1, -1) one row."
        )
        raise InputError(f"{name} has shape {shape}, and rows and columns are needed. Reshape your data: {how}")
    if len(shape) > 2:
        raise InputError(
            f"{name} has shape {shape}, and {len(shape)} dimensions are too many; give {wanted}, such as "
            f"{name}.reshape(len({name}), -1)."
        )


def check_lengths(rows: Any, targets: Any) -> None:
    """Refuse rows and targets that are not as many.

    Raises:
        InputError: their numbers differ; both are named.
    """
    of_rows, of_targets = _shape_of(rows, "X"), _shape_of(targets, "y")
    if of_rows and of_targets and of_rows[0] != of_targets[0]:
        raise InputError(f"X has {counted(of_rows[0], 'row')}, and y {of_targets[0]:,}; give one target for each row.")


def _shape_of(values: Any, name: str) -> tuple[int, ...] | None:
    """The shape of values, None if they are of a type that others know."""
    if hasattr(values, "shape"):
        return tuple(values.shape)
    if isinstance(values, list | tuple):
        try:
            return np.shape(values)
        except ValueError:
            raise InputError(f"{name} has rows of different lengths; give each the same number of values.") from None
    known = isinstance(values, Number | dict | set) or (values is None and name == "X")
    return () if known else None
