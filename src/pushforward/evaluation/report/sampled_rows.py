"""The rows of a table that a report is made of: all of them, or as many as are asked for, chosen by a seed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.support.seeding import stream
from pushforward.support.wording import counted
from pushforward.table_models.held_out_rows import HeldOutRows
from pushforward.table_models.model import TableModel
from pushforward.table_models.scoring import BATCH_ROWS as SCORED_ROWS
from pushforward.table_models.source import numbered
from pushforward.table_models.training_rows import TrainingRows
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
        never: (n, names) which values the model has never seen, with those of conditions that are taken for missing.
        numbers: (n,) of the rows in their table, counted from 1.
        table: the same rows as a table of pyarrow.
        total: how many rows the table has.
        files: names of its files; none for a table in memory.
        chosen_from: how many rows these were chosen from: all, or those that the fit held out.
        held_out: where the table is that of the model's fit, which of its rows were held out, all of `numbers` among
            them; else None.
        left_out: how many more were chosen, but are copies of rows that the model was trained on.
    """

    codes: np.ndarray
    never: np.ndarray
    numbers: np.ndarray
    table: pa.Table
    total: int
    files: tuple[str, ...]
    chosen_from: int
    held_out: HeldOutRows | None = None
    left_out: int = 0

    @property
    def seen(self) -> np.ndarray:
        """Which rows, (n,), hold no value that the model has never seen."""
        return (self.codes != UNSEEN).all(1)

    @property
    def file(self) -> str:
        """The name of its file, in brackets for sentences, and how many more there are; "" for a table in memory."""
        if not self.files:
            return ""
        more = f" and {counted(len(self.files) - 1, 'more file')}" if len(self.files) > 1 else ""
        return f" ({os.path.basename(self.files[0])}{more})"

    def only(self, kept: np.ndarray) -> SampledRows:
        """Some of these rows, (n,) booleans."""
        table = self.table.filter(pa.array(kept))
        parts = {"codes": self.codes[kept], "never": self.never[kept], "numbers": self.numbers[kept]}
        return dataclasses.replace(self, **parts, table=table)


def sample_rows(
    model: TableModel,
    data: Any,
    rows: int,
    seed: int,
    report: Callable[[float], None] = lambda part: None,
    *,
    watch: Callable[[int, pa.RecordBatch, np.ndarray], None] | None = None,
    held_out: bool = True,
    among: np.ndarray | None = None,
) -> SampledRows:
    """Choose rows of a table by a seed, each with the same probability, in one pass and bounded memory.

    Of the table that the model was fitted to, rows are chosen from those that the fit held out, if these are enough.

    Arguments:
        model: that knows the columns.
        data: a table in memory, or what names one outside it, with the model's columns.
        rows: most rows.
        seed: of the choice.
        report: is told the share that is done, from 0 to 1.
        watch: is shown all rows as they pass: the number of the first, a batch of them, and their codes; default none.
        held_out: whether rows of the fit's own table are chosen so; default True.
        among: (k,) numbers of the rows that are chosen from instead, ascending; default none.

    Raises:
        InputError: a missing column, a value that is not of its column's kind, or fewer than 20 rows.
    """
    names, roles = model.names, model.roles
    record = model.record.held_out if held_out and among is None and model.record is not None else None
    if not is_stored(data):
        table = table_from_frame(data, names)
        chosen = _Chosen(model, rows, seed, record, among, watch, _Source("the table", False, table.schema))
        for batch in table.to_batches(BATCH_ROWS):
            chosen.add(batch)
            report(chosen.lowest.total / table.num_rows)
        return chosen.rows(())
    options: dict[str, Any] = {"schema": roles.schema, "needed": names}
    with TableReader(data, roles.numeric(names), **options) as reader:
        schema = pa.schema([reader.schema.field(name) for name in names])
        source = _Source(reader.path, reader.written, schema)
        chosen = _Chosen(model, rows, seed, record, among, watch, source)
        for batch in reader.batches(BATCH_ROWS):
            chosen.add(batch.select(names))
            report(reader.progress)
        return chosen.rows(tuple(map(str, reader.files)))


class _Source(NamedTuple):
    """What errors call a table, whether text is that of a CSV, and the columns of its batches."""

    name: str
    written: bool
    schema: pa.Schema


class _Chosen:
    """The rows of a stream that are chosen, and, in case the table is that of the fit, those that it held out."""

    def __init__(
        self,
        model: TableModel,
        count: int,
        seed: int,
        held_out: HeldOutRows | None,
        among: np.ndarray | None,
        watch: Callable[[int, pa.RecordBatch, np.ndarray], None] | None,
        source: _Source,
    ) -> None:
        self.model, self.held_out, self.watch, self.source = model, held_out, watch, source
        # Not by the seed itself, by which a fit with the same one chose what it holds out.
        self.lowest = _LowestKeys(count, stream(seed, "rows of a report"), among)
        self.numbered = _Numbered(np.zeros(0, dtype=int) if held_out is None else held_out.numbers)

    def add(self, batch: pa.RecordBatch) -> None:
        """Let rows pass."""
        first = self.lowest.total + 1
        self.lowest.add(batch)
        self.numbered.add(batch, first)
        if self.watch is None:
            return
        for start in range(0, batch.num_rows, SCORED_ROWS):
            part = batch.slice(start, SCORED_ROWS)
            self.watch(first + start, part, self._codes(part, first + start))

    def rows(self, files: tuple[str, ...]) -> SampledRows:
        """What was chosen."""
        total, held_out = self.lowest.total, self.held_out
        if total < FEWEST_ROWS:
            raise InputError(
                f"{self.source.name} has {counted(total, 'row')}, too few for a report; give at least {FEWEST_ROWS}."
            )
        own = self._of_fit()
        if own is not None and held_out is not None:
            table, numbers, codes = own
            found = SampledRows(codes, codes == UNSEEN, numbers, table, total, files, held_out.rows, held_out)
            return found.only(self.lowest.among(numbers))
        table, numbers = self.lowest.rows(self.source.schema)
        with numbered(numbers):
            raw = self._encoded(table)
        codes = self.model.roles.known(raw, self.model.names)
        return SampledRows(codes, raw == UNSEEN, numbers, table, total, files, total)

    def _of_fit(self) -> tuple[pa.Table, np.ndarray, np.ndarray] | None:
        """The rows that the fit held out, their numbers and codes; None where this is not its table."""
        kept = self.held_out
        if kept is None or kept.table_rows != self.lowest.total or len(kept.numbers) < FEWEST_ROWS:
            return None
        table = self.numbered.rows(self.source.schema)
        try:
            codes = self._codes(table)
        except InputError:  # a value that no row of the fit can have
            return None
        same = kept.are_in(TrainingRows.codes_of(self.model.roles, codes))
        return (table, kept.numbers, codes) if same else None

    def _codes(self, rows: pa.Table | pa.RecordBatch, first: int = 1) -> np.ndarray:
        return self.model.roles.known(self._encoded(rows, first), self.model.names)

    def _encoded(self, rows: pa.Table | pa.RecordBatch, first: int = 1) -> np.ndarray:
        """The codes of rows, with those of conditions that were never seen."""
        names, source = self.model.names, self.source
        return self.model.roles.encode(rows, names, source.name, first, written=source.written)


class _Numbered:
    """The rows of a stream with given numbers, (k,), ascending and counted from 1."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers
        self._parts: list[pa.Table] = []

    def add(self, batch: pa.RecordBatch, first: int) -> None:
        """Let rows pass, the first with its number."""
        start, end = np.searchsorted(self.numbers, (first, first + batch.num_rows))
        if end > start:
            # A copy, so that the batch itself can be freed.
            places = pa.array(self.numbers[start:end] - first)
            self._parts.append(pa.Table.from_batches([batch]).take(places))

    def rows(self, schema: pa.Schema) -> pa.Table:
        """The rows in their order."""
        return pa.concat_tables(self._parts).combine_chunks() if self._parts else schema.empty_table()


class _LowestKeys:
    """The rows of a stream with the lowest keys, which are hashes of their numbers; of all, or among some numbers.

    Attributes:
        total: how many rows passed.
    """

    def __init__(self, count: int, seed: int, among: np.ndarray | None = None) -> None:
        self.count, self.seed, self.total = count, seed, 0
        self._among = among
        self._parts: list[tuple[np.ndarray, pa.Table]] = []
        self._held = 0
        self._bound = np.uint64(2**64 - 1)

    def add(self, batch: pa.RecordBatch) -> None:
        """Let rows pass."""
        numbers = np.arange(self.total + 1, self.total + batch.num_rows + 1)
        self.total += batch.num_rows
        low = hashes(numbers, self.seed) <= self._bound
        if self._among is not None:
            low &= np.isin(numbers, self._among)
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

    def among(self, numbers: np.ndarray) -> np.ndarray:
        """Which of other rows with these numbers, (k,), are chosen by the same hashes, as many as asked for."""
        kept = np.zeros(len(numbers), dtype=bool)
        kept[np.argsort(hashes(numbers, self.seed), kind="stable")[: self.count]] = True
        return kept

    def _drop(self) -> None:
        numbers = np.concatenate([part for part, _ in self._parts])
        table = pa.concat_tables([part for _, part in self._parts]).combine_chunks()
        if len(numbers) > self.count:
            keys = hashes(numbers, self.seed)
            self._bound = np.partition(keys, self.count - 1)[self.count - 1]
            low = keys <= self._bound
            numbers, table = numbers[low], table.filter(pa.array(low)).combine_chunks()
        self._parts, self._held = [(numbers, table)], len(numbers)
