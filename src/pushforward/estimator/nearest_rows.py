"""How far rows are from the nearest of those that were fitted."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Chosen on simulated outliers, see benchmarks/simulated_outliers.py.
NEIGHBORS = 5
# Of more rows the distances take longer than the flow; a random part of them is as near for nearly all.
MOST_ROWS = 20_000
# Nearer than this, in deviations of the columns, rows are the same.
SAME = 1e-6


class NearestRows:
    """The mean distance to the nearest fitted rows, in deviations of the columns.

    A row that was fitted is not its own neighbor: one row that is equal to it is left out. Where fitted rows repeat
    each other (see `pushforward.training.copies`), rows come again, and what was seen in the fit is at distance 0.

    Arguments:
        rows: (n, D) fitted rows.
        scale: (D,) the deviations of the columns, above 0.
        copies: (n,) labels that are equal for copies; None where no row is one.

    Cost: one search among at most 20,000 rows for each row.

    Example:
        >>> nearest = NearestRows(np.arange(20.0)[:, None], np.ones(1))
        >>> nearest.distances(np.array([[10.0], [30.0]]))
        array([ 1.8, 13. ])
    """

    def __init__(self, rows: np.ndarray, scale: np.ndarray, copies: np.ndarray | None = None) -> None:
        self.scale, self.repeated = scale, copies is not None
        kept = np.arange(len(rows)) if copies is None else np.unique(copies, return_index=True)[1]
        if len(kept) > MOST_ROWS:
            kept = np.random.default_rng(0).choice(kept, MOST_ROWS, replace=False)
        self.count = min(NEIGHBORS, len(kept) - 1)
        self.search = NearestNeighbors(n_neighbors=self.count + 1).fit(rows[kept] / scale)

    def distances(self, rows: np.ndarray, *, fitted: bool = False) -> np.ndarray:
        """The mean distance of each row, (n,).

        Arguments:
            rows: (n, D).
            fitted: whether they are some of the fitted rows.
        """
        found, _ = self.search.kneighbors(rows / self.scale)
        same = found[:, 0] <= SAME
        if self.repeated and not fitted:
            return np.where(same, 0.0, found[:, : self.count].mean(1))
        mean: np.ndarray = np.where(same, found[:, 1:].mean(1), found[:, : self.count].mean(1))
        return mean
