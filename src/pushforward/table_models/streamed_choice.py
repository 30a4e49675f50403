"""Which rows of a table that stays in its file are held out: by their numbers, contents, groups, or places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.table_models.auxiliary_columns import check_groups, groups_of
from pushforward.table_models.source import HoldOut
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.files.scan import ByNumber, Choice
from pushforward.tables.missing import is_text, plain
from pushforward.training.copies import copies_of, share_of_copies
from pushforward.training.copies.chance import alike_by_dependence, chance
from pushforward.training.copies.finding import LARGEST_SHARE, MOST_COPIES
from pushforward.training.copies.grid import Grid
from pushforward.training.splitting import split_groups

BATCH_ROWS = 2**14
HEAD_ROWS = 2**14
# Of the grid on which rows are alike.
BITS = 32
# Identical rows are copies if chance would make at most this share of rows so.
MOST_BY_CHANCE = 0.01
# A CSV has at least so many characters for each number.
FEWEST_CHARACTERS = 2
UNKNOWN_BYTES = 2**40
# Of hashes that are kept as float64.
UNUSED_BITS = np.uint64(11)
# Most groups whose sizes are counted to reach the share; of more groups hashes come near enough.
MOST_COUNTED = 100_000

# Which rows, (n,), by a batch and the numbers of its rows.
Chosen = Callable[[pa.RecordBatch | pa.Table, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ByContent:
    """The choice by hashes of the numbers, times and levels in a row, so that copies stand on one side.

    Attributes:
        seed: of the hashes.
        share: of rows that are held out.
        columns: whose numbers are hashed.
        levels: the columns whose texts are.
        grid: on which rows are alike.
        frequent: hashes of rows that occur too often to be copies, which are chosen by their numbers.
    """

    seed: int
    share: float
    columns: Sequence[str]
    levels: Sequence[str]
    grid: Grid
    frequent: np.ndarray
    reserved: float = 0.0

    def values(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """The hashes; of a row without any of the numbers, that of its number."""
        matrix = _codes(batch, self.columns, self.levels)
        found = self.grid.hashes(matrix)
        alone = _blank(matrix, self.columns) | np.isin(found, self.frequent)
        return np.where(alone, hashes(numbers, self.seed), hashes(found, self.seed))

    def labels(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """The hashes."""
        return self.values(batch, numbers)


@dataclass(frozen=True)
class Reserved:
    """A choice of rows none of which are trained on, even if they are more than can be held out.

    Attributes:
        seed: of the choice among them.
        chosen: which rows, (n,), by a batch and the numbers of its rows.
        copies: tells which rows are copies of each other.
    """

    seed: int
    chosen: Chosen
    copies: Choice
    share: float = 0.5
    reserved: float = 0.5

    def values(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """Hashes of the numbers, in the lower half of the range for rows that are chosen."""
        half = hashes(numbers, self.seed) >> np.uint64(1)
        return np.where(self.chosen(batch, numbers), half, half | np.uint64(2**63))

    def labels(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """Those of the choice that knows copies."""
        return self.copies.labels(batch, numbers)


def choose_held_out(groups: RowGroups, names: Sequence[str], hold_out: HoldOut) -> Choice:
    """The choice of the rows of a table that are held out.

    Arguments:
        groups: the table.
        names: the columns, without weights and errors.
        hold_out: what is asked for.

    Raises:
        InputError: too few groups.
    """
    by_content = _by_content(groups, _head(groups), names, hold_out) or ByNumber(hold_out.seed, hold_out.fraction)
    if hold_out.group is not None:
        return Reserved(hold_out.seed, _by_group(groups, hold_out.group, hold_out), by_content)
    if hold_out.last:
        rows = groups.rows if groups.rows is not None else sum(len(batch) for _, batch in _batches(groups))
        first = rows - max(round(rows * hold_out.fraction), 1)
        return Reserved(hold_out.seed, lambda batch, numbers: numbers >= first, by_content)
    return by_content


def share_nearly_copied(groups: RowGroups, names: Sequence[str], choice: Choice) -> float | None:
    """Return the share of the first rows that repeat others up to a jitter or rounding, beyond what a choice knows.

    None for levels and whole numbers alone, which have neither.

    Arguments:
        groups: the table.
        names: the columns.
        choice: of the rows that are held out, which keeps identical rows on one side.
    """
    head = _head(groups)
    columns, levels = _compared(head, names)
    matrix = _codes(head, columns, levels) if columns else np.empty((0, 0))
    present = matrix[:, : len(columns)][~np.isnan(matrix[:, : len(columns)])]
    if (present == np.floor(present)).all():
        return None
    found = copies_of(matrix, range(len(columns)), _blank(matrix, columns))
    known = share_of_copies(choice.labels(head, np.arange(len(head))))
    return max(share_of_copies(found) - known, 0.0)


def _head(groups: RowGroups) -> pa.Table:
    """The first rows."""
    parts: list[pa.RecordBatch] = []
    for group in range(len(groups)):
        for _, batch in groups.read(group, HEAD_ROWS):
            parts.append(batch)
            if sum(map(len, parts)) >= HEAD_ROWS:
                return pa.Table.from_batches(parts)
    if not parts:
        raise InputError(f"{groups.path} has no value in any row; give a table with values.")
    return pa.Table.from_batches(parts)


def _by_content(groups: RowGroups, head: pa.Table, names: Sequence[str], hold_out: HoldOut) -> Choice | None:
    """The choice by contents, if ties of rows are evidence of copies."""
    columns, levels = _compared(head, names)
    if not columns and not levels:
        return None
    matrix = _codes(head, columns, levels)
    matrix = matrix[~_blank(matrix, columns)]
    if len(matrix) < 2:
        return None
    grid = Grid(matrix, BITS)
    found, first, counts = np.unique(grid.hashes(matrix), return_index=True, return_counts=True)
    rows = groups.rows or (groups.table.bytes or UNKNOWN_BYTES) / (FEWEST_CHARACTERS * len(groups.columns))
    is_frequent = counts > max(LARGEST_SHARE * len(matrix), MOST_COPIES)
    frequent, counts = found[is_frequent], np.where(is_frequent, 1, counts)
    if 2 * chance(matrix[first], counts, grid) * rows > MOST_BY_CHANCE:
        return None
    if alike_by_dependence(matrix[first], counts, grid):
        return None
    return ByContent(hold_out.seed, hold_out.fraction, columns, levels, grid, frequent)


def _compared(head: pa.Table, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns of numbers, without those that number the rows and tell even copies apart, and those of levels."""
    columns = [name for name in names if _is_number(head.schema.field(name).type)]
    matrix = _numbers(head, columns) if columns else np.empty((0, 0))
    steps = np.diff(matrix, axis=0)
    counting = [len(steps) > 0 and bool((step == step[0]).all()) and step[0] != 0 for step in steps.T]
    columns = [name for name, counts in zip(columns, counting, strict=False) if not counts]
    return columns, [name for name in names if _has_levels(head.column(name))]


def _by_group(groups: RowGroups, group: str, hold_out: HoldOut) -> Chosen:
    """Which rows are held out by groups: of few, as for a table in memory; of many, by their hashes."""
    counted = np.empty(0, np.uint64), np.empty(0, np.int64)
    for first, batch in _batches(groups):
        values = groups_of(batch.column(group), np.arange(first, first + batch.num_rows))
        counted = _added(counted, np.unique(values, return_counts=True))
        if len(counted[0]) > MOST_COUNTED:
            return lambda batch, numbers: _of_many(batch.column(group), numbers, hold_out)
    values, counts = counted
    check_groups(counts, group, groups.path)
    held_out = values[np.unique(_drawn(counts, hold_out))]
    return lambda batch, numbers: np.isin(groups_of(batch.column(group), numbers), held_out)


def _of_many(column: Any, numbers: np.ndarray, hold_out: HoldOut) -> np.ndarray:
    """Which rows are held out by the hashes of their groups, (n,)."""
    chosen: np.ndarray = hashes(groups_of(column, numbers), hold_out.seed) < hold_out.fraction * 2.0**64
    return chosen


def _drawn(counts: np.ndarray, hold_out: HoldOut) -> np.ndarray:
    """Which groups are held out, once for each of their rows."""
    labels = np.repeat(
        np.arange(len(counts)), np.maximum(counts * min(1.0, MOST_COUNTED * 10 / counts.sum()), 1).astype(int)
    )
    return labels[split_groups(labels, hold_out.fraction, hold_out.seed)[1].numpy()]


def _added(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    values, places = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    return values, np.bincount(places, np.concatenate([one[1], other[1]])).astype(np.int64)


def _batches(groups: RowGroups) -> Iterator[tuple[int, Any]]:
    for group in range(len(groups)):
        yield from groups.read(group, BATCH_ROWS)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)


def _has_levels(column: Any) -> bool:
    """Whether a column holds levels: truth values, or texts not different in most rows, as names of rows are."""
    column = plain(column)
    if pa.types.is_boolean(column.type):
        return True
    return is_text(column) and column.null_count < len(column) and pc.count_distinct(column).as_py() <= len(column) / 2


def _codes(batch: pa.RecordBatch | pa.Table, columns: Sequence[str], levels: Sequence[str]) -> np.ndarray:
    """Columns of numbers and times, and then of levels as whole numbers, as a matrix."""
    # Rows without a level have the same one.
    nobody = np.zeros(batch.num_rows, np.int64)
    hashed = [(groups_of(batch.column(name), nobody) >> UNUSED_BITS).astype(np.float64) for name in levels]
    return np.column_stack([_numbers(batch, columns), *hashed]) if columns else np.column_stack(hashed)


def _blank(matrix: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Which rows have none of the numbers, if there are columns of numbers."""
    blank: np.ndarray = np.isnan(matrix[:, : len(columns)]).all(1) if columns else np.zeros(len(matrix), bool)
    return blank


def _numbers(batch: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> np.ndarray:
    """Columns of numbers and times as a matrix, NaN where there is none."""
    parts = [_as_floats(batch.column(name)) for name in columns]
    return np.column_stack(
        [part.to_numpy(zero_copy_only=False) if isinstance(part, pa.Array) else part.to_numpy() for part in parts]
    )


def _as_floats(column: Any) -> Any:
    """Numbers, or times as numbers in their unit."""
    kind = column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return column.cast(pa.float64(), safe=False)
