"""The rows of a table that a report is made of: all of them, or as many as are asked for, chosen by a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.table_models.model import TableModel
from pushforward.table_models.source import numbered
from pushforward.tables import TableReader, is_stored, table_from_frame
from pushforward.tables.columns.values import UNSEEN

BATCH_ROWS = 2**16
# Fewer rows say too little for any of the tests.
FEWEST_ROWS = 20


@dataclass(frozen=True, eq=False)
class SampledRows:
    """Some rows of a table, as codes.

    Attributes:
        codes: (n, names) as `ColumnRoles.known` gives them.
        numbers: (n,) of the rows in their table, counted from 1.
        table: the same rows as a table of pyarrow.
        total: how many rows the table has.
        files: names of its files; none for a table in memory.
    """

    codes: np.ndarray
    numbers: np.ndarray
    table: pa.Table
    total: int
    files: tuple[str, ...] = ()

    @property
    def seen(self) -> np.ndarray:
        """Which rows, (n,), hold no value that the model has never seen."""
        return (self.codes != UNSEEN).all(1)

    def only(self, kept: np.ndarray) -> SampledRows:
        """Some of these rows, (n,) booleans."""
        return SampledRows(
            self.codes[kept], self.numbers[kept], self.table.filter(pa.array(kept)), self.total, self.files
        )


def sample_rows(
    model: TableModel, data: Any, rows: int, seed: int, report: Callable[[float], None] = lambda part: None
) -> SampledRows:
    """Choose rows of a table by a seed, each with the same probability, in one pass and bounded memory.

    Arguments:
        model: that knows the columns.
        data: a table in memory, or what names one outside it, with the model's columns.
        rows: most rows.
        seed: of the choice.
        report: is told the share that is done, from 0 to 1.

    Raises:
        InputError: a missing column, a value that is not of its column's kind, or fewer than 20 rows.
    """
    names, roles = model.names, model.roles
    kept = _LowestKeys(rows, seed)
    files: tuple[str, ...] = ()
    if not is_stored(data):
        table = table_from_frame(data, names)
        for batch in table.to_batches(BATCH_ROWS):
            kept.add(batch)
        source = "the table"
        found = _encoded(model, kept, table.schema, source, False)
    else:
        options: dict[str, Any] = {"schema": roles.schema, "needed": names}
        with TableReader(data, roles.numeric(names), **options) as reader:
            source, written, files = reader.path, reader.written, reader.files
            for batch in reader.batches(BATCH_ROWS):
                kept.add(batch.select(names))
                report(reader.progress)
            found = _encoded(model, kept, pa.schema([reader.schema.field(name) for name in names]), source, written)
    if len(found.codes) < FEWEST_ROWS:
        raise InputError(f"{source} has {len(found.codes):,} rows, too few for a report; give at least {FEWEST_ROWS}.")
    return SampledRows(found.codes, found.numbers, found.table, kept.total, tuple(map(str, files)))


def _encoded(model: TableModel, kept: _LowestKeys, schema: pa.Schema, source: str, written: bool) -> SampledRows:
    table, numbers = kept.rows(schema)
    with numbered(numbers):
        codes = model.roles.encode(table, model.names, source, written=written)
    return SampledRows(model.roles.known(codes, model.names), numbers, table, kept.total)


class _LowestKeys:
    """The rows of a stream with the lowest keys, which are hashes of their numbers.

    Attributes:
        total: how many rows passed.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.total = count, seed, 0
        self._parts: list[tuple[np.ndarray, pa.Table]] = []
        self._held = 0
        self._bound = np.uint64(2**64 - 1)

    def add(self, batch: pa.RecordBatch) -> None:
        """Let rows pass."""
        numbers = np.arange(self.total + 1, self.total + batch.num_rows + 1)
        self.total += batch.num_rows
        low = hashes(numbers, self.seed) <= self._bound
        self._parts.append((numbers[low], pa.Table.from_batches([batch]).filter(pa.array(low)).combine_chunks()))
        self._held += int(low.sum())
        if self._held > 2 * self.count:
            self._drop()

    def rows(self, schema: pa.Schema) -> tuple[pa.Table, np.ndarray]:
        """The rows in their order, and their numbers."""
        if not self._parts:
            return schema.empty_table(), np.zeros(0, dtype=int)
        self._drop()
        numbers, table = self._parts[0]
        return table, numbers

    def _drop(self) -> None:
        numbers = np.concatenate([part for part, _ in self._parts])
        table = pa.concat_tables([part for _, part in self._parts]).combine_chunks()
        if len(numbers) > self.count:
            keys = hashes(numbers, self.seed)
            self._bound = np.partition(keys, self.count - 1)[self.count - 1]
            low = keys <= self._bound
            numbers, table = numbers[low], table.filter(pa.array(low)).combine_chunks()
        self._parts, self._held = [(numbers, table)], len(numbers)
