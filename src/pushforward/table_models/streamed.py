"""A table that stays in its file while a flow is fitted to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pushforward.errors import InputError
from pushforward.support.progress import progress
from pushforward.table_models.auxiliary_columns import errors_of, weights_of
from pushforward.table_models.in_memory import Split
from pushforward.table_models.streaming import RowGroups, scan, stream_table
from pushforward.tables import TableReader, encode, infer_schema
from pushforward.tables.columns.encoding import numbers, plain
from pushforward.tables.schema.inference import columns_of_text
from pushforward.tables.schema.kinds import Column, Schema
from pushforward.training.batches import StreamedRows
from pushforward.training.rows import Rows

HEAD_ROWS = 1000
BATCH_ROWS = 2**14


class StreamedTable:
    """A table of which one pass keeps a sample, the rows held out, and the rows that its schema must allow for.

    Arguments:
        path: the file.
        names: the columns wanted.
        declared: what a user says of columns.
        seed: of the choice of rows.
        fraction: the share of rows held out.
        weight: the column of row weights, or None.
        errors: the columns of measurement errors.
        quiet: whether to leave out the progress bars.

    Attributes:
        found: what the pass found.
        sample: rows that are trained on, from which quantiles are taken.
        weights: those of the sample, (n,), or None.
        noise_of: the measurement errors of the sample, (n, errors).

    Raises:
        InputError: a number that is infinite, or that float64 cannot hold, a weight or an error that cannot be; its row
            is named. Or too few rows have a weight.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Sequence[str],
        declared: Schema,
        seed: int,
        fraction: float,
        weight: str | None = None,
        errors: Sequence[str] = (),
        quiet: bool = True,
    ) -> None:
        self.source = os.fspath(path)
        self.weight, self.errors, self.quiet = weight, list(errors), quiet
        aside = [*self.errors, *([] if weight is None else [weight])]
        self.names = [name for name in names if name not in aside]
        self.declared, self.seed = declared, seed
        columns = list(dict.fromkeys([*self.names, *aside]))
        with TableReader(path, columns, keep_text=True, only_numeric=True) as reader:
            head = pa.Table.from_batches([next(reader.batches(HEAD_ROWS))])
        self.pieces = RowGroups(path, columns, columns_of_text(head, declared, source=self.source))
        with progress("surveying", quiet) as report:
            self.found = scan(self.pieces, seed, fraction, self._weigh, report)
        if weight is not None and not (len(self.found.held_out) and len(self.found.sample) > 1):
            raise InputError(
                f"Too few rows of {self.source} have a weight above 0: write those to a file of their own."
            )
        self.sample = self.found.sample.select(self.names)
        self.weights = None if weight is None else weights_of(self.found.sample, weight, self.source)
        self.noise_of = errors_of(self.found.sample, self.errors, self.source)

    @property
    def reasons(self) -> list[str]:
        """What is done, for people."""
        return [
            f"{self.source}: {self.found.rows} rows stay in the file and are streamed; a sample of "
            f"{len(self.sample)} gives the quantiles"
        ]

    def learn(self) -> Schema:
        """The schema of the sample, but for columns of which other rows show that they are more than that."""
        extremes = self.found.extremes.select(self.names)
        whole = pa.concat_tables([self.sample, extremes]).combine_chunks()
        learned = infer_schema(self.sample, self.declared, source=self.source)
        wider = [name for name in self.names if not self._allows(learned[name], extremes, name)]
        if wider:
            declared = {name: column for name, column in self.declared.items() if name in wider}
            learned |= infer_schema(whole.select(wider), declared, source=self.source)
        for name in self.found.gaps:
            if not learned[name].missing:
                learned[name] = learned[name].model_copy(update={"missing": min(1.0, 1 / self.found.rows)})
        return learned

    def check(self, schema: Schema, names: Sequence[str]) -> None:
        """Read all rows once more, if their codes might be refused.

        Raises:
            InputError: a value is not of its column's kind; the first row concerned is named.
        """
        strict = [name for name in names if schema[name].strict]
        if strict:
            with progress("checking", self.quiet) as report:
                for piece in range(len(self.pieces)):
                    for first, batch in self.pieces.read(piece, BATCH_ROWS):
                        encode(batch, schema, strict, source=self.source, first_row=first + 1)
                        report(self.pieces.progress)

    def gaps(self, matrix: np.ndarray, names: Sequence[str]) -> Mapping[str, int]:
        """The first row without a value, counted from 1, of columns that have such rows, in the sample or not."""
        return self.found.gaps

    def split(self, schema: Schema, matrix: np.ndarray, names: Sequence[str], features: int) -> Split:
        """The sample, the rows held out, and a stream of all others; arguments as for `InMemoryTable.split`."""
        streamed = self.rows(schema, names[:features], names[features:])
        held_out = streamed.held_out
        weights = held_out.weights
        return Split(
            matrix,
            _beside(held_out, features),
            self.weights,
            None if weights is None else weights[held_out.rows].numpy(),
            streamed.rows,
            streamed,
        )

    def rows(self, schema: Schema, columns: Sequence[str], given: Sequence[str]) -> StreamedRows:
        """The codes of all rows, and the errors beside those of the columns, for `pushforward.fit`."""

        def coding(batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
            matrix = encode(batch, schema, [*columns, *given], source=self.source, first_row=before + 1)
            noise_of = errors_of(batch, self.errors, self.source, before + 1)
            return np.hstack([matrix[:, : len(columns)], noise_of, matrix[:, len(columns) :]])

        features = [*columns, *self.errors]
        weigh = None if self.weight is None else self._weights
        return stream_table(self.pieces, self.found, coding, features, given, self.seed, weigh)

    def _allows(self, column: Column, rows: pa.Table, name: str) -> bool:
        if not (column.modelled or column.strict):
            return name in self.declared or plain(rows.column(name)).null_count == len(rows)
        try:
            encode(rows, {name: column}, [name], source=self.source)
        except InputError:
            return False
        return True

    def _weigh(self, batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
        """The weights of rows whose numbers and errors are checked."""
        self._check_numbers(batch, before)
        errors_of(batch, self.errors, self.source, before + 1)
        return np.ones(batch.num_rows) if self.weight is None else self._weights(batch, before)

    def _weights(self, batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
        assert self.weight is not None
        return weights_of(batch, self.weight, self.source, before + 1)

    def _check_numbers(self, batch: pa.RecordBatch | pa.Table, before: int) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                numbers(column, name, self.source, before + 1)


def _beside(table: Rows, features: int) -> np.ndarray:
    """The rows of a table as one matrix: features, context, and the errors that stand beside the features."""
    x, *others = table.take(table.rows)
    context = [] if table.context is None else [others[0].numpy()]
    return np.hstack([x[:, :features].numpy(), *context, x[:, features:].numpy()])
