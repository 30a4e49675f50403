"""How far rows are from the nearest of those that were fitted, where these are dense or sparse."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

# The rows that say how far apart rows are around a row.
NEIGHBORS = 10
# Of more rows the search takes longer than the flow; a random part of them is as near for nearly all.
MOST_ROWS = 20_000
# Nearer than this, in deviations of the columns, rows are the same.
SAME = 1e-6
# A distance of 0 counts as this, in deviations of the columns.
LEAST_DISTANCE = 1e-9
BATCH_ROWS = 2_000


class NearestRows:
    """log r - ½ log s: r the distance to the nearest fitted row, s the mean distance of fitted rows around it.

    Distances are Euclidean, in deviations of the columns. A row that was fitted is not its own neighbor: one row that
    is equal to it is left out. Where fitted rows repeat each other (see `pushforward.training.copies`), rows come
    again, and what was seen in the fit is at distance 0.

    Arguments:
        rows: (n, D) fitted rows, n at least 3.
        scale: (D,) the deviations of the columns, above 0.
        copies: (n,) labels that are equal for copies; None where no row is one.

    Cost: one search among at most 20,000 rows for each row.

    Source: the nearest neighbor of Ramaswamy, Rastogi and Shim 2000, doi:10.1145/342009.335437, and half of the local
    scale of Breunig, Kriegel, Ng and Sander 2000, doi:10.1145/342009.335388.

    Example:
        >>> nearest = NearestRows(np.arange(20.0)[:, None], np.ones(1))
        >>> near, far = nearest.log_distances(np.array([[10.5], [30.0]]))
        >>> bool(near < 0 < far)
        True
    """

    def __init__(self, rows: np.ndarray, scale: np.ndarray, copies: np.ndarray | None = None) -> None:
        self.scale, self.repeated = scale, copies is not None
        kept = np.arange(len(rows)) if copies is None else np.unique(copies, return_index=True)[1]
        if len(kept) > MOST_ROWS:
            kept = np.random.default_rng(0).choice(kept, MOST_ROWS, replace=False)
        reference = rows[kept].astype(np.float64) / scale
        self.search = NearestNeighbors(n_neighbors=min(NEIGHBORS + 1, len(kept))).fit(reference)
        # Without the row itself, which is the first.
        self.local = np.concatenate([found[:, 1:].mean(1) for found, _ in self._found(reference)])

    def _found(self, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Distances and places of the nearest rows, a few thousand rows at a time."""
        return [self.search.kneighbors(rows[start : start + BATCH_ROWS]) for start in range(0, len(rows), BATCH_ROWS)]

    def log_distances(self, rows: np.ndarray, *, fitted: bool = False) -> np.ndarray:
        """The scaled distance of each row, (n,).

        Arguments:
            rows: (n, D).
            fitted: whether they are some of the fitted rows.
        """
        parts = []
        for distance, place in self._found(rows.astype(np.float64) / self.scale):
            same = distance[:, 0] <= SAME
            # An equal row is left out, or counts as what it is.
            drop = same & (fitted or not self.repeated)
            nearest = np.where(drop, distance[:, 1], distance[:, 0])
            around = self.local[place]
            scale = np.where(drop, around[:, 1:].mean(1), around[:, :-1].mean(1))
            nearest, scale = np.maximum(nearest, LEAST_DISTANCE), np.maximum(scale, LEAST_DISTANCE)
            parts.append(np.log(nearest) - 0.5 * np.log(scale))
        return np.concatenate(parts)
