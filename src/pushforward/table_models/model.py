"""A flow that knows its columns: fitted to a table, it scores and samples tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.store.description import describe
from pushforward.store.model_file import load, save
from pushforward.support.arguments import path_of
from pushforward.support.progress import Announce, silent
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.density import TableDensity, table_density
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.sampling import draw_rows, sample_table
from pushforward.table_models.scoring import Scores, log_prob_of_rows, p_values_of_rows, score_table, shares_of_rows
from pushforward.tables import Schema, as_json, parse_schema, table_from_frame


@dataclass(frozen=True, eq=False)
class TableModel:
    """A density p(columns | given) over named columns, in the columns' own units.

    Tables become matrices of codes, float64, and back by `encode` and `decode`: the code of a number is the number, of
    a category the place of its level, of a date-time the steps since the origin, of a constant 0.

    Attributes:
        flow: the flow over `columns`, with `given` as its context.
        columns: the modeled columns, in the flow's order.
        given: the columns that are conditioned on; none for p(columns).
        notes: a record of the fit: rows, held-out nats, seed.
        schema: what each column is; those that it does not name are continuous.
        errors: {column: column of its measurement errors}, for a density of true values that was learned, and is
            scored, from measured ones.
        calibration: what turns log-densities into p-values; None for a model of an earlier version, or a distilled one.
        roles: the columns and where they are in a matrix of codes.
        density: of codes.

    Example:
        >>> import pushforward as pf, pyarrow as pa
        >>> rows = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
        >>> fitted = pf.fit_table(pa.table({"mass": rows[:, 0], "radius": rows[:, 1]}), max_steps=20)
        >>> fitted.model.columns, fitted.model.flow.sample((3,)).shape
        (['mass', 'radius'], torch.Size([3, 2]))
    """

    flow: Flow | ArbitraryConditionalFlow
    columns: list[str]
    given: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    schema: Schema = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    roles: ColumnRoles = field(init=False)
    density: TableDensity = field(init=False)

    def __post_init__(self) -> None:
        """Put the columns' maps before the flow."""
        roles = ColumnRoles(self.columns, self.given, self.errors, self.schema, self.flow.allows_gaps)
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write flow, column names and notes to one `.safetensors` file, atomically."""
        columns: dict[str, Any] = {"columns": self.columns, "given": self.given, "schema": as_json(self.schema)}
        if self.errors:
            columns["errors"] = self.errors
        if self.calibration is not None:
            columns["calibration"] = self.calibration.as_json()
        save(self.flow, path, **columns, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> TableModel:
        """Read a file written by `save`.

        Arguments:
            path: the file.
            device: where rows are scored, default "cpu"; what is drawn or answered of any columns given any others is
                computed on the processor alone.

        Raises:
            InputError: the file is not a model, or a model without column names.
        """
        return _load(path_of(path), device)

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
        """
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

    def score(
        self,
        data: str | os.PathLike[str],
        output: str | os.PathLike[str],
        report: Callable[[float], None] = lambda part: None,
        watch: Callable[[int, np.ndarray, np.ndarray, Any], None] = lambda first_row, matrix, log_prob, rows: None,
        *,
        shares: bool = False,
        strict: bool = False,
        header: bool = True,
    ) -> Scores:
        """Write a table again with a column `log_prob`, rows in their order, as a stream in constant memory.

        A calibrated model adds a column `p_value` too: the conformal p-value of the row's log-density. The column
        `unseen` says which rows have none, log_prob -inf: they hold a value that the model has never seen.

        Arguments:
            data: CSV, Parquet or Feather file with the model's columns; other columns are copied as they are.
            output: file to write, "-" for CSV to standard output.
            report: is told the share that is done, from 0 to 1.
            watch: is shown the rows as they pass: the number of the first, their codes, their log-densities, and the
                rows as a batch of pyarrow.
            shares: whether to add a column `share_NAME` for each modeled column, its term of the chain rule.
            strict: whether values outside the bounds, the grid or the levels that a user declared for the fit are
                refused.
            header: whether the first line of a CSV has the names of its columns; default True.

        Returns:
            The number of rows; the mean, standard deviation, smallest and largest of their log-densities; and what the
            model has never seen.

        Raises:
            InputError: a missing column, a value that is not a finite number, a column that is already called log_prob,
                p_value or unseen, shares of a model that has none; nothing is written then.
        """
        options: dict[str, Any] = {"shares": shares, "header": header, "report": report, "watch": watch}
        declared = self.notes.get("declared", ()) if strict else ()
        return score_table(self.density, self.roles, self.calibration, data, output, strict=declared, **options)

    def draw(self, rows: int | None = None, given: np.ndarray | None = None) -> np.ndarray:
        """Draw rows in memory, from the global random state.

        Arguments:
            rows: how many, for a model without given columns.
            given: codes (n, given), for a model with them: one row is drawn for each.

        Returns:
            Codes, (n, columns), each in the support of its column.
        """
        return draw_rows(self.density, self.roles, rows, given)

    def sample(
        self,
        output: str | os.PathLike[str],
        *,
        rows: int | None = None,
        given: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        announce: Announce = silent,
        report: Callable[[float], None] = lambda part: None,
        header: bool = True,
    ) -> int:
        """Write draws from the density as a table, as a stream in constant memory.

        Arguments:
            output: file to write, "-" for CSV to standard output.
            rows: number of draws, for a model without given columns.
            given: file with the given columns, for a model with them: one draw for each of its rows, written after it.
            seed: makes the draws repeat; the global random state is left as it was. Default: new draws at every call.
            announce: is told, line by line, of given values that the model has never seen.
            report: is told the share that is done, from 0 to 1.
            header: whether the first line of a CSV has the names of its columns; default True.

        Returns:
            The number of rows written.

        Raises:
            InputError: `rows` or `given` is missing or does not go with the model, or a draw is not finite.
        """
        options: dict[str, Any] = {"rows": rows, "given": given, "seed": seed, "report": report, "header": header}
        return sample_table(self.density, self.roles, output, announce=announce, **options)


def _load(path: Path, device: str) -> TableModel:
    """The model of a file, whose notes must be consistent with its flow."""
    notes = describe(path)["notes"]
    flow: Flow | ArbitraryConditionalFlow = load(path, device)
    notes = notes if isinstance(notes, dict) else {}
    columns, given = (_checked_names(notes.get(key), path) for key in ("columns", "given"))
    schema = parse_schema(notes.get("schema", {}), source=f"the schema in {path}")
    roles = ColumnRoles(columns, given, {}, schema, flow.allows_gaps)
    if (len(roles.features), len(roles.context)) != (flow.features, flow.context_features):
        raise InputError(f"{path} is damaged: its columns are not as many as the features of its flow.")
    errors = notes.get("errors", {})
    if not isinstance(errors, dict) or not set(errors) <= set(columns):
        raise InputError(f"{path} is damaged: it has errors of columns that are not in it.")
    calibration = Calibration.parse(notes["calibration"], source=str(path)) if "calibration" in notes else None
    return TableModel(flow, columns, given, notes.get("fit", {}), schema, errors, calibration)


def _checked_names(names: Any, path: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is a flow without column names: it was not fitted to a table.")
    return names
