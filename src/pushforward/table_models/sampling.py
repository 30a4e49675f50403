"""Draws from the density of a table, in memory and as a table in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.seeding import seeded
from pushforward.table_models.density import TableDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.scoring import BATCH_ROWS
from pushforward.tables import TableReader, TableWriter


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
    """
    context = None if given is None else roles.conditions(torch.from_numpy(given))
    if given is not None and context is None:
        rows = len(given)  # none of the given columns varies
    drawn = density.sample(() if rows is None else (rows,), context).numpy()
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
    report: Callable[[float], None] = lambda part: None,
) -> int:
    """Write draws as a table; see `TableModel.sample`."""
    _check_request(roles, rows, given)
    names = [*roles.given, *roles.columns]
    written = 0
    with (
        seeded(seed),
        TableWriter(output, pa.schema([(name, roles.schema[name].written_type) for name in names])) as writer,
    ):
        for codes, done in _blocks(density, roles, rows, given):
            _check_finite(codes, names, roles, written)
            writer.write(roles.decode(codes, names))
            written += len(codes)
            report(done)
    return written


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
    density: TableDensity, roles: ColumnRoles, rows: int | None, given: str | os.PathLike[str] | None
) -> Iterator[tuple[np.ndarray, float]]:
    """Blocks of rows, given and then drawn columns, each with the share that is done after it."""
    if given is not None:
        done = 0
        with TableReader(given, roles.numeric(roles.given)) as reader:
            for batch in reader.batches(BATCH_ROWS):
                codes = roles.encode(batch, roles.given, os.fspath(given), done + 1)
                done += len(codes)
                yield np.hstack([codes, draw_rows(density, roles, given=codes)]), reader.progress
    elif rows is not None:
        for start in range(0, rows, BATCH_ROWS):
            block = min(BATCH_ROWS, rows - start)
            yield draw_rows(density, roles, block), (start + block) / rows


def _check_finite(codes: np.ndarray, names: Sequence[str], roles: ColumnRoles, before: int) -> None:
    drawn = [names.index(name) for name in roles.modeled]
    bad = ~np.isfinite(codes[:, drawn]).all(1)
    if bad.any():
        raise InputError(
            f"Draw {before + int(bad.argmax()) + 1} is not finite: the model's tails leave the range of its numbers."
        )
