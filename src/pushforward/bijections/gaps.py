"""Gaps in the values of a column, as between clusters far apart: where no row lies, and none is expected."""

import torch
from torch import Tensor

# A gap between neighbors is empty if it is so many times as wide as the space of this many others on either side.
TIMES_NEIGHBORS, NEIGHBORS = 3.0, 10
# Values closer together than this share of the column's spread are one value.
FINEST = 1e-10
# There are no more gaps than this.
MOST_GAPS = 8

# The values on both sides of a gap, and the space of ten values on either side.
Gap = tuple[float, float, float, float]


def empty_gaps(ordered: Tensor) -> tuple[list[Gap], list[int]]:
    """The empty gaps between ordered values, from the lowest to the highest, at most eight.

    Arguments:
        ordered: (N,) increasing, float64.

    Returns:
        For each gap the values below and above it, and the space of ten different values on either side; and the place
        of the last row below each.

    Example:
        >>> column = torch.linspace(0, 1, 50, dtype=torch.float64)
        >>> [gap[:2] for gap in empty_gaps(torch.cat([column, column + 100]))[0]]
        [(1.0, 100.0)]
    """
    last = len(ordered) - 1
    spread = float(ordered[round(0.84 * last)] - ordered[round(0.16 * last)])
    # Values that differ by no more than this are one value, not a cluster.
    cells = ordered if spread == 0 else ((ordered - ordered[0]) / (FINEST * spread)).floor()
    counts = cells.unique_consecutive(return_counts=True)[1]
    if len(counts) <= 2 * NEIGHBORS + 1:
        return [], []
    ends = counts.cumsum(0) - 1
    highest, values = ordered[ends], ordered[ends - counts + 1]
    gaps = values[1:] - highest[:-1]
    reach = values[NEIGHBORS:] - values[:-NEIGHBORS]
    # Between values[i] and values[i + 1], for i from NEIGHBORS on; on the left end at i, on the right from i + 1.
    left, right = reach[: -NEIGHBORS - 1], reach[NEIGHBORS + 1 :]
    ratio = gaps[NEIGHBORS:-NEIGHBORS] / torch.maximum(left, right)
    widest = ratio.topk(min(MOST_GAPS, len(ratio)))
    found = widest.indices[widest.values > TIMES_NEIGHBORS].sort().values
    place = found + NEIGHBORS
    columns = (highest[place], values[place + 1], left[found], right[found])
    return list(zip(*(column.tolist() for column in columns), strict=True)), ends[place].tolist()
