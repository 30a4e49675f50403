"""What a conditional density is given of the columns of X: those that vary, and where values are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pushforward.estimator.varying import constant_columns

Rows = TypeVar("Rows", np.ndarray, Tensor)


class ContextColumns:
    """given = (numbers of the columns that vary, flags of those with gaps), of rows of X.

    A missing value, NaN, is given as the median of its column, beside a flag if the column has gaps in the rows that
    are trained on: what missing values mean is then learned.

    Arguments:
        rows: (n, C) that are trained on.

    Attributes:
        numbers: the columns that vary.
        with_flags: the columns of which a flag says where a value is missing.
        flags: the places of these flags in what is given.
        width: how many numbers are given.

    Example:
        >>> columns = ContextColumns(np.array([[1.0, 5.0, 0.0], [2.0, 5.0, np.nan], [4.0, 5.0, 2.0]]))
        >>> columns(np.array([[np.nan, 5.0, np.nan]]))
        array([[2., 1., 1.]])
        >>> columns.new_gaps(np.array([[np.nan, np.nan, np.nan]]))
        array([[ True, False, False]])
    """

    def __init__(self, rows: np.ndarray) -> None:
        missing = np.isnan(rows)
        some = missing.any(0) & ~missing.all(0)
        # A column without values is as good as constant.
        columns = [column[~np.isnan(column)] for column in rows.T]
        self.medians = np.array([np.median(values) if len(values) else 0.0 for values in columns], dtype=np.float64)
        # A constant column carries no information, and cannot be standardized.
        self.numbers = np.flatnonzero(~constant_columns(np.where(missing, self.medians, rows)))
        self.with_flags = np.flatnonzero(some)
        self.flags: Sequence[int] = range(len(self.numbers), len(self.numbers) + len(self.with_flags))
        self.width = len(self.numbers) + len(self.with_flags)

    def __call__(self, rows: Rows) -> Rows:
        """What is given of rows, (n, width), in their precision."""
        if isinstance(rows, np.ndarray):
            found: np.ndarray = self._given(torch.from_numpy(np.require(rows, requirements=["C", "W"]))).numpy()
            return found
        return self._given(rows)

    def new_gaps(self, rows: np.ndarray) -> np.ndarray:
        """Which numbers are missing in columns that had no gaps, (n, C)."""
        without = np.setdiff1d(self.numbers, self.with_flags)
        found = np.zeros(rows.shape, dtype=bool)
        found[:, without] = np.isnan(rows[:, without])
        return found

    def _given(self, rows: Tensor) -> Tensor:
        numbers = rows[:, self.numbers]
        if not bool(numbers.isnan().any()) and not len(self.with_flags):
            return numbers
        medians = torch.from_numpy(self.medians[self.numbers]).to(rows)
        missing = rows[:, self.with_flags].isnan().to(rows.dtype)
        return torch.cat([torch.where(numbers.isnan(), medians, numbers), missing], 1)
