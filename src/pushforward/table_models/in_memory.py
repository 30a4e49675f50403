"""A table in memory to which a density is fitted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.table_models.auxiliary_columns import (
    check_groups,
    check_weights,
    errors_of,
    groups_of,
    line_of_weights,
    weights_of,
)
from pushforward.table_models.source import (
    Codes,
    HoldOut,
    Split,
    blank_but_for_atoms,
    line_of_blank_rows,
    many_valued,
    numbered,
)
from pushforward.tables import Schema, encode, infer_schema, to_table
from pushforward.tables.columns.text_format import PLAIN, Conventions
from pushforward.tables.missing import TYPED, Marks, blank_rows
from pushforward.tables.schema.identifiers import identifiers
from pushforward.tables.schema.inference import marks_of
from pushforward.tables.unused_marks import UnusedMarks
from pushforward.training.copies import copies_of, share_of_copies
from pushforward.training.folds import FoldedRows
from pushforward.training.rows import as_weights, relative_weights
from pushforward.training.splitting import split_table


class InMemoryTable:
    """A table in memory; `TableSource` says what each method does.

    Arguments:
        table: a table of pyarrow.
        declared: what a user says of columns.
        hold_out: the rows that are held out.
        source: what errors call the table.
        weight: the column of row weights, one number for each row, or None.
        errors: the columns of measurement errors.
        marks: what stands for a missing value where the user does not say it.
        conventions: what the user says of decimal marks and dates in text.

    Raises:
        InputError: a weight or an error that is not allowed, its row is named; or too few groups.
    """

    streamed = False

    def __init__(
        self,
        table: pa.Table,
        declared: Schema,
        hold_out: HoldOut,
        source: str,
        weight: Any = None,
        errors: Sequence[str] = (),
        marks: Marks = TYPED,
        conventions: Conventions = PLAIN,
    ) -> None:
        self.source, self.declared, self.hold_out = source, declared, hold_out
        self.errors, self.marks, self.conventions = list(errors), marks, conventions
        self.reasons: list[str] = []
        self._unused = UnusedMarks(marks, declared)
        self._unused.see(table, table.column_names)
        beside = [] if hold_out.group is None or hold_out.group_modeled else [hold_out.group]
        auxiliary = {*self.errors, *beside, *([weight] if isinstance(weight, str) else [])}
        names = [name for name in table.column_names if name not in auxiliary]
        blank = blank_rows(table, {name: marks_of(name, declared, marks) for name in names})
        self._rows, self.row_numbers = table.num_rows, np.flatnonzero(~blank) + 1
        if blank.any():
            self.reasons += line_of_blank_rows(int(blank.sum()), int(blank.argmax()) + 1)
            table = table.filter(pa.array(~blank))
        self.weights: np.ndarray | None = None
        with numbered(self.row_numbers):
            if weight is not None:
                self._weigh(table, weight, len(blank))
            self.noise_of = errors_of(table, self.errors, source, marks=marks)
        self.groups = None
        if hold_out.group is not None:
            self.groups = groups_of(table.column(hold_out.group), np.arange(table.num_rows))
            check_groups(np.unique(self.groups, return_counts=True)[1], hold_out.group, source)
        self.table = table.select(names)

    def _weigh(self, table: pa.Table, weight: Any, rows: int) -> None:
        """Find the weights of the rows: of a column, or one number for each row of the table, blank ones included."""
        if not isinstance(weight, str) and len(table) < rows:
            as_weights(weight, rows, "weight")
            weight = np.asarray(weight)[self.row_numbers - 1]
        found = weights_of(table, weight, self.source, marks=self.marks)
        self.weights = weights = relative_weights(found)
        check_weights(weights, weight, self.source)
        said = found if isinstance(weight, str) else np.asarray(weight, dtype=np.float64)
        self.reasons.append(line_of_weights(weight, said.min(), said.max()))

    @property
    def names(self) -> list[str]:
        """The columns, without weights and errors."""
        return list(self.table.column_names)

    def leave_out_identifiers(self, keep: Collection[str]) -> dict[str, str]:
        """Those of all rows."""
        table, count = self.table, len(self.table)
        rows = np.arange(count)
        options: dict[str, Any] = {"source": self.source, "marks": self.marks, "conventions": self.conventions}
        with numbered(self.row_numbers):
            found = identifiers(table, rows, count, keep=keep, **options)
        self.table = table.drop_columns(list(found))
        return found

    def infer_schema(self) -> Schema:
        """The schema of all rows."""
        options: dict[str, Any] = {"source": self.source, "marks": self.marks, "conventions": self.conventions}
        with numbered(self.row_numbers):
            schema = infer_schema(self.table, self.declared, **options)
        self._unused.see_read(self.table, schema)
        self.reasons += self._unused.lines(self.source)
        return schema

    def encode(self, schema: Schema, names: Sequence[str]) -> Codes:
        """The codes of all rows."""
        with numbered(self.row_numbers):
            matrix = encode(self.table, schema, names, source=self.source, written=self.marks.written)
        missing = np.isnan(matrix)
        gaps = {
            name: int(self.row_numbers[column.argmax()])
            for name, column in zip(names, missing.T, strict=True)
            if column.any()
        }
        return Codes(matrix, gaps, self.row_numbers)

    def split(self, schema: Schema, matrix: np.ndarray, names: Sequence[str], features: int) -> Split:
        """A split with copies, or the rows of a group, on one side."""
        whole = np.hstack([matrix, self.noise_of])
        by_row = None if self.weights is None else torch.from_numpy(self.weights)
        measured = [*many_valued(schema, names), *range(len(names), whole.shape[1])]
        copies = copies_of(whole, measured, blank_but_for_atoms(schema, matrix, names))
        hold_out = self.hold_out
        parts = split_table(
            torch.from_numpy(whole),
            hold_out.fraction,
            hold_out.seed,
            by_row,
            copies=copies,
            groups=self.groups,
            last=hold_out.last,
        )
        training_rows, held_out_rows = (index.numpy() for index in parts)
        # As tables, so that messages name columns, and rows of the file.
        data = to_table(np.hstack([matrix[:, :features], self.noise_of]), [*names[:features], *self.errors])
        context = to_table(matrix[:, features:], names[features:]) if features < len(names) else None
        return Split(
            matrix[training_rows],
            whole[held_out_rows],
            None if self.weights is None else self.weights[training_rows],
            None if self.weights is None else self.weights[held_out_rows],
            len(training_rows),
            self.row_numbers[held_out_rows],
            self._rows,
            data,
            context,
            self.weights,
            parts,
            share_of_copies(copies),
            matrix[:, many_valued(schema, names)],
            folded=None
            if hold_out.last or by_row is not None
            else FoldedRows(torch.from_numpy(whole), copies, self.groups),
        )
