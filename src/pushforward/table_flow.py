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
from pushforward.evaluation.baselines import gaussian_log_likelihood
from pushforward.flow import Flow
from pushforward.recipe import Recipe, choose_recipe, knots_for
from pushforward.store import describe, load, save
from pushforward.streaming import TablePieces, is_large, stream_table, survey
from pushforward.tables import (
    TableReader,
    TableWriter,
    check_columns,
    check_for_fitting,
    column_names,
    matrix_from_frame,
    numeric_matrix,
    read_matrix,
    table_format,
    to_table,
)
from pushforward.training import History, fit
from pushforward.training.fitting import split_table
from pushforward.training.settings import Settings
from pushforward.training.streamed import StreamedRows

MINIMUM_ROWS = 20
VALIDATION_FRACTION = 0.1
# Large enough that a pass is all arithmetic, small enough that its activations stay in the processor's cache.
BATCH_ROWS = 4096
LOG_PROB = "log_prob"


@dataclass
class TableFlow:
    """A density p(columns | given) over named columns, in the columns' own units.

    Attributes:
        flow: the flow over `columns`, with `given` as its context.
        columns: the modelled columns, in the flow's order.
        given: the columns that are conditioned on; none for p(columns).
        notes: what the fit left to be known: rows, held-out nats, seed.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
        >>> fitted = fit_table(to_table(rows, ["mass", "radius"]), max_steps=20)
        >>> fitted.model.columns, fitted.model.flow.sample((3,)).shape
        (['mass', 'radius'], torch.Size([3, 2]))
    """

    flow: Flow
    columns: list[str]
    given: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write flow, column names and notes to one `.safetensors` file, atomically."""
        save(self.flow, Path(path), columns=self.columns, given=self.given, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "cpu") -> TableFlow:
        """Read a file written by `save`.

        Raises:
            InputError: the file is no model, or a model without column names.
        """
        notes = describe(Path(path))["notes"]
        flow = load(Path(path), device)
        columns, given = (notes.get(key) if isinstance(notes, dict) else None for key in ("columns", "given"))
        if not (_names(columns, flow.features) and _names(given, flow.context_features)):
            raise InputError(f"{path} is a flow without column names: it was not fitted to a table.")
        return cls(flow, list(columns), list(given), notes.get("fit", {}))  # type: ignore[arg-type]

    def log_prob(self, matrix: np.ndarray, *, source: str = "the table", first_row: int = 1) -> np.ndarray:
        """Log-density of rows.

        Rows whose float32 result is not finite, far from the data, are evaluated again in float64.

        Arguments:
            matrix: float64, (n, columns and then given).
            source: what an error calls the table.
            first_row: the number of the first row, for errors.

        Returns:
            log p(columns | given) in nats, (n,), float64.

        Raises:
            InputError: a row whose log-density is not finite even in float64.
        """
        rows = torch.from_numpy(matrix)
        with torch.inference_mode():
            log_prob = self._log_prob(self.flow, rows)
            bad = (~log_prob.isfinite()).nonzero()[:, 0]
            if len(bad):
                log_prob[bad] = self._log_prob(copy.deepcopy(self.flow).double(), rows[bad])
                worst = (~log_prob.isfinite()).nonzero()[:, 0]
                if len(worst):
                    raise InputError(
                        f"{source} has no finite log-density in row {first_row + int(worst[0])} "
                        f"({float(log_prob[worst[0]])}): it lies too far from the data that the model was fitted to."
                    )
        return log_prob.numpy()

    def score(
        self,
        data: str | os.PathLike[str],
        output: str | os.PathLike[str],
        report: Callable[[float], None] = lambda part: None,
    ) -> Scores:
        """Write a table again with a column `log_prob`, rows in their order, as a stream in constant memory.

        Arguments:
            data: CSV, Parquet or Feather file with the model's columns; other columns are copied as they are.
            output: file to write, "-" for CSV to standard output.
            report: is told the share that is done, from 0 to 1.

        Returns:
            The number of rows and the mean, standard deviation, smallest and largest log-density.

        Raises:
            InputError: a missing column, a value that is no finite number, a column that is already called log_prob;
                nothing is written then.
        """
        scores = Scores()
        # Numbers that come as text and go as text stay as they were written.
        as_text = output == "-" or table_format(output) == "csv"
        with TableReader(data, [*self.columns, *self.given], keep_text=as_text) as reader:
            if LOG_PROB in reader.names:
                raise InputError(f'{data} already has a column "{LOG_PROB}"; rename or remove it first.')
            with TableWriter(output, reader.schema.append(pa.field(LOG_PROB, pa.float64()))) as writer:
                for batch, matrix in reader.matrices(BATCH_ROWS):
                    log_prob = self.log_prob(matrix, source=os.fspath(data), first_row=scores.rows + 1)
                    writer.write(batch.append_column(LOG_PROB, pa.array(log_prob)))
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
            with TableWriter(output, pa.schema([(name, pa.float64()) for name in names])) as writer:
                for matrix, done in self._draws(rows, given):
                    bad = ~np.isfinite(matrix).all(1)
                    if bad.any():
                        raise InputError(
                            f"Draw {written + int(bad.argmax()) + 1} is not finite: "
                            "the model's tails leave the range of its numbers."
                        )
                    writer.write(to_table(matrix, names))
                    written += len(matrix)
                    report(done)
        return written

    def _draws(self, rows: int | None, given: str | os.PathLike[str] | None) -> Iterator[tuple[np.ndarray, float]]:
        """Blocks of rows, given and then drawn columns, each with the share that is done after it."""
        if given is not None:
            with TableReader(given, self.given, only_numeric=True) as reader:
                for _, context in reader.matrices(BATCH_ROWS):
                    x = self.flow.sample((), torch.from_numpy(context))
                    yield np.hstack([context, x.double().numpy()]), reader.progress
        elif rows is not None:
            for start in range(0, rows, BATCH_ROWS):
                block = min(BATCH_ROWS, rows - start)
                yield self.flow.sample((block,)).double().numpy(), (start + block) / rows

    def _log_prob(self, flow: Flow, rows: torch.Tensor) -> torch.Tensor:
        x, context = rows[:, : len(self.columns)], rows[:, len(self.columns) :]
        return flow.log_prob(x, context if self.given else None).double()


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
    both = [name for name in columns or () if name in given]
    if both:
        raise InputError(f'Column "{both[0]}" is both modelled and given: choose one.')
    wanted = None if columns is None else [*columns, *given]
    stream = None
    if isinstance(data, str | os.PathLike) and is_large(data, wanted):
        stream = _Streamed(data, column_names(data) if wanted is None else wanted, seed)
        matrix, names = stream.sample, stream.names
    else:
        matrix, names = _read(data, wanted)
    if given:
        check_columns(given, names, source=source)
    check_for_fitting(matrix, names, source=source, minimum_rows=MINIMUM_ROWS)
    columns = [name for name in names if name not in given] if columns is None else list(columns)
    if not columns:
        raise InputError(f"{source} has no columns left to model: all of them are given.")
    places = {name: place for place, name in enumerate(names)}
    matrix = matrix[:, [places[name] for name in [*columns, *given]]]

    if stream is None:
        training_rows, held_out_rows = (
            index.numpy() for index in split_table(torch.from_numpy(matrix), VALIDATION_FRACTION, seed)
        )
        train, held_out = matrix[training_rows], matrix[held_out_rows]
        counts = (len(train), len(held_out))
    else:
        rows = stream.rows(columns, given)
        train, held_out = matrix, np.hstack([part.numpy() for part in rows.held_out.take(rows.held_out.rows)])
        counts = (rows.rows, len(held_out))
    check_for_fitting(train, [*columns, *given], source=f"the training part of {source}", minimum_rows=2)

    # Before the training: columns that lie in a plane have no density, and no time should be spent on them.
    gaussian = _gaussian(train, held_out, len(columns))

    if flow is None:
        recipe = choose_recipe(counts[0], len(columns), len(given), max_time)
    else:
        recipe = Recipe({"architecture": flow}, knots_for(counts[0]), {}, ())
    options = {**recipe.training, **training}
    # Refused options are said first, and alone.
    fields = Settings.__dataclass_fields__
    known = {name: value for name, value in options.items() if name in fields and value is not None}
    Settings(**{"evaluate_every": 1, "max_steps": 1, **known, "max_time": max_time})
    for line in [*([] if stream is None else [stream.reason]), *recipe.reasons]:
        announce(line)
    x, context = (torch.from_numpy(part) for part in np.split(train, [len(columns)], axis=1))
    model = recipe.make(x, context if given else None, seed)
    # As tables, so that messages name columns, and rows of the file.
    history = fit(
        model,
        to_table(matrix[:, : len(columns)], columns) if stream is None else rows,
        to_table(matrix[:, len(columns) :], given) if given and stream is None else None,
        validation_fraction=VALIDATION_FRACTION,
        seed=seed,
        max_time=max_time,
        **options,
    )
    notes = {
        "flow": recipe.flow["architecture"],
        "chosen": list(recipe.reasons),
        "rows": {"training": counts[0], "held_out": counts[1]},
        "held_out_nats": history.best_held_out,
        "gaussian_nats": gaussian,
        "steps": history.steps,
        "seconds": round(history.total_seconds, 3),
        "stopped": history.stopped,
        "seed": seed,
    }
    return Fit(TableFlow(model, list(columns), list(given), notes), history, history.best_held_out, gaussian)


class _Streamed:
    """A table that stays in its file: its numbers are checked in one pass, which keeps a sample of them."""

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str], seed: int) -> None:
        self.source, self.names, self.seed = os.fspath(path), list(names), seed
        self.pieces = TablePieces(path, names)
        self.found = survey(self.pieces, seed, VALIDATION_FRACTION, check=self._matrix)
        self.sample = self._matrix(self.found.sample)
        self.reason = (
            f"{self.source}: {self.found.rows} rows stay in the file and are streamed; a sample of "
            f"{len(self.sample)} gives the quantiles"
        )

    def rows(self, columns: Sequence[str], given: Sequence[str]) -> StreamedRows:
        """The rows for `fit`."""

        def coding(batch: pa.RecordBatch | pa.Table, before: int) -> np.ndarray:
            return numeric_matrix(batch, [*columns, *given], source=self.source, first_row=before + 1)

        return stream_table(self.pieces, self.found, coding, columns, given, self.seed)

    def _matrix(self, batch: pa.RecordBatch | pa.Table, before: int = 0) -> np.ndarray:
        return numeric_matrix(batch, self.names, source=self.source, first_row=before + 1)


def _read(data: Any, columns: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
    if isinstance(data, str | os.PathLike):
        return read_matrix(data, columns)
    matrix, names = matrix_from_frame(data, columns)
    return matrix, names or [str(index) for index in range(matrix.shape[1])]


def _gaussian(train: np.ndarray, held_out: np.ndarray, columns: int) -> float | None:
    """Mean log-likelihood under the Gaussian: p(columns | given) = p(columns, given) / p(given).

    None where a full covariance cannot be had, since there are no more rows than columns.
    """
    if train.shape[0] <= train.shape[1]:
        return None
    joint = gaussian_log_likelihood(train, held_out).mean()
    if columns == train.shape[1]:
        return float(joint)
    return float(joint - gaussian_log_likelihood(train[:, columns:], held_out[:, columns:]).mean())


def _names(names: Any, count: int) -> bool:
    return isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names)
