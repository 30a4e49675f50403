"""Draws from the density of a table, in memory and as a table in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.table_models.density import TableDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.scoring import BATCH_ROWS
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import TableReader, TableWriter
from pushforward.tables.columns.encoding import with_unseen
from pushforward.tables.columns.values import UNSEEN


def draw_rows(
    density: TableDensity, roles: ColumnRoles, rows: int | None = None, given: np.ndarray | None = None
) -> np.ndarray:
    """Draw rows in memory, from the global random state.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        rows: how many, for a model without given columns.
        given: codes (n, given), for a model with them: one row is drawn for each.

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
    drawn = density.sample(() if rows is None else (rows,), context).cpu().numpy()
    codes = np.zeros((len(drawn), len(roles.columns)))
    codes[:, [roles.columns.index(name) for name in roles.modeled]] = drawn[:, : len(roles.modeled)]
    return codes


def sample_table(
    density: TableDensity,
    roles: ColumnRoles,
    output: str | os.PathLike[str],
    *,
    rows: int | None = None,
    given: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    announce: Announce = silent,
    report: Callable[[float], None] = lambda part: None,
    header: bool = True,
) -> int:
    """Write draws as a table; see `TableModel.sample`."""
    strange = Strangeness()
    _check_request(roles, rows, given)
    names = [*roles.given, *roles.columns]
    written = 0
    with (
        seeded(seed),
        TableWriter(output, pa.schema([(name, roles.schema[name].written_type) for name in names])) as writer,
    ):
        for conditions, codes, done in _blocks(density, roles, strange, rows, given, header):
            _check_finite(codes, roles, written)
            drawn = roles.decode(codes, roles.columns)
            writer.write(drawn if conditions is None else _side_by_side(conditions, drawn))
            written += len(codes)
            report(done)
    for line in strange.lines():
        announce(line)
    return written


def _side_by_side(given: pa.Table, drawn: pa.Table) -> pa.Table:
    return pa.table([*given.columns, *drawn.columns], names=[*given.column_names, *drawn.column_names])


def _check_request(roles: ColumnRoles, rows: int | None, given: str | os.PathLike[str] | None) -> None:
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


def _blocks(
    density: TableDensity,
    roles: ColumnRoles,
    strange: Strangeness,
    rows: int | None,
    given: str | os.PathLike[str] | None,
    header: bool,
) -> Iterator[tuple[pa.Table | None, np.ndarray, float]]:
    """Blocks of given rows, the codes drawn for them, and the share that is done then; what is strange is counted."""
    if given is not None:
        done = 0
        with TableReader(given, roles.numeric(roles.given), header=header, schema=roles.schema) as reader:
            for batch in reader.batches(BATCH_ROWS):
                source, first_row = os.fspath(given), done + 1
                codes = roles.encode(
                    batch, roles.given, source, first_row, strict=roles.context, written=reader.written
                )
                done += len(codes)
                strange.add_conditions(density, roles, codes, roles.known(codes, roles.given))
                conditions = roles.decode(codes, roles.given)
                for place, name in enumerate(roles.given):
                    kept = with_unseen(conditions.column(name), batch.column(name), codes[:, place] == UNSEEN, name)
                    conditions = conditions.set_column(place, name, kept)
                yield conditions, draw_rows(density, roles, given=codes), reader.progress
    elif rows is not None:
        for start in range(0, rows, BATCH_ROWS):
            block = min(BATCH_ROWS, rows - start)
            yield None, draw_rows(density, roles, block), (start + block) / rows


def _check_finite(codes: np.ndarray, roles: ColumnRoles, before: int) -> None:
    drawn = [roles.columns.index(name) for name in roles.modeled]
    bad = ~np.isfinite(codes[:, drawn]).all(1)
    if bad.any():
        raise InputError(
            f"Draw {before + int(bad.argmax()) + 1} is not finite: the model's tails leave the range of its numbers."
        )
