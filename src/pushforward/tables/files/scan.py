"""One pass over a table that is too large for memory: it chooses the held-out rows and a sample of the others."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.support.hashing import hashes
from pushforward.tables.columns.scattered import MOST_LEVELS
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.missing import Marks, is_text, plain

# Rows that are kept: enough for the quantiles of 512 knots, and for held-out nats to a few thousandths.
MOST_SAMPLED, MOST_HELD_OUT = 2**18, 100_000
BATCH_ROWS = 2**14


class Choice(Protocol):
    """Which rows are held out, by a value of each row that is the same in every pass, from 0 to 2^64."""

    @property
    def share(self) -> float:
        """Rows with values below this share of the range are held out; it is halved whenever they become too many."""

    @property
    def reserved(self) -> float:
        """Rows with values below this share of the range are not trained on, even if they are not held out."""

    def values(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """The values of rows, (n,), with their numbers counted from 0."""

    def labels(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """Whole numbers, (n,), equal for rows that are copies of each other."""


@dataclass(frozen=True)
class ByNumber:
    """The choice by hashes of the numbers of rows.

    Attributes:
        seed: of the hashes.
        share: of rows that are held out.
    """

    seed: int
    share: float
    reserved: float = 0.0

    def values(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """The hashes."""
        return hashes(numbers, self.seed)

    def labels(self, batch: pa.RecordBatch | pa.Table, numbers: np.ndarray) -> np.ndarray:
        """The numbers: no row is a copy."""
        return numbers


@dataclass(frozen=True)
class Scan:
    """What one pass over a table found.

    Attributes:
        rows: the number of rows.
        training_rows: the number of those that are trained on: neither held out, nor of weight 0.
        training_weight: the sum of their weights.
        held_out: the rows that are not trained on.
        held_out_rows: their numbers, counted from 0.
        trained_from: a row with a weight is trained on if its value of the choice is at least this.
        sample: some of the others, each with the same probability: quantiles and scales are taken from them.
        sampled_rows: their numbers.
        extremes: the rows with the smallest and the largest number of each column, with its first fraction, and with
            the first occurrence of each text, or of each number or date where they are few, any of which a sample may
            lack.
        extreme_rows: their numbers.
        gaps: {column: number of its first row without a value, counted from 1}.
        digest: a hash of the table's contents.
    """

    rows: int
    training_rows: int
    training_weight: float
    held_out: pa.Table
    held_out_rows: np.ndarray
    trained_from: float
    sample: pa.Table
    sampled_rows: np.ndarray
    extremes: pa.Table
    extreme_rows: np.ndarray
    gaps: dict[str, int]
    digest: str


def scan(
    groups: RowGroups,
    seed: int,
    fraction: float,
    weigh: Callable[[pa.RecordBatch | pa.Table, int], np.ndarray] = lambda batch, before: np.ones(batch.num_rows),
    report: Callable[[float], None] = lambda part: None,
    choice: Choice | None = None,
) -> Scan:
    """Read a table once, in constant memory.

    Rows are chosen by hashes of their numbers and the seed, so that the choice needs no memory and is the same in every
    pass: see `hashes`.

    Arguments:
        groups: the table.
        seed: of the choice.
        fraction: the share of rows held out, up to 100,000 rows.
        weigh: called with each batch and the number of rows before it; returns the weights of its rows, (n,), or
            refuses them. Rows of weight 0 are neither held out nor sampled. Default: all weights are 1.
        report: called with the share that is done, from 0 to 1.
        choice: of the rows that are held out; default by their numbers.

    Returns:
        What was found.
    """
    choice = choice or ByNumber(seed, fraction)
    held_out, sample = _Sample(choice.share, MOST_HELD_OUT), _Sample(1.0, MOST_SAMPLED)
    digest = hashlib.sha256()
    rows = weighty = reserved = 0
    weight = reserved_weight = 0.0
    extremes: dict[tuple[str, bool], tuple[float, pa.RecordBatch, int]] = {}
    others = _FirstOccurrences(groups.marks)
    for group in range(len(groups)):
        for first, batch in groups.read(group, BATCH_ROWS):
            weights = weigh(batch, first)
            digest.update(batch.serialize())
            numbers = np.arange(first, first + batch.num_rows)
            _note_extremes(extremes, batch, first)
            others.note(batch, first)
            counted = weights > 0
            some = batch if counted.all() else batch.filter(pa.array(counted))
            numbers = numbers[counted]
            values = choice.values(some, numbers)
            held_out.add(some, numbers, values)
            kept_back = values < choice.reserved * 2.0**64
            reserved += int(kept_back.sum())
            reserved_weight += float(weights[counted][kept_back].sum())
            # Another seed, so that the sample is not the held-out rows.
            sample.add(some, numbers, hashes(numbers, seed + 1))
            rows += batch.num_rows
            weighty += len(numbers)
            weight += float(weights.sum())
            report(groups.progress)
    kept, kept_rows = held_out.table()
    sampled, sampled_rows = sample.table()
    trained_from = max(held_out.share, choice.reserved) * 2.0**64
    if not choice.reserved:
        reserved, reserved_weight = len(kept_rows), float(weigh(kept, 0).sum())
    training = choice.values(sampled, sampled_rows) >= trained_from
    return Scan(
        rows,
        weighty - reserved,
        weight - reserved_weight,
        kept,
        kept_rows,
        trained_from,
        sampled.filter(pa.array(training)),
        sampled_rows[training],
        *_each_once(
            pa.Table.from_batches([*(row for _, row, _ in extremes.values()), *others.rows], kept.schema),
            np.array([*(number for *_, number in extremes.values()), *others.numbers], dtype=np.int64),
        ),
        others.gaps,
        digest.hexdigest(),
    )


class _Sample:
    """The rows whose hashes lie below a share of the range, which is halved whenever they become too many."""

    def __init__(self, share: float, most: int) -> None:
        self.share = share
        self.most = most
        self._batches: list[pa.Table] = []
        self._numbers: list[np.ndarray] = []
        self._hashes: list[np.ndarray] = []
        self._count = 0

    def add(self, batch: pa.RecordBatch, numbers: np.ndarray, values: np.ndarray) -> None:
        chosen = values < self.share * 2.0**64
        self._keep(pa.Table.from_batches([batch]), numbers, values, chosen)
        while self._count > self.most:
            self.share /= 2
            parts = list(zip(self._batches, self._numbers, self._hashes, strict=True))
            self._batches, self._numbers, self._hashes, self._count = [], [], [], 0
            table = pa.concat_tables([part[0] for part in parts]).combine_chunks()
            all_numbers, all_hashes = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
            self._keep(table, all_numbers, all_hashes, all_hashes < self.share * 2.0**64)

    def table(self) -> tuple[pa.Table, np.ndarray]:
        return pa.concat_tables(self._batches).combine_chunks(), np.concatenate(self._numbers)

    def _keep(self, table: pa.Table, numbers: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> None:
        # A copy of the rows, so that the batch itself can be freed.
        self._batches.append(table.take(pa.array(np.flatnonzero(chosen))))
        self._numbers.append(numbers[chosen])
        self._hashes.append(values[chosen])
        self._count += int(chosen.sum())


def _each_once(rows: pa.Table, numbers: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Rows and their numbers, without those that were kept before: two equal values would look like an atom."""
    first = np.sort(np.unique(numbers, return_index=True)[1])
    return rows.take(pa.array(first)), numbers[first]


def _note_extremes(
    extremes: dict[tuple[str, bool], tuple[float, pa.RecordBatch, int]], batch: pa.RecordBatch, before: int
) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        ends = pc.min_max(column)
        for largest, value in ((False, ends["min"].as_py()), (True, ends["max"].as_py())):
            known = extremes.get((name, largest))
            if value is not None and (known is None or (value > known[0] if largest else value < known[0])):
                row = pc.index(column, value).as_py()
                if row >= 0:
                    extremes[name, largest] = (value, batch.take(pa.array([row])), before + row)


def _as_numbers(column: Any) -> Any:
    """A column of numbers, or of dates as whole numbers, in a type whose values can be found; None for others."""
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    if pa.types.is_date64(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    return column if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) else None


class _FirstOccurrences:
    """The first rows of each column with a fraction, each text, each of few numbers or dates, and without a value."""

    def __init__(self, marks: Mapping[str, Marks]) -> None:
        self._marks = marks
        self.rows: list[pa.RecordBatch] = []
        self.numbers: list[int] = []
        self.gaps: dict[str, int] = {}
        self._fractional: set[str] = set()
        self._levels: dict[str, set] = {}
        self._many: set[str] = set()

    def note(self, batch: pa.RecordBatch, before: int) -> None:
        """Keep the rows of a batch that show something new, so many rows before it."""
        found: set[int] = set()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            column = plain(column, self._marks[name])
            if pa.types.is_float16(column.type):
                column = column.cast(pa.float32())
            floating = pa.types.is_floating(column.type)
            if name not in self.gaps:
                missing = pc.is_null(column, nan_is_null=floating)
                if pc.any(missing).as_py():
                    self.gaps[name] = before + pc.index(missing, True).as_py() + 1
            if floating and name not in self._fractional:
                fractional = pc.and_(pc.is_finite(column), pc.not_equal(column, pc.floor(column)))
                if pc.any(fractional).as_py():
                    self._fractional.add(name)
                    found.add(pc.index(fractional, True).as_py())
            found |= self._new_levels(name, column)
        if found:
            rows = sorted(found)
            # Together, since there may be many.
            self.rows.append(batch.take(pa.array(rows)))
            self.numbers += [before + row for row in rows]

    def _new_levels(self, name: str, column: Any) -> set[int]:
        """The first rows of texts, and of numbers and dates where they are few, that are not known."""
        if not (is_text(column) or pa.types.is_boolean(column.type)):
            numbers = None if name in self._many else _as_numbers(column)
            if numbers is None:
                return set()
            column = numbers
        different = pc.unique(column.drop_null())
        if len(different) > MOST_LEVELS and not is_text(column):
            self._many.add(name)
            return set()
        levels, found = self._levels.setdefault(name, set()), set()
        for value in different.to_pylist():
            # One too many is enough to show that they are not levels.
            if value == value and value not in levels and len(levels) <= MOST_LEVELS:
                levels.add(value)
                found.add(pc.index(column, value).as_py())
        return found
