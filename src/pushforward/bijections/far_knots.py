"""Knots of a column in which a few values are far from all others: the others keep the map that is theirs alone."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections.gaps import empty_gaps, gaps_at_ends
from pushforward.bijections.quantile_knots import (
    FLATTEST,
    MIDDLE_OF_GAP,
    Knots,
    Point,
    further,
    kept,
    knots_on_line,
    knots_through_quantiles,
    normal_quantile,
    resolved,
    slopes_between,
    tail,
    within_bounds,
)
from pushforward.support.far_ends import NEIGHBORS, most_times_of

# Far values are taken to be as likely anywhere between their quantiles, which divide their probability into so many.
PARTS_OF_FAR = 4
# Beyond this the probabilities of a normal number have few digits; a tail that bends further would overflow.
FURTHEST, LONGEST_TAIL = 25.0, 60.0


def knots_of_column(
    column: Tensor,
    knots: int,
    bounds: tuple[float, float],
    name: str,
    weights: Tensor | None = None,
    straight: bool = False,
    apart: bool = True,
) -> Knots:
    """Knots through the quantiles of one feature, or on a straight line, as `MarginalSpline.from_data` describes them.

    Arguments:
        column: (N,).
        knots: K; there are more beside far values and empty gaps.
        bounds: the lower and the upper bound, infinite for none.
        name: what messages call the column.
        weights: (N,) positive weights of the rows; default all equal.
        straight: whether the knots are on a line, default not.
        apart: whether a few values far from all others are kept apart, default so.

    Raises:
        ValueError: the column is constant, not finite, or outside its bounds.
    """
    eps = torch.finfo(column.dtype).eps
    ordered, order = within_bounds(column, bounds, name)
    share = None if weights is None else weights.to(order.device).double()[order]
    first, last = _near(ordered, eps) if apart else (0, len(ordered))
    far = first > 0, last < len(ordered)
    ends = (-math.inf if far[0] else bounds[0], math.inf if far[1] else bounds[1])
    near = (ordered[first:last], None if share is None else share[first:last])
    found = knots_on_line(*near, ends, eps) if straight else knots_through_quantiles(*near, knots, ends, eps)
    if not any(far):
        return found
    rows, of_each = len(ordered), torch.ones_like(ordered) if share is None else share
    below, above = (
        # Between the probabilities of the values on both sides; those that are far weigh at least one row.
        (max(rows * float(of_each[part].sum() / of_each.sum()), 1.0) + 0.5) / (rows + 1) if some else 0.0
        for part, some in zip((slice(first), slice(last, None)), far, strict=True)
    )
    alone, found = found, _of_share(found, below, above)
    if far[1]:
        found = _with_far(found, alone, near[0], ordered[last:], Side(rows, above, bounds[1], eps))
    if far[0]:
        near_down, far_down = (-part.flip(0) for part in (near[0], ordered[:first]))
        side = Side(rows, below, -bounds[0], eps)
        found = _mirrored(_with_far(_mirrored(found), _mirrored(alone), near_down, far_down, side))
    return found


class Side(NamedTuple):
    """What is known of the values at the upper end that are far.

    Attributes:
        rows: N, of the whole column.
        share: the probability of all beyond the middle of the gap.
        bound: the upper bound.
        eps: of the precision of the column.
    """

    rows: int
    share: float
    bound: float
    eps: float


def _near(ordered: Tensor, eps: float) -> tuple[int, int]:
    """The first of the values that are not far, and the first of those above them."""
    first, last = 0, len(ordered)
    # Many values beside an empty gap are a cluster with quantiles of its own.
    clusters = set(empty_gaps(ordered)[1])
    for place in gaps_at_ends(ordered, most_times_of(len(ordered)))[1]:
        if place in clusters:
            continue
        first, last = (place + 1, last) if 2 * place < len(ordered) else (first, place + 1)
    return (first, last) if resolved(float(ordered[first]), float(ordered[last - 1]), eps) else (0, len(ordered))


def _of_share(knots: Knots, below: float, above: float) -> Knots:
    """The knots of a map that leaves some probability to values beyond: z becomes Φ⁻¹(below + share · Φ(z))."""
    z, x, slopes = knots
    old, share = torch.tensor(z, dtype=torch.float64), 1 - below - above
    side = torch.where(old < 0, -1.0, 1.0).double()
    end = torch.where(old < 0, torch.full_like(old, below), above)
    # From the smaller of the two tails, which has the digits; very far out, where it has none, by Mills' ratio.
    distance = -torch.special.ndtri(end + 0.5 * share * torch.special.erfc(old.abs() / math.sqrt(2)))
    by_ratio = (old.square() - 2 * math.log(share)).sqrt()
    new = side * torch.where((old.abs() > FURTHEST) & (end == 0), by_ratio, distance)
    ratio = (0.5 * (old.square() - new.square())).exp() / share
    return new.tolist(), x, (torch.tensor(slopes, dtype=torch.float64) * ratio).tolist()


def _with_far(knots: Knots, alone: Knots, near: Tensor, far: Tensor, side: Side) -> Knots:
    """The knots of a map of the near values, with those of a gap and of the values far above them.

    Arguments:
        knots: of the near values, from `_of_share`.
        alone: of the map of the near values by themselves.
        near: (n,) increasing.
        far: (m,) increasing.
        side: see there.
    """
    start, end, highest = float(near[-1]), float(far[0]), float(far[-1])
    half, third = 0.5 / (side.rows + 1), (end - start) / 3
    thin = min(MIDDLE_OF_GAP / 2, half / 10)
    space = min(start - float(near[-NEIGHBORS - 1 :][0]), third)
    last = -normal_quantile(side.share + thin), min(max(_in_tail(alone, thin), start + space), start + third)
    outermost = -normal_quantile(1 / (side.rows + 1)), highest
    # Of a single value nobody knows how far others are from it: it takes a third of the gap.
    first = -normal_quantile(side.share - thin)
    if not resolved(end, highest, side.eps):
        bridge, segment = [last], [(first, end - third), outermost]
    else:
        half = min(half, (side.share - 1 / (side.rows + 1)) / 2)
        bridge = [last, (first, end - min(highest - end, third))]
        segment = [*_inside(far, side.share - half, 1 / (side.rows + 1)), outermost]
    segment, own = kept(segment, side.eps)
    # A few values may be alike by chance: their tail is as wide as the others are.
    own = _own_slope(alone) if len(far) <= NEIGHBORS else FLATTEST * own
    beyond, slope = further(segment[-1], tail(segment, 1, side.bound, own), side.eps, side.bound, 1)
    some = sum(z < last[0] and x < last[1] for z, x in zip(*knots[:2], strict=True))
    points = [*zip(knots[0][:some], knots[1][:some], strict=True), *bridge, *segment, beyond]
    z, x = (list(column) for column in zip(*points, strict=True))
    return z, x, [*knots[2][:some], *slopes_between(points[some - 1 :]), slope]


def _in_tail(knots: Knots, share: float) -> float:
    """The value above which a map has a small share of the probability; that of the last knot if it has less."""
    z, x, slope = (column[-1] for column in knots)
    return x + slope * math.expm1(min(max(-normal_quantile(share) - z, 0.0), LONGEST_TAIL))


def _inside(far: Tensor, lowest: float, highest: float) -> list[Point]:
    """Points through the quantiles of far values, but for the last, at the probabilities above them."""
    parts = torch.linspace(0, 1, PARTS_OF_FAR + 1, dtype=torch.float64)[:-1]
    values = far.double().quantile(parts.to(far)).tolist()
    return [
        (-normal_quantile(lowest + part * (highest - lowest)), x)
        for part, x in zip(parts.tolist(), values, strict=True)
    ]


def _own_slope(knots: Knots) -> float:
    """The mean slope of a map between -1 and 1."""
    lower, upper = np.interp([-1.0, 1.0], *knots[:2]).tolist()
    return (upper - lower) / 2


def _mirrored(knots: Knots) -> Knots:
    """The knots of the map of -x."""
    z, x, slopes = (column[::-1] for column in knots)
    return [-number for number in z], [-number for number in x], slopes
