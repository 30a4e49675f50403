"""Columns that are not modeled but say how much each row counts, and how well it was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.support.suggestions import shortened
from pushforward.tables import check_columns
from pushforward.tables.columns.values import are_identifiers
from pushforward.tables.missing import TYPED, Marks, is_text, plain
from pushforward.tables.numbers import BadValue, numbers
from pushforward.training.rows import as_weights

# Fewer groups than this cannot be divided into nine tenths and one tenth.
FEWEST_GROUPS = 10


def groups_of(column: Any, numbers: np.ndarray) -> np.ndarray:
    """A hash of the group of each row, (rows,); rows without one stand alone.

    Arguments:
        column: a column of pyarrow, of any type.
        numbers: of the rows.
    """
    column = plain(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    encoded = column.dictionary_encode()
    texts = [str(value.as_py()).encode() for value in encoded.dictionary]
    of_text = [int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") for text in texts]
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = hashes(numbers, len("alone"))
    return np.where(places < 0, alone, np.array([*of_text, 0], np.uint64)[places])


def check_groups(counts: np.ndarray, group: str, source: str) -> None:
    """Refuse too few groups, and one with most of the rows.

    Arguments:
        counts: (groups,) of their rows.
        group: the column.
        source: what errors call the table.
    """
    if len(counts) < FEWEST_GROUPS:
        raise InputError(
            f'column "{group}" of {source} has {len(counts)} group{"" if len(counts) == 1 else "s"}; at least '
            f"{FEWEST_GROUPS} are needed to hold some of them out."
        )
    if counts.max() > counts.sum() / 2:
        raise InputError(
            f'one group of column "{group}" of {source} has {int(counts.max())} of {int(counts.sum())} rows; a group '
            "with most of the rows leaves too little on the other side: choose another column."
        )


def weights_of(table: Any, weight: Any, source: str, first_row: int = 1, marks: Marks = TYPED) -> np.ndarray:
    """Row weights, (rows,).

    Arguments:
        table: a table or batch of pyarrow.
        weight: the name of a column, or one number for each row.
        source: what errors call the table.
        first_row: the number of the first row, for errors.
        marks: what stands for a missing value.

    Raises:
        InputError: the column holds codes of digits, which are text; or a weight is missing, negative or not finite,
            and the first row concerned is named.
    """
    if not isinstance(weight, str):
        found = as_weights(weight, table.num_rows, "weight")
        assert found is not None
        return found.numpy()
    _refuse_identifiers(table.column(weight), weight, "weights", source, marks)
    values = numbers(table.column(weight), weight, source, first_row, marks=marks)
    bad = np.flatnonzero(~(values >= 0))
    if len(bad):
        row = first_row + int(bad[0])
        raise BadValue(
            row,
            f'column "{weight}" of {source} holds {values[bad[0]]:g} in row {row}; weights are numbers from 0 on, and '
            "none may be missing.",
        )
    return values


def _refuse_identifiers(column: Any, name: str, wanted: str, source: str, marks: Marks) -> None:
    """Refuse text of digits that are no numbers, although they could be read as such."""
    if not is_text(column):
        return
    texts = plain(column, marks).drop_null()
    if len(texts) and are_identifiers(texts):
        code = max(texts.slice(0, 100).to_pylist(), key=lambda text: text.strip().startswith("0"))
        raise InputError(
            f'{wanted} are numbers, and column "{name}" of {source} is text (codes such as '
            f"{shortened(code.strip(), 40)}); choose another column."
        )


def line_of_weights(weight: Any, low: float, high: float) -> str:
    """Say which column weighs the rows, and between what."""
    what = f'column "{weight}" weighs the rows' if isinstance(weight, str) else "the rows are weighted"
    return f"{what}, from {low:g} to {high:g}"


def check_weights(weights: np.ndarray, weight: Any, source: str) -> None:
    """Refuse weights that are all 0, and one that outweighs all others together.

    Arguments:
        weights: not negative, (rows,), as `relative_weights` gives them.
        weight: the name of their column, or anything else without a name.
        source: what errors call the table.
    """
    if not weights.any():
        raise InputError(f"All weights of {source} are 0.")
    largest, total = int(weights.argmax()), weights.sum()
    if total < 2 * weights[largest] and np.count_nonzero(weights) > 2:
        raise InputError(
            f"{_called(weight, source)} gives row {largest + 1} a share of {weights[largest] / total:.6g} of the "
            "weight of all rows, more than all others together: the density would be that of one row; correct the "
            "weight, or leave that row out."
        )


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
        InputError: a column holds codes of digits, which are text; or an error is missing, negative or not finite, and
            the first row concerned is named.
    """
    found = np.empty((table.num_rows, len(names)))
    for place, name in enumerate(names):
        _refuse_identifiers(table.column(name), name, "errors", source, marks)
        found[:, place] = numbers(table.column(name), name, source, first_row, marks=marks)
        bad = np.flatnonzero(~(found[:, place] >= 0))
        if len(bad):
            row = first_row + int(bad[0])
            raise BadValue(
                row,
                f'column "{name}" of {source} holds {found[bad[0], place]:g} in row {row}; errors are standard '
                "deviations from 0 on, and none may be missing.",
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
