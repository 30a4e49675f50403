"""One pass over a table that is too large for memory: it chooses the held-out rows and a sample of the others."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.tables.columns.levels import MOST_LEVELS
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.missing import is_text, plain

# Rows that are kept: enough for the quantiles of 512 knots, and for held-out nats to a few thousandths.
MOST_SAMPLED, MOST_HELD_OUT = 2**18, 100_000
BATCH_ROWS = 2**14


@dataclass(frozen=True)
class Scan:
    """What one pass over a table found.

    Attributes:
        rows: the number of rows.
        training_rows: the number of those that are trained on: neither held out, nor of weight 0.
        training_weight: the sum of their weights.
        held_out: the rows that are not trained on.
        held_out_rows: their numbers, counted from 0.
        held_out_share: a row with a weight is held out if the hash of its number lies below this share of the range of
            hashes.
        sample: some of the others, each with the same probability: quantiles and scales are taken from them.
        extremes: the rows with the smallest and the largest number of each column, with its first fraction, and with
            the first occurrence of each text, any of which a sample may lack.
        gaps: {column: number of its first row without a value, counted from 1}.
        digest: a hash of the table's contents.
    """

    rows: int
    training_rows: int
    training_weight: float
    held_out: pa.Table
    held_out_rows: np.ndarray
    held_out_share: float
    sample: pa.Table
    extremes: pa.Table
    gaps: dict[str, int]
    digest: str


def scan(
    groups: RowGroups,
    seed: int,
    fraction: float,
    weigh: Callable[[pa.RecordBatch | pa.Table, int], np.ndarray] = lambda batch, before: np.ones(batch.num_rows),
    report: Callable[[float], None] = lambda part: None,
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

    Returns:
        What was found.
    """
    held_out, sample = _Sample(fraction, MOST_HELD_OUT), _Sample(1.0, MOST_SAMPLED)
    digest = hashlib.sha256()
    rows = weighty = 0
    weight = 0.0
    extremes: dict[tuple[str, bool], tuple[float, pa.RecordBatch]] = {}
    others = _FirstOccurrences()
    for group in range(len(groups)):
        for first, batch in groups.read(group, BATCH_ROWS):
            weights = weigh(batch, first)
            digest.update(batch.serialize())
            numbers = np.arange(first, first + batch.num_rows)
            _note_extremes(extremes, batch)
            others.note(batch, first)
            counted = weights > 0
            some = batch if counted.all() else batch.filter(pa.array(counted))
            numbers = numbers[counted]
            held_out.add(some, numbers, hashes(numbers, seed))
            # Another seed, so that the sample is not the held-out rows.
            sample.add(some, numbers, hashes(numbers, seed + 1))
            rows += batch.num_rows
            weighty += len(numbers)
            weight += float(weights.sum())
            report(groups.progress)
    kept, kept_rows = held_out.table()
    sampled, sampled_rows = sample.table()
    training = hashes(sampled_rows, seed) >= held_out.share * 2.0**64
    return Scan(
        rows,
        weighty - len(kept_rows),
        weight - float(weigh(kept, 0).sum()),
        kept,
        kept_rows,
        held_out.share,
        sampled.filter(pa.array(training)),
        pa.Table.from_batches([*(row for _, row in extremes.values()), *others.rows], kept.schema),
        others.gaps,
        digest.hexdigest(),
    )


def hashes(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return hashes of whole numbers, practically independent and uniform over [0, 2^64): splitmix64.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

    Example:
        >>> hashes(np.arange(3), seed=0).tolist() == hashes(np.arange(5), seed=0)[:3].tolist()
        True
    """
    with np.errstate(over="ignore"):
        start = np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95)
        mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


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


def _note_extremes(extremes: dict[tuple[str, bool], tuple[float, pa.RecordBatch]], batch: pa.RecordBatch) -> None:
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
                    extremes[name, largest] = (value, batch.take(pa.array([row])))


class _FirstOccurrences:
    """The first rows with a fraction, with each text, and without a value, column by column."""

    def __init__(self) -> None:
        self.rows: list[pa.RecordBatch] = []
        self.gaps: dict[str, int] = {}
        self._fractional: set[str] = set()
        self._texts: dict[str, set] = {}

    def note(self, batch: pa.RecordBatch, before: int) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            column = plain(column)
            floating = pa.types.is_floating(column.type)
            if name not in self.gaps:
                missing = pc.is_null(column, nan_is_null=floating)
                if pc.any(missing).as_py():
                    self.gaps[name] = before + pc.index(missing, True).as_py() + 1
            if floating and name not in self._fractional:
                fractional = pc.and_(pc.is_finite(column), pc.not_equal(column, pc.floor(column)))
                if pc.any(fractional).as_py():
                    self._fractional.add(name)
                    self._keep(batch, pc.index(fractional, True).as_py())
            if is_text(column) or pa.types.is_boolean(column.type):
                texts = self._texts.setdefault(name, set())
                for value in pc.unique(column.drop_null()).to_pylist():
                    # One too many is enough to show that they are not levels.
                    if value not in texts and len(texts) <= MOST_LEVELS:
                        texts.add(value)
                        self._keep(batch, pc.index(column, value).as_py())

    def _keep(self, batch: pa.RecordBatch, row: int) -> None:
        self.rows.append(batch.take(pa.array([row])))
