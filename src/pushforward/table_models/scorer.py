"""A model as one function of batches, for engines that send functions to their workers: Ray, Spark, Dask."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pushforward.errors import InputError
from pushforward.support.arguments import is_whole
from pushforward.support.hashing import hashes
from pushforward.support.seeding import seed_of_block, seeded
from pushforward.table_models.arbitrary_conditional import required_density
from pushforward.table_models.density import TableDensity
from pushforward.table_models.imputation import DRAW, RowImputer
from pushforward.table_models.model import TableModel
from pushforward.table_models.sampling import RowDrawer, draw_rows
from pushforward.table_models.scoring import BATCH_ROWS, LOG_PROB, P_VALUE, SHARE, WITH_GAPS, BlockOfRows, RowScorer
from pushforward.table_models.strangeness import Strangeness
from pushforward.tables import check_columns, table_from_frame
from pushforward.tables.checks import FRAME

# Noise is drawn for this many consecutive rows, whichever of them are asked for.
NOISE_ROWS = 1024
# Draws come from the one random state of a process; the threads of a worker take turns.
_turn = threading.Lock()


def scorer(
    path: str | os.PathLike[str],
    what: str = "score",
    *,
    draws: int | None = None,
    row_number: str | None = None,
    seed: int | None = None,
) -> Scorer:
    """Return a function that takes a batch of rows and gives it back with what a model says about it.

    It can be pickled, and holds nothing but the path and the options: a worker reads the file when it meets the first
    batch, once in its process, and again if the file has changed. A batch is a data frame of pandas, or a table or
    record batch of pyarrow, and comes back as the same; other columns stay, and rows stay in their order.

    Arguments:
        path: a model file, which every worker must be able to read.
        what: "score" (default) adds log_prob, p_value, unseen, with given columns pit_NAME, and log_prob_error where
            log-densities have errors, as `pushforward score` does; "log_prob", "p_value" or "shares" (share_NAME for
            each modeled column) add only those; "impute" fills missing values; "sample" adds the modeled columns, drawn
            given the given columns of each row. A batch that has a column that would be added is refused.
        draws: how many times "impute" writes each row, with a column `draw` that counts from 1 and missing values drawn
            jointly; default once, with medians and likeliest levels.
        row_number: a column of whole numbers, each of one row in the whole table. By it draws repeat, and do not depend
            on how the rows are split into batches; without it they differ from call to call.
        seed: of the draws, default 0; only with `row_number`.

    Raises:
        InputError: here, if the file is not a model that can do this; in a worker, for rows that it refuses.

    Example:
        >>> import tempfile, pandas as pd, pushforward as pf
        >>> frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["mass", "radius"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pf.fit_table(frame, flow="nice", max_steps=20).model.save(f"{folder}/stars.safetensors")
        ...     score = pf.scorer(f"{folder}/stars.safetensors")
        ...     list(score(frame[:3]).columns)
        ['mass', 'radius', 'log_prob', 'p_value', 'unseen']
    """
    made = Scorer(os.path.abspath(path), what, draws, row_number, seed)
    made.check()
    return made


@dataclass(frozen=True)
class Scorer:
    """A function of batches; `scorer` makes it, and says what its attributes are."""

    path: str
    what: str = "score"
    draws: int | None = None
    row_number: str | None = None
    seed: int | None = None

    def __call__(self, batch: Any) -> Any:
        """Return a batch with what the model says about it, as the same type."""
        work = _WORK[self.what]
        if isinstance(batch, pa.Table):
            return work(self, batch)
        if isinstance(batch, pa.RecordBatch):
            return _as_one_batch(work(self, pa.Table.from_batches([batch])))
        if type(batch).__module__.partition(".")[0] == "pandas" and hasattr(batch, "columns"):
            return self._of_frame(batch)
        raise InputError(
            "A scorer takes data frames of pandas, and tables and record batches of pyarrow, not "
            f"{type(batch).__name__}."
        )

    @property
    def model(self) -> TableModel:
        """The model, which is read once in a process."""
        stamp = os.stat(self.path) if os.path.exists(self.path) else None
        return _read(self.path, stamp and (stamp.st_mtime_ns, stamp.st_size))

    def check(self) -> None:
        """Refuse what the model cannot do.

        Raises:
            InputError: the sentence says why.
        """
        if self.what not in _WORK:
            raise InputError(f"what is one of {', '.join(_WORK)}; it is {self.what!r}.")
        model, imputes = self.model, self.what == "impute"
        if self.draws is not None and not imputes:
            raise InputError(f"draws is for what='impute', and what is {self.what!r}; leave draws out.")
        if self.draws is not None and not (is_whole(self.draws) and self.draws >= 1):
            raise InputError(f"draws is a whole number of at least 1; it is {self.draws!r}.")
        if self.seed is not None and self.row_number is None:
            raise InputError("A seed needs row_number, a column that tells rows apart, or each batch would draw alike.")
        if self.row_number is not None and not (self.what == "sample" or self.draws is not None):
            raise InputError("row_number is for draws: what='sample', or what='impute' with draws.")
        if imputes:
            required_density(model)
        if self.what == "shares":
            model.density.check_shares()
        if self.what == "p_value" and model.calibration is None:
            raise InputError("This model has no p-values: it is distilled or of an earlier version.")

    def _of_frame(self, frame: Any) -> Any:
        """The same of a data frame of pandas, whose index and other columns stay as they are."""
        names = {str(name): name for name in frame.columns}
        model = self.model
        needed = model.given if self.what == "sample" else model.modeled if self.what == "impute" else model.names
        wanted = [*needed, *([] if self.row_number is None or self.row_number in needed else [self.row_number])]
        self._check_new(names)
        place = pa.array(np.arange(len(frame)))
        # A table without columns would have no rows.
        table = table_from_frame(frame, wanted).append_column(_PLACE, place) if wanted else pa.table({_PLACE: place})
        found = _WORK[self.what](self, table)
        frame = frame.copy(deep=False) if self.draws is None else frame.iloc[found.column(_PLACE).to_numpy()]
        changed = self._changed()
        for name in (name for name in found.column_names if name in changed):
            values = found.column(name).to_pandas().set_axis(frame.index)
            if name == DRAW and self.draws is not None:
                frame.insert(0, DRAW, values)
            else:
                frame[names.get(name, name)] = values
        return frame

    def _changed(self) -> set[str]:
        """Which of the columns of a result are not those of its batch."""
        model = self.model
        if self.what == "impute":
            return {DRAW, *model.roles.modeled}
        return set(model.columns) if self.what == "sample" else set(self._added(model))

    def _added(self, model: TableModel) -> list[str]:
        """The columns that scores add."""
        shares = [SHARE + name for name in model.roles.modeled]
        every = RowScorer(model.density, model.roles, model.calibration, pit=True).added
        return {"score": every, "log_prob": [LOG_PROB], "p_value": [P_VALUE], "shares": shares}[self.what]

    def _check_new(self, names: Any) -> None:
        model = self.model
        if self.what == "impute":
            new = [] if self.draws is None else [DRAW]
        else:
            new = model.columns if self.what == "sample" else self._added(model)
        for name in new:
            if name in names:
                raise InputError(f'{FRAME} already has a column "{name}"; rename or remove it first.')

    def _score(self, table: pa.Table) -> pa.Table:
        model = self.model
        self._check_new(table.column_names)
        score = RowScorer(model.density, model.roles, model.calibration, self.what == "shares", self.what == "score")
        parts: list[dict[str, np.ndarray]] = []
        # In pieces of the size that the command takes; one at least, which has the columns.
        for start in range(0, max(table.num_rows, 1), BATCH_ROWS):
            parts.append(score(BlockOfRows(table.slice(start, BATCH_ROWS), start + 1)).added)
        for name in self._added(model):
            values = np.concatenate([part[name] for part in parts])
            table = table.append_column(name, pa.array(values, from_pandas=name.startswith(WITH_GAPS)))
        return table

    def _sample(self, table: pa.Table) -> pa.Table:
        model = self.model
        self._check_new(table.column_names)
        given = None
        if model.given:
            _, given = RowDrawer(model.density, model.roles, 0).conditions(BlockOfRows(table), Strangeness())
        noise = self._noise(table)
        drawn = model.decode(draw_rows(model.density, model.roles, given=given, noise=noise), columns=model.columns)
        for name in model.columns:
            table = table.append_column(name, drawn.column(name))
        return table

    def _impute(self, table: pa.Table) -> pa.Table:
        self._check_new(table.column_names)
        impute, block = RowImputer(self.model, self.draws), BlockOfRows(table)
        found = impute.codes(block)
        if self.draws is None:
            return impute.replaced(block, found)
        drawn = [impute.replaced(block, found, noise=self._noise(table, draw)) for draw in range(self.draws)]
        # The draws of a row follow each other, so that rows stay in their order.
        order = np.arange(self.draws * len(table)).reshape(self.draws, -1).T.ravel()
        number = pa.array(np.tile(np.arange(1, self.draws + 1), len(table)))
        return pa.concat_tables(drawn).take(pa.array(order)).add_column(0, DRAW, number)

    def _noise(self, table: pa.Table, draw: int = 0) -> torch.Tensor:
        """What the draws of rows are made of, by their numbers if they have any."""
        density = self.model.density
        if self.row_number is None:
            with _turn, seeded(None):
                return density.noise(table.num_rows)
        check_columns([self.row_number], table.column_names, source=FRAME)
        numbers = _whole_numbers(table.column(self.row_number), self.row_number)
        return noise_of_rows(density, numbers, seed_of_block(self.seed or 0, draw))


def noise_of_rows(density: TableDensity, numbers: np.ndarray, seed: int) -> torch.Tensor:
    """What the draws of rows are made of, (n, D), which depends on their numbers, (n,), and the seed alone."""
    blocks, places = np.divmod(numbers, NOISE_ROWS)
    noise: torch.Tensor | None = None
    for block in np.unique(blocks).tolist():
        with _turn, seeded(int(hashes(np.array([block]), seed)[0] >> np.uint64(1))):
            whole = density.noise(NOISE_ROWS)
        noise = whole.new_empty(len(numbers), whole.shape[1]) if noise is None else noise
        here = torch.from_numpy(np.flatnonzero(blocks == block))
        noise[here] = whole[torch.from_numpy(places)[here]]
    return density.noise(0) if noise is None else noise


def _whole_numbers(column: Any, name: str) -> np.ndarray:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise InputError(f'column "{name}" must number the rows: whole numbers, none of them missing.')
    return np.asarray(column.cast(pa.int64()).to_numpy())


@functools.lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int] | None) -> TableModel:
    """The model of a file; another stamp is another file."""
    return TableModel.load(path)


def _as_one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


_PLACE = "pushforward: place of the row"
_WORK: dict[str, Callable[[Scorer, pa.Table], pa.Table]] = {
    **dict.fromkeys(("score", "log_prob", "p_value", "shares"), Scorer._score),
    "impute": Scorer._impute,
    "sample": Scorer._sample,
}
