"""A flow that knows its columns: fitted to a table, it scores and samples tables."""

from __future__ import annotations

import copy
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.store.description import describe
from pushforward.store.model_file import load, save
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.calibration import Calibration
from pushforward.table_models.deconvolved import DeconvolvedDensity
from pushforward.table_models.dequantized import DequantizedDensity
from pushforward.tables import (
    Columns,
    Schema,
    TableReader,
    TableWriter,
    arrow_type,
    as_json,
    decode,
    encode,
    parse_schema,
    table_format,
    table_from_frame,
)
from pushforward.tables.schema.kinds import Continuous

# Large enough that a pass is all arithmetic, small enough that its activations stay in the processor's cache.
BATCH_ROWS = 4096
LOG_PROB, P_VALUE, SHARE = "log_prob", "p_value", "share_"


@dataclass
class TableModel:
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
        >>> import pushforward as pf
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

    def __post_init__(self) -> None:
        """Put the columns' maps before the flow."""
        self.schema = {name: self.schema.get(name, Continuous(heavy=False)) for name in self.names}
        self._modelled, self._context = (
            [name for name in names if self.schema[name].modelled] for names in (self.columns, self.given)
        )
        self.density: DequantizedDensity | ArbitraryConditionalDensity
        if isinstance(self.flow, ArbitraryConditionalFlow):
            # The context is among the features: any of it may be missing.
            self._modelled, self._context = [*self._modelled, *self._context], []
            columns = Columns(self.schema, self._modelled)
            self.density = ArbitraryConditionalDensity(
                columns, self.flow, self.schema, self._modelled, self.given
            ).eval()
        else:
            self.density = DequantizedDensity(Columns(self.schema, self._modelled), self.flow).eval()
        self.scored: Any = self.density
        if self.errors:
            measured = [self._modelled.index(name) for name in self.errors]
            self.scored = DeconvolvedDensity(self.density, len(self._modelled), measured).eval()

    @property
    def names(self) -> list[str]:
        """The columns, the given ones, and those of measurement errors, as the columns of a matrix of codes."""
        return [*self.columns, *self.given, *self.errors.values()]

    @property
    def arbitrary_conditions(self) -> bool:
        """Whether the model answers p(any columns | any others), and takes rows with gaps."""
        return isinstance(self.density, ArbitraryConditionalDensity)

    @property
    def modelled(self) -> list[str]:
        """The columns of the density's codes: those that vary; with the given ones if `arbitrary_conditions`."""
        return list(self._modelled)

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        if self.errors:
            return (
                "the density of measured values: that of the true ones convolved with the noise of their errors, "
                f"averaged over {len(self.scored.draws)} draws of it"
            )
        if isinstance(self.density, ArbitraryConditionalDensity):
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
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> TableModel:
        """Read a file written by `save`.

        Raises:
            InputError: the file is no model, or a model without column names.
        """
        notes = describe(Path(path))["notes"]
        flow: Flow | ArbitraryConditionalFlow = load(Path(path), device)
        notes = notes if isinstance(notes, dict) else {}
        columns, given = (_checked_names(notes.get(key), path) for key in ("columns", "given"))
        schema = parse_schema(notes.get("schema", {}), source=f"the schema in {path}")
        counts = [sum(name not in schema or schema[name].modelled for name in names) for names in (columns, given)]
        if isinstance(flow, ArbitraryConditionalFlow):
            counts = [sum(counts), 0]
        if counts != [flow.features, flow.context_features]:
            raise InputError(f"{path} is damaged: its columns are not as many as the features of its flow.")
        errors = notes.get("errors", {})
        if not isinstance(errors, dict) or not set(errors) <= set(columns):
            raise InputError(f"{path} is damaged: it has errors of columns that are not in it.")
        calibration = Calibration.parse(notes["calibration"], source=str(path)) if "calibration" in notes else None
        return cls(flow, columns, given, notes.get("fit", {}), schema, errors, calibration)

    def encode(self, table: Any, *, columns: Sequence[str] | None = None) -> np.ndarray:
        """The codes of a table in memory, for `log_prob`.

        Arguments:
            table: a data frame, a table of pyarrow, or an array whose columns are called 0, 1, ....
            columns: which, default `names`.

        Raises:
            InputError: a column is missing, or a value is not of its column's kind.
        """
        names = self.names if columns is None else list(columns)
        return encode(
            table_from_frame(table, names), self.schema, names, source="the table", gaps=self.arbitrary_conditions
        )

    def decode(self, matrix: np.ndarray, *, columns: Sequence[str] | None = None) -> pa.Table:
        """The table that codes stand for, text and times in their own types.

        Arguments:
            matrix: (n, columns).
            columns: which, default `names`.
        """
        return decode(matrix, self.schema, self.names if columns is None else columns)

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
        if isinstance(self.density, ArbitraryConditionalDensity):
            return
        if self.errors:
            raise InputError("Shares of columns are no part of this model: its scores average over measurement errors.")
        if self.density.columns.discrete:
            name = next(name for name in self._modelled if self.schema[name].has_probabilities)
            raise InputError(
                f'Shares of columns are no part of this model: the probability of its column "{name}" is an average '
                "over noise; fit with --arbitrary-conditions, whose probabilities are exact."
            )
        if self.density.flow.bijection.order() is None:
            raise InputError(
                "Shares of columns are no part of this model: its layers mix columns or run in different orders; fit "
                "with --arbitrary-conditions, or see --explain."
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
                    writer.write(self.decode(matrix, columns=names))
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
        if isinstance(self.density, ArbitraryConditionalDensity):
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
        return encode(batch, self.schema, names, source=source, first_row=first_row, gaps=self.arbitrary_conditions)

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


def _checked_names(names: Any, path: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is a flow without column names: it was not fitted to a table.")
    return names
