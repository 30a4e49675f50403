"""A grid over the rows of a matrix: rows in the same cells are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pushforward.support.hashing import hashes


class Grid:
    """A grid over the rows of a matrix, and hashes of the cells that rows lie in.

    Arguments:
        matrix: (n, columns), whose spreads give the steps: the largest powers of 2 below 2^-bits of the interquartile
            range, or of the range where that is 0.
        bits: of the steps.
        steps: steps of some columns that are given instead, powers of ten.

    Attributes:
        steps: of each column.
        places: how many steps are about the spread of each column.
    """

    def __init__(self, matrix: np.ndarray, bits: int, steps: Mapping[int, float] | None = None) -> None:
        own = [_step(column[~np.isnan(column)].astype(np.float64), bits) for column in matrix.T]
        self.decimal = set(steps or {})
        self.steps = [(steps or {}).get(column, step) for column, step in enumerate(own)]
        self.places = [2.0**bits * (fine / step) for fine, step in zip(own, self.steps, strict=True)]

    def cells(self, matrix: np.ndarray, columns: Sequence[int]) -> list[np.ndarray]:
        """The cells of some columns of rows, whole numbers, NaN where a value is missing; (n,) for each column."""
        # An outlier may be infinitely many steps away. Adding 0 makes -0 equal to 0.
        with np.errstate(over="ignore"):
            return [np.rint(self._in_steps(matrix[:, column].astype(np.float64), column)) + 0.0 for column in columns]

    def _in_steps(self, values: np.ndarray, column: int) -> np.ndarray:
        step = self.steps[column]
        # As `np.round` has it, so that what was rounded by it half a step away is in the same cell.
        return values * np.rint(1 / step) if column in self.decimal and step < 1 else values / step

    def labels(self, matrix: np.ndarray) -> list[np.ndarray]:
        """The cells of each column of rows, counted from 0."""
        cells = self.cells(matrix, range(matrix.shape[1]))
        return [np.unique(cell, return_inverse=True)[1].astype(np.int64) for cell in cells]

    def hashes(self, matrix: np.ndarray) -> np.ndarray:
        """A hash of each row, (n,): equal for rows in the same cells."""
        found = np.zeros(len(matrix), np.uint64)
        for column in range(matrix.shape[1]):
            (cell,) = self.cells(matrix, [column])
            found += hashes(np.where(np.isnan(cell), np.nan, cell).view(np.uint64), column)
        return found


def spreads(matrix: np.ndarray) -> np.ndarray:
    """A power of 2 near the interquartile range of each column, or near its range where that is 0, (columns,)."""
    return np.array(Grid(matrix, 0).steps)


def _step(values: np.ndarray, bits: int) -> float:
    if not len(values):
        return 1.0
    low, high = np.quantile(values, [0.25, 0.75])
    if low == high:
        low, high = values.min(), values.max()
    # Halved, because the difference of the largest numbers would overflow.
    spread = high / 2 - low / 2 or abs(float(high)) / 2
    return float(2.0 ** max(np.floor(np.log2(spread)) + 1 - bits, -1074)) if spread > 0 else 1.0
