"""Scores of rows: log-densities, their shares by column, and a table written again with both."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.density import TableDensity
from pushforward.table_models.engines import Engine, InProcess
from pushforward.table_models.patterns import patterns_of
from pushforward.table_models.pit import PIT, PitOfColumn, ends_of_rows, summarize
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import TableReader, TableWriter, table_format
from pushforward.tables.columns.values import UNSEEN
from pushforward.tables.files.opening import Data
from pushforward.training.likelihood import has_error, log_prob_with_error

# Large enough that a pass is all arithmetic, small enough that its activations stay in the processor's cache.
BATCH_ROWS = 4096
IN_PROCESS = InProcess()
LOG_PROB, ERROR, P_VALUE, NEVER_SEEN, SHARE = "log_prob", "log_prob_error", "p_value", "unseen", "share_"
# Columns, or how their names begin, that have no value in some rows.
WITH_GAPS = (PIT, ERROR)


@dataclass
class Scores:
    """A summary of the log-densities of a table, in nats.

    Attributes:
        rows: their number.
        seen: the number of rows that have a density: none holds a value that the model has never seen. The mean, the
            smallest and the largest log-density are over these.
        mean: of the log-densities.
        smallest: the smallest one.
        largest: the largest one.
        pooled: how many rows have a pattern of gaps and atoms too rare for p-values of its own.
        strange: the values that the model has never seen, and conditions beyond the range of its training.
        pit: of a conditional model, a summary of the probability integral transforms of each target.
        mean_error: of the log-densities, in nats, where they solve an equation or are random estimates; else None.
        largest_error: the largest of these errors, or None.
    """

    rows: int = 0
    seen: int = 0
    mean: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")
    pooled: int = 0
    strange: Strangeness = field(default_factory=Strangeness)
    pit: dict[str, PitOfColumn] = field(default_factory=dict)
    mean_error: float | None = None
    largest_error: float | None = None
    _squares: float = 0.0

    def add(self, log_prob: np.ndarray, error: np.ndarray | None = None) -> None:
        """Include the log-densities of more rows, (n,), and their errors, (n,), if they have some."""
        self.rows += len(log_prob)
        finite = np.isfinite(log_prob)
        log_prob = log_prob[finite]
        if not len(log_prob):
            return
        # Chan's update: sums of squares of huge values would lose the spread.
        rows, mean = len(log_prob), float(log_prob.mean())
        difference, total = mean - self.mean, self.seen + rows
        self._squares += float(((log_prob - mean) ** 2).sum()) + difference**2 * self.seen * rows / total
        self.mean += difference * rows / total
        if error is not None:
            earlier = self.mean_error or 0.0
            self.mean_error = earlier + (float(error[finite].mean()) - earlier) * rows / total
            self.largest_error = max(self.largest_error or 0.0, float(error[finite].max()))
        self.seen = total
        self.smallest = min(self.smallest, float(log_prob.min()))
        self.largest = max(self.largest, float(log_prob.max()))

    @property
    def standard_deviation(self) -> float:
        """The standard deviation over the rows that have a density."""
        return (self._squares / max(1, self.seen)) ** 0.5


@torch.inference_mode()
def log_prob_of_rows(density: TableDensity, roles: ColumnRoles, codes: Tensor) -> Tensor:
    """Log-density of rows in nats, (n,), float64.

    It is minus infinity where a value has probability 0: the model has never seen it. Rows whose result in the
    precision of the flow's networks is not finite, far from the data, are evaluated again in float64; it is minus
    infinity where that is not finite either.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names), as `ColumnRoles.known` gives them.
    """
    return _of_rows(_log_prob_of, density, roles, codes)[0]


@torch.inference_mode()
def log_prob_with_error_of_rows(density: TableDensity, roles: ColumnRoles, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density of rows and its error in nats, (n,) each, float64, as `pushforward.log_prob_with_error` gives them.

    Arguments and rows without a density as for `log_prob_of_rows`; these have no error, NaN.
    """
    log_prob, error = _of_rows(_log_prob_with_error_of, density, roles, codes)
    return log_prob, torch.where(log_prob.isfinite(), error, torch.nan)


def _of_rows(
    find: Callable[[TableDensity, ColumnRoles, Tensor], Tensor],
    density: TableDensity,
    roles: ColumnRoles,
    codes: Tensor,
) -> Tensor:
    """What `find` gives of the rows that the model has seen, (k, n), log-densities first; minus infinity of others."""
    seen = (codes != UNSEEN).all(1).nonzero()[:, 0]
    if not len(seen):
        return codes.new_full((2, len(codes)), -torch.inf)
    found = find(density, roles, codes[seen])
    bad = (~found.isfinite().all(0)).nonzero()[:, 0]
    if len(bad):
        found[:, bad] = find(copy.deepcopy(density).double(), roles, codes[seen[bad]])
    every = codes.new_full((len(found), len(codes)), -torch.inf)
    # An error that is not known, or without bound, leaves the log-density what it is.
    every[:, seen] = torch.where(found[0].isfinite(), found, -torch.inf)
    return every


def _log_prob_of(density: TableDensity, roles: ColumnRoles, codes: Tensor) -> Tensor:
    """Log-density of rows, (1, n), float64, computed where the density is."""
    return density.log_prob(*roles.inputs(codes.to(device_of(density)))).double().cpu()[None]


def _log_prob_with_error_of(density: TableDensity, roles: ColumnRoles, codes: Tensor) -> Tensor:
    """Log-density of rows and its error, (2, n), float64."""
    return torch.stack(log_prob_with_error(density, *roles.inputs(codes), batch_size=BATCH_ROWS)).double().cpu()


@torch.inference_mode()
def shares_of_rows(density: TableDensity, roles: ColumnRoles, codes: np.ndarray) -> np.ndarray:
    """The terms of the chain rule, log p(columns | given) = Σ log p(column | columns before it, given).

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names), as `ColumnRoles.known` gives them.

    Returns:
        (n, roles.modeled), nats, which sum to the log-density; 0 where a value is missing. In a row with a value that
        the model has never seen, that value's term is minus infinity, and the others are 0; all are minus infinity if
        the value is one of a constant or a given column.

    Raises:
        InputError: a model whose log-density is not a sum over its columns in their order.
    """
    density.check_shares()
    places = [roles.names.index(name) for name in roles.modeled]
    unseen = codes == UNSEEN
    shares = np.where(unseen[:, places], -np.inf, 0.0)
    shares[unseen.any(1) & ~unseen[:, places].any(1)] = -np.inf
    seen = np.flatnonzero(~unseen.any(1))
    if len(seen):
        rows = torch.from_numpy(codes[seen])
        # Given columns, where they are features, come last and have no share.
        found = density.log_prob_of_each(*roles.inputs(rows)).double()[:, : len(places)]
        bad = (~found.isfinite()).any(1).nonzero()[:, 0]
        if len(bad):
            exact = copy.deepcopy(density).double().log_prob_of_each(*roles.inputs(rows[bad])).double()
            found[bad] = torch.where(exact.isfinite(), exact, -torch.inf)[:, : len(places)]
        shares[seen] = found.numpy()
    return shares


def p_values_of_rows(
    calibration: Calibration, roles: ColumnRoles, codes: np.ndarray, log_prob: np.ndarray
) -> tuple[np.ndarray, int]:
    """The p-value of each row, (n,), and how many rows have a pattern that is too rare for ranks of its own.

    Arguments:
        calibration: of the model.
        roles: of the columns.
        codes: float64, (n, names), as `ColumnRoles.known` gives them.
        log_prob: (n,) of the rows.
    """
    features = codes[:, [roles.names.index(name) for name in roles.features]]
    patterns = patterns_of(features, roles)
    return calibration.p_values(log_prob, patterns), int((~calibration.alone(patterns)).sum())


@dataclass(frozen=True, eq=False)
class RowScorer:
    """What is added to some rows of a table; it can be sent to another process.

    Attributes:
        density: in evaluation mode.
        roles: of the columns.
        calibration: of the model, or None.
        shares: whether to add the shares of columns.
        pit: whether to add, of a conditional model, the probability integral transforms of the targets.
        strict: the columns of which values that were never seen are refused.
        source: what errors call the table.
        written: whether text is that of a CSV.
    """

    density: TableDensity
    roles: ColumnRoles
    calibration: Calibration | None
    shares: bool = False
    pit: bool = False
    strict: Collection[str] = ()
    source: str = "the table"
    written: bool = False

    @property
    def added(self) -> list[str]:
        """The names of the columns."""
        error = [ERROR] if has_error(self.density) else []
        p_value = [] if self.calibration is None else [P_VALUE]
        pit = [PIT + name for name in self.roles.modeled] if self._with_pit else []
        shares = [SHARE + name for name in self.roles.modeled] if self.shares else []
        return [LOG_PROB, *error, *p_value, NEVER_SEEN, *pit, *shares]

    @property
    def _with_pit(self) -> bool:
        return self.pit and bool(self.roles.given)

    def _densities(self, codes: Tensor) -> list[np.ndarray]:
        """Log-densities, and their errors if they have some, (n,) each."""
        if has_error(self.density):
            return [part.numpy() for part in log_prob_with_error_of_rows(self.density, self.roles, codes)]
        return [log_prob_of_rows(self.density, self.roles, codes).numpy()]

    def __call__(self, block: BlockOfRows) -> ScoredRows:
        """Score some rows."""
        density, roles = self.density, self.roles
        options: dict[str, Any] = {"strict": self.strict, "written": self.written}
        found = roles.encode(block.rows, roles.names, self.source, block.first_row, **options)
        codes = roles.known(found, roles.names)
        values = self._densities(torch.from_numpy(codes))
        log_prob, strange, pooled = values[0], Strangeness(), 0
        strange.add(density, roles, found, codes, log_prob)
        if self.calibration is not None:
            p_values, pooled = p_values_of_rows(self.calibration, roles, codes, log_prob)
            values.append(p_values)
        values.append(np.isneginf(log_prob))
        ends = ends_of_rows(density, roles, codes) if self._with_pit else None
        values += [] if ends is None else [*ends.mean(0).T]
        values += [*shares_of_rows(density, roles, codes).T] if self.shares else []
        return ScoredRows(block, codes, dict(zip(self.added, values, strict=True)), strange, pooled, ends)


@dataclass(frozen=True, eq=False)
class BlockOfRows:
    """Some rows of a table.

    Attributes:
        rows: as a batch, or a table, of pyarrow.
        first_row: the number of the first of them in the whole table, counted from 1.
        progress: the share of the table up to the last of them.
    """

    rows: pa.RecordBatch | pa.Table
    first_row: int = 1
    progress: float = 1.0


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Some rows of a table, and what was found about them.

    Attributes:
        block: the rows.
        codes: (n, names), as `ColumnRoles.known` gives them.
        added: {column: values, (n,)}.
        strange: what the model has never seen.
        pooled: how many rows have a pattern that is too rare for ranks of its own.
        ends: (2, n, modeled) as `ends_of_rows` gives them, or None.
    """

    block: BlockOfRows
    codes: np.ndarray
    added: dict[str, np.ndarray]
    strange: Strangeness
    pooled: int
    ends: np.ndarray | None = None


def score_table(
    density: TableDensity,
    roles: ColumnRoles,
    calibration: Calibration | None,
    data: Data,
    output: str | os.PathLike[str],
    *,
    shares: bool = False,
    pit: bool = True,
    strict: Collection[str] = (),
    header: bool = True,
    report: Callable[[float], None] = lambda part: None,
    watch: Callable[[int, np.ndarray, np.ndarray, pa.RecordBatch], None] = lambda first_row, codes, log_prob, rows: (
        None
    ),
    engine: Engine = IN_PROCESS,
) -> Scores:
    """Write a table again with the log-density of each row; see `TableModel.score`."""
    scores = Scores()
    if shares:
        density.check_shares()
    # Numbers that come as text and are written as text stay as they were.
    as_text = output == "-" or table_format(output) == "csv"
    numeric = roles.numeric(roles.names)
    options: dict[str, Any] = {"header": header, "schema": roles.schema, "needed": roles.names}
    with TableReader(data, numeric, keep_text=as_text, **options) as reader:
        scorer = RowScorer(density, roles, calibration, shares, pit, strict, reader.path, reader.written)
        for name in scorer.added:
            if name in reader.names:
                raise InputError(f'{reader.path} already has a column "{name}"; rename or remove it first.')
        fields = [pa.field(name, pa.bool_() if name == NEVER_SEEN else pa.float64()) for name in scorer.added]
        schema = pa.schema([*reader.schema, *fields], reader.schema.metadata)
        with TableWriter(output, schema, reader.files) as writer:
            for scored in engine.map(scorer, blocks_of(reader, BATCH_ROWS)):
                batch, log_prob = scored.block.rows, scored.added[LOG_PROB]
                watch(scored.block.first_row, scored.codes, log_prob, batch)
                for name, column in scored.added.items():
                    # Without a value, and not NaN.
                    batch = batch.append_column(name, pa.array(column, from_pandas=name.startswith(WITH_GAPS)))
                writer.write(batch)
                scores.strange.include(scored.strange)
                scores.pooled += scored.pooled
                scores.add(log_prob, scored.added.get(ERROR))
                if scored.ends is not None:
                    summarize(scored.ends, scored.codes, scores.pit, roles)
                report(scored.block.progress)
    return scores


def blocks_of(reader: TableReader, rows: int) -> Iterator[BlockOfRows]:
    """The rows of a table, `rows` at a time."""
    first_row = 1
    for batch in reader.batches(rows):
        yield BlockOfRows(batch, first_row, reader.progress)
        first_row += batch.num_rows
