"""A table that stays in its file while a density is fitted to it: held-out rows, a sample, and batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.progress import progress
from pushforward.support.wording import counted
from pushforward.table_models.auxiliary_columns import errors_of, line_of_weights, weights_of
from pushforward.table_models.source import Codes, HoldOut, Split, line_of_blank_rows, numbered
from pushforward.table_models.streamed_choice import choose_held_out, share_nearly_copied
from pushforward.table_models.streamed_weights import StreamedWeights
from pushforward.tables import Schema, StoredTable, TableReader, encode, infer_schema, open_table
from pushforward.tables.columns.kinds import Column
from pushforward.tables.columns.text_format import PLAIN, Conventions
from pushforward.tables.files.opening import Data
from pushforward.tables.files.row_groups import Contradicted, RowGroups
from pushforward.tables.files.scan import ByNumber, Choice, Scan, scan
from pushforward.tables.missing import Mark, Marks, plain
from pushforward.tables.number_marks import MayHaveThousands
from pushforward.tables.schema.identifiers import identifiers
from pushforward.tables.schema.inference import columns_of_text, marks_of, with_styles
from pushforward.tables.unused_marks import UnusedMarks
from pushforward.training.batches import Part, StreamedRows
from pushforward.training.copies import share_of_copies
from pushforward.training.rows import Rows
from pushforward.training.splitting import far_from

HEAD_ROWS = 1000
# A table of more bytes than this, as float64 numbers, is not read into memory, where it would be copied several times.
LARGEST_IN_MEMORY = 2**27
# A number takes about twice as many characters of a CSV as bytes in memory.
CHARACTERS_PER_BYTE = 2
BATCH_ROWS = 2**14

# Takes a batch, and the number of rows before it.
Encoder = Callable[[pa.RecordBatch | pa.Table, int], np.ndarray]


class StreamedTable:
    """A table of which one pass keeps a sample, the rows held out, and the rows that its schema must allow for.

    `TableSource` says what each method does.

    Arguments:
        data: the table: a path, a list of paths, or what `open_table` gives.
        names: the columns wanted.
        declared: the columns that the user has described.
        hold_out: the rows held out.
        weight: the column of row weights, or None.
        errors: the columns of measurement errors.
        quiet: whether to leave out the progress bars.
        missing: what stands for a missing value where the user has not described it; default the list, in a CSV.
        header: whether the first line of a CSV has the names of its columns.
        conventions: what the user says of decimal marks and dates in text.

    Attributes:
        found: the result of the pass.
        sample: rows that are trained on, from which quantiles are taken.
        weights: those of the sample, (n,), or None.
        noise_of: the measurement errors of the sample, (n, errors).

    Raises:
        InputError: a number that is infinite or that float64 cannot hold, or a weight or an error that is not allowed;
            its row is named. Or too few rows have a weight above 0.
    """

    streamed = True

    def __init__(
        self,
        data: Data,
        names: Sequence[str],
        declared: Schema,
        hold_out: HoldOut,
        weight: str | None = None,
        errors: Sequence[str] = (),
        quiet: bool = True,
        missing: Sequence[Mark] | None = None,
        header: bool = True,
        conventions: Conventions = PLAIN,
    ) -> None:
        table = open_table(data, header=header)
        self.source = table.name
        self.quiet = quiet
        self.beside = StreamedWeights(weight, list(errors), self.source)
        auxiliary = [*errors, *([] if weight is None else [weight])]
        beside = [] if hold_out.group is None else [hold_out.group]
        left_out = [*auxiliary, *([] if hold_out.group_modeled else beside)]
        self.names = [name for name in names if name not in left_out]
        self.declared, self.hold_out, self.conventions = declared, hold_out, conventions
        columns = list(dict.fromkeys([*self.names, *auxiliary, *beside]))
        self.missing = Marks(table.written, None if missing is None else tuple(missing))
        self.unused = UnusedMarks(self.missing, declared)
        self._scan(table, columns)
        if weight is not None and not (len(self.found.held_out) and len(self.found.sample) > 1):
            raise InputError(
                f"Too few rows of {self.source} have a weight above 0: write those to a file of their own."
            )
        if not (math.isfinite(self.found.training_weight) and self.found.training_weight > 0):
            raise InputError(f"The sum of the weights of {self.source} is out of the range of float64: rescale them.")
        self.sample = self.found.sample.select(self.names)
        self.weights = None if weight is None else weights_of(self.found.sample, weight, self.source)
        self.noise_of = errors_of(self.found.sample, errors, self.source)

    def _scan(self, table: StoredTable, columns: Sequence[str]) -> None:
        """Choose the rows held out, and read all rows; again where one shows that a column of a CSV is text."""
        with TableReader(table, columns, keep_text=True, only_numeric=True) as reader:
            head = self.head = pa.Table.from_batches([next(reader.batches(HEAD_ROWS))])
        text = self._columns_of_text(head)
        unsettled = [name for name in columns if table.written and name not in self.declared and name not in text]
        marks = {name: marks_of(name, self.declared, self.missing) for name in columns}
        hold_out = self.hold_out
        while True:
            self.row_groups = RowGroups(table, columns, text, marks, unsettled, self.names)
            thousands = {name: MayHaveThousands() for name in unsettled if self.conventions.decimal is None}

            def watch(batch: pa.RecordBatch, names: Sequence[str], thousands: Any = thousands) -> None:
                self.unused.see(batch, names)
                for name, column in thousands.items():
                    column.see(plain(batch.column(name), marks[name]).drop_null())

            self.row_groups.watch = watch
            try:
                self.choice = choose_held_out(self.row_groups, self.names, hold_out)
                with progress("scanning", self.quiet) as report:
                    self.found = scan(
                        self.row_groups, hold_out.seed, hold_out.fraction, self.beside.checked, report, self.choice
                    )
                self.row_groups.watch = None
                # Points may stand between thousands, which all rows decide, as text.
                more = [name for name, column in thousands.items() if column.found]
                if not more:
                    return
                text += more
                unsettled = [name for name in unsettled if name not in more]
            except Contradicted as later:
                more = self._columns_of_text(pa.concat_tables([pa.Table.from_batches([later.rows]), head]), later)
                text += [name for name in more if name not in text]
                unsettled = [name for name in unsettled if name not in text and name != later.code]

    def _columns_of_text(self, rows: pa.Table, later: Contradicted | None = None) -> list[str]:
        """The columns of a CSV that are not numbers, by some rows; the error if a later row does not change them."""
        about: dict[str, Any] = {"source": self.source, "marks": self.missing, "conventions": self.conventions}
        if later is None:
            return columns_of_text(rows, self.declared, **about)
        known = set(self.row_groups.text)
        try:
            found = columns_of_text(rows, self.declared, **about)
        except InputError:
            found = []  # with the numbers of other rows
        if known.issuperset(found) and later.code is None:
            raise later
        return found

    @property
    def reasons(self) -> list[str]:
        """That the table is streamed, and by what its rows are weighted."""
        blank = line_of_blank_rows((self.row_groups.rows or 0) - self.found.rows, self.row_groups.first_blank)
        weighted = [] if self.beside.weight is None else [line_of_weights(self.beside.weight, *self.beside.ends)]
        return [
            f"{self.source}: {counted(self.found.rows, 'row')} stay in the file and are streamed; a sample of "
            f"{len(self.sample):,} gives the quantiles",
            *blank,
            *weighted,
            *self.unused.lines(self.source),
        ]

    def leave_out_identifiers(self, keep: Collection[str]) -> dict[str, str]:
        """Those of the rows held out, whose numbers are known."""
        some, rows = self.found.held_out.select(self.names), self.found.held_out_rows
        about: dict[str, Any] = {"source": self.source, "marks": self.missing, "conventions": self.conventions}
        with numbered(rows + 1):
            found = identifiers(some, rows, self.found.rows, keep=keep, **about)
        self.names = [name for name in self.names if name not in found]
        self.sample = self.sample.select(self.names)
        return found

    def infer_schema(self) -> Schema:
        """The schema of the sample, except for columns of which other rows show more."""
        # Each row once: two equal values far away would look like an atom.
        others = ~np.isin(self.found.extreme_rows, self.found.sampled_rows)
        extremes = self.found.extremes.select(self.names).filter(pa.array(others))
        whole = pa.concat_tables([self.sample, extremes]).combine_chunks()
        about: dict[str, Any] = {"source": self.source, "marks": self.missing, "conventions": self.conventions}
        numbers = np.concatenate([self.found.sampled_rows, self.found.extreme_rows[others]]) + 1
        with numbered(numbers):
            schema = infer_schema(self.sample, self.declared, **about)
            wider = [name for name in self.names if not self._allows(schema[name], extremes, name)]
            if wider:
                declared = {name: column for name, column in self.declared.items() if name in wider}
                schema |= infer_schema(whole.select(wider), declared, **about)
        for name in self.found.gaps:
            if name in schema and not schema[name].missing_share:
                schema[name] = schema[name].model_copy(update={"missing_share": min(1.0, 1 / self.found.rows)})
        self.unused.see_read(whole, schema)
        head = self.head.select([name for name in self.names if self.row_groups.written])
        return with_styles(schema, head, whole, self.missing)

    def encode(self, schema: Schema, names: Sequence[str]) -> Codes:
        """The codes of the sample; all rows are read once more if a column's kind may refuse their values."""
        strict = [name for name in names if schema[name].strict or schema[name].format is not None]
        if strict:
            with progress("checking", self.quiet) as report:
                for group in range(len(self.row_groups)):
                    for first, batch in self.row_groups.read(group, BATCH_ROWS):
                        self._encoded(batch, schema, strict, first)
                        report(self.row_groups.progress)
        return Codes(self._encoded(self.sample, schema, names), self.found.gaps)

    def split(self, schema: Schema, matrix: np.ndarray, names: Sequence[str], features: int) -> Split:
        """The sample, the rows held out, and a stream of all others."""
        streamed = self.rows(schema, names[:features], names[features:])
        held_out = streamed.held_out
        weights = held_out.weights
        return Split(
            matrix,
            _side_by_side(held_out, features),
            self.weights,
            None if weights is None else weights[held_out.rows].numpy(),
            streamed.rows,
            self.found.held_out_rows[held_out.rows.numpy()] + 1,
            self.row_groups.rows or self.found.rows,
            streamed,
            copies=share_of_copies(self.choice.labels(self.found.held_out, self.found.held_out_rows)),
            nearly_copied=share_nearly_copied(self.row_groups, names, self.choice),
            extremes=self._encoded(self.found.extremes, schema, names),
        )

    def rows(self, schema: Schema, columns: Sequence[str], given: Sequence[str]) -> StreamedRows:
        """The codes of all rows, with the errors after those of the columns, for `pushforward.fit`."""

        def encode_batch(batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
            matrix = self._encoded(batch, schema, [*columns, *given], before)
            noise_of = self.beside.errors_of(batch, before)
            return np.hstack([matrix[:, : len(columns)], noise_of, matrix[:, len(columns) :]])

        features = [*columns, *self.beside.errors]
        weigh = None if self.beside.weight is None else self.beside.weights_of
        return stream_table(
            self.row_groups, self.found, encode_batch, features, given, self.hold_out.seed, weigh, self.choice
        )

    def _allows(self, column: Column, rows: pa.Table, name: str) -> bool:
        if not (column.modeled or column.strict):
            marks = self.row_groups.marks[name]
            declared = name in self.declared and self.declared[name].declared
            return declared or plain(rows.column(name), marks).null_count == len(rows)
        try:
            self._encoded(rows, {name: column}, [name])
        except InputError:
            return False
        return True

    def _encoded(
        self, rows: pa.RecordBatch | pa.Table, schema: Schema, names: Sequence[str], before: int = 0
    ) -> np.ndarray:
        return encode(rows, schema, names, source=self.source, first_row=before + 1, written=self.row_groups.written)


def _side_by_side(table: Rows, features: int) -> np.ndarray:
    """The rows of a table as one matrix: features, context, and the errors that follow the features in `x`."""
    x, *others = table.take(table.rows)
    context = [] if table.context is None else [others[0].numpy()]
    return np.hstack([x[:, :features].numpy(), *context, x[:, features:].numpy()])


def is_large(data: Data, columns: Sequence[str] | None) -> bool:
    """Whether a table is streamed from its files: more than 128 MB as float64 numbers, or 256 MB of CSV.

    Arguments:
        data: the table: a path, a list of paths, or what `open_table` gives.
        columns: the names of the columns wanted, default all.

    Raises:
        InputError: as for `TableReader`.
    """
    table = open_table(data)
    if table.rows is None:
        return table.bytes is None or table.bytes > LARGEST_IN_MEMORY * CHARACTERS_PER_BYTE
    return table.rows * len(columns or table.schema.names) * 8 > LARGEST_IN_MEMORY


def stream_table(
    row_groups: RowGroups,
    found: Scan,
    encode_batch: Encoder,
    features: Sequence[str],
    given: Sequence[str],
    seed: int,
    weigh: Encoder | None = None,
    choice: Choice | None = None,
) -> StreamedRows:
    """The rows of a table for `pushforward.fit`, which never holds more than some megabytes of them.

    Arguments:
        row_groups: the table.
        found: the result of the first pass over it, with the same seed.
        encode_batch: gives a float64 matrix of the features and then the given columns.
        features: names of the modeled columns.
        given: names of the columns that are conditioned on.
        seed: of the choice of rows.
        weigh: gives the weights of the rows, (n,), not negative, as in the scan; default all alike.
        choice: of the rows that are held out, as in the scan; default by their numbers.
    """
    chosen_by: Choice = choice or ByNumber(seed, 0.0)
    scale = found.training_rows / found.training_weight

    def read(group: int, share: int = 0, shares: int = 1) -> Iterator[Part]:
        for first, batch in row_groups.read(group, BATCH_ROWS):
            numbers = np.arange(first, first + batch.num_rows)
            if shares > 1:
                own = numbers % shares == share
                numbers, batch = numbers[own], batch.filter(pa.array(own))
            chosen = chosen_by.values(batch, numbers) >= found.trained_from
            matrix = encode_batch(batch, first)
            if weigh is not None:
                weights = weigh(batch, first)
                chosen &= weights > 0
                matrix = np.column_stack([matrix, weights * scale])
            yield numbers[chosen], matrix[chosen]

    def table(rows: pa.Table, numbers: np.ndarray | None) -> Rows:
        matrix = torch.from_numpy(encode_batch(rows, 0))
        x, context = matrix[:, : len(features)], matrix[:, len(features) :]
        return Rows(
            x,
            context if given else None,
            name="x",
            columns=features,
            context_columns=given,
            numbers=None if numbers is None else torch.from_numpy(numbers),
            weights=None if weigh is None else torch.from_numpy(weigh(rows, 0)),
        )

    sample, held_out = table(found.sample, None), table(found.held_out, found.held_out_rows)
    # Of copies the first counts.
    distinct = np.unique(chosen_by.labels(found.held_out, found.held_out_rows), return_index=True)[1]
    held_out = held_out.with_rows(torch.from_numpy(np.sort(distinct)))
    # One row far from all others, perhaps a mistake, would decide which weights are best.
    far = far_from(
        *(torch.cat([one for one in part.take(part.rows)[:2] if one is not None], 1) for part in (held_out, sample))
    )
    return StreamedRows(
        read,
        len(row_groups),
        found.training_rows,
        held_out if bool(far.all()) else held_out.with_rows(held_out.rows[~far]),
        sample,
        f"{found.digest} {seed}",
    )
