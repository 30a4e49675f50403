"""Tables that are too large for memory, as training sees them: held-out rows, a sample, and batches from the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import torch

from pushforward.tables.files.formats import check_readable, table_format
from pushforward.tables.files.reading import TableReader
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.files.scan import Scan, hashes, scan
from pushforward.training.batches import Part, StreamedRows
from pushforward.training.rows import Rows
from pushforward.training.splitting import far_from

# A table of more bytes than this, as float64 numbers, is not read into memory: there it would be copied several times.
LARGEST_IN_MEMORY = 2**27
# A number takes about twice as many characters of a CSV as bytes in memory.
CHARACTERS_PER_BYTE = 2
BATCH_ROWS = 2**14

Coding = Callable[[pa.RecordBatch | pa.Table, int], np.ndarray]


def is_large(path: str | os.PathLike[str], columns: Sequence[str] | None) -> bool:
    """Whether a table is streamed from its file: more than 128 MB as float64 numbers, or 256 MB of CSV.

    Arguments:
        path: the file.
        columns: the names of the columns wanted, default all.

    Raises:
        InputError: as for `TableReader`.
    """
    if table_format(path) == "csv":
        check_readable(path)
        return os.path.getsize(path) > LARGEST_IN_MEMORY * CHARACTERS_PER_BYTE
    with TableReader(path) as reader:
        return (reader.rows or 0) * len(columns or reader.names) * 8 > LARGEST_IN_MEMORY


def stream_table(
    pieces: RowGroups,
    found: Scan,
    coding: Coding,
    features: Sequence[str],
    given: Sequence[str],
    seed: int,
    weigh: Coding | None = None,
) -> StreamedRows:
    """The rows of a table for `pushforward.fit`, which then never holds more than some megabytes of them.

    Arguments:
        pieces: the table.
        found: what the first pass over it found, with the same seed.
        coding: from a batch, and the number of rows before it, to a float64 matrix of features and then given columns.
        features: names of the columns modelled.
        given: names of the columns conditioned on.
        seed: of the choice of rows.
        weigh: likewise to the rows' weights, (n,), from 0 on, as in the scan; default all alike.
    """
    scale = found.training_rows / found.training_weight

    def read(piece: int) -> Iterator[Part]:
        for first, batch in pieces.read(piece, BATCH_ROWS):
            numbers = np.arange(first, first + batch.num_rows)
            chosen = hashes(numbers, seed) >= found.held_out_share * 2.0**64
            matrix = coding(batch, first)
            if weigh is not None:
                weights = weigh(batch, first)
                chosen &= weights > 0
                matrix = np.column_stack([matrix, weights * scale])
            yield numbers[chosen], matrix[chosen]

    def table(rows: pa.Table, numbers: np.ndarray | None) -> Rows:
        matrix = torch.from_numpy(coding(rows, 0))
        x, context = matrix[:, : len(features)], matrix[:, len(features) :]
        return Rows(
            x,
            context if given else None,
            name="x",
            columns=features,
            context_columns=given,
            numbers=None if numbers is None else torch.from_numpy(numbers),
            weights=None if weigh is None else torch.from_numpy(weigh(rows, 0)),
        )

    sample, held_out = table(found.sample, None), table(found.held_out, found.held_out_rows)
    # A row far from all others, a mistake perhaps, would alone decide which weights are best.
    far = far_from(
        *(torch.cat([one for one in part.take(part.rows)[:2] if one is not None], 1) for part in (held_out, sample))
    )
    return StreamedRows(
        read,
        len(pieces),
        found.training_rows,
        held_out if bool(far.all()) else held_out.with_rows(held_out.rows[~far]),
        sample,
        f"{found.digest} {seed}",
    )


__all__ = ["LARGEST_IN_MEMORY", "RowGroups", "Scan", "is_large", "scan", "stream_table"]
