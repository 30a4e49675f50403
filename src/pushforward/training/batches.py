"""Batches of rows in a new random order on every pass: from memory, or streamed from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pushforward.support.modules import sent
from pushforward.training.diagnosis import Batch
from pushforward.training.rows import Rows

# Streamed rows wait in a buffer of this size, which is filled from several row groups of the file side by side.
BUFFER_BYTES = 2**26
OPEN_GROUPS = 4

# Row numbers (n,), counted from 0, and rows (n, columns).
Part = tuple[np.ndarray, np.ndarray]


class Batches(Protocol):
    """Batches to train on: one pass is an epoch of `len(batches)` batches, each the arguments of the objective."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class ResumableBatches(Batches, Protocol):
    """Batches whose place in the order can be saved and restored, as runs with checkpoints need."""

    def state_dict(self) -> dict[str, Any]:
        """The place after the batch yielded last, as tensors and plain JSON."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next pass continue from that place."""


class _Passes:
    """Passes over rows in a random order of their own, each of which can be resumed in the middle.

    Arguments:
        batch_size: Rows in a batch.
        seed: Seed of the order.
        process: Number of this process, which takes every `processes`-th row of a batch.
        processes: How many processes share each batch.
    """

    def __init__(self, batch_size: int, seed: int, process: int = 0, processes: int = 1) -> None:
        self.batch_size = batch_size
        self.process = process
        self.processes = processes
        self._generator = torch.Generator().manual_seed(seed)
        self._state_at_start = self._generator.get_state()  # of this pass
        self._taken = 0  # batches of this pass
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        """The place in the order, after the batch yielded last."""
        return {"pass_began": self._state_at_start, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next pass continue after the batch that was yielded last when the state was saved."""
        self._generator.set_state(state["pass_began"])
        self._state_at_start, self._taken, self._resumed = state["pass_began"], int(state["taken"]), True

    def _start_pass(self) -> int:
        """Start a pass, and return how many of its batches to skip."""
        if self._resumed:
            self._resumed = False
        else:
            self._state_at_start = self._generator.get_state()
            self._taken = 0
        return self._taken

    def _share(self, rows: Any) -> Any:
        """The part of a batch that belongs to this process; all of a batch too small to share."""
        return rows[self.process :: self.processes] if len(rows) >= self.processes > 1 else rows


class ShuffledBatches(_Passes):
    """Batches of rows in memory; the last, smaller batch is kept.

    Arguments:
        rows: The rows.
        batch_size: Rows in a batch.
        seed: Seed of the order, which has a generator of its own.
        process: Number of this process, which takes every `processes`-th row of a batch.
        processes: How many processes share each batch.
    """

    def __init__(self, rows: Rows, batch_size: int, seed: int, process: int = 0, processes: int = 1) -> None:
        super().__init__(batch_size, seed, process, processes)
        self.rows = rows
        self._last_rows = rows.rows[:0]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        skipped = self._start_pass()
        order = self.rows.rows[torch.randperm(len(self.rows), generator=self._generator)]
        # Once a pass: where the rows lie on a GPU, their indices must.
        order = sent(order, self.rows.x.device)
        # Gathered batch by batch: quicker than gathering a whole pass at once, and without a second copy of the rows.
        for rows in order.split(self.batch_size)[skipped:]:
            self._taken += 1
            self._last_rows = self._share(rows)
            yield self.rows.take(self._last_rows)

    def name_rows(self, positions: Tensor) -> str:
        """Name the most extreme entry among these positions in the batch yielded last."""
        return self.rows.most_extreme(self._last_rows.cpu()[positions.cpu()])


@dataclass(frozen=True)
class StreamedRows:
    """The rows of a table that is too large for memory, for `pushforward.fit` in place of x.

    Arguments:
        read: Streams a row group of the table: pairs of row numbers, (n,), counted from 0, and training rows, (n,
            columns of x, then of the context, then a weight if the sample has weights), float64, without the held-out
            rows and those of weight 0. The mean weight is 1. Every call gives the same rows: all of them, or with two
            more numbers, k and n, every n-th row from the k-th on.
        groups: The number of row groups.
        rows: The number of training rows.
        held_out: The held-out rows.
        sample: Some training rows.
        digest: A hash of the data and of the choice of rows, for checkpoints.
    """

    read: Callable[[int, int, int], Iterator[Part]]
    groups: int
    rows: int
    held_out: Rows
    sample: Rows
    digest: str


class StreamedBatches(_Passes):
    """Batches of streamed rows.

    The row groups come in random order, four at a time side by side. Rows wait in a buffer of 64 MB, which is shuffled
    whenever it is full; half of it is handed out as batches, and the rest stays with the rows that follow. So rows near
    each other in the file are far apart in a pass, but its order is not as random as that of rows in memory: a sorted
    file of one row group is shuffled only within the buffer.

    Several processes deal the row groups of each pass among them, or the rows where there are few groups, and
    each hands out its part of every batch from its own rows. One that has fewer rows of a pass is earlier in the next.

    Arguments:
        source: The rows.
        batch_size: Rows in a batch.
        seed: Seed of the order.
        dtype: The dtype of the batches.
        process: Number of this process, which reads its share of the row groups.
        processes: How many processes share each batch.
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
        super().__init__(batch_size, seed, process, processes)
        self.source = source
        self.dtype = dtype
        self._last: Part = (np.empty(0, np.int64), np.empty((0, 0)))

    def __len__(self) -> int:
        return -(-self.source.rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # The rows of skipped batches are read once more.
        skipped = self._start_pass()
        for numbers, rows in self._shuffled():
            for start in range(0, len(rows), self._own_size):
                if skipped:
                    skipped -= 1
                    continue
                part = slice(start, start + self._own_size)
                self._last = (numbers[part], rows[part])
                self._taken += 1
                yield self._split(torch.from_numpy(self._last[1]).to(self.dtype))

    @property
    def _own_size(self) -> int:
        """The rows of a batch that this process hands out."""
        share, rest = divmod(self.batch_size, self.processes)
        return max(share + (self.process < rest), 1)

    def name_rows(self, positions: Tensor) -> str:
        """Name the most extreme entry among these positions in the batch yielded last."""
        numbers, rows = (part[positions.cpu().numpy()] for part in self._last)
        parts = self._split(torch.from_numpy(rows))[:2]
        suspects = torch.cat([part for part in parts if part is not None], 1)
        return self.source.sample.most_extreme_of(suspects, numbers.tolist())

    def _split(self, rows: Tensor) -> Batch:
        """(x,), (x, context), or (x, context or None, weights), as `Rows.take` gives them."""
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
        sample = self.source.sample
        columns = sample.x.shape[1] + (0 if sample.context is None else sample.context.shape[1])
        columns += sample.weights is not None
        capacity = max(BUFFER_BYTES // (8 * columns), 2 * self.batch_size)
        handed_out = capacity // 2 // self._own_size * self._own_size
        waiting: list[Part] = []
        count = 0
        order = torch.randperm(self.source.groups, generator=self._generator).tolist()
        generator = self._generator_of_pass()
        for part in self._side_by_side(order):
            waiting.append(part)
            count += len(part[0])
            if count >= capacity:
                numbers, rows = self._mixed(waiting, generator)
                yield numbers[:handed_out], rows[:handed_out]
                # A copy, or the rows handed out would stay in memory with it.
                waiting = [(numbers[handed_out:].copy(), rows[handed_out:].copy())]
                count -= handed_out
        if count:
            yield self._mixed(waiting, generator)

    def _generator_of_pass(self) -> torch.Generator:
        """What orders the rows of this pass: each of several processes has its own; all begin the next pass alike."""
        if self.processes == 1:
            return self._generator
        seed = int(torch.randint(2**62, (), generator=self._generator))
        return torch.Generator().manual_seed(seed + self.process)

    def _mixed(self, parts: Sequence[Part], generator: torch.Generator) -> Part:
        numbers, rows = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        order = torch.randperm(len(numbers), generator=generator).numpy()
        return numbers[order], rows[order]

    def _side_by_side(self, order: list[int]) -> Iterator[Part]:
        """The parts of the row groups that this process reads, of several groups in turn."""
        share = (0, 1)
        if len(order) >= OPEN_GROUPS * self.processes:
            order = order[self.process :: self.processes]
        else:
            share = (self.process, self.processes)
        open_groups: list[Iterator[Part]] = []
        while order or open_groups:
            while order and len(open_groups) < OPEN_GROUPS:
                open_groups.append(iter(self.source.read(order.pop(), *share)))
            for group in list(open_groups):
                part = next(group, None)
                if part is None:
                    open_groups.remove(group)
                else:
                    yield part
