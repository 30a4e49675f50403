"""A flow that knows its columns: fitted to a table, it scores and samples tables."""

from __future__ import annotations

import copy
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.any_given import AnyGivenFlow
from pushforward.any_given_density import AnyGivenDensity, input_widths
from pushforward.bijections import MarginalSpline
from pushforward.density import POINTS_IN_TRAINING, TableDensity
from pushforward.errors import InputError
from pushforward.evaluation.baselines import gaussian_log_likelihood
from pushforward.evaluation.calibration import Calibration
from pushforward.evaluation.chain_rule import order_of
from pushforward.flow import Flow
from pushforward.large_table import LargeTable
from pushforward.measured import MeasuredDensity
from pushforward.recipe import Recipe, choose_any_given, choose_recipe, knots_for
from pushforward.store import describe, load, save
from pushforward.streaming import is_large
from pushforward.tables import (
    Columns,
    Schema,
    TableReader,
    TableWriter,
    arrow_type,
    as_json,
    check_columns,
    check_for_fitting,
    codes,
    column_names,
    decoded,
    learn_schema,
    parse_schema,
    read_columns,
    read_schema,
    table_format,
    table_from_frame,
    to_table,
)
from pushforward.tables.schema import Bounded, Category, Continuous, Integer, Mixed, Periodic, Positive
from pushforward.training import History, evaluate, fit
from pushforward.training.fitting import split_table
from pushforward.training.settings import Settings
from pushforward.training.table import Table
from pushforward.weights_and_errors import check_errors, check_weights, errors_of, weights_of

MINIMUM_ROWS = 20
VALIDATION_FRACTION = 0.1
# Large enough that a pass is all arithmetic, small enough that its activations stay in the processor's cache.
BATCH_ROWS = 4096
LOG_PROB, P_VALUE, SHARE = "log_prob", "p_value", "share_"
# Held-out rows that p-values are calibrated on, at most: more take time and say little more.
CALIBRATION_ROWS = 100_000
MOST_LINES = 30
# Rows that give the covariance on which a model of any columns given any others builds.
COVARIANCE_ROWS = 10_000


@dataclass
class TableFlow:
    """A density p(columns | given) over named columns, in the columns' own units.

    Attributes:
        flow: the flow over `columns`, with `given` as its context.
        columns: the modelled columns, in the flow's order.
        given: the columns that are conditioned on; none for p(columns).
        notes: what the fit left to be known: rows, held-out nats, seed.
        schema: what each column is; those that it does not name are continuous.
        errors: {column: column of its measurement errors}, for a density of true values that was learned, and is
            scored, from measured ones.
        calibration: what turns log-densities into p-values; None for a model of an earlier version, or a distilled one.

    Tables become matrices of codes, float64, and back by `codes` and `table`: the code of a number is the number, of a
    category the place of its level, of a date-time the steps since the origin, of a constant 0.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
        >>> fitted = fit_table(to_table(rows, ["mass", "radius"]), max_steps=20)
        >>> fitted.model.columns, fitted.model.flow.sample((3,)).shape
        (['mass', 'radius'], torch.Size([3, 2]))
    """

    flow: Flow | AnyGivenFlow
    columns: list[str]
    given: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    schema: Schema = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Put the columns' maps before the flow."""
        self.schema = {name: self.schema.get(name, Continuous(heavy=False)) for name in self.names}
        self._modelled, self._context = (
            [name for name in names if self.schema[name].modelled] for names in (self.columns, self.given)
        )
        self.density: TableDensity | AnyGivenDensity
        if isinstance(self.flow, AnyGivenFlow):
            # The context is among the features: any of it may be missing.
            self._modelled, self._context = [*self._modelled, *self._context], []
            columns = Columns(self.schema, self._modelled)
            self.density = AnyGivenDensity(columns, self.flow, self.schema, self._modelled, self.given).eval()
        else:
            self.density = TableDensity(Columns(self.schema, self._modelled), self.flow).eval()
        self.scored: Any = self.density
        if self.errors:
            measured = [self._modelled.index(name) for name in self.errors]
            self.scored = MeasuredDensity(self.density, len(self._modelled), measured).eval()

    @property
    def names(self) -> list[str]:
        """The columns, the given ones, and those of measurement errors, as the columns of a matrix of codes."""
        return [*self.columns, *self.given, *self.errors.values()]

    @property
    def any_given(self) -> bool:
        """Whether the model answers p(any columns | any others), and takes rows with gaps."""
        return isinstance(self.density, AnyGivenDensity)

    @property
    def modelled(self) -> list[str]:
        """The columns of the density's codes: those that vary; with the given ones if `any_given`."""
        return list(self._modelled)

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        if self.errors:
            return (
                "the density of measured values: that of the true ones convolved with the noise of their errors, "
                f"averaged over {len(self.scored.draws)} draws of it"
            )
        if isinstance(self.density, AnyGivenDensity):
            return (
                "a density in the units of continuous columns times the probability of discrete ones, exact; missing "
                "values are left out: it is the density of those that are there, which the model has learned"
            )
        if not self.density.columns.discrete:
            return "a density in the units of the columns, exact"
        points = len(self.density.points)
        return (
            "a density in the units of continuous columns times the probability of discrete ones, which is averaged "
            f"over {points} points of the dequantising noise"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write flow, column names and notes to one `.safetensors` file, atomically."""
        columns: dict[str, Any] = {"columns": self.columns, "given": self.given, "schema": as_json(self.schema)}
        if self.errors:
            columns["errors"] = self.errors
        if self.calibration is not None:
            columns["calibration"] = self.calibration.as_json()
        save(self.flow, Path(path), **columns, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> TableFlow:
        """Read a file written by `save`.

        Raises:
            InputError: the file is no model, or a model without column names.
        """
        notes = describe(Path(path))["notes"]
        flow: Flow | AnyGivenFlow = load(Path(path), device)
        notes = notes if isinstance(notes, dict) else {}
        columns, given = (_checked_names(notes.get(key), path) for key in ("columns", "given"))
        schema = parse_schema(notes.get("schema", {}), source=f"the schema in {path}")
        counts = [sum(name not in schema or schema[name].modelled for name in names) for names in (columns, given)]
        if isinstance(flow, AnyGivenFlow):
            counts = [sum(counts), 0]
        if counts != [flow.features, flow.context_features]:
            raise InputError(f"{path} is damaged: its columns are not as many as the features of its flow.")
        errors = notes.get("errors", {})
        if not isinstance(errors, dict) or not set(errors) <= set(columns):
            raise InputError(f"{path} is damaged: it has errors of columns that are not in it.")
        calibration = Calibration.parse(notes["calibration"], source=str(path)) if "calibration" in notes else None
        return cls(flow, columns, given, notes.get("fit", {}), schema, errors, calibration)

    def codes(self, table: Any, *, columns: Sequence[str] | None = None) -> np.ndarray:
        """The codes of a table in memory, for `log_prob`.

        Arguments:
            table: a data frame, a table of pyarrow, or an array whose columns are called 0, 1, ....
            columns: which, default `names`.

        Raises:
            InputError: a column is missing, or a value is not of its column's kind.
        """
        names = self.names if columns is None else list(columns)
        return codes(table_from_frame(table, names), self.schema, names, source="the table", gaps=self.any_given)

    def table(self, matrix: np.ndarray, *, columns: Sequence[str] | None = None) -> pa.Table:
        """The table that codes stand for, text and times in their own types.

        Arguments:
            matrix: (n, columns).
            columns: which, default `names`.
        """
        return decoded(matrix, self.schema, self.names if columns is None else columns)

    def log_prob(self, matrix: np.ndarray, *, source: str = "the table", first_row: int = 1) -> np.ndarray:
        """Log-density of rows.

        Rows whose float32 result is not finite, far from the data, are evaluated again in float64.

        Arguments:
            matrix: codes, float64, (n, columns and then given).
            source: what an error calls the table.
            first_row: the number of the first row, for errors.

        Returns:
            log p(columns | given) in nats, (n,), float64.

        Raises:
            InputError: a row whose log-density is not finite even in float64.
        """
        log_prob = self.log_prob_anywhere(torch.from_numpy(matrix))
        worst = (~log_prob.isfinite()).nonzero()[:, 0]
        if len(worst):
            raise InputError(
                f"{source} has no finite log-density in row {first_row + int(worst[0])} "
                f"({float(log_prob[worst[0]])}): it lies too far from the data that the model was fitted to."
            )
        return log_prob.numpy()

    @torch.inference_mode()
    def log_prob_anywhere(self, rows: torch.Tensor) -> torch.Tensor:
        """As `log_prob`, (n,), but minus infinity or NaN where a row has no finite log-density."""
        log_prob = self._log_prob(self.scored, rows)
        bad = (~log_prob.isfinite()).nonzero()[:, 0]
        if len(bad):
            log_prob[bad] = self._log_prob(copy.deepcopy(self.scored).double(), rows[bad])
        return log_prob

    @property
    def shared(self) -> list[str]:
        """The columns of `shares`: the modelled ones that vary."""
        return [name for name in self._modelled if name not in self.given]

    def check_shares(self) -> None:
        """Refuse `shares` of a model whose log-density is no sum over its columns.

        Raises:
            InputError: layers that mix columns or run in different orders, discrete columns whose probabilities are
                averages over noise, or measurement errors.
        """
        if isinstance(self.density, AnyGivenDensity):
            return
        if self.errors:
            raise InputError("Shares of columns are no part of this model: its scores average over measurement errors.")
        if self.density.columns.discrete:
            name = next(
                name for name in self._modelled if self.schema[name].discrete or isinstance(self.schema[name], Mixed)
            )
            raise InputError(
                f'Shares of columns are no part of this model: the probability of its column "{name}" is an average '
                "over noise; fit with --any-given, whose probabilities are exact."
            )
        if order_of(self.density.flow.bijection) is None:
            raise InputError(
                "Shares of columns are no part of this model: its layers mix columns or run in different orders; fit "
                "with --any-given, or see --explain."
            )

    @torch.inference_mode()
    def shares(self, matrix: np.ndarray) -> np.ndarray:
        """The terms of the chain rule, log p(columns | given) = Σ log p(column | columns before it, given).

        Arguments:
            matrix: codes, float64, (n, columns and then given).

        Returns:
            (n, columns of `shared`), nats, which sum to `log_prob`; 0 where a value is missing.

        Raises:
            InputError: as for `check_shares`.
        """
        self.check_shares()
        rows = torch.from_numpy(matrix)
        shares = self._shares(self.density, rows)
        bad = (~shares.isfinite()).any(1).nonzero()[:, 0]
        if len(bad):
            shares[bad] = self._shares(copy.deepcopy(self.density).double(), rows[bad])
        return shares.numpy()

    def score(
        self,
        data: str | os.PathLike[str],
        output: str | os.PathLike[str],
        report: Callable[[float], None] = lambda part: None,
        watch: Callable[[int, np.ndarray, np.ndarray], None] = lambda first_row, matrix, log_prob: None,
        *,
        shares: bool = False,
    ) -> Scores:
        """Write a table again with a column `log_prob`, rows in their order, as a stream in constant memory.

        A calibrated model adds a column `p_value` too: the conformal p-value of the row's log-density.

        Arguments:
            data: CSV, Parquet or Feather file with the model's columns; other columns are copied as they are.
            output: file to write, "-" for CSV to standard output.
            report: is told the share that is done, from 0 to 1.
            watch: is shown the rows as they pass: the number of the first, their codes, their log-densities.
            shares: whether to add a column `share_NAME` for each modelled column, its term of the chain rule.

        Returns:
            The number of rows and the mean, standard deviation, smallest and largest log-density.

        Raises:
            InputError: a missing column, a value that is no finite number, a column that is already called log_prob
                or p_value, shares of a model that has none; nothing is written then.
        """
        scores = Scores()
        if shares:
            self.check_shares()
        # Numbers that come as text and go as text stay as they were written.
        as_text = output == "-" or table_format(output) == "csv"
        with TableReader(data, self._numeric(self.names), keep_text=as_text) as reader:
            added = [LOG_PROB] if self.calibration is None else [LOG_PROB, P_VALUE]
            added += [SHARE + name for name in self.shared] if shares else []
            for name in added:
                if name in reader.names:
                    raise InputError(f'{data} already has a column "{name}"; rename or remove it first.')
            fields = [pa.field(name, pa.float64()) for name in added]
            with TableWriter(output, pa.schema([*reader.schema, *fields], reader.schema.metadata)) as writer:
                for batch in reader.batches(BATCH_ROWS):
                    first_row = scores.rows + 1
                    matrix = self._codes(batch, self.names, os.fspath(data), first_row)
                    log_prob = self.log_prob(matrix, source=os.fspath(data), first_row=first_row)
                    watch(first_row, matrix, log_prob)
                    batch = batch.append_column(LOG_PROB, pa.array(log_prob))
                    if self.calibration is not None:
                        batch = batch.append_column(P_VALUE, pa.array(self.calibration.p_values(log_prob)))
                    if shares:
                        for name, share in zip(self.shared, self.shares(matrix).T, strict=True):
                            batch = batch.append_column(SHARE + name, pa.array(share))
                    writer.write(batch)
                    scores.add(log_prob)
                    report(reader.progress)
        return scores

    def sample(
        self,
        output: str | os.PathLike[str],
        *,
        rows: int | None = None,
        given: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        report: Callable[[float], None] = lambda part: None,
    ) -> int:
        """Write draws from the density as a table, as a stream in constant memory.

        Arguments:
            output: file to write, "-" for CSV to standard output.
            rows: number of draws, for a model without given columns.
            given: file with the given columns, for a model with them: one draw for each of its rows, written beside it.
            seed: makes the draws repeat; the global random state is left as it was. Default: new draws at every call.
            report: is told the share that is done, from 0 to 1.

        Returns:
            The number of rows written.

        Raises:
            InputError: `rows` or `given` is missing or does not go with the model, or a draw is not finite.
        """
        name = f"p({', '.join(self.columns)}{' | ' if self.given else ''}{', '.join(self.given)})"
        if self.given and given is None:
            raise InputError(f"This model is {name}: it needs a file with the given columns (--given-file).")
        if self.given and rows is not None:
            raise InputError(
                f"This model is {name}: it draws one row for each given row, leave out the number of rows."
            )
        if not self.given and given is not None:
            raise InputError(f"This model is {name}, without given columns: leave out the given file.")
        if not self.given and (rows is None or rows < 1):
            raise InputError("Say how many rows to draw, at least 1 (-n).")
        names = [*self.given, *self.columns]
        written = 0
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed alone: without a seed the draws must differ from call to call.
            torch.default_generator.manual_seed(secrets.randbits(63) if seed is None else seed)
            with TableWriter(output, pa.schema([(name, arrow_type(self.schema[name])) for name in names])) as writer:
                for matrix, done in self._draws(rows, given):
                    self._check_finite(matrix, names, written)
                    writer.write(self.table(matrix, columns=names))
                    written += len(matrix)
                    report(done)
        return written

    def draw(self, rows: int | None = None, given: np.ndarray | None = None) -> np.ndarray:
        """Draw rows in memory, from the global random state.

        Arguments:
            rows: how many, for a model without given columns.
            given: codes (n, given), for a model with them: one row is drawn for each.

        Returns:
            Codes, (n, columns), each in the support of its column.
        """
        if isinstance(self.density, AnyGivenDensity):
            matrix = np.full((rows or len(given if given is not None else ()), len(self.names)), np.nan)
            if given is not None:
                matrix[:, len(self.columns) :] = given
            places = self._places()
            matrix[:, places] = self.density.fill(torch.from_numpy(matrix[:, places])).numpy()
            return matrix[:, : len(self.columns)]
        context = None if given is None else self._context_of(torch.from_numpy(given))
        drawn = self.density.sample(() if rows is None else (rows,), context).numpy()
        matrix = np.zeros((len(drawn), len(self.columns)))
        matrix[:, self._places()] = drawn
        return matrix

    def _draws(self, rows: int | None, given: str | os.PathLike[str] | None) -> Iterator[tuple[np.ndarray, float]]:
        """Blocks of rows, given and then drawn columns, each with the share that is done after it."""
        if given is not None:
            done = 0
            with TableReader(given, self._numeric(self.given)) as reader:
                for batch in reader.batches(BATCH_ROWS):
                    matrix = self._codes(batch, self.given, os.fspath(given), done + 1)
                    done += len(matrix)
                    yield np.hstack([matrix, self.draw(given=matrix)]), reader.progress
        elif rows is not None:
            for start in range(0, rows, BATCH_ROWS):
                block = min(BATCH_ROWS, rows - start)
                yield self.draw(block), (start + block) / rows

    def _log_prob(self, density: Any, rows: torch.Tensor) -> torch.Tensor:
        context = self._context_of(rows[:, len(self.columns) :])
        places = [*self._places(), *(self.names.index(name) for name in self.errors.values())]
        log_prob: torch.Tensor = density.log_prob(rows[:, places], context).double()
        return log_prob

    def _shares(self, density: Any, rows: torch.Tensor) -> torch.Tensor:
        context = self._context_of(rows[:, len(self.columns) :])
        each: torch.Tensor = density.log_prob_of_each(rows[:, self._places()], context).double()
        return each[:, [self._modelled.index(name) for name in self.shared]]

    def _places(self) -> list[int]:
        """Where the density's columns stand in a matrix of codes."""
        return [self.names.index(name) for name in self._modelled]

    def context_of(self, given: np.ndarray) -> torch.Tensor | None:
        """The flow's context, of codes of the given columns, (n, given); None if none of these varies."""
        return self._context_of(torch.from_numpy(given))

    def _context_of(self, given: torch.Tensor) -> torch.Tensor | None:
        """The given columns that vary, as the flow's context."""
        return given[:, [self.given.index(name) for name in self._context]] if self._context else None

    def _codes(self, batch: pa.RecordBatch, names: Sequence[str], source: str, first_row: int) -> np.ndarray:
        return codes(batch, self.schema, names, source=source, first_row=first_row, gaps=self.any_given)

    def _numeric(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.schema[name].numeric]

    def _check_finite(self, matrix: np.ndarray, names: Sequence[str], before: int) -> None:
        there = [place for place, name in enumerate(names) if self.schema[name].modelled and name not in self.given]
        bad = ~np.isfinite(matrix[:, there]).all(1)
        if bad.any():
            raise InputError(
                f"Draw {before + int(bad.argmax()) + 1} is not finite: "
                "the model's tails leave the range of its numbers."
            )


@dataclass
class Scores:
    """The log-densities of a table in sum: rows, mean, standard deviation, smallest, largest (nats)."""

    rows: int = 0
    mean: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")
    _squares: float = 0.0

    def add(self, log_prob: np.ndarray) -> None:
        """Count some more rows."""
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


@dataclass
class Fit:
    """A fitted model and how it compares.

    Attributes:
        model: the density over the table's columns.
        history: the course of the training.
        held_out: mean log-likelihood of the held-out rows under the model, nats per row in the data's units.
        gaussian: the same rows under the full-covariance Gaussian of the training rows; None with too few rows.
    """

    model: TableFlow
    history: History
    held_out: float
    gaussian: float | None


def fit_table(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    given: Sequence[str] = (),
    flow: str | None = None,
    schema: Any = None,
    any_given: bool = False,
    weight: Any = None,
    errors: Mapping[str, str] | None = None,
    seed: int = 0,
    max_time: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
    **training: Any,
) -> Fit:
    """Fit p(columns | given) to a table.

    Columns are made nearly normal inside the model, and the change of units is counted: densities are in the table's
    own units. One row in ten, chosen by
    the seed, is held out: it decides when training stops, and gives the held-out nats.

    Arguments:
        data: a CSV, Parquet or Feather file, or a table in memory: pandas, polars, pyarrow; numpy with columns named
            0, 1, ....
        columns: columns to model, default all that are not given.
        given: columns to condition on, default none.
        flow: a named architecture with its own defaults; by default `pushforward.recipe` chooses architecture, size and
            training from the table and the time.
        schema: what some of the columns are, where it should not be learned: a JSON file, or
            {column: {"kind": kind, option: value}} as in `pushforward.tables.schema`.
        any_given: whether the model is to answer p(any columns | any others), default False. Tables with missing
            values or angles, and those with categories or angles among the given columns, have such a model always.
            A table of more than 128 MB, which is streamed from its file, has one for angles only if it is asked for.
        weight: a column of row weights, which is not modelled, or one number for each row: by these rows count in the
            split, the loss, the held-out value, the Gaussian and the p-values; rows of weight 0 are left out.
        errors: {column: column of its measurement errors}, standard deviations of independent normal noise. The model
            is then that of the true values, as `pushforward.measured` explains; columns with errors are continuous.
        seed: of the split, the initial weights and the batches.
        max_time: most seconds of training; by default it goes on until it stops gaining.
        announce: is told, before the training, what was chosen and why, line by line.
        training: options of `pushforward.fit`, instead of those chosen: epochs, device, precision, progress, ....

    Returns:
        The model, the history, and held-out nats beside a Gaussian's.

    Raises:
        InputError: a table that cannot be fitted (one sentence names file, column and first row), or a bad option.
        TrainingError: training met too many numbers that are not finite.
    """
    source = os.fspath(data) if isinstance(data, str | os.PathLike) else "the table"
    errors = dict(errors or {})
    both = [name for name in columns or () if name in given]
    if both:
        raise InputError(f'Column "{both[0]}" is both modelled and given: choose one.')
    declared = read_schema(schema) if isinstance(schema, str | os.PathLike) else parse_schema(schema or {})
    aside = list(dict.fromkeys([*errors.values(), *([weight] if isinstance(weight, str) else [])]))
    for name in aside:
        if name in (columns or ()) or name in given:
            raise InputError(f'Column "{name}" holds weights or errors, and cannot be modelled or given as well.')
    declared = {**dict.fromkeys(errors, Continuous(heavy=False)), **declared}
    wanted = None if columns is None else list(dict.fromkeys([*columns, *given, *aside]))
    large = None
    if isinstance(data, str | os.PathLike) and is_large(data, wanted):
        if not (weight is None or isinstance(weight, str)):
            raise InputError(
                f"{source} is too large for memory and is streamed: give the weights of its rows as one of its columns."
            )
        found = wanted or column_names(data)
        if aside:
            check_columns(aside, found, source=source)
        check_errors(errors, found, columns, given, source)
        quiet = training.get("progress") is False
        beside = (weight, list(errors.values()))
        large = LargeTable(data, found, declared, seed, VALIDATION_FRACTION, *beside, quiet)
        table, weights, noise_of = large.sample, large.weights, large.noise_of
    else:
        table = _read(data, wanted)
        if aside:
            check_columns(aside, table.column_names, source=source)
        check_errors(errors, table.column_names, columns, given, source)
        weights = None if weight is None else weights_of(table, weight, source)
        if weights is not None:
            check_weights(weights, source)
        noise_of = errors_of(table, list(errors.values()), source)
        table = table.drop_columns(aside) if aside else table
    names = table.column_names
    if given:
        check_columns(given, names, source=source)
    columns = [name for name in names if name not in given] if columns is None else list(columns)
    if not columns:
        raise InputError(f"{source} has no columns left to model: all of them are given.")
    learned = learn_schema(table, declared, source=source) if large is None else large.learn()
    learned = _as_given(learned, given, declared)
    names = [*columns, *given]
    if large is not None:
        large.check(learned, names)
    matrix = codes(table, learned, names, source=source)
    varying = [[name for name in part if learned[name].modelled] for part in (columns, given)]
    gaps = large.found.gaps if large is not None else _gaps(matrix, names)
    any_given = any_given or _asks_for_any_given(gaps, varying, learned, flow, source, large is not None)
    if any_given and errors:
        raise InputError("Measurement errors go with complete tables of numbers only: leave out gaps and angles.")
    if any_given and flow is not None:
        raise InputError(f"A model of any columns given any others has an architecture of its own; leave out {flow}.")
    dense = [name for name in names if isinstance(learned[name], Continuous | Positive | Bounded)]
    _check_dense(matrix, names, dense, source, MINIMUM_ROWS)
    if not varying[0]:
        raise InputError(f"{source} has no column to model that varies: a constant needs no model.")
    places = {name: place for place, name in enumerate(names)}
    matrix = matrix[:, [places[name] for name in [*varying[0], *varying[1]]]]
    names = [*varying[0], *varying[1]]
    features = len(names if any_given else varying[0])

    parts: tuple[Any, Any] = (None, None)
    if large is None:
        # The same rows as `fit` chooses.
        whole = np.hstack([matrix, noise_of])
        of_rows = None if weights is None else torch.from_numpy(weights)
        split = split_table(torch.from_numpy(whole), VALIDATION_FRACTION, seed, of_rows)
        training_rows, held_out_rows = (index.numpy() for index in split)
        train, held_out = matrix[training_rows], whole[held_out_rows]
        counts = (len(train), len(held_out))
        if weights is not None:
            parts = (weights[training_rows], weights[held_out_rows])
    else:
        streamed = large.rows(learned, names[:features], names[features:])
        train, held_out = matrix, _beside(streamed.held_out, features)
        if weights is not None and streamed.held_out.weights is not None:
            parts = (weights, streamed.held_out.weights[streamed.held_out.rows].numpy())
        counts = (streamed.rows, len(held_out))
    _check_dense(train, names, dense, f"the training part of {source}", 2)

    # Before the training: columns that lie in a plane have no density, and no time should be spent on them.
    gaussian = None
    if len(dense) == len(names) and not np.isnan(matrix).any() and not errors:
        gaussian = _gaussian(train, held_out, len(varying[0]), *parts)

    if any_given:
        recipe = choose_any_given(counts[0], features, max_time)
    elif flow is None:
        recipe = choose_recipe(counts[0], features, len(names) - features, max_time)
    else:
        recipe = Recipe({"architecture": flow}, knots_for(counts[0]), {}, ())
    options = {**recipe.training, **training}
    # Refused options are said first, and alone.
    fields = Settings.__dataclass_fields__
    known = {name: value for name, value in options.items() if name in fields and value is not None}
    Settings(**{"evaluate_every": 1, "max_steps": 1, **known, "max_time": max_time})
    for line in [*([] if large is None else [large.reason]), *_lines_of_schema(learned), *recipe.reasons]:
        announce(line)
    maps = Columns(learned, names[:features])
    x, context = (torch.from_numpy(part) for part in np.split(train, [features], axis=1))
    conditional = features < len(names)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = maps.encode(x, noise)[0]
    by_weight = None if parts[0] is None else torch.from_numpy(parts[0])
    model: Flow | AnyGivenFlow
    density: Any
    if any_given:
        model = _make_any_given(recipe, maps, y, input_widths(learned, names), seed, by_weight)
        density = AnyGivenDensity(maps, model, learned, names, varying[1])
        density.learn_covariance(x[:COVARIANCE_ROWS])
    else:
        of_columns = {"low": maps.low, "high": maps.high, "normal": maps.normal}
        model = recipe.make(y, context if conditional else None, seed, **of_columns, weights=by_weight)
        density = model if maps.trivial else TableDensity(maps, model, POINTS_IN_TRAINING)
    measured = [varying[0].index(name) for name in errors]
    if errors:
        density = MeasuredDensity(density, features, measured)
    # As tables, so that messages name columns, and rows of the file.
    history = fit(
        density,
        to_table(np.hstack([matrix[:, :features], noise_of]), [*names[:features], *errors.values()])
        if large is None
        else streamed,
        to_table(matrix[:, features:], names[features:]) if conditional and large is None else None,
        weights=weights if large is None else None,
        validation_fraction=VALIDATION_FRACTION,
        seed=seed,
        max_time=max_time,
        **options,
    )
    fitted = TableFlow(model, list(columns), list(given), {}, learned, errors)
    best = history.best_held_out
    # The held-out rows are in no order that matters.
    every = slice(None, None, -(-len(held_out) // CALIBRATION_ROWS))
    if isinstance(density, TableDensity) and maps.discrete:
        # With the points that scores have.
        scores = _held_out_scores(fitted, held_out, features, len(names))
        best = float(np.average(scores, weights=parts[1]))
        scores = scores[every]
    else:
        scores = _held_out_scores(fitted, held_out[every], features, len(names))
    fitted.calibration = Calibration.of(scores, None if parts[1] is None else parts[1][every])
    notes = {
        "flow": recipe.flow["architecture"],
        "chosen": list(recipe.reasons),
        "rows": {"training": counts[0], "held_out": counts[1]},
        "held_out_nats": best,
        "log_prob": fitted.meaning,
        "any_given": any_given,
        "gaussian_nats": gaussian,
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
    }
    fitted.notes = notes
    return Fit(fitted, history, best, gaussian)


def _read(data: Any, columns: Sequence[str] | None) -> pa.Table:
    if isinstance(data, str | os.PathLike):
        return read_columns(data, columns)
    return table_from_frame(data, columns)


def _as_given(learned: Schema, given: Sequence[str], declared: Schema) -> Schema:
    """Conditions may take values that were not seen: no bounds are learned for them, nor levels of numbers."""
    relaxed = (Bounded, Integer, Positive, Mixed)
    return {
        name: Continuous(missing=column.missing, heavy=False)
        if name in given
        and name not in declared
        and (isinstance(column, relaxed) or (isinstance(column, Category) and column.numeric))
        else column
        for name, column in learned.items()
    }


def _gaps(matrix: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """The first row without a value, counted from 1, of columns that have such rows."""
    missing = np.isnan(matrix)
    return {name: int(missing[:, place].argmax()) + 1 for place, name in enumerate(names) if missing[:, place].any()}


def _asks_for_any_given(
    gaps: Mapping[str, int],
    varying: Sequence[Sequence[str]],
    schema: Schema,
    flow: str | None,
    source: str,
    large: bool,
) -> bool:
    """Whether a table needs a model of any columns given any others; an error where a named flow cannot be had."""
    columns, given = varying
    hints = []
    for name in [*columns, *given]:
        if name in gaps and schema[name].modelled:
            hints.append(f'column "{name}" of {source} has no value in row {gaps[name]}')
    for name in given:
        column = schema[name]
        if isinstance(column, Periodic) or (isinstance(column, Category) and len(column.levels or ()) > 2):
            hints.append(f'the given column "{name}" of {source} is {column.describe()}')
    if hints and flow is not None:
        raise InputError(f"{hints[0]}, which {flow} does not take; leave out the architecture.")
    # With a named flow an angle is cut open where fewest rows are.
    return bool(hints) or (flow is None and not large and any(isinstance(schema[name], Periodic) for name in columns))


def _beside(table: Table, features: int) -> np.ndarray:
    """The rows of a table as one matrix: features, context, and the errors that stand beside the features."""
    x, *others = table.take(table.rows)
    context = [] if table.context is None else [others[0].numpy()]
    return np.hstack([x[:, :features].numpy(), *context, x[:, features:].numpy()])


def _held_out_scores(model: TableFlow, held_out: np.ndarray, features: int, columns: int) -> np.ndarray:
    """log_prob, (n,), of the density's codes, its context, and the errors beside them."""
    x = torch.from_numpy(np.hstack([held_out[:, :features], held_out[:, columns:]]))
    context = torch.from_numpy(held_out[:, features:columns]) if features < columns else None
    scores: np.ndarray = evaluate(model.scored, x, context).double().cpu().numpy()
    return scores


def _make_any_given(
    recipe: Recipe, maps: Columns, y: torch.Tensor, widths: list[int], seed: int, weights: torch.Tensor | None
) -> AnyGivenFlow:
    """The flow with fresh weights behind splines that make each column of its training rows nearly normal."""
    bounded = any(np.isfinite([*maps.low, *maps.high]))
    options = {key: value for key, value in recipe.flow.items() if key != "architecture"}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        flow = AnyGivenFlow(maps.features, widths, maps.circular, knots=recipe.knots, bounded=bounded, **options)
    flow.marginal.double()
    for place in set(range(maps.features)) - set(maps.normal):
        there = ~y[:, place].isnan()
        one = MarginalSpline.from_data(
            y[there, place][:, None],
            recipe.knots,
            low=[maps.low[place]],
            high=[maps.high[place]],
            weights=None if weights is None else weights[there],
        )
        for name, buffer in flow.marginal.named_buffers():
            if (value := getattr(one, name)) is not None:
                buffer[place] = value[0]
    return flow


def _check_dense(matrix: np.ndarray, names: Sequence[str], dense: Sequence[str], source: str, rows: int) -> None:
    """Refuse too few rows, and what no density exists for among columns that have one."""
    for place, name in enumerate(names):
        there = ~np.isnan(matrix[:, place])
        if name in dense and not there.all():
            check_for_fitting(matrix[there, place][:, None], [name], source=source, minimum_rows=2)
    places = [place for place, name in enumerate(names) if name in dense and not np.isnan(matrix[:, place]).any()]
    check_for_fitting(matrix[:, places], [names[place] for place in places], source=source, minimum_rows=rows)


def _lines_of_schema(schema: Schema) -> list[str]:
    """What is special about the columns, a line for each."""
    plain = Continuous(heavy=False)
    special = [name for name, column in schema.items() if column.model_copy(update={"missing": 0.0}) != plain]
    lines = [f'column "{name}": {schema[name].describe()}' for name in special[:MOST_LINES]]
    if len(special) > MOST_LINES:
        lines.append(f"and {len(special) - MOST_LINES} more columns that are not plain numbers")
    gaps = {name: column.missing for name, column in schema.items() if 0 < column.missing < 1}
    if gaps:
        worst = max(gaps, key=lambda name: gaps[name])
        lines.append(f'gaps in {len(gaps)} columns, most in "{worst}": {gaps[worst]:.1%} of the rows')
    return lines


def _gaussian(
    train: np.ndarray,
    held_out: np.ndarray,
    columns: int,
    weights: np.ndarray | None = None,
    held_out_weights: np.ndarray | None = None,
) -> float | None:
    """Mean log-likelihood under the Gaussian: p(columns | given) = p(columns, given) / p(given).

    None where a full covariance cannot be had, since there are no more rows than columns.
    """
    if train.shape[0] <= train.shape[1]:
        return None
    if weights is not None:
        # Rows that have the weighted mean and covariance without weights: each deviation scaled, on both sides.
        mean = np.average(train, axis=0, weights=weights)
        deviation = (train - mean) * np.sqrt(weights / weights.mean())[:, None]
        train = np.concatenate([mean + deviation, mean - deviation])
    log_prob = gaussian_log_likelihood(train, held_out)
    if columns < train.shape[1]:
        log_prob = log_prob - gaussian_log_likelihood(train[:, columns:], held_out[:, columns:])
    return float(np.average(log_prob, weights=held_out_weights))


def _checked_names(names: Any, path: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is a flow without column names: it was not fitted to a table.")
    return names
