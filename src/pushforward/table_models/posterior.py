"""The density of one column given others, row by row: on a grid, or by its quantiles."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.progress import Announce, silent
from pushforward.support.wording import counted, percent
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity, required_density
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import StoredTable, TableReader, TableWriter, check_columns, opened, table_format
from pushforward.tables.columns.shown_points import FURTHEST_SCORE
from pushforward.tables.columns.values import UNSEEN
from pushforward.tables.files.opening import Data

if TYPE_CHECKING:
    from pushforward.table_models.model import TableModel

BATCH_ROWS = 1024
GRID_POINTS = 200
# A row of which more lies outside of the grid is said.
MOST_OUTSIDE = 1e-3
# An end of a grid this near to a bound, in lengths of the grid, is at the bound.
NEXT_TO_BOUND = 1e-9


def posterior(
    model: TableModel,
    data: Data,
    output: str | os.PathLike[str],
    *,
    of: str,
    given: Sequence[str] | None = None,
    quantiles: Sequence[float] | None = None,
    grid: tuple[float, float, int] | None = None,
    announce: Announce = silent,
    report: Callable[[float], None] = lambda part: None,
    header: bool = True,
) -> int:
    """Write p(one column | others) for each row of a table: its density on a grid, or some quantiles.

    The density has a line for each row and point: `row`, counted from 1, the value, and `density`, in the unit of the
    column, or `probability` where single values have one. Quantiles are written beside the columns of the table.

    Arguments:
        model: of any columns given any others.
        data: table outside memory with the given columns: a path, a list of paths, or what `open_table` gives. A
            missing value is not conditioned on, and neither is one that the model has never seen, to which it
            gives probability 0.
        output: file to write, "-" for CSV to standard output.
        of: the column whose density is wanted; its values in the table are not used.
        given: the columns that are known; default all others of the model that the table has.
        quantiles: levels between 0 and 1, instead of the grid.
        grid: lowest value, highest value, number of points; default 200 points over the range of the training rows, in
            equal steps or, of skewed columns and heavy tails, closer together where most values are; or all values of a
            column with few.
        announce: is told, line by line, of values that the model has never seen or that lie beyond the range of the
            training rows, and of rows of which more than a thousandth of the probability lies outside of the grid.
        report: called with the share that is done, from 0 to 1.
        header: whether the first line of a CSV has the names of its columns; default True.

    Returns:
        The number of rows read.

    Raises:
        InputError: the model is not one of any columns given any others, a column is unknown, a level or a grid makes
            no sense, or a value is not of its column's kind.
    """
    with opened(data, header=header, once=True) as table:
        return _write_posterior(model, table, output, of, given, quantiles, grid, announce, report)


def _write_posterior(
    model: TableModel,
    table: StoredTable,
    output: str | os.PathLike[str],
    of: str,
    given: Sequence[str] | None,
    quantiles: Sequence[float] | None,
    grid: tuple[float, float, int] | None,
    announce: Announce,
    report: Callable[[float], None],
) -> int:
    density = required_density(model)
    names = list(table.schema.names)
    known = _known_columns(model, of, given, names)
    answer: _Quantiles | _Curve
    if quantiles:
        answer = _Quantiles(model, density, of, quantiles)
        answer.check(names, table.name)
    else:
        answer = _Curve(model, density, of, grid)
    keep_text = bool(quantiles) and (output == "-" or table_format(output) == "csv")
    rows = 0
    strange = Strangeness()
    numeric = [name for name in known if model.schema[name].parsed_early]
    with (
        TableReader(table, numeric, keep_text=keep_text, schema=model.schema) as reader,
        TableWriter(output, answer.schema(reader.schema), reader.files) as writer,
    ):
        for batch in reader.batches(BATCH_ROWS):
            codes = np.full((batch.num_rows, len(model.modeled)), np.nan)
            if known:
                places = [model.modeled.index(name) for name in known]
                found = model.roles.encode(batch, known, reader.path, rows + 1, written=reader.written)
                strange.add_unknown(found, known)
                codes[:, places] = np.where(found == UNSEEN, np.nan, found)
                beyond = density.values_beyond_range(torch.from_numpy(codes)).numpy()
                strange.add_beyond(beyond, model.roles, model.modeled)
            writer.write(answer.table(batch, torch.from_numpy(codes), rows))
            rows += batch.num_rows
            report(reader.progress)
    for line in [*strange.lines(), *answer.lines(rows)]:
        announce(line)
    return rows


class _Quantiles:
    """Quantiles beside the columns of the table."""

    def __init__(
        self, model: TableModel, density: ArbitraryConditionalDensity, of: str, levels: Sequence[float]
    ) -> None:
        for level in levels:
            if not 0 < level < 1:
                raise InputError(f"The level of a quantile must lie between 0 and 1; {level:g} does not.")
        self.column, self.place = model.schema[of], model.modeled.index(of)
        self.density = density
        self.levels = {f"{of}_q{level:g}": level for level in levels}

    def check(self, names: Sequence[str], source: str) -> None:
        """Refuse a table that has such columns already."""
        for name in self.levels:
            if name in names:
                raise InputError(f'{source} already has a column "{name}"; rename or remove it first.')

    def schema(self, table: pa.Schema) -> pa.Schema:
        """The columns of a table, and one for each level."""
        return pa.schema([*table, *(pa.field(name, self.column.arrow_type) for name in self.levels)])

    def table(self, batch: pa.RecordBatch, codes: torch.Tensor, before: int) -> pa.Table:
        """The rows with their quantiles."""
        found = self.density.quantiles(codes, self.place, list(self.levels.values())).numpy()
        table = pa.Table.from_batches([batch])
        for name, column in zip(self.levels, found.T, strict=True):
            table = table.append_column(name, self.column.decode(np.ascontiguousarray(column)))
        return table

    def lines(self, rows: int) -> list[str]:
        """Nothing more is to be said."""
        return []


class _Curve:
    """A line for each row and point of a grid."""

    def __init__(
        self,
        model: TableModel,
        density: ArbitraryConditionalDensity,
        of: str,
        grid: tuple[float, float, int] | None,
    ) -> None:
        self.of, self.column, self.place = of, model.schema[of], model.modeled.index(of)
        self.density = density
        self.points = self.column.grid(_spread(density, self.place), _asked(grid))
        self.probable = self.column.has_probability(self.points)
        self.outside = _Outside(density, self.place, self.points)

    def schema(self, table: pa.Schema) -> pa.Schema:
        """Row, value, and density or probability, or both where some values have a probability."""
        called = ["density"] * (not self.probable.all()) + ["probability"] * bool(self.probable.any())
        numbers = [(name, pa.float64()) for name in called]
        return pa.schema([("row", pa.int64()), (self.of, self.column.arrow_type), *numbers])

    def table(self, batch: pa.RecordBatch, codes: torch.Tensor, before: int) -> pa.Table:
        """The lines of some rows."""
        self.outside.add(codes)
        log_prob = self.density.log_prob_on_grid(codes, self.place, torch.from_numpy(self.points))
        found, probable = log_prob.double().exp().numpy().ravel(), np.tile(self.probable, len(codes))
        schema = self.schema(batch.schema)
        numbers = {"density": pa.array(found, mask=probable), "probability": pa.array(found, mask=~probable)}
        return pa.table(
            [
                pa.array(np.repeat(np.arange(before + 1, before + len(codes) + 1), len(self.points))),
                self.column.decode(np.tile(self.points, len(codes)).astype(float)),
                *(numbers[name] for name in schema.names[2:]),
            ],
            schema=schema,
        )

    def lines(self, rows: int) -> list[str]:
        """That too much of some rows lies outside of the grid, if it does."""
        if not self.outside.rows:
            return []
        low, high = self.column.decode(self.points[[0, -1]].astype(float)).to_pylist()
        return [
            f"of {self.outside.rows:,} of {counted(rows, 'row')} more than {percent(MOST_OUTSIDE)} of the probability "
            f'of "{self.of}" lies outside of the grid from {low} to {high}, at most {percent(self.outside.most)}: '
            "--grid sets another"
        ]


class _Outside:
    """How much of p(column | others) lies outside of a grid.

    Attributes:
        rows: of which more than a thousandth does.
        most: of any row.
    """

    def __init__(self, density: ArbitraryConditionalDensity, place: int, points: np.ndarray) -> None:
        self.density, self.place = density, place
        kind = density.kinds[place]
        (low, high), (first, last) = kind.bounds, (float(points.min()), float(points.max()))
        on_line = kind.measured and not kind.circular
        # Next to a bound nothing lies outside.
        least = NEXT_TO_BOUND * (last - first)
        # (The end of the grid, which of P(column < it) and P(column ≤ it), whether what lies below it is outside.)
        self.ends = [(first, 0, True)] if on_line and first > low + least else []
        self.ends += [(last, 1, False)] if on_line and last < high - least else []
        self.rows, self.most = 0, 0.0

    def add(self, codes: torch.Tensor) -> None:
        """Count the rows of codes, (n, D)."""
        outside = torch.zeros(len(codes), dtype=torch.float64)
        for end, which, below in self.ends:
            rows = codes.clone()
            rows[:, self.place] = end
            part = self.density.distribution_functions_of(rows, self.place)[which].double()
            outside += part if below else 1 - part
        self.rows += int((outside > MOST_OUTSIDE).sum())
        self.most = max(self.most, float(outside.max())) if len(outside) else self.most


def _known_columns(model: TableModel, of: str, given: Sequence[str] | None, names: Sequence[str]) -> list[str]:
    """The columns that are conditioned on."""
    check_columns([of], model.modeled, source="the model")
    if of in model.given:
        raise InputError(f'"{of}" is a given column of this model, whose density was not learned.')
    if given is None:
        return [name for name in model.modeled if name != of and name in names]
    if given:
        check_columns(given, model.modeled, source="the model")
    if of in given:
        raise InputError(f'"{of}" cannot be given: it is the column whose density is wanted.')
    return list(given)


def _spread(density: ArbitraryConditionalDensity, place: int) -> np.ndarray:
    """Codes of one column at equally spaced normal scores, or at equally spaced angles of uniform ones."""
    scores = torch.zeros(GRID_POINTS, density.features, dtype=torch.float64)
    if density.kinds[place].circular:
        scores[:, place] = torch.linspace(-math.pi, math.pi, GRID_POINTS + 1, dtype=torch.float64)[:-1]
    else:
        scores[:, place] = torch.linspace(-FURTHEST_SCORE, FURTHEST_SCORE, GRID_POINTS, dtype=torch.float64)
    return density.columns.decode_angles(density.flow.of_scores(scores))[:, place].numpy()


def _asked(grid: tuple[float, float, int] | None) -> np.ndarray | None:
    """The points that a user wants."""
    if grid is None:
        return None
    low, high, count = grid
    if not low < high or count < 2:
        raise InputError(
            f"A grid runs from a value to a larger one in at least 2 points; {low:g},{high:g},{count} does not."
        )
    return np.linspace(low, high, count)
