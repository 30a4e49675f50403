"""Clusters far apart in several columns at once, and the boxes around them, which divide the whole space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.bijections.gaps import empty_gaps
from pushforward.bijections.quantile_knots import ROUNDINGS

# Of more rows than this some show the gaps.
MOST_ROWS = 20_000
MOST_CLUSTERS = 32
# A part with so many rows on either side of a gap is divided there, whatever is in other columns.
FEWEST_ALONE = 50
# Of more columns the covariances of clusters take too much memory.
MOST_FEATURES = 1000
# Sides of two gaps exclude each other if so many rows would lie on both by chance, and no more than this share of them
# do.
FEWEST_EXPECTED, MOST_OF_EXPECTED = 5.0, 0.05


class Boxes(NamedTuple):
    """Boxes that divide the space of D columns, each around one cluster of rows.

    Attributes:
        low: (K, D), the lower ends, -inf for none.
        high: (K, D), the upper ends, inf for none.
    """

    low: Tensor
    high: Tensor

    def labels(self, x: Tensor) -> Tensor:
        """In which box each row lies, (*batch), of x, (*batch, D): below the upper ends, not below the lower ones."""
        inside = (x[..., None, :] >= self.low) & (x[..., None, :] < self.high)
        return inside.all(-1).to(torch.uint8).argmax(-1)


class _Part(NamedTuple):
    """A box, and the rows in it."""

    rows: Tensor
    low: Tensor
    high: Tensor


@torch.no_grad()
def find_clusters(x: Tensor) -> Boxes | None:
    """Find the clusters of rows that are far apart in several columns at once.

    A column has a gap where `empty_gaps` finds one. Two gaps of two columns belong together if hardly a row lies on
    one side of the first and one side of the second: at most a twentieth of the rows that would by chance, and at least
    five would. At such a gap the space is divided, in its middle, and so are both parts in turn. Once it is, gaps of
    one column divide a part as well, if at least 50 of its rows lie on either side. What divides into more than 32
    boxes is a path or a grid rather than a few clusters, and a flow knows more of it as a whole.

    Arguments:
        x: (N, D), at most 1000 columns.

    Returns:
        The boxes, or None if there are no such gaps, where only one column has gaps or where the sides of gaps are
        independent; and if there are more than 32.

    Example:
        >>> noise = torch.randn(600, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> second = torch.arange(600) % 3 == 0
        >>> find_clusters(noise + 1000 * second[:, None].double()).low.shape, find_clusters(noise)
        (torch.Size([2, 2]), None)
    """
    x = x.detach().double()
    if not 2 <= x.shape[1] <= MOST_FEATURES or not bool(x.isfinite().all()):
        return None
    some = x
    if len(x) > MOST_ROWS:
        some = x[(torch.arange(MOST_ROWS) * len(x) // MOST_ROWS).to(x.device)]
    end = torch.full_like(x[0], math.inf)
    waiting, done = [_Part(x, -end, end)], list[_Part]()
    shown = [some]
    while waiting:
        part, seen = waiting.pop(0), shown.pop(0)
        cut = next((cut for cut in _cuts(seen, whole=seen is some) if _varies(part, *cut)), None)
        if cut is None:
            done.append(part)
            continue
        if len(waiting) + len(done) + 2 > MOST_CLUSTERS:
            return None
        waiting += _halves(part, *cut)
        column, middle = cut
        shown += [seen[seen[:, column] < middle], seen[seen[:, column] >= middle]]
    if len(done) < 2:
        return None
    return Boxes(torch.stack([part.low for part in done]), torch.stack([part.high for part in done]))


def _cuts(x: Tensor, whole: bool) -> Iterator[tuple[int, float]]:
    """The columns and the middles of the gaps that belong together with others, those with most of these first.

    In a part of the space all gaps follow, with many rows on either side: what lies there is better known by itself.
    """
    found = [
        (column, (below + above) / 2)
        for column, values in enumerate(x.t().contiguous().sort(1).values)
        for below, above, _, _ in empty_gaps(values)[0]
    ]
    columns = torch.tensor([column for column, _ in found], dtype=torch.long, device=x.device)
    if not found:
        return
    # Numbers of rows up to 2^24 are exact in single precision, which counts them in half the time.
    upper = (x[:, columns] >= x.new_tensor([middle for _, middle in found])).float()
    sides = torch.stack([upper, 1 - upper], 1).flatten(1)  # (N, 2 G)
    together = (sides.t() @ sides).double()
    share = together.diagonal() / len(x)
    expected = share[:, None] * share * len(x)
    exclude = (expected >= FEWEST_EXPECTED) & (together <= MOST_OF_EXPECTED * expected)
    count = len(found)
    pairs = exclude.view(2, count, 2, count).any(2).any(0) & (columns[:, None] != columns)
    partners = pairs.sum(1)
    for place in partners.argsort(descending=True, stable=True).tolist():
        alone = len(x) * float(torch.minimum(share[place], share[place + count]))
        if partners[place] > 0 or (alone >= FEWEST_ALONE and not whole):
            yield found[place]


def _halves(part: _Part, column: int, middle: float) -> list[_Part]:
    below = part.rows[:, column] < middle
    low, high = part.low.clone(), part.high.clone()
    low[column] = high[column] = middle
    return [_Part(part.rows[below], part.low, high), _Part(part.rows[~below], low, part.high)]


def _varies(part: _Part, column: int, middle: float) -> bool:
    """Whether every column varies by more than rounding on both sides of a cut."""
    for half in _halves(part, column, middle):
        if len(half.rows) < 2:
            return False
        low, high = half.rows.aminmax(dim=0)
        size = torch.maximum(low.abs(), high.abs())
        if not bool((high - low > ROUNDINGS * torch.finfo(torch.float64).eps * size).all()):
            return False
    return True
