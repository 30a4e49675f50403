"""Draws from the density of a table, in memory and as a table in a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seed_of_block, seeded
from pushforward.table_models.density import TableDensity
from pushforward.table_models.engines import Engine
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.scoring import BATCH_ROWS, IN_PROCESS, BlockOfRows, blocks_of
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import TableReader, TableWriter, table_format
from pushforward.tables.columns.encoding import with_unseen
from pushforward.tables.columns.values import UNSEEN
from pushforward.tables.files.opening import Data


def draw_rows(
    density: TableDensity,
    roles: ColumnRoles,
    rows: int | None = None,
    given: np.ndarray | None = None,
    noise: torch.Tensor | None = None,
) -> np.ndarray:
    """Draw rows in memory, from the global random state.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        rows: how many, for a model without given columns.
        given: codes (n, given), for a model with them: one row is drawn for each.
        noise: what the draws are made of, (n, D), in place of the random state.

    Returns:
        Codes, (n, columns), each in the support of its column.

    Raises:
        InputError: a given value that was never seen, in a model that needs to know it.
    """
    context = None
    if given is not None:
        given = roles.known(given, roles.given)
        context = roles.conditions(torch.from_numpy(given))
        unseen = given == UNSEEN
        if unseen.any():
            raise InputError(
                f'The given column "{roles.given[int(unseen.any(0).argmax())]}" holds a value that was never seen in '
                f"row {int(unseen.any(1).argmax()) + 1}, where this model has no draws; correct it, or fit with "
                "--arbitrary-conditions, which can leave it open."
            )
    if given is not None and context is None:
        rows = len(given)  # none of the given columns varies
    context = None if context is None else context.to(device_of(density))
    if noise is not None:
        drawn = density.draws_of(noise, context).cpu().numpy()
    else:
        drawn = density.sample(() if rows is None else (rows,), context).cpu().numpy()
    codes = np.zeros((len(drawn), len(roles.columns)))
    for name, column in zip(roles.modeled, drawn.T, strict=False):
        codes[:, roles.columns.index(name)] = roles.schema[name].as_written(column)
    return codes


def sample_table(
    density: TableDensity,
    roles: ColumnRoles,
    output: str | os.PathLike[str],
    *,
    rows: int | None = None,
    given: Data | None = None,
    seed: int | None = None,
    announce: Announce = silent,
    report: Callable[[float], None] = lambda part: None,
    header: bool = True,
    engine: Engine = IN_PROCESS,
) -> int:
    """Write draws as a table; see `TableModel.sample`."""
    strange = Strangeness()
    _check_request(roles, rows, given)
    names = [*roles.given, *roles.columns]
    count = 0
    # Blocks may be drawn anywhere, and so in any order.
    seed = seed_of_block(seed, 0)
    with contextlib.ExitStack() as stack:
        reader = None
        as_text = output == "-" or table_format(output) == "csv"
        if given is not None:
            options: dict[str, Any] = {"keep_text": as_text, "header": header, "schema": roles.schema}
            reader = stack.enter_context(TableReader(given, roles.numeric(roles.given), **options))
        source, from_text = ("", False) if reader is None else (reader.path, reader.written)
        draw = RowDrawer(density, roles, seed, source, from_text, as_text)
        # Given values that are text stay the text that they are.
        types = {name: pa.string() for name in roles.given if as_text and from_text}
        types |= {name: draw.type_of(name) for name in names if name not in types}
        schema = pa.schema([(name, types[name]) for name in names])
        writer = stack.enter_context(TableWriter(output, schema, () if reader is None else reader.files))
        for drawn in engine.map(draw, _blocks(reader, rows)):
            writer.write(drawn.rows)
            strange.include(drawn.strange)
            count += drawn.rows.num_rows
            report(drawn.progress)
    for line in strange.lines():
        announce(line)
    return count


@dataclass(frozen=True, eq=False)
class DrawnRows:
    """Some rows that were drawn.

    Attributes:
        rows: the given columns and the drawn ones, as a table of pyarrow.
        strange: what the model has never seen in the given columns.
        progress: the share of the whole work up to the last of them.
    """

    rows: pa.Table
    strange: Strangeness
    progress: float


@dataclass(frozen=True, eq=False)
class RowDrawer:
    """Draws some rows of many, by a seed of their own; it can be sent to another process.

    Attributes:
        density: in evaluation mode.
        roles: of the columns.
        seed: of all rows.
        source: what errors call the table of given columns.
        written: whether text is that of a CSV.
        as_text: whether the rows become a CSV.
    """

    density: TableDensity
    roles: ColumnRoles
    seed: int
    source: str = "the table"
    written: bool = False
    as_text: bool = False

    def type_of(self, name: str) -> pa.DataType:
        """The type of a column of the rows."""
        column = self.roles.schema[name]
        styled = self.as_text and column.format is None and column.style is not None
        return pa.string() if styled else column.written_type

    def __call__(self, block: tuple[int, BlockOfRows | int, float]) -> DrawnRows:
        """Draw a block of rows: its number, the given rows or how many there are, and the share that is done then."""
        number, given, progress = block
        strange, before = Strangeness(), number * BATCH_ROWS if isinstance(given, int) else given.first_row - 1
        with seeded(seed_of_block(self.seed, number)):
            if isinstance(given, int):
                codes = draw_rows(self.density, self.roles, given)
                _check_finite(codes, self.roles, before)
                return DrawnRows(self._decoded(codes, self.roles.columns), strange, progress)
            conditions, known = self.conditions(given, strange)
            codes = draw_rows(self.density, self.roles, given=known)
        _check_finite(codes, self.roles, before)
        return DrawnRows(_side_by_side(conditions, self._decoded(codes, self.roles.columns)), strange, progress)

    def _decoded(self, codes: np.ndarray, names: Sequence[str]) -> pa.Table:
        return self.roles.decode(codes, names, as_text=self.as_text)

    def conditions(self, block: BlockOfRows, strange: Strangeness) -> tuple[pa.Table, np.ndarray]:
        """The given columns as they are written, and their codes, (n, given); what is strange is counted."""
        roles = self.roles
        codes = roles.encode(
            block.rows, roles.given, self.source, block.first_row, strict=roles.needed, written=self.written
        )
        strange.add_conditions(self.density, roles, codes, roles.known(codes, roles.given))
        if self.as_text and self.written:
            rows = block.rows if isinstance(block.rows, pa.Table) else pa.Table.from_batches([block.rows])
            return rows.select(roles.given), codes
        conditions = self._decoded(codes, roles.given)
        for place, name in enumerate(roles.given):
            kept = with_unseen(conditions.column(name), block.rows.column(name), codes[:, place] == UNSEEN, name)
            conditions = conditions.set_column(place, name, kept)
        return conditions, codes


def _side_by_side(given: pa.Table, drawn: pa.Table) -> pa.Table:
    return pa.table([*given.columns, *drawn.columns], names=[*given.column_names, *drawn.column_names])


def _check_request(roles: ColumnRoles, rows: int | None, given: Data | None) -> None:
    """Refuse a number of rows, or a file of given columns, that the model does not need."""
    name = f"p({', '.join(roles.columns)}{' | ' if roles.given else ''}{', '.join(roles.given)})"
    if roles.given and given is None:
        raise InputError(f"This model is {name}: it needs a file with the given columns (--given-file).")
    if roles.given and rows is not None:
        raise InputError(f"This model is {name}: it draws one row for each given row, leave out the number of rows.")
    if not roles.given and given is not None:
        raise InputError(f"This model is {name}, without given columns: leave out the given file.")
    if not roles.given and (rows is None or rows < 1):
        raise InputError("Say how many rows to draw, at least 1 (-n).")


def _blocks(reader: TableReader | None, rows: int | None) -> Iterator[tuple[int, BlockOfRows | int, float]]:
    """The blocks that `RowDrawer` takes, of a table of given columns, or of a number of rows."""
    if reader is not None:
        for number, block in enumerate(blocks_of(reader, BATCH_ROWS)):
            yield number, block, block.progress
    elif rows is not None:
        for number, start in enumerate(range(0, rows, BATCH_ROWS)):
            block_rows = min(BATCH_ROWS, rows - start)
            yield number, block_rows, (start + block_rows) / rows


def _check_finite(codes: np.ndarray, roles: ColumnRoles, before: int) -> None:
    drawn = [roles.columns.index(name) for name in roles.modeled]
    bad = ~np.isfinite(codes[:, drawn]).all(1)
    if bad.any():
        raise InputError(
            f"Draw {before + int(bad.argmax()) + 1} is not finite: the model's tails leave the range of its numbers."
        )
