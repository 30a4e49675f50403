"""A fitted density of rows as matrices of codes, float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.density import TableDensity, table_density
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.sampling import draw_rows
from pushforward.table_models.scoring import log_prob_of_rows, p_values_of_rows, shares_of_rows
from pushforward.tables import Schema, table_from_frame


@dataclass(frozen=True, eq=False)
class CodedDensity:
    """A density p(columns | given) of rows in memory; `TableModel` adds tables in files, and the model file.

    Tables become matrices of codes, float64, and back by `encode` and `decode`: the code of a number is the number, of
    a category the place of its level, of a date-time the steps since the origin, of a constant 0. Fields as for
    `TableModel`.
    """

    flow: Flow | ArbitraryConditionalFlow
    columns: list[str]
    given: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    schema: Schema = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    gap_values: dict[str, float] = field(default_factory=dict)
    record: FitRecord | None = None
    roles: ColumnRoles = field(init=False)
    density: TableDensity = field(init=False)

    def __post_init__(self) -> None:
        """Put the columns' maps before the flow."""
        of_columns = self.columns, self.given, self.errors, self.schema
        roles = ColumnRoles(*of_columns, self.flow.allows_gaps, self.gap_values)
        # A flow of an earlier version is given one number for each column.
        if self.flow.context_features == len(roles.context):
            roles = dataclasses.replace(roles, coded=True)
        # What follows from the fields of a frozen class is set in this way.
        object.__setattr__(self, "roles", roles)
        object.__setattr__(self, "schema", roles.schema)
        object.__setattr__(self, "density", table_density(self.flow, roles))

    @property
    def names(self) -> list[str]:
        """The columns, the given ones, and those of measurement errors, as the columns of a matrix of codes."""
        return self.roles.names

    @property
    def arbitrary_conditions(self) -> bool:
        """Whether the model answers p(any columns | any others), and takes rows with gaps."""
        return self.flow.allows_gaps

    @property
    def modeled(self) -> list[str]:
        """The columns of the density's codes: those that vary; with the given ones if `arbitrary_conditions`."""
        return self.roles.features

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        return self.density.meaning

    def encode(self, table: Any, *, columns: Sequence[str] | None = None) -> np.ndarray:
        """The codes of columns, default `names`, of a data frame, a table of pyarrow, or an array (columns 0, 1, ...).

        The code of a value that the model has never seen, and gives probability 0, is infinity: an unknown level, a
        number beyond the bounds of its column or off its grid, another value of a constant.

        Raises:
            InputError: a column is missing, or a value is not of its column's kind.
        """
        names = self.names if columns is None else columns
        return self.roles.encode(table_from_frame(table, names), names, "the table")

    def decode(self, matrix: np.ndarray, *, columns: Sequence[str] | None = None) -> Any:
        """The table of pyarrow that codes, (n, columns), stand for."""
        return self.roles.decode(matrix, self.names if columns is None else columns)

    def log_prob(self, matrix: np.ndarray) -> np.ndarray:
        """Log-density of rows.

        Rows whose float32 result is not finite, far from the data, are evaluated again in float64.

        Arguments:
            matrix: codes, float64, (n, names).

        Returns:
            log p(columns | given) in nats, (n,), float64; -inf for a row with a value that the model has never seen, or
            so far from the data that even float64 has no number for it.

        Raises:
            InputError: codes of another shape.
        """
        if np.ndim(matrix) != 2 or np.shape(matrix)[1] != len(self.names):
            raise InputError(
                f"Expected a matrix of codes of {len(self.names)} columns, got the shape {np.shape(matrix)}."
            )
        codes = self.roles.known(matrix, self.names)
        log_prob: np.ndarray = log_prob_of_rows(self.density, self.roles, torch.from_numpy(codes)).numpy()
        return log_prob

    def p_values(self, matrix: np.ndarray, log_prob: np.ndarray | None = None) -> np.ndarray:
        """The conformal p-value of each row, (n,), among held-out rows with the same pattern of gaps and atoms.

        Arguments:
            matrix: codes, float64, (n, names).
            log_prob: (n,) of the rows, where it is known already.

        Raises:
            InputError: the model has no calibration.
        """
        if self.calibration is None:
            raise InputError("This model has no p-values: it is distilled or of an earlier version.")
        log_prob = self.log_prob(matrix) if log_prob is None else log_prob
        codes = self.roles.known(matrix, self.names)
        return p_values_of_rows(self.calibration, self.roles, codes, log_prob)[0]

    def shares(self, matrix: np.ndarray) -> np.ndarray:
        """The terms of the chain rule, log p(columns | given) = Σ log p(column | columns before it, given).

        Arguments:
            matrix: codes, float64, (n, names).

        Returns:
            (n, modeled columns that vary), nats, which sum to `log_prob`; 0 where a value is missing, and -inf where
            the model has never seen it, in a row whose other shares are 0.

        Raises:
            InputError: layers that mix columns or run in different orders, discrete columns whose probabilities are
                averages over noise, or measurement errors.
        """
        return shares_of_rows(self.density, self.roles, self.roles.known(matrix, self.names))

    def draw(self, rows: int | None = None, given: np.ndarray | None = None) -> np.ndarray:
        """Draw rows in memory, from the global random state.

        Arguments:
            rows: how many, for a model without given columns.
            given: codes (n, given), for a model with them: one row is drawn for each.

        Returns:
            Codes, (n, columns), each in the support of its column.
        """
        return draw_rows(self.density, self.roles, rows, given)
