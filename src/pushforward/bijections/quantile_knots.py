"""Where the knots of a spline through the quantiles of data lie, and how steep it is there."""

import itertools
import math

import torch
from torch import Tensor

from pushforward.bijections.gaps import empty_gaps
from pushforward.support.far_ends import NEIGHBORS

# No secant is flatter than this share of the column's own slope, that between its quantiles at ±1 deviation.
FLATTEST = 1e-3
# The slopes of the tails, relative to the mean slope from the middle to that end of the data.
LEAST_TAIL, MOST_TAIL = 0.1, 10.0
# Toward a bound, relative to the slope of a constant density: more would pile rows up at the bound, and where the
# smallest of the data happens to be near it, its distance to the next says little.
MOST_AT_BOUND = 2.0
# Values closer together than this many roundings count as one value.
ROUNDINGS = 64
# Fewer rows than this between an end and its neighbor say little about a slope.
ROWS_AT_ENDS = 5
# A straight line bends only in its outermost pieces.
PIECES_OF_LINE = 8
# Data at a bound are moved this share of their range inside it.
INSIDE = 1e-9

# The probability of an empty gap, at most, and that of its middle.
MOST_IN_GAP, MIDDLE_OF_GAP = 1e-4, 1e-6

Point = tuple[float, float]
Knots = tuple[list[float], list[float], list[float]]


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
    ordered: Tensor, weights: Tensor | None, knots: int, bounds: tuple[float, float], eps: float
) -> Knots:
    """Knots through the quantiles of one feature, as `MarginalSpline.from_data` describes them.

    Arguments:
        ordered: (N,) increasing, within the bounds.
        weights: (N,) of the rows in this order; None for equal ones.
        knots: K.
        bounds: the lower and the upper bound, infinite for none.
        eps: of the precision of the column.

    Returns:
        Positions in z and in x, and slopes, each a list of K numbers, and of four more for each empty gap.
    """
    count, probabilities = len(ordered), probabilities_of_knots(len(ordered), knots)
    place = (probabilities * (count + 1) - 1).clamp(0, count - 1)
    below = place.floor().clamp(max=count - 2)
    share = (place - below).to(ordered.device)
    left, right = (_rows_at(at.to(ordered.device), weights) for at in (below, below + 1))
    quantiles = ordered[left] * (1 - share) + ordered[right] * share
    # The ends stay the smallest and the largest value, however little these weigh.
    quantiles[0], quantiles[-1] = ordered[0], ordered[-1]
    points = _one_per_value(quantiles.tolist(), probabilities.tolist())
    segments, bridges = _cut_at_gaps(points, ordered, torch.ones_like(ordered) if weights is None else weights)
    return lengthened(_knots(segments, bridges, eps, bounds), knots + 4 * len(bridges), eps, bounds[1])


def knots_on_line(ordered: Tensor, weights: Tensor | None, bounds: tuple[float, float], eps: float) -> Knots:
    """Knots on the straight line x = mean + deviation · z, which bends only near a bound, toward it.

    Arguments:
        ordered: (N,) increasing, within the bounds.
        weights: (N,) of the rows in this order; None for equal ones.
        bounds: the lower and the upper bound, infinite for none.
        eps: of the precision of the column.
    """
    share = torch.ones_like(ordered) if weights is None else weights
    share = share / share.sum()
    mean = (share * ordered).sum()
    deviation = float((share * (ordered - mean).square()).sum().sqrt())
    along = torch.linspace(0, 1, PIECES_OF_LINE + 1, dtype=torch.float64)
    inside = torch.lerp(ordered[0], ordered[-1], along.to(ordered)).tolist()
    points = [((x - float(mean)) / deviation, x) for x in inside]
    first, lower = further(points[0], deviation, eps, bounds[0], -1)
    last, upper = further(points[-1], deviation, eps, bounds[1], 1)
    points = [first, *points, last]
    z, x = (list(numbers) for numbers in zip(*points, strict=True))
    return z, x, [lower, *slopes_between(points), upper]


def within_bounds(column: Tensor, bounds: tuple[float, float], name: str) -> tuple[Tensor, Tensor]:
    """The values of a column in order, none exactly at a bound, and the rows that they are from.

    Raises:
        ValueError: the column is constant, not finite, or outside its bounds; the message calls it by its name.
    """
    eps = torch.finfo(column.dtype).eps
    ordered, order = column.detach().double().sort()
    if not bool(ordered.isfinite().all()) or not resolved(float(ordered[0]), float(ordered[-1]), eps):
        raise ValueError(f"{name} is constant or not finite: it has no quantiles to go through.")
    if not bounds[0] <= float(ordered[0]) <= float(ordered[-1]) <= bounds[1]:
        raise ValueError(f"{name} lies outside its bounds, {bounds[0]} and {bounds[1]}.")
    inside = max(INSIDE * float(ordered[-1] - ordered[0]), 1e6 * eps * float(ordered.abs().max()))
    return ordered.clamp(bounds[0] + inside, bounds[1] - inside), order


def _cut_at_gaps(points: list[Point], ordered: Tensor, weights: Tensor) -> tuple[list[list[Point]], list[list[Point]]]:
    """The points between empty gaps, and for each gap points that bridge it, so that z hardly grows in between.

    A segment begins and ends at the values next to a gap. A little of the gap's probability lies near either side.

    Arguments:
        points: the quantiles.
        ordered: (N,) increasing.
        weights: of the rows in this order.
    """
    rows, total = len(ordered), weights.cumsum(0) / weights.sum()
    half = min(0.5 / (rows + 1), MOST_IN_GAP / 2)
    thin, near = min(MIDDLE_OF_GAP / 2, half / 10), 2 * ROWS_AT_ENDS * half
    cluster = max(2 * (NEIGHBORS + 2) * half, (NEIGHBORS + 1) / (rows + 1))
    segments: list[list[Point]] = []
    bridges: list[list[Point]] = []
    before = 0.0
    for (start, end, left, right), place in zip(*empty_gaps(ordered), strict=True):
        # Between the probabilities of the values on both sides.
        middle = (rows * float(total[place]) + 0.5) / (rows + 1)
        # Rows of little weight are no cluster.
        if middle - before < cluster or 1 - middle < cluster:
            continue
        before, third = middle, (end - start) / 3
        z = [normal_quantile(middle + part) for part in (-near, -half, -thin, thin, half, near)]
        inside = [point for point in points[1:] if point[0] < z[0] and point[1] < start]
        segments.append([points[0], *inside, (z[1], start)])
        bridges.append([(z[2], start + min(left, third)), (z[3], end - min(right, third))])
        # The last point stands, however near.
        beginning = [point for point in points[1:-1] if point[0] > z[5] and point[1] > end]
        points = [(z[4], end), *beginning, points[-1]]
    return [*segments, points], bridges


def normal_quantile(probability: float) -> float:
    """z of which a standard normal number is below with a probability."""
    return float(torch.special.ndtri(torch.tensor(probability, dtype=torch.float64)))


def lengthened(knots: Knots, count: int, eps: float, high: float) -> Knots:
    """As many knots as `count`: the remaining ones continue along the upper tail, where they change nothing."""
    z, x, slopes = (list(column) for column in knots)
    while len(z) < count:
        last, slope = further((z[-1], x[-1]), slopes[-1], eps, high, 1, 1e-3)
        z.append(last[0])
        x.append(last[1])
        slopes.append(slope)
    return z, x, slopes


def _rows_at(places: Tensor, weights: Tensor | None) -> Tensor:
    """Which of N ordered rows are at integer places from 0 to N - 1, if each takes up as many places as its weight."""
    if weights is None:
        return places.long()
    rows, ends = len(weights), weights.cumsum(0)
    ends = ends / ends[-1] * rows
    # A little more than rounding, so that integer weights are whole numbers of rows.
    return torch.searchsorted(ends, places + 1e-9 * rows, right=True).clamp(max=rows - 1)


def _one_per_value(quantiles: list[float], probabilities: list[float]) -> list[Point]:
    """Points (z, x), one for each distinct quantile, at the middle of its probabilities."""
    middles, values = [], []
    first = 0
    for last, quantile in enumerate(quantiles):
        if last + 1 == len(quantiles) or quantiles[last + 1] > quantile:
            middles.append((probabilities[first] + probabilities[last]) / 2)
            values.append(quantile)
            first = last + 1
    return list(zip(torch.special.ndtri(torch.tensor(middles, dtype=torch.float64)).tolist(), values, strict=True))


def _knots(segments: list[list[Point]], bridges: list[list[Point]], eps: float, bounds: tuple[float, float]) -> Knots:
    """Positions in z and x, and slopes, of knots through points that increase in both, and of one more at each end."""
    parts, own = zip(*(kept(points, eps) for points in segments), strict=True)
    # A knot too close to a bound would make the tail too steep: rows between the two are left to the tail.
    while len(parts[0]) > 2 and _too_near(parts[0][0], bounds[0], FLATTEST * own[0]):
        parts[0].pop(0)
    while len(parts[-1]) > 2 and _too_near(parts[-1][-1], bounds[1], FLATTEST * own[-1]):
        parts[-1].pop()
    # Each tail starts with a separate piece, so that the slope of every piece is close to those at its ends.
    lower = tail(parts[0], -1, bounds[0], FLATTEST * own[0])
    upper = tail(parts[-1], 1, bounds[1], FLATTEST * own[-1])
    points = parts[0]
    for bridge, part in zip(bridges, parts[1:], strict=True):
        points = [*points, *bridge, *part]
    first, lower = further(points[0], lower, eps, bounds[0], -1)
    last, upper = further(points[-1], upper, eps, bounds[1], 1)
    points = [first, *points, last]
    z, x = (list(column) for column in zip(*points, strict=True))
    return z, x, [lower, *slopes_between(points), upper]


def slopes_between(points: list[Point]) -> list[float]:
    """The slopes at all points but the ends: the harmonic means of those on both sides."""
    secants = [_slope(left, right) for left, right in itertools.pairwise(points)]
    return [2 / (1 / one + 1 / other) for one, other in itertools.pairwise(secants)]


def kept(points: list[Point], eps: float) -> tuple[list[Point], float]:
    """The points that are far enough apart, the first and the last of them always; and their own slope."""
    # From the quantiles nearest to one deviation on either side of the middle that differ.
    first, last = points[0][0], points[-1][0]
    ends = (-1.0, 1.0) if first <= -1 and last >= 1 else (first + (last - first) / 4, last - (last - first) / 4)
    low = max((k for k, (z, _) in enumerate(points[:-1]) if z <= ends[0]), default=0)
    high = min((k for k, (z, _) in enumerate(points) if z >= ends[1] and k > low), default=len(points) - 1)
    own = _slope(points[low], points[high])

    def apart(left: Point, right: Point) -> bool:
        return resolved(left[1], right[1], eps) and _slope(left, right) >= FLATTEST * own

    found = points[:1]
    for point in points[1:-1]:
        if apart(found[-1], point):
            found.append(point)
    # The largest value stays; knots too close to it are dropped.
    while len(found) > 1 and not apart(found[-1], points[-1]):
        found.pop()
    found.append(points[-1])
    return found, own


def _middle(points: list[Point]) -> Point:
    """The point nearest to the median of all, or else to the middle of these."""
    center = 0.0 if points[0][0] <= 0 <= points[-1][0] else (points[0][0] + points[-1][0]) / 2
    return min(points, key=lambda point: abs(point[0] - center))


def tail(part: list[Point], side: int, bound: float, flattest: float) -> float:
    """The slope of a tail beside some points: that of the outermost piece, within limits.

    Arguments:
        part: the points of the outermost segment.
        side: -1 below them, 1 above.
        bound: on this side, infinite for none.
        flattest: the least slope.
    """
    end, next_to_it = (part[0], part[1]) if side < 0 else (part[-1], part[-2])
    middle, slope = _middle(part), _slope(end, next_to_it)
    if end == middle:
        return slope
    # Where the density is constant up to a bound at distance d, the slope at z is about d |z|.
    at_bound = math.isfinite(bound)
    own = abs((bound - end[1]) * end[0]) if at_bound else _slope(end, middle)
    most = MOST_AT_BOUND if at_bound else MOST_TAIL
    return min(max(slope, LEAST_TAIL * own, flattest), max(most * own, flattest))


def _too_near(end: Point, bound: float, flattest: float) -> bool:
    """Whether even the steepest tail from here is too flat."""
    return math.isfinite(bound) and MOST_AT_BOUND * abs((bound - end[1]) * end[0]) < flattest


def further(end: Point, slope: float, eps: float, bound: float, side: int, part: float = 1.0) -> tuple[Point, float]:
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


def resolved(left: float, right: float, eps: float) -> bool:
    """Whether two numbers are more than a few roundings apart."""
    return right - left > ROUNDINGS * eps * max(abs(left), abs(right))


def _slope(one: Point, other: Point) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])
