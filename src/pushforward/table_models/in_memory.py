"""A table in memory to which a flow is fitted, and its rows as the fit takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.table_models.auxiliary_columns import check_weights, errors_of, weights_of
from pushforward.tables import infer_schema, to_table
from pushforward.tables.schema.kinds import Schema
from pushforward.training.splitting import split_table


@dataclass
class Split:
    """Rows that are trained on and rows that are held out, as codes of the columns modelled and then of those given.

    Attributes:
        train: rows trained on, or a sample of them, (n, columns).
        held_out: rows held out, with their measurement errors behind, (m, columns + errors).
        weights: of `train`, (n,), or None.
        held_out_weights: of `held_out`, (m,), or None.
        training_rows: how many rows are trained on.
        data: what `pushforward.fit` is to take, beside the next two.
        context: the columns given, or None.
        data_weights: the weights of its rows, or None.
    """

    train: np.ndarray
    held_out: np.ndarray
    weights: np.ndarray | None
    held_out_weights: np.ndarray | None
    training_rows: int
    data: Any
    context: Any = None
    data_weights: np.ndarray | None = None


class InMemoryTable:
    """A table in memory.

    Arguments:
        table: a table of pyarrow.
        declared: what a user says of columns.
        seed: of the choice of rows that are held out.
        fraction: the share of them.
        source: what sentences call the table.
        weight: the column of row weights, one number for each row, or None.
        errors: the columns of measurement errors.

    Attributes:
        sample: all rows, without weights and errors.
        reasons: what is done with a table that needs something done, for people: nothing.

    Raises:
        InputError: a weight or an error that cannot be; its row is named.
    """

    def __init__(
        self,
        table: pa.Table,
        declared: Schema,
        seed: int,
        fraction: float,
        source: str,
        weight: Any = None,
        errors: Sequence[str] = (),
    ) -> None:
        self.source, self.declared, self.seed, self.fraction = source, declared, seed, fraction
        self.errors = list(errors)
        self.reasons: list[str] = []
        self.weights = None if weight is None else weights_of(table, weight, source)
        if self.weights is not None:
            check_weights(self.weights, source)
        self.noise_of = errors_of(table, self.errors, source)
        aside = [*self.errors, *([weight] if isinstance(weight, str) else [])]
        self.sample = table.drop_columns(list(dict.fromkeys(aside))) if aside else table

    def learn(self) -> Schema:
        """The schema of all rows."""
        return infer_schema(self.sample, self.declared, source=self.source)

    def check(self, schema: Schema, names: Sequence[str]) -> None:
        """All rows are in the sample, and are checked with it."""

    def gaps(self, matrix: np.ndarray, names: Sequence[str]) -> Mapping[str, int]:
        """The first row without a value, counted from 1, of columns that have such rows."""
        missing = np.isnan(matrix)
        return {
            name: int(missing[:, place].argmax()) + 1 for place, name in enumerate(names) if missing[:, place].any()
        }

    def split(self, schema: Schema, matrix: np.ndarray, names: Sequence[str], features: int) -> Split:
        """The same rows as `pushforward.fit` chooses.

        Arguments:
            schema: learned.
            matrix: the codes of the sample, (n, columns).
            names: of the columns, first those modelled.
            features: how many are modelled.
        """
        whole = np.hstack([matrix, self.noise_of])
        by_row = None if self.weights is None else torch.from_numpy(self.weights)
        parts = split_table(torch.from_numpy(whole), self.fraction, self.seed, by_row)
        training_rows, held_out_rows = (index.numpy() for index in parts)
        # As tables, so that messages name columns, and rows of the file.
        beside = to_table(np.hstack([matrix[:, :features], self.noise_of]), [*names[:features], *self.errors])
        given = to_table(matrix[:, features:], names[features:]) if features < len(names) else None
        return Split(
            matrix[training_rows],
            whole[held_out_rows],
            None if self.weights is None else self.weights[training_rows],
            None if self.weights is None else self.weights[held_out_rows],
            len(training_rows),
            beside,
            given,
            self.weights,
        )
