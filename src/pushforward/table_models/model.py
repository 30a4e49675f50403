"""A flow that knows its columns: fitted to a table, it scores and samples tables."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.store.description import describe, model_file
from pushforward.store.model_file import load, save
from pushforward.store.notes import noted_columns
from pushforward.support.progress import Announce, silent
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.coded import CodedDensity
from pushforward.table_models.engines import Engine
from pushforward.table_models.fit_record import FitRecord
from pushforward.table_models.roles import ColumnRoles
from pushforward.table_models.sampling import sample_table
from pushforward.table_models.scoring import IN_PROCESS, Scores, score_table
from pushforward.tables import as_json, parse_schema
from pushforward.tables.files.opening import Data


@dataclass(frozen=True, eq=False)
class TableModel(CodedDensity):
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
        gap_values: {given column: the code that the flow is shown, beside a flag, where its value is missing}; in other
            given columns no value may be missing.
        record: of the fit, for reports; None for a model of an earlier version, or a distilled one.
        roles: the columns and where they are in a matrix of codes.
        density: of codes.

    Example:
        >>> import pushforward as pf, pyarrow as pa
        >>> rows = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
        >>> fitted = pf.fit_table(pa.table({"mass": rows[:, 0], "radius": rows[:, 1]}), max_steps=20)
        >>> fitted.model.columns, fitted.model.flow.sample((3,)).shape
        (['mass', 'radius'], torch.Size([3, 2]))
    """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write flow, column names and notes to one `.safetensors` file, atomically."""
        columns: dict[str, Any] = {"columns": self.columns, "given": self.given, "schema": as_json(self.schema)}
        if self.errors:
            columns["errors"] = self.errors
        if self.gap_values:
            columns["gap_values"] = self.gap_values
        if self.calibration is not None:
            columns["calibration"] = self.calibration.as_json()
        if self.record is not None:
            columns["record"] = self.record.as_json()
        save(self.flow, path, **columns, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> TableModel:
        """Read a file written by `save`, or a folder written by `pushforward.card`.

        Arguments:
            path: the file or the folder.
            device: where rows are scored, as for `pushforward.load`, default "cpu"; what is drawn or answered of any
                columns given any others is computed on the processor alone.

        Raises:
            InputError: the file is not a model, or a model without column names, or there is no such device here.
        """
        return _load(model_file(path), device)

    def score(
        self,
        data: Data,
        output: str | os.PathLike[str],
        report: Callable[[float], None] = lambda part: None,
        watch: Callable[[int, np.ndarray, np.ndarray, Any], None] = lambda first_row, matrix, log_prob, rows: None,
        *,
        shares: bool = False,
        pit: bool = True,
        strict: bool = False,
        header: bool = True,
        engine: Engine = IN_PROCESS,
    ) -> Scores:
        """Write a table again with a column `log_prob`, rows in their order, as a stream in constant memory.

        A calibrated model adds a column `p_value` too: the conformal p-value of the row's log-density. The column
        `unseen` says which rows have none, log_prob -inf: they hold a value that the model has never seen. A model with
        given columns adds `pit_NAME` for each modeled column: P(column < its value | given), with half of the
        probability of a value that has one. It is that of the column by itself: exact for one modeled column and for a
        model of any columns given any others, over 256 latent points for several.

        Where log-densities solve an equation or are random estimates, `log_prob_error` stands beside them, in nats, as
        `pushforward.log_prob_with_error` gives it.

        Arguments:
            data: table outside memory with the model's columns: a path, a list of paths, or what `open_table` gives;
                other columns are copied as they are.
            output: file to write, "-" for CSV to standard output.
            report: is told the share that is done, from 0 to 1.
            watch: is shown the rows as they pass: the number of the first, their codes, their log-densities, and the
                rows as a batch of pyarrow.
            pit: whether a model with given columns adds a column `pit_NAME` for each modeled column; default True.
            shares: whether to add a column `share_NAME` for each modeled column, its term of the chain rule.
            strict: whether values outside the bounds, the grid or the levels that a user declared for the fit are
                refused.
            header: whether the first line of a CSV has the names of its columns; default True.
            engine: where the work is done, `pushforward.table_models.engines`; default in this process.

        Returns:
            The number of rows; the mean, standard deviation, smallest and largest of their log-densities; what the
            model has never seen; and of a model with given columns the mean and the coverage of each `pit_NAME`.

        Raises:
            InputError: a missing column, a value that is not a finite number, a column that is already called log_prob,
                log_prob_error, p_value, unseen or pit_NAME, shares of a model that has none; nothing is written then.
        """
        options: dict[str, Any] = {
            "shares": shares,
            "pit": pit,
            "header": header,
            "report": report,
            "watch": watch,
            "engine": engine,
        }
        declared = self.notes.get("declared", ()) if strict else ()
        return score_table(self.density, self.roles, self.calibration, data, output, strict=declared, **options)

    def sample(
        self,
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
        """Write draws from the density as a table, as a stream in constant memory.

        Arguments:
            output: file to write, "-" for CSV to standard output.
            rows: number of draws, for a model without given columns.
            given: table outside memory with the given columns, for a model with them: one draw for each of its rows,
                written after it.
            seed: makes the draws repeat; the global random state is left as it was. Default: new draws at every call.
            announce: is told, line by line, of given values that the model has never seen.
            report: is told the share that is done, from 0 to 1.
            header: whether the first line of a CSV has the names of its columns; default True.
            engine: where the work is done; default in this process. Rows and seeds are the same anywhere.

        Returns:
            The number of rows written.

        Raises:
            InputError: `rows` or `given` is missing or does not go with the model, or a draw is not finite.
        """
        options: dict[str, Any] = {"rows": rows, "given": given, "seed": seed, "report": report, "header": header}
        return sample_table(self.density, self.roles, output, announce=announce, engine=engine, **options)


def _load(path: Path, device: str) -> TableModel:
    """The model of a file, whose notes must be consistent with its flow."""
    notes = describe(path)["notes"]
    flow: Flow | ArbitraryConditionalFlow = load(path, device)
    notes = notes if isinstance(notes, dict) else {}
    columns, given, errors, gap_values = noted_columns(notes, path)
    schema = parse_schema(notes.get("schema", {}), source=f"the schema in {path}")
    roles = ColumnRoles(columns, given, {}, schema, flow.allows_gaps, gap_values)
    widths = {len(roles.context), roles.shown_context.width}
    if len(roles.features) != flow.features or flow.context_features not in widths:
        raise InputError(f"{path} is damaged: its columns are not as many as the features of its flow.")
    calibration = Calibration.parse(notes["calibration"], source=str(path)) if "calibration" in notes else None
    record = FitRecord.parse(notes["record"], source=str(path)) if "record" in notes else None
    return TableModel(flow, columns, given, notes.get("fit", {}), schema, errors, calibration, gap_values, record)
