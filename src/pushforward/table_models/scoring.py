"""Scores of rows: log-densities, their shares by column, and a table written again with both."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.density import TableDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.tables import TableReader, TableWriter, table_format

# Large enough that a pass is all arithmetic, small enough that its activations stay in the processor's cache.
BATCH_ROWS = 4096
LOG_PROB, P_VALUE, SHARE = "log_prob", "p_value", "share_"


@dataclass
class Scores:
    """A summary of the log-densities of a table, in nats.

    Attributes:
        rows: their number.
        mean: of the log-densities.
        smallest: the smallest one.
        largest: the largest one.
    """

    rows: int = 0
    mean: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")
    _squares: float = 0.0

    def add(self, log_prob: np.ndarray) -> None:
        """Include the log-densities of more rows, (n,)."""
        # Chan's update: sums of squares of huge values would lose the spread.
        rows, mean = len(log_prob), float(log_prob.mean())
        difference, total = mean - self.mean, self.rows + rows
        self._squares += float(((log_prob - mean) ** 2).sum()) + difference**2 * self.rows * rows / total
        self.mean += difference * rows / total
        self.rows = total
        self.smallest = min(self.smallest, float(log_prob.min()))
        self.largest = max(self.largest, float(log_prob.max()))

    @property
    def standard_deviation(self) -> float:
        """The standard deviation over the rows."""
        return (self._squares / max(1, self.rows)) ** 0.5


@torch.inference_mode()
def log_prob_of_rows(density: TableDensity, roles: ColumnRoles, codes: Tensor) -> Tensor:
    """Log-density of rows in nats, (n,), float64.

    Rows whose result in the precision of the flow's networks is not finite, far from the data, are evaluated again in
    float64. Where that is not finite either, the result is minus infinity or NaN.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names).
    """
    log_prob = density.log_prob(*roles.inputs(codes)).double()
    bad = (~log_prob.isfinite()).nonzero()[:, 0]
    if len(bad):
        log_prob[bad] = copy.deepcopy(density).double().log_prob(*roles.inputs(codes[bad])).double()
    return log_prob


def finite_log_prob(
    density: TableDensity, roles: ColumnRoles, codes: np.ndarray, source: str, first_row: int
) -> np.ndarray:
    """As `log_prob_of_rows`, but a row without a finite log-density is an error.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names).
        source: what an error calls the table.
        first_row: the number of the first row, for errors.

    Raises:
        InputError: a row whose log-density is not finite even in float64.
    """
    log_prob = log_prob_of_rows(density, roles, torch.from_numpy(codes))
    bad = (~log_prob.isfinite()).nonzero()[:, 0]
    if len(bad):
        raise InputError(
            f"{source} has no finite log-density in row {first_row + int(bad[0])} "
            f"({float(log_prob[bad[0]])}): it lies too far from the data that the model was fitted to."
        )
    return log_prob.numpy()


@torch.inference_mode()
def shares_of_rows(density: TableDensity, roles: ColumnRoles, codes: np.ndarray) -> np.ndarray:
    """The terms of the chain rule, log p(columns | given) = Σ log p(column | columns before it, given).

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names).

    Returns:
        (n, roles.modeled), nats, which sum to the log-density; 0 where a value is missing.

    Raises:
        InputError: a model whose log-density is not a sum over its columns in their order.
    """
    density.check_shares()
    rows = torch.from_numpy(codes)
    # Given columns, where they are features, come last and have no share.
    shares = density.log_prob_of_each(*roles.inputs(rows)).double()[:, : len(roles.modeled)]
    bad = (~shares.isfinite()).any(1).nonzero()[:, 0]
    if len(bad):
        exact = copy.deepcopy(density).double().log_prob_of_each(*roles.inputs(rows[bad])).double()
        shares[bad] = exact[:, : len(roles.modeled)]
    return shares.numpy()


def score_table(
    density: TableDensity,
    roles: ColumnRoles,
    calibration: Calibration | None,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    shares: bool = False,
    header: bool = True,
    report: Callable[[float], None] = lambda part: None,
    watch: Callable[[int, np.ndarray, np.ndarray], None] = lambda first_row, codes, log_prob: None,
) -> Scores:
    """Write a table again with the log-density of each row; see `TableModel.score`."""
    scores, source = Scores(), os.fspath(data)
    if shares:
        density.check_shares()
    # Numbers that come as text and are written as text stay as they were.
    as_text = output == "-" or table_format(output) == "csv"
    numeric = roles.numeric(roles.names)
    with TableReader(data, numeric, keep_text=as_text, header=header, schema=roles.schema) as reader:
        added = [LOG_PROB] if calibration is None else [LOG_PROB, P_VALUE]
        added += [SHARE + name for name in roles.modeled] if shares else []
        for name in added:
            if name in reader.names:
                raise InputError(f'{data} already has a column "{name}"; rename or remove it first.')
        fields = [pa.field(name, pa.float64()) for name in added]
        with TableWriter(output, pa.schema([*reader.schema, *fields], reader.schema.metadata)) as writer:
            for batch in reader.batches(BATCH_ROWS):
                first_row = scores.rows + 1
                codes = roles.encode(batch, roles.names, source, first_row, reader.written)
                log_prob = finite_log_prob(density, roles, codes, source, first_row)
                watch(first_row, codes, log_prob)
                values = [log_prob] if calibration is None else [log_prob, calibration.p_values(log_prob)]
                values += [*shares_of_rows(density, roles, codes).T] if shares else []
                for name, column in zip(added, values, strict=True):
                    batch = batch.append_column(name, pa.array(column))
                writer.write(batch)
                scores.add(log_prob)
                report(reader.progress)
    return scores
