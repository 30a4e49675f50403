"""A table that stays in its file while a flow is fitted to it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pushforward.errors import InputError
from pushforward.streaming import TablePieces, stream_table, survey
from pushforward.tables import TableReader, codes, learn_schema
from pushforward.tables.coding import numbers, plain
from pushforward.tables.learning import columns_of_text
from pushforward.tables.schema import AllMissing, Continuous, Schema
from pushforward.training.streamed import StreamedRows

HEAD_ROWS = 1000
BATCH_ROWS = 2**14


class LargeTable:
    """A table of which one pass keeps a sample, the rows held out, and the rows that its schema must allow for.

    Arguments:
        path: the file.
        names: the columns wanted.
        declared: what a user says of columns.
        seed: of the choice of rows.
        fraction: the share of rows held out.

    Attributes:
        found: what the pass found.
        sample: rows that are trained on, from which quantiles are taken.

    Raises:
        InputError: a number that is infinite, or that float64 cannot hold; its row is named.
    """

    def __init__(
        self, path: str | os.PathLike[str], names: Sequence[str], declared: Schema, seed: int, fraction: float
    ) -> None:
        self.source = os.fspath(path)
        self.names, self.declared, self.seed = list(names), declared, seed
        with TableReader(path, self.names, keep_text=True, only_numeric=True) as reader:
            head = pa.Table.from_batches([next(reader.batches(HEAD_ROWS))])
        self.pieces = TablePieces(path, self.names, columns_of_text(head, declared, source=self.source))
        self.found = survey(self.pieces, seed, fraction, check=self._check_numbers)
        self.sample = self.found.sample.select(self.names)

    @property
    def reason(self) -> str:
        """What is done, for people."""
        return (
            f"{self.source}: {self.found.rows} rows stay in the file and are streamed; a sample of "
            f"{len(self.sample)} gives the quantiles"
        )

    def learn(self) -> Schema:
        """The schema of the sample, but for columns of which other rows show that they are more than that."""
        extremes = self.found.extremes.select(self.names)
        whole = pa.concat_tables([self.sample, extremes]).combine_chunks()
        learned = learn_schema(self.sample, self.declared, source=self.source)
        wider = [name for name in self.names if not self._allows(learned[name], extremes, name)]
        if wider:
            declared = {name: column for name, column in self.declared.items() if name in wider}
            learned |= learn_schema(whole.select(wider), declared, source=self.source)
        for name in self.found.gaps:
            if not learned[name].missing:
                learned[name] = learned[name].model_copy(update={"missing": min(1.0, 1 / self.found.rows)})
        return learned

    def check(self, schema: Schema, names: Sequence[str]) -> None:
        """Read all rows once more, if their codes might be refused.

        Raises:
            InputError: a value is not of its column's kind; the first row concerned is named.
        """
        strict = [name for name in names if not isinstance(schema[name], Continuous | AllMissing)]
        if strict:
            for piece in range(len(self.pieces)):
                for first, batch in self.pieces.read(piece, BATCH_ROWS):
                    codes(batch, schema, strict, source=self.source, first_row=first + 1)

    def rows(self, schema: Schema, columns: Sequence[str], given: Sequence[str]) -> StreamedRows:
        """The codes of all rows, for `pushforward.fit`."""

        def coding(batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
            return codes(batch, schema, [*columns, *given], source=self.source, first_row=before + 1)

        return stream_table(self.pieces, self.found, coding, columns, given, self.seed)

    def _allows(self, column: object, rows: pa.Table, name: str) -> bool:
        if isinstance(column, AllMissing):
            return name in self.declared or plain(rows.column(name)).null_count == len(rows)
        try:
            codes(rows, {name: column}, [name], source=self.source)  # type: ignore[dict-item]
        except InputError:
            return False
        return True

    def _check_numbers(self, batch: pa.RecordBatch, before: int) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                numbers(column, name, self.source, before + 1)
