"""Filling the gaps of a table, and the density of one column given others, row by row."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity
from pushforward.tables import TableReader, TableWriter, arrow_type, check_columns, encode, table_format

if TYPE_CHECKING:
    from pushforward.table_models.model import TableModel

BATCH_ROWS = 1024
DRAW = "draw"
GRID_POINTS = 200


def impute(
    model: TableModel,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    draws: int | None = None,
    seed: int = 0,
    report: Callable[[float], None] = lambda part: None,
) -> tuple[int, int]:
    """Write a table again with its gaps filled, as a stream; what is there stays as it is.

    Arguments:
        model: of any columns given any others.
        data: CSV, Parquet or Feather file with the model's columns.
        output: file to write, "-" for CSV to standard output.
        draws: how many completed tables to draw: the whole table is written that often, row by row, with a column
            `draw` from 1 on. What is missing in a row is drawn jointly. Default: no draws, each gap is filled by
            itself, with the median of p(column | values that are there), or a category with its likeliest level.
        seed: of the draws.
        report: is told the share that is done, from 0 to 1.

    Returns:
        The number of rows read and of gaps filled in each table.

    Raises:
        InputError: the model is not one of any columns given any others, or the table is not one of its kind.
    """
    density = _density(model)
    if draws is not None and draws < 1:
        raise InputError(f"The number of draws must be at least 1; it is {draws}.")
    generator = torch.Generator().manual_seed(seed)
    rows = filled = 0
    as_text = output == "-" or table_format(output) == "csv"
    numeric = [name for name in model.names if model.schema[name].numeric]
    with TableReader(data, numeric, keep_text=as_text) as reader:
        check_columns(model.names, reader.names, source=reader.path)
        if draws is not None and DRAW in reader.names:
            raise InputError(f'{data} already has a column "{DRAW}"; rename or remove it first.')
        types = {name: arrow_type(model.schema[name]) for name in model.modelled}
        # Numbers of a CSV stay the text that they are.
        fields = [
            field if pa.types.is_string(field.type) else pa.field(field.name, types.get(field.name, field.type))
            for field in reader.schema
        ]
        number = [] if draws is None else [pa.field(DRAW, pa.int64())]
        with TableWriter(output, pa.schema([*number, *fields])) as writer:
            for batch in reader.batches(BATCH_ROWS):
                matrix = encode(batch, model.schema, model.modelled, source=reader.path, first_row=rows + 1)
                rows += len(matrix)
                filled += int(np.isnan(matrix).sum())
                for draw in range(1, (draws or 1) + 1):
                    whole = _filled(density, matrix, None if draws is None else generator)
                    table = _replaced(batch, matrix, whole, model, types)
                    if draws is not None:
                        table = table.add_column(0, DRAW, pa.array([draw] * len(matrix), pa.int64()))
                    writer.write(table)
                report(reader.progress)
    return rows, filled


def posterior(
    model: TableModel,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    of: str,
    given: Sequence[str] | None = None,
    quantiles: Sequence[float] | None = None,
    grid: tuple[float, float, int] | None = None,
    report: Callable[[float], None] = lambda part: None,
) -> int:
    """Write p(one column | others) for each row of a table: its density on a grid, or some quantiles.

    The density has a line for each row and point: `row`, counted from 1, the value, and `density`, in the unit of the
    column, or `probability` if single values have one. Quantiles stand beside the columns of the table.

    Arguments:
        model: of any columns given any others.
        data: CSV, Parquet or Feather file with the given columns; where a value is missing, it is left out.
        output: file to write, "-" for CSV to standard output.
        of: the column whose density is wanted; what the table says of it is not used.
        given: the columns that are known; default all others of the model that the table has.
        quantiles: levels between 0 and 1, in place of the grid.
        grid: lowest value, highest value, number of points; default 200 points over the range of the training rows, or
            all values of a column with few.
        report: is told the share that is done, from 0 to 1.

    Returns:
        The number of rows read.

    Raises:
        InputError: an unknown column, a level or a grid that makes no sense, or a table that is not of its kind.
    """
    density = _density(model)
    check_columns([of], model.modelled, source="the model")
    if of in model.given:
        raise InputError(f'"{of}" is a given column of this model, whose density was not learned.')
    column = model.schema[of]
    for level in quantiles or ():
        if not 0 < level < 1:
            raise InputError(f"A quantile's level lies between 0 and 1; {level:g} does not.")
    with TableReader(data) as reader:
        names = reader.names
    known = [name for name in model.modelled if name != of and name in names] if given is None else list(given)
    if known:
        check_columns(known, model.modelled, source="the model")
    if of in known:
        raise InputError(f'"{of}" cannot be given: it is the column whose density is wanted.')
    if quantiles and any(f"{of}_q{level:g}" in names for level in quantiles):
        raise InputError(f'{data} already has a column "{of}_q{quantiles[0]:g}"; rename or remove it first.')
    as_text = output == "-" or table_format(output) == "csv"
    numeric = [name for name in known if model.schema[name].numeric]
    place = model.modelled.index(of)
    points = None if quantiles else _grid(model, density, of, grid)
    rows = 0
    with TableReader(data, numeric, keep_text=as_text and bool(quantiles)) as reader:
        kind = arrow_type(column)
        called = "probability" if column.discrete else "density"
        schema = pa.schema([("row", pa.int64()), (of, kind), (called, pa.float64())])
        if quantiles:
            schema = pa.schema([*reader.schema, *((f"{of}_q{level:g}", kind) for level in quantiles)])
        with TableWriter(output, schema) as writer:
            for batch in reader.batches(BATCH_ROWS):
                matrix = np.full((batch.num_rows, len(model.modelled)), np.nan)
                if known:
                    matrix[:, [model.modelled.index(name) for name in known]] = encode(
                        batch, model.schema, known, source=reader.path, first_row=rows + 1
                    )
                there = torch.from_numpy(matrix)
                if quantiles:
                    found = density.quantiles(there, place, quantiles).numpy()
                    table = pa.Table.from_batches([batch])
                    for number, level in enumerate(quantiles):
                        values = model.decode(found[:, [number]], columns=[of]).column(0)
                        table = table.append_column(f"{of}_q{level:g}", values)
                    writer.write(table)
                else:
                    assert points is not None
                    values = density.log_prob_on_grid(there, place, torch.from_numpy(points)).double().exp().numpy()
                    writer.write(
                        pa.table(
                            [
                                pa.array(np.repeat(np.arange(rows + 1, rows + len(matrix) + 1), len(points))),
                                model.decode(np.tile(points, len(matrix))[:, None], columns=[of]).column(0),
                                pa.array(values.ravel()),
                            ],
                            schema=schema,
                        )
                    )
                rows += len(matrix)
                report(reader.progress)
    return rows


def _density(model: TableModel) -> ArbitraryConditionalDensity:
    if not isinstance(model.density, ArbitraryConditionalDensity):
        raise InputError(
            "This model answers one question only, the one that it was fitted for; fit again with "
            "--arbitrary-conditions, which learns p(any columns | any others)."
        )
    return model.density


def _filled(density: ArbitraryConditionalDensity, matrix: np.ndarray, generator: torch.Generator | None) -> np.ndarray:
    rows = torch.from_numpy(matrix)
    if generator is not None:
        # Conditions are no part of the density: their gaps stay.
        whole = density.fill(rows, generator)
        return torch.where(density.conditions, rows, whole).numpy()
    whole = rows.clone()
    for column in range(density.features):
        empty = rows[:, column].isnan()
        if bool(empty.any()) and not bool(density.conditions[column]):
            whole[empty, column] = density.likeliest(rows[empty], column)
    return whole.numpy()


def _replaced(batch: pa.RecordBatch, matrix: np.ndarray, whole: np.ndarray, model: TableModel, types: dict) -> pa.Table:
    """The rows with the columns that had gaps replaced; text of numbers that were there stays as it was."""
    table = pa.Table.from_batches([batch])
    for place, name in enumerate(model.modelled):
        at = table.column_names.index(name)
        column = table.column(name)
        empty = np.isnan(matrix[:, place])
        values = model.decode(whole[:, [place]], columns=[name]).column(0)
        if column.type == pa.string():  # only what was missing is new
            new = values.cast(pa.string())
            values = pa.chunked_array([pa.array(np.where(empty, new.to_pylist(), column.to_pylist()).tolist())])
            table = table.set_column(at, pa.field(name, pa.string()), values)
            continue
        table = table.set_column(at, pa.field(name, types[name]), values.cast(types[name]))
    return table


def _grid(
    model: TableModel, density: ArbitraryConditionalDensity, of: str, grid: tuple[float, float, int] | None
) -> np.ndarray:
    """Codes at which the density is evaluated."""
    place, asked = model.modelled.index(of), None
    if grid is not None:
        low, high, count = grid
        if not low < high or count < 2:
            raise InputError(
                f"A grid goes from a value to a larger one in at least 2 points; {low:g},{high:g},{count} does not."
            )
        asked = np.linspace(low, high, count)
    rows = torch.zeros(GRID_POINTS, density.features, dtype=torch.float64)
    rows[:, place] = torch.linspace(-3.5, 3.5, GRID_POINTS, dtype=torch.float64)
    spread = density.columns.decode(density.flow.marginal.each_forward(rows)[0])[:, place].numpy()
    return model.schema[of].grid(spread, asked)
