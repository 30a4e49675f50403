"""Filling the gaps of a table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seed_of_block
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity, required_density
from pushforward.table_models.engines import Engine
from pushforward.table_models.scoring import IN_PROCESS, BlockOfRows, blocks_of
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
    engine: Engine = IN_PROCESS,
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
        announce: is told, line by line, of values that the model has never seen, and of rows with a gap and a value
            beyond the range of the training rows.
        report: called with the share that is done, from 0 to 1.
        header: whether the first line of a CSV has the names of its columns; default True.
        engine: where the work is done.

    Returns:
        The number of rows read, and of gaps filled in each table.

    Raises:
        InputError: the model is not one of any columns given any others, a column is missing, or a value is not of its
            column's kind.
    """
    required_density(model)
    if draws is not None and draws < 1:
        raise InputError(f"The number of draws must be at least 1; it is {draws}.")
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
        impute_rows = RowImputer(model, draws, seed, reader.path, reader.written)
        with TableWriter(output, pa.schema([*number, *fields]), reader.files) as writer:
            for imputed in engine.map(impute_rows, enumerate(blocks_of(reader, BATCH_ROWS))):
                for table in imputed.tables:
                    writer.write(table)
                strange.include(imputed.strange)
                rows += imputed.rows
                filled += imputed.filled
                report(imputed.progress)
    for line in strange.lines():
        announce(line)
    return rows, filled


@dataclass(frozen=True, eq=False)
class ImputedRows:
    """Some rows whose gaps are filled.

    Attributes:
        tables: the rows, once for each draw.
        rows: how many there are.
        filled: how many gaps were filled in each table.
        strange: what the model has never seen in them.
        progress: the share of the whole table up to the last of them.
    """

    tables: list[pa.Table]
    rows: int
    filled: int
    strange: Strangeness
    progress: float


@dataclass(frozen=True, eq=False)
class RowImputer:
    """Fills the gaps of some rows of many, by a seed of their own; it can be sent to another process.

    Attributes:
        model: of any columns given any others.
        draws: how many tables are drawn; None for medians and likeliest levels.
        seed: of all draws.
        source: what errors call the table.
        written: whether text is that of a CSV.
    """

    model: TableModel
    draws: int | None = None
    seed: int = 0
    source: str = "the table"
    written: bool = False

    def __call__(self, numbered: tuple[int, BlockOfRows]) -> ImputedRows:
        """Fill the gaps of a block with its number."""
        number, block = numbered
        generator = torch.Generator().manual_seed(seed_of_block(self.seed, number))
        found, strange = self.codes(block), Strangeness()
        strange.add_unknown(found, self.model.modeled)
        known = np.where(found == UNSEEN, np.nan, found)
        known[~np.isnan(found).any(1)] = np.nan  # what has no gap is not conditioned on
        beyond = required_density(self.model).values_beyond_range(torch.from_numpy(known))
        strange.add_beyond(beyond.numpy(), self.model.roles, self.model.modeled)
        tables = []
        for draw in range(1, (self.draws or 1) + 1):
            table = self.replaced(block, found, None if self.draws is None else generator)
            if self.draws is not None:
                table = table.add_column(0, DRAW, pa.array([draw] * len(found), pa.int64()))
            tables.append(table)
        return ImputedRows(tables, len(found), int(np.isnan(found).sum()), strange, block.progress)

    def codes(self, block: BlockOfRows) -> np.ndarray:
        """The codes of the modeled columns, (n, modeled), `UNSEEN` for values that the model has never seen."""
        names = self.model.modeled
        return self.model.roles.encode(block.rows, names, self.source, block.first_row, written=self.written)

    def replaced(
        self,
        block: BlockOfRows,
        found: np.ndarray,
        generator: torch.Generator | None = None,
        noise: torch.Tensor | None = None,
    ) -> pa.Table:
        """The rows with their gaps filled: by a generator, by noise, or with medians and likeliest levels."""
        matrix = np.where(found == UNSEEN, np.nan, found)
        whole = _filled(required_density(self.model), matrix, generator, noise)
        return _replaced(block.rows, found, whole, self.model)


def _filled(
    density: ArbitraryConditionalDensity,
    matrix: np.ndarray,
    generator: torch.Generator | None,
    noise: torch.Tensor | None = None,
) -> np.ndarray:
    rows = torch.from_numpy(matrix)
    if generator is not None or noise is not None:
        # Gaps of conditions stay: the model has no density of them.
        whole = density.fill(rows, generator, noise)
        return torch.where(density.conditions, rows, whole).numpy()
    whole = rows.clone()
    for column in range(density.features):
        empty = rows[:, column].isnan()
        if bool(empty.any()) and not bool(density.conditions[column]):
            whole[empty, column] = density.likeliest(rows[empty], column)
    return whole.numpy()


def _replaced(rows: pa.RecordBatch | pa.Table, matrix: np.ndarray, whole: np.ndarray, model: TableModel) -> pa.Table:
    """The rows with the columns that had gaps replaced; the text of numbers that are present stays as it is."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
    for place, name in enumerate(model.modeled):
        at = table.column_names.index(name)
        column = table.column(name)
        empty = np.isnan(matrix[:, place])
        codes = np.where(empty, model.schema[name].as_written(whole[:, place]), whole[:, place])
        as_text = column.type == pa.string()
        values = model.roles.decode(codes[:, None], [name], as_text=as_text).column(0)
        if as_text:  # only what was missing is new
            new = values.cast(pa.string())
            values = pa.chunked_array([pa.array(np.where(empty, new.to_pylist(), column.to_pylist()).tolist())])
            table = table.set_column(at, pa.field(name, pa.string()), values)
            continue
        kind = model.schema[name].written_type
        kept = with_unseen(values.cast(kind), column, matrix[:, place] == UNSEEN, name)
        table = table.set_column(at, pa.field(name, kind), kept)
    return table
