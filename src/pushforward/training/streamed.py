"""Training rows that are streamed from a file at every pass, and shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.training.rows import Table

# Rows wait in a buffer of so many bytes, into which so many pieces of the file flow at once.
BUFFER_BYTES = 2**26
OPEN_PIECES = 4

Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class StreamedRows:
    """The rows of a table that is too large for memory, for `pushforward.fit` in place of x.

    Arguments:
        read: streams a piece of the table: pairs of row numbers, (n,), counted from 0, and training rows, (n, columns
            of x, then of the context, then a weight if the sample has weights), float64; the rows held out, and those
            of weight 0, are left out. The mean weight is 1. The same at every call.
        pieces: how many pieces there are.
        rows: the number of training rows.
        held_out: the rows held out.
        sample: some training rows.
        digest: a hash of the data and of the choice of rows, for checkpoints.
    """

    read: Callable[[int], Iterator[Part]]
    pieces: int
    rows: int
    held_out: Table
    sample: Table
    digest: str


class StreamedBatches:
    """Batches of streamed rows, in another order on every pass.

    The pieces come in random order, four at a time side by side. Rows wait in a buffer of 64 MB, which is shuffled
    whenever it is full; half of it goes out as batches, and the rest stays with the rows that follow. So rows near each
    other in the file are far apart in a pass, though its order is not as random as that of rows in memory: a file of
    one piece that is sorted is shuffled only within the buffer.

    Arguments:
        source: the rows.
        batch_size: rows in a batch.
        seed: of the order.
        dtype: of the batches.
        process: number of this process, which takes every `processes`-th row of a batch.
        processes: how many processes share each batch.
    """

    def __init__(
        self,
        source: StreamedRows,
        batch_size: int,
        seed: int,
        dtype: torch.dtype,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.dtype = dtype
        self.process = process
        self.processes = processes
        self._generator = torch.Generator().manual_seed(seed)
        self._pass_began = self._generator.get_state()
        self._taken = 0
        self._goes_on = False
        self._last: Part = (np.empty(0, np.int64), np.empty((0, 0)))

    def __len__(self) -> int:
        return -(-self.source.rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self._goes_on:
            self._goes_on = False
        else:
            self._pass_began = self._generator.get_state()
            self._taken = 0
        skipped = self._taken
        for numbers, rows in self._shuffled():
            for start in range(0, len(rows), self.batch_size):
                if skipped:
                    skipped -= 1
                    continue
                part = slice(start, start + self.batch_size)
                if len(rows[part]) >= self.processes > 1:
                    part = slice(start + self.process, start + self.batch_size, self.processes)
                self._last = (numbers[part], rows[part])
                self._taken += 1
                yield self._split(torch.from_numpy(rows[part]).to(self.dtype))

    def state_dict(self) -> dict[str, Any]:
        """The place in the order, after the batch yielded last."""
        return {"pass_began": self._pass_began, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next pass go on after that place; the rows before it are read once more."""
        self._generator.set_state(state["pass_began"])
        self._pass_began, self._taken, self._goes_on = state["pass_began"], int(state["taken"]), True

    def name_rows(self, positions: Tensor) -> str:
        """Name the most extreme entry among these positions in the batch yielded last."""
        numbers, rows = (part[positions.cpu().numpy()] for part in self._last)
        parts = self._split(torch.from_numpy(rows))[:2]
        suspects = torch.cat([part for part in parts if part is not None], 1)
        return self.source.sample.most_extreme_of(suspects, numbers.tolist())

    def _split(self, rows: Tensor) -> tuple[Any, ...]:
        """(x,), (x, context), or (x, context or None, weights), as `Table.take` gives them."""
        sample = self.source.sample
        features = sample.x.shape[1]
        x, context = rows[:, :features], None
        if sample.context is not None:
            context = rows[:, features : features + sample.context.shape[1]]
        if sample.weights is not None:
            return x, context, rows[:, -1]
        return (x,) if context is None else (x, context)

    def _shuffled(self) -> Iterator[Part]:
        """Blocks of whole batches, the last one with the rest."""
        columns = self.source.sample.x.shape[1]
        if self.source.sample.context is not None:
            columns += self.source.sample.context.shape[1]
        columns += self.source.sample.weights is not None
        capacity = max(BUFFER_BYTES // (8 * columns), 2 * self.batch_size)
        handed_out = capacity // 2 // self.batch_size * self.batch_size
        waiting: list[Part] = []
        count = 0
        for part in self._side_by_side():
            waiting.append(part)
            count += len(part[0])
            if count >= capacity:
                numbers, rows = self._mixed(waiting)
                yield numbers[:handed_out], rows[:handed_out]
                # A copy, or the rows handed out would stay with it.
                waiting = [(numbers[handed_out:].copy(), rows[handed_out:].copy())]
                count -= handed_out
        if count:
            yield self._mixed(waiting)

    def _mixed(self, parts: Sequence[Part]) -> Part:
        numbers, rows = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        order = torch.randperm(len(numbers), generator=self._generator).numpy()
        return numbers[order], rows[order]

    def _side_by_side(self) -> Iterator[Part]:
        order = torch.randperm(self.source.pieces, generator=self._generator).tolist()
        open_pieces: list[Iterator[Part]] = []
        while order or open_pieces:
            while order and len(open_pieces) < OPEN_PIECES:
                open_pieces.append(iter(self.source.read(order.pop())))
            for piece in list(open_pieces):
                part = next(piece, None)
                if part is None:
                    open_pieces.remove(piece)
                else:
                    yield part
