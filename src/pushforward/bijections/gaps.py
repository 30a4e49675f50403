"""Gaps in the values of a column, as between clusters far apart: where no row lies, and none is expected."""

import math

import torch
from torch import Tensor

from pushforward.support.far_ends import LEAST_OF_PART, NEIGHBORS, TIMES_NEIGHBORS, far_ends

# Values closer together than this share of the column's spread are one value.
FINEST = 1e-10
# There are no more gaps than this.
MOST_GAPS = 8

# The values on both sides of a gap, and the space of ten values on either side.
Gap = tuple[float, float, float, float]


def empty_gaps(ordered: Tensor) -> tuple[list[Gap], list[int]]:
    """The empty gaps between ordered values, from the lowest to the highest, at most eight.

    A gap is three times as wide as the space of ten different values on either side, and half as wide as the narrower
    of the two parts that it divides, from the next gap or end on one side and to that on the other.

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
    highest, values, ends = _different(ordered)
    if len(values) <= 2 * NEIGHBORS + 1:
        return [], []
    gaps = values[1:] - highest[:-1]
    reach = values[NEIGHBORS:] - values[:-NEIGHBORS]
    # Between values[i] and values[i + 1], for i from NEIGHBORS on; on the left end at i, on the right from i + 1.
    left, right = reach[: -NEIGHBORS - 1], reach[NEIGHBORS + 1 :]
    # A gap is empty if it is so many times as wide as the space of so many others on either side.
    ratio = gaps[NEIGHBORS:-NEIGHBORS] / torch.maximum(left, right)
    widest = ratio.topk(min(MOST_GAPS, len(ratio)))
    found = widest.indices[widest.values > TIMES_NEIGHBORS].sort().values
    found = found[_between_parts(values, highest, found + NEIGHBORS)]
    place = found + NEIGHBORS
    columns = (highest[place], values[place + 1], left[found], right[found])
    return list(zip(*(column.tolist() for column in columns), strict=True)), ends[place].tolist()


def _between_parts(values: Tensor, highest: Tensor, places: Tensor) -> list[int]:
    """Which gaps, by their order, are wide beside the parts that they divide, with the others closed one by one.

    Between readings on a grid there are gaps wherever few readings fall between many. They divide nothing.

    Arguments:
        values: (n,) increasing, the lowest of equal ones.
        highest: (n,) of equal ones the highest.
        places: of the values below the gaps, increasing.
    """
    kept, widths = list(range(len(places))), (values[places + 1] - highest[places]).tolist()
    starts, ends = [float(values[0]), *values[places + 1].tolist()], [*highest[places].tolist(), float(highest[-1])]
    while kept:
        parts = [end - start for start, end in zip(starts, ends, strict=True)]
        shares = [widths[gap] / min(parts[k], parts[k + 1]) for k, gap in enumerate(kept)]
        k = min(range(len(kept)), key=shares.__getitem__)
        if shares[k] >= LEAST_OF_PART:
            break
        del kept[k], starts[k + 1], ends[k]
    return kept


def gaps_at_ends(ordered: Tensor, most_times: float = math.inf) -> tuple[list[Gap], list[int]]:
    """The gaps before the values at either end that are far from all others, as `far_ends` finds them.

    Arguments:
        ordered: (N,) increasing, float64.
        most_times: as in `far_ends`.

    Returns:
        As `empty_gaps`; the space of fewer than ten different values is that of all on that side.

    Example:
        >>> column = torch.linspace(0, 1, 50, dtype=torch.float64)
        >>> [gap[:2] for gap in gaps_at_ends(torch.cat([column, column[:5] + 100]))[0]]
        [(1.0, 100.0)]
    """
    highest, values, ends = _different(ordered)
    lowest, largest = far_ends(values.cpu().numpy(), most_times)
    found, places = list[Gap](), list[int]()
    for place in [lowest - 1] * (lowest > 0) + [len(values) - largest - 1] * (largest > 0):
        first, last = max(place - NEIGHBORS, 0), min(place + 1 + NEIGHBORS, len(values) - 1)
        space = float(values[place] - values[first]), float(values[last] - values[place + 1])
        found.append((float(highest[place]), float(values[place + 1]), *space))
        places.append(int(ends[place]))
    return found, places


def _different(ordered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of equal values the highest, the lowest, and the place of the last row."""
    last = len(ordered) - 1
    spread = float(ordered[round(0.84 * last)] - ordered[round(0.16 * last)])
    # Values that differ by no more than this are one value, not a cluster.
    cells = ordered if spread == 0 else ((ordered - ordered[last // 2]) / (FINEST * spread)).floor()
    counts = cells.unique_consecutive(return_counts=True)[1]
    ends = counts.cumsum(0) - 1
    return ordered[ends], ordered[ends - counts + 1], ends
