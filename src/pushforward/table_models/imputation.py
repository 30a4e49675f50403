"""Filling the gaps of a table."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity, required_density
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import TableReader, TableWriter, check_columns, table_format
from pushforward.tables.columns.encoding import with_unseen
from pushforward.tables.columns.values import UNSEEN
from pushforward.tables.files.opening import Data

if TYPE_CHECKING:
    from pushforward.table_models.model import TableModel

BATCH_ROWS = 1024
DRAW = "draw"


def impute(
    model: TableModel,
    data: Data,
    output: str | os.PathLike[str],
    *,
    draws: int | None = None,
    seed: int = 0,
    announce: Announce = silent,
    report: Callable[[float], None] = lambda part: None,
    header: bool = True,
) -> tuple[int, int]:
    """Write a table again with its gaps filled, as a stream; values that are present stay as they are.

    A value that the model has never seen, to which it gives probability 0, stays too; what is filled beside it does not
    depend on it.

    Arguments:
        model: of any columns given any others.
        data: table outside memory with the model's columns: a path, a list of paths, or what `open_table` gives.
        output: file to write, "-" for CSV to standard output.
        draws: how many completed tables to draw: each row is written that often, with a column `draw` that counts from
            1. The missing values of a row are drawn jointly. Default: no draws, each gap is filled on its own, with the
            median of p(column | values that are present), or with the likeliest level of a category.
        seed: of the draws.
        announce: is told, line by line, of values that the model has never seen.
        report: called with the share that is done, from 0 to 1.
        header: whether the first line of a CSV has the names of its columns; default True.

    Returns:
        The number of rows read, and of gaps filled in each table.

    Raises:
        InputError: the model is not one of any columns given any others, a column is missing, or a value is not of its
            column's kind.
    """
    density = required_density(model)
    if draws is not None and draws < 1:
        raise InputError(f"The number of draws must be at least 1; it is {draws}.")
    generator = torch.Generator().manual_seed(seed)
    rows = filled = 0
    strange = Strangeness()
    as_text = output == "-" or table_format(output) == "csv"
    numeric = [name for name in model.names if model.schema[name].parsed_early]
    with TableReader(data, numeric, keep_text=as_text, header=header, schema=model.schema) as reader:
        check_columns(model.names, reader.names, source=reader.path)
        if draws is not None and DRAW in reader.names:
            raise InputError(f'{reader.path} already has a column "{DRAW}"; rename or remove it first.')
        types = {name: model.schema[name].written_type for name in model.modeled}
        # Numbers of a CSV stay the text that they are.
        fields = [
            field if pa.types.is_string(field.type) else pa.field(field.name, types.get(field.name, field.type))
            for field in reader.schema
        ]
        number = [] if draws is None else [pa.field(DRAW, pa.int64())]
        with TableWriter(output, pa.schema([*number, *fields])) as writer:
            for batch in reader.batches(BATCH_ROWS):
                found = model.roles.encode(batch, model.modeled, reader.path, rows + 1, written=reader.written)
                strange.add_unknown(found, model.modeled)
                matrix = np.where(found == UNSEEN, np.nan, found)
                rows += len(matrix)
                filled += int(np.isnan(found).sum())
                for draw in range(1, (draws or 1) + 1):
                    whole = _filled(density, matrix, None if draws is None else generator)
                    table = _replaced(batch, found, whole, model, types)
                    if draws is not None:
                        table = table.add_column(0, DRAW, pa.array([draw] * len(matrix), pa.int64()))
                    writer.write(table)
                report(reader.progress)
    for line in strange.lines():
        announce(line)
    return rows, filled


def _filled(density: ArbitraryConditionalDensity, matrix: np.ndarray, generator: torch.Generator | None) -> np.ndarray:
    rows = torch.from_numpy(matrix)
    if generator is not None:
        # Gaps of conditions stay: the model has no density of them.
        whole = density.fill(rows, generator)
        return torch.where(density.conditions, rows, whole).numpy()
    whole = rows.clone()
    for column in range(density.features):
        empty = rows[:, column].isnan()
        if bool(empty.any()) and not bool(density.conditions[column]):
            whole[empty, column] = density.likeliest(rows[empty], column)
    return whole.numpy()


def _replaced(batch: pa.RecordBatch, matrix: np.ndarray, whole: np.ndarray, model: TableModel, types: dict) -> pa.Table:
    """The rows with the columns that had gaps replaced; the text of numbers that are present stays as it is."""
    table = pa.Table.from_batches([batch])
    for place, name in enumerate(model.modeled):
        at = table.column_names.index(name)
        column = table.column(name)
        empty = np.isnan(matrix[:, place])
        values = model.decode(whole[:, [place]], columns=[name]).column(0)
        if column.type == pa.string():  # only what was missing is new
            new = values.cast(pa.string())
            values = pa.chunked_array([pa.array(np.where(empty, new.to_pylist(), column.to_pylist()).tolist())])
            table = table.set_column(at, pa.field(name, pa.string()), values)
            continue
        kept = with_unseen(values.cast(types[name]), column, matrix[:, place] == UNSEEN, name)
        table = table.set_column(at, pa.field(name, types[name]), kept)
    return table
