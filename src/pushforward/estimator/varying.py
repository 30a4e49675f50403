"""The columns of rows that vary, which have a density, and the constants of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.errors import InputError

# A column that varies by less than this share of its values varies by rounding.
RESOLUTION = 1e-12


class VaryingColumns:
    """Which columns vary in the rows that are trained on.

    A constant column has no density. The probability of its value is 1, that of any other 0, and draws have it.

    Arguments:
        rows: (n, D) that are trained on.
        names: (D,) of the columns, for errors.

    Attributes:
        places: of the columns that vary.
        constants: (D,) the value of each column that does not.

    Raises:
        InputError: no column varies.

    Example:
        >>> columns = VaryingColumns(np.array([[1.0, 2.0], [1.0, 3.0]]), ["mass", "radius"])
        >>> columns.places, columns.same(np.array([[1.0, 9.0], [1.5, 2.0]])), columns.whole(np.array([[7.0]]))
        (array([1]), array([ True, False]), array([[1., 7.]]))
    """

    def __init__(self, rows: np.ndarray, names: Sequence[str]) -> None:
        self.places = np.flatnonzero(~constant_columns(rows))
        self.constants = rows[0].astype(np.float64)
        if not len(self.places):
            raise InputError(
                f'Column "{names[0]}" is {rows[0, 0] + 0.0} in every row that is trained on, and no other varies: '
                "there is nothing to model."
            )

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The columns of rows, (..., D), that vary."""
        return rows[..., self.places]

    def whole(self, varying: np.ndarray) -> np.ndarray:
        """Rows of all columns, (..., D), with the constants beside the columns that vary."""
        rows = np.empty((*varying.shape[:-1], len(self.constants)), dtype=varying.dtype)
        rows[...] = self.constants
        rows[..., self.places] = varying
        return rows

    def same(self, rows: np.ndarray) -> np.ndarray:
        """Which rows, (n,), have the constants, to the precision of their numbers."""
        constants = self.constants.astype(rows.dtype)
        apart = np.abs(rows - constants)
        apart[:, self.places] = 0
        within = apart <= max(RESOLUTION, float(np.finfo(rows.dtype).eps)) * np.abs(constants)
        same: np.ndarray = np.all(within, axis=1)
        return same


def constant_columns(rows: np.ndarray) -> np.ndarray:
    """Which columns vary by no more than rounding, (columns,)."""
    low, high = rows.min(0), rows.max(0)
    constant: np.ndarray = high - low <= RESOLUTION * np.maximum(np.abs(low), np.abs(high))
    return constant
