"""Where the knots of a spline through the quantiles of data lie, and how steep it is there."""

import itertools
import math

import torch
from torch import Tensor

# No secant is flatter than this share of the column's own slope, that between its quantiles at ±1 deviation.
FLATTEST = 1e-3
# The slopes of the tails, relative to the mean slope from the middle to that end of the data.
LEAST_TAIL, MOST_TAIL = 0.1, 10.0
# Values closer together than this many roundings count as one value.
ROUNDINGS = 64
# Fewer rows than this between an end and its neighbor say little about a slope.
ROWS_AT_ENDS = 5
# Data at a bound are moved this share of their range inside it.
INSIDE = 1e-9

Point = tuple[float, float]


def probabilities_of_knots(rows: int, knots: int) -> Tensor:
    """The probabilities of the quantiles that knots go through, (K - 2,), float64.

    The first and the last are 1 / (N + 1) and N / (N + 1). The others are at equal distances in z, with at least five
    rows outside.

    Arguments:
        rows: N.
        knots: K; two of them lie beyond the data.

    Example:
        >>> probabilities_of_knots(99, 6)
        tensor([0.0100, 0.0500, 0.9500, 0.9900], dtype=torch.float64)
    """
    outermost, next_to_it = (
        float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))
        for p in (1 / (rows + 1), min(ROWS_AT_ENDS / (rows + 1), 0.25))
    )
    between = torch.linspace(next_to_it, -next_to_it, knots - 4, dtype=torch.float64).tolist()
    return torch.special.ndtr(torch.tensor([outermost, *between, -outermost], dtype=torch.float64))


def knots_through_quantiles(
    column: Tensor, probabilities: Tensor, bounds: tuple[float, float], name: str, weights: Tensor | None = None
) -> tuple[list[float], list[float], list[float]]:
    """Knots through the quantiles of one feature, as `MarginalSpline.from_data` describes them.

    Arguments:
        column: (N,).
        probabilities: from `probabilities_of_knots`.
        bounds: the lower and the upper bound, infinite for none.
        name: what messages call the column.
        weights: (N,) positive weights of the rows; default all equal.

    Returns:
        Positions in z and in x, and slopes, each a list of K numbers.

    Raises:
        ValueError: the column is constant, not finite, or outside its bounds.
    """
    count, eps = len(column), torch.finfo(column.dtype).eps
    ordered, order = column.detach().double().sort()
    if not bool(ordered.isfinite().all()) or not _resolved(float(ordered[0]), float(ordered[-1]), eps):
        raise ValueError(f"{name} is constant or not finite: it has no quantiles to go through.")
    if not bounds[0] <= float(ordered[0]) <= float(ordered[-1]) <= bounds[1]:
        raise ValueError(f"{name} lies outside its bounds, {bounds[0]} and {bounds[1]}.")
    inside = max(INSIDE * float(ordered[-1] - ordered[0]), 1e6 * eps * float(ordered.abs().max()))
    ordered = ordered.clamp(bounds[0] + inside, bounds[1] - inside)
    place = (probabilities * (count + 1) - 1).clamp(0, count - 1)
    below = place.floor().clamp(max=count - 2)
    share = (place - below).to(ordered.device)
    left, right = (_rows_at(at.to(ordered.device), order, weights) for at in (below, below + 1))
    quantiles = ordered[left] * (1 - share) + ordered[right] * share
    # The ends stay the smallest and the largest value, however little these weigh.
    quantiles[0], quantiles[-1] = ordered[0], ordered[-1]
    points = _one_per_value(quantiles.tolist(), probabilities.tolist())
    return _knots(points, len(probabilities) + 2, eps, bounds)


def _rows_at(places: Tensor, order: Tensor, weights: Tensor | None) -> Tensor:
    """Which of N ordered rows are at integer places from 0 to N - 1, if each takes up as many places as its weight."""
    if weights is None:
        return places.long()
    ends = weights.to(order.device).double()[order].cumsum(0)
    ends = ends / ends[-1] * len(order)
    # A little more than rounding, so that integer weights are whole numbers of rows.
    return torch.searchsorted(ends, places + 1e-9 * len(order), right=True).clamp(max=len(order) - 1)


def _one_per_value(quantiles: list[float], probabilities: list[float]) -> list[Point]:
    """Points (z, x), one for each distinct quantile, at the middle of its probabilities."""
    points = []
    first = 0
    for last, quantile in enumerate(quantiles):
        if last + 1 == len(quantiles) or quantiles[last + 1] > quantile:
            middle = (probabilities[first] + probabilities[last]) / 2
            points.append((float(torch.special.ndtri(torch.tensor(middle, dtype=torch.float64))), quantile))
            first = last + 1
    return points


def _knots(
    points: list[Point], count: int, eps: float, bounds: tuple[float, float]
) -> tuple[list[float], list[float], list[float]]:
    """Positions in z and x, and slopes, of as many knots as `count`, through points that increase in both."""
    # The column's own slope, from the quantiles nearest to one deviation on either side that differ.
    low = max((k for k, (z, _) in enumerate(points[:-1]) if z <= -1), default=0)
    high = min((k for k, (z, _) in enumerate(points) if z >= 1 and k > low), default=len(points) - 1)
    own = _slope(points[low], points[high])

    def apart(left: Point, right: Point) -> bool:
        return _resolved(left[1], right[1], eps) and _slope(left, right) >= FLATTEST * own

    kept = points[:1]
    for point in points[1:-1]:
        if apart(kept[-1], point):
            kept.append(point)
    # The largest value stays; knots too close to it are dropped.
    while len(kept) > 1 and not apart(kept[-1], points[-1]):
        kept.pop()
    kept.append(points[-1])
    # A knot too close to a bound would make the tail too steep: rows between the two are left to the tail.
    while len(kept) > 2 and _too_near(kept[0], bounds[0], FLATTEST * own):
        kept.pop(0)
    while len(kept) > 2 and _too_near(kept[-1], bounds[1], FLATTEST * own):
        kept.pop()
    # Each tail starts with a separate piece, so that the slope of every piece is close to those at its ends.
    middle = min(kept, key=lambda point: abs(point[0]))
    lower, upper = (
        _tail(end, next_to_it, middle, bound, FLATTEST * own)
        for end, next_to_it, bound in ((kept[0], kept[1], bounds[0]), (kept[-1], kept[-2], bounds[1]))
    )
    first, lower = _further(kept[0], lower, eps, bounds[0], -1)
    last, upper = _further(kept[-1], upper, eps, bounds[1], 1)
    kept = [first, *kept, last]
    secants = [_slope(left, right) for left, right in itertools.pairwise(kept)]
    slopes = [lower, *(2 / (1 / a + 1 / b) for a, b in itertools.pairwise(secants)), upper]
    while len(kept) < count:  # the remaining knots continue along the tail
        last, upper = _further(kept[-1], upper, eps, bounds[1], 1, 1e-3)
        kept.append(last)
        slopes.append(upper)
    z, x = (list(column) for column in zip(*kept, strict=True))
    return z, x, slopes


def _tail(end: Point, next_to_it: Point, middle: Point, bound: float, flattest: float) -> float:
    """The slope of a tail: that of the outermost piece, within limits."""
    slope = _slope(end, next_to_it)
    if end == middle:
        return slope
    # Where the density is constant up to a bound at distance d, the slope at z is about d |z|.
    own = abs((bound - end[1]) * end[0]) if math.isfinite(bound) else _slope(end, middle)
    return min(max(slope, LEAST_TAIL * own, flattest), max(MOST_TAIL * own, flattest))


def _too_near(end: Point, bound: float, flattest: float) -> bool:
    """Whether even the steepest tail from here is too flat."""
    return math.isfinite(bound) and MOST_TAIL * abs((bound - end[1]) * end[0]) < flattest


def _further(end: Point, slope: float, eps: float, bound: float, side: int, part: float = 1.0) -> tuple[Point, float]:
    """The next knot of a tail and the slope there: 1 further in z, or as far as is needed for x to differ.

    Toward a bound, it is a part of the step that divides the distance to the bound by e, and at most 1 in z.
    """
    room = abs(bound - end[1])
    if math.isfinite(room):
        step = min(1.0, part * room / slope)
        nearer = math.exp(-step * slope / room)
        return (end[0] + side * step, bound - side * room * nearer), slope * nearer
    step = side * max(1.0, 2 * ROUNDINGS * eps * abs(end[1]) / slope)
    return (end[0] + step, end[1] + step * slope), slope


def _resolved(left: float, right: float, eps: float) -> bool:
    """Whether two numbers are more than a few roundings apart."""
    return right - left > ROUNDINGS * eps * max(abs(left), abs(right))


def _slope(one: Point, other: Point) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])
