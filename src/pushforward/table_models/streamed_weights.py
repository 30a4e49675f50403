"""Weights and errors of the rows of a table that is streamed, checked as the rows pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pushforward.table_models.auxiliary_columns import errors_of, weights_of
from pushforward.tables.numbers import BadValue, numbers

# Sums and squares of such weights are numbers; the scale of a streamed table is not known before it is read.
LARGEST_WEIGHT = 1e100


@dataclass
class StreamedWeights:
    """The auxiliary columns of a table that is streamed.

    Attributes:
        weight: the column of row weights, or None.
        errors: the columns of measurement errors.
        source: what messages call the table.
        ends: the least and the greatest weight among the rows that `checked` has seen.
    """

    weight: str | None
    errors: Sequence[str]
    source: str
    ends: tuple[float, float] = (math.inf, 0.0)

    def errors_of(self, batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
        """The measurement errors of rows that follow so many others, (n, errors)."""
        return errors_of(batch, self.errors, self.source, before + 1)

    def checked(self, batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
        """The weights of rows, (n,), whose numbers and errors are checked; 1 without a column of weights."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                numbers(column, name, self.source, before + 1)
        self.errors_of(batch, before)
        if self.weight is None:
            return np.ones(batch.num_rows)
        weights, (low, high) = self.weights_of(batch, before), self.ends
        self.ends = (float(weights.min(initial=low)), float(weights.max(initial=high)))
        return weights

    def weights_of(self, batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
        """The weights of rows, (n,), of a table that has a column of them.

        Raises:
            BadValue: one is not allowed, or too far from 1.
        """
        assert self.weight is not None
        weights = weights_of(batch, self.weight, self.source, before + 1)
        far = np.flatnonzero((weights > LARGEST_WEIGHT) | ((weights > 0) & (weights < 1 / LARGEST_WEIGHT)))
        if len(far):
            row = before + int(far[0]) + 1
            raise BadValue(
                row,
                f'column "{self.weight}" of {self.source} holds {weights[far[0]]:g} in row {row}; weights of a table '
                f"that is streamed lie between {1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}: only ratios matter, so "
                "multiply all of them by one number.",
            )
        return weights
