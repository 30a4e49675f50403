"""Columns that are not modeled but say how much each row counts, and how well it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.tables import check_columns
from pushforward.tables.missing import TYPED, Marks
from pushforward.tables.numbers import numbers
from pushforward.training.rows import as_weights


def weights_of(table: Any, weight: Any, source: str, first_row: int = 1, marks: Marks = TYPED) -> np.ndarray:
    """Row weights, (rows,).

    Arguments:
        table: a table or batch of pyarrow.
        weight: the name of a column, or one number for each row.
        source: what errors call the table.
        first_row: the number of the first row, for errors.
        marks: what stands for a missing value.

    Raises:
        InputError: a weight is missing, negative or not finite; the first row concerned is named.
    """
    if not isinstance(weight, str):
        found = as_weights(weight, table.num_rows, "weight")
        assert found is not None
        return found.numpy()
    values = numbers(table.column(weight), weight, source, first_row, marks=marks)
    bad = np.flatnonzero(~(values >= 0))
    if len(bad):
        raise InputError(
            f'column "{weight}" of {source} holds {values[bad[0]]:g} in row {first_row + int(bad[0])}; weights are '
            "numbers from 0 on, and none may be missing."
        )
    return values


def relative_weights(weights: np.ndarray, weight: Any, source: str) -> np.ndarray:
    """Weights, (rows,), of which the largest lies between 1 and 2; only their ratios matter.

    Arguments:
        weights: not negative, (rows,).
        weight: the name of their column, or anything else without a name.
        source: what errors call the table.

    Raises:
        InputError: all weights are 0, or one row has more than half of their sum.
    """
    if not weights.any():
        raise InputError(f"All weights of {source} are 0.")
    largest = int(weights.argmax())
    # A power of two, which changes no digit; products of smaller numbers neither overflow nor vanish.
    scaled: np.ndarray = np.ldexp(weights, 1 - int(np.frexp(weights[largest])[1]))
    if scaled.sum() < 2 * scaled[largest] and np.count_nonzero(weights) > 2:
        raise InputError(
            f"{_called(weight, source)} holds {weights[largest]:g} in row {largest + 1}, more than all other weights "
            "together: the density would be that of one row; correct the weight, or leave that row out."
        )
    return scaled


def _called(weight: Any, source: str) -> str:
    return f'column "{weight}" of {source}' if isinstance(weight, str) else f"the weight of {source}"


def errors_of(table: Any, names: Sequence[str], source: str, first_row: int = 1, marks: Marks = TYPED) -> np.ndarray:
    """Measurement errors, (rows, names).

    Arguments:
        table: a table or batch of pyarrow.
        names: the columns that hold them.
        source: what errors call the table.
        first_row: the number of the first row, for errors.
        marks: what stands for a missing value.

    Raises:
        InputError: an error is missing, negative or not finite; the first row concerned is named.
    """
    found = np.empty((table.num_rows, len(names)))
    for place, name in enumerate(names):
        found[:, place] = numbers(table.column(name), name, source, first_row, marks=marks)
        bad = np.flatnonzero(~(found[:, place] >= 0))
        if len(bad):
            raise InputError(
                f'column "{name}" of {source} holds {found[bad[0], place]:g} in row {first_row + int(bad[0])}; errors '
                "are standard deviations from 0 on, and none may be missing."
            )
    return found


def check_errors(
    errors: Mapping[str, str], names: Sequence[str], columns: Sequence[str] | None, given: Sequence[str], source: str
) -> None:
    """Refuse errors of columns that a table does not have, or that are not modeled.

    Arguments:
        errors: {column: column of its errors}.
        names: the table's columns.
        columns: the modeled ones, or None for all but the given ones.
        given: those that are conditioned on.
        source: what errors call the table.
    """
    for name in errors:
        check_columns([name], names, source=source)
        if name in given or name in errors.values() or (columns is not None and name not in columns):
            raise InputError(f'Column "{name}" has errors, and is not modeled: only modeled columns have errors.')
