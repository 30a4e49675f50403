"""What a fit needs of a table, whether it is in memory or stays in its file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from pushforward.support.wording import counted
from pushforward.tables import Schema
from pushforward.tables.numbers import BadValue
from pushforward.training.folds import FoldedRows


@dataclass(frozen=True)
class HoldOut:
    """Which rows of a table are held out.

    Attributes:
        seed: of a random choice.
        fraction: the share of rows.
        group: the column of groups of rows that stand on one side, or None.
        group_modeled: whether it is modeled or given as well.
        last: whether the last rows are held out.
    """

    seed: int
    fraction: float
    group: str | None = None
    group_modeled: bool = False
    last: bool = False


class Codes(NamedTuple):
    """The codes of a table, or of a sample of its rows.

    Attributes:
        matrix: (n, columns), NaN where a value is missing.
        gaps: the first row without a value, counted from 1, of each column that has such a row.
        numbers: of the rows in their table, (n,), counted from 1; None for a sample.
    """

    matrix: np.ndarray
    gaps: Mapping[str, int]
    numbers: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that are trained on and rows that are held out, as codes of the modeled columns and then of the given ones.

    Attributes:
        train: rows trained on, or a sample of them, (n, columns).
        held_out: rows held out, followed by their measurement errors, (m, columns + errors).
        weights: of `train`, (n,), or None.
        held_out_weights: of `held_out`, (m,), or None.
        training_rows: how many rows are trained on.
        data: the x of `pushforward.fit`.
        context: its context, or None.
        data_weights: its weights, or None.
        parts: its split, or None where it brings its held-out rows.
        copies: the share of rows that repeat others.
        neighbors: rows in their order, (k, columns).
        folded: all rows, in memory, to hold out in turn; None where they have weights or an order.
        held_out_numbers: of the held-out rows in the table, (m,), counted from 1.
        table_rows: how many rows the table has, also those that are neither trained on nor held out.
        nearly_copied: of the first rows of a table that is streamed, the share of those that repeat others up to a
            jitter or rounding, which may stand on both sides; None where all rows were compared so.
        extremes: rows with the smallest and the largest values of each column, where `train` is a sample; or None.
    """

    train: np.ndarray
    held_out: np.ndarray
    weights: np.ndarray | None
    held_out_weights: np.ndarray | None
    training_rows: int
    held_out_numbers: np.ndarray
    table_rows: int
    data: Any
    context: Any = None
    data_weights: np.ndarray | None = None
    parts: tuple[Tensor, Tensor] | None = None
    copies: float = 0.0
    neighbors: np.ndarray | None = None
    extremes: np.ndarray | None = None
    folded: FoldedRows | None = None
    nearly_copied: float | None = None

    @property
    def ends(self) -> np.ndarray:
        """The smallest and the largest value of each column in all rows, (2, columns), NaN if there is none."""
        parts = [self.train, self.held_out[:, : self.train.shape[1]]]
        parts += [] if self.extremes is None else [self.extremes]
        return np.array([end.reduce([end.reduce(part) for part in parts if len(part)]) for end in (np.fmin, np.fmax)])


class TableSource(Protocol):
    """A table to which a density is fitted: its columns, without weights and errors, in four steps."""

    @property
    def names(self) -> list[str]:
        """The columns."""

    @property
    def streamed(self) -> bool:
        """Whether the rows stay in a file."""

    @property
    def reasons(self) -> list[str]:
        """What is special about the route that the table takes, line by line."""

    def leave_out_identifiers(self, keep: Collection[str]) -> dict[str, str]:
        """Leave out columns that name or number the rows, except some; return them, and what they look like."""

    def infer_schema(self) -> Schema:
        """What each column is.

        Raises:
            InputError: a column that cannot be modeled.
        """

    def encode(self, schema: Schema, names: Sequence[str]) -> Codes:
        """The codes of some columns: of all rows, or of a sample if the rows are streamed.

        Raises:
            InputError: a value of any row is not of its column's kind; the first such row is named.
        """

    def split(self, schema: Schema, matrix: np.ndarray, names: Sequence[str], features: int) -> Split:
        """Choose the rows to hold out.

        Arguments:
            schema: inferred.
            matrix: the codes of `names`, as `encode` gives them.
            names: the columns, first the features of the density and then its context.
            features: how many are features.
        """


@contextlib.contextmanager
def numbered(rows: np.ndarray) -> Iterator[None]:
    """Number the bad row of some rows in the message about it as in their table.

    Arguments:
        rows: the numbers that they have there, (n,), counted from 1.
    """
    try:
        yield
    except BadValue as bad:
        row = int(rows[bad.row - 1])
        raise BadValue(row, re.sub(rf"\brow {bad.row}\b", f"row {row}", str(bad))) from bad


def line_of_blank_rows(count: int, first: int | None) -> list[str]:
    """A line about rows without a value in any column, if there are such rows, of which the first has a number."""
    if not count:
        return []
    which = f"{counted(count, 'row')} without any value {'is' if count == 1 else 'are'} left out"
    return [f"{which}: row {first:,}" if count == 1 else f"{which}, first row {first:,}"]


def blank_but_for_atoms(schema: Schema, matrix: np.ndarray, names: Sequence[str]) -> np.ndarray | None:
    """Which rows have no number but atoms, which many rows have anyway, (n,); None where no column has numbers."""
    blank: np.ndarray | None = None
    for place in many_valued(schema, names):
        own = np.isnan(matrix[:, place]) | np.isin(matrix[:, place], schema[names[place]].atom_codes)
        blank = own if blank is None else blank & own
    return blank


def many_valued(schema: Schema, names: Sequence[str]) -> list[int]:
    """The places of the columns of numbers and dates, which take many values, and not of levels."""
    columns = [schema[name] for name in names]
    return [place for place, column in enumerate(columns) if column.modeled and column.measured]
