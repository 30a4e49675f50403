"""What a conditional density is given of the columns of X: those that vary, by their kinds, and missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pushforward.estimator.kinds import codes_of, context_kind
from pushforward.estimator.varying import constant_columns
from pushforward.table_models.shown_context import ShownContext
from pushforward.tables.columns.category import Category
from pushforward.tables.columns.kinds import Column


class ContextColumns:
    """given = (what is shown of each column that varies, flags of those with gaps), of rows of X.

    Shown are numbers as they are, declared atoms among them with a flag, levels as flags, angles as points on a circle:
    see `ShownContext`. A missing value, NaN, and a level that was not seen are given as the median of their column, or
    as its most frequent level, beside a flag if the column has gaps in the rows that are trained on: what missing
    values mean is then learned.

    Arguments:
        rows: (n, C) that are trained on.
        names: (C,) of the columns, default their places.
        declared: {place: what a user says of a column}.
        learned: whether angles among other columns are found, default True; otherwise all are numbers.
        texts: {place: texts whose positions a column holds}, default none.

    Attributes:
        numbers: the columns that vary.
        kinds: of these.
        leveled: (C,) which columns have levels.
        with_flags: the columns of which a flag says where a value is missing.
        flags: the places of these flags, and of others, in what is given.
        width: how many numbers are given.

    Raises:
        InputError: a column contradicts what a user says of it.

    Example:
        >>> columns = ContextColumns(np.array([[1.0, 5.0, 0.0], [2.0, 5.0, np.nan], [4.0, 5.0, 2.0]]))
        >>> columns(np.array([[np.nan, 5.0, np.nan]]))
        array([[2., 1., 1.]])
        >>> columns.new_gaps(np.array([[np.nan, np.nan, np.nan]]))
        array([[ True, False, False]])
    """

    def __init__(
        self,
        rows: np.ndarray,
        names: Sequence[str] | None = None,
        declared: Mapping[int, Column] | None = None,
        learned: bool = True,
        texts: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        missing = np.isnan(rows)
        some = missing.any(0) & ~missing.all(0)
        # A column without values is as good as constant.
        columns = [column[~np.isnan(column)] for column in rows.T]
        medians = np.array([np.median(values) if len(values) else 0.0 for values in columns], dtype=np.float64)
        # A constant column carries no information, and cannot be standardized.
        self.numbers = np.flatnonzero(~constant_columns(np.where(missing, medians, rows)))
        self.with_flags = np.flatnonzero(some)
        names = [str(place) for place in range(rows.shape[1])] if names is None else names
        self.names = [names[int(place)] for place in self.numbers]
        self.texts = texts or {}
        said = {**dict.fromkeys(self.texts, Category()), **(declared or {})}
        self.kinds = [
            context_kind(rows[:, place], name, said.get(int(place)), learned)
            for place, name in zip(self.numbers, self.names, strict=True)
        ]
        self.leveled = np.zeros(rows.shape[1], dtype=bool)
        self.leveled[self.numbers] = [not kind.measured for kind in self.kinds]
        self.shown = ShownContext(self.kinds, [None] * len(self.kinds))
        self.fillers = np.array(
            [
                medians[place] if kind.measured and not kind.circular else _most_frequent(codes)
                for place, kind, codes in zip(self.numbers, self.kinds, self._codes(rows).T, strict=True)
            ]
        )
        self.width = self.shown.width + len(self.with_flags)
        self.flags: Sequence[int] = [*self.shown.flags, *range(self.shown.width, self.width)]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """What is given of rows, (n, width), in their precision."""
        codes = self._codes(rows)
        known = np.isfinite(codes)
        shown = self.shown(torch.from_numpy(np.where(known, codes, self.fillers)))
        missing = np.isnan(rows)
        # Levels that were not seen as well.
        missing[:, self.numbers] = ~known
        found: np.ndarray = np.hstack([shown.numpy(), missing[:, self.with_flags]]).astype(rows.dtype)
        return found

    def new_gaps(self, rows: np.ndarray) -> np.ndarray:
        """Which values are missing, or levels that were not seen, in columns that had no gaps, (n, C)."""
        without = ~np.isin(self.numbers, self.with_flags)
        found = np.zeros(rows.shape, dtype=bool)
        found[:, self.numbers[without]] = ~np.isfinite(self._codes(rows)[:, without])
        return found

    def describe(self) -> list[str]:
        """A line for each column of which more is shown than a number."""
        columns = zip(self.numbers, self.names, self.kinds, strict=True)
        return [
            f'column "{name}" of X: {self._with_texts(int(place), kind).describe()}'
            for place, name, kind in columns
            if kind.context_units != (True,) or not kind.measured
        ]

    def _with_texts(self, place: int, kind: Column) -> Column:
        """The kind of a column as a user knows it."""
        return Category(levels=list(self.texts[place])) if place in self.texts else kind

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        """The codes of the columns that vary, (n, V) float64, not finite where they are not known."""
        found = np.empty((len(rows), len(self.numbers)))
        for number, (place, name, kind) in enumerate(zip(self.numbers, self.names, self.kinds, strict=True)):
            found[:, number] = codes_of(rows[:, place], name, kind)
        return found


def _most_frequent(codes: np.ndarray) -> float:
    """The code of most rows."""
    levels, counts = np.unique(codes[np.isfinite(codes)], return_counts=True)
    return float(levels[counts.argmax()])
