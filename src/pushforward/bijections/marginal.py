"""Each feature made nearly normal by a fixed spline through the quantiles of data."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.elementwise import Elementwise
from pushforward.bijections.univariate.spline import through_knots

# No secant is flatter than this share of the column's own slope, that between its quantiles at ±1 deviation.
FLATTEST = 1e-3
# The slopes of the tails against the mean slope from the middle to that end of the data.
LEAST_TAIL, MOST_TAIL = 0.1, 10.0
# The distance in z up to which tails bend; e^60 times the data's width is far enough, and float32 holds it.
LONGEST_TAIL = 60.0
# Values nearer than so many roundings are taken for one.
ROUNDINGS = 64
# Fewer rows than this between an end and its neighbour tell little of a slope.
ROWS_AT_ENDS = 5
# Data at a bound are taken for data this share of their range inside it, and no nearer than this share of the last
# knot's distance.
INSIDE, NEAREST = 1e-9, 1e-12


class MarginalSpline(Elementwise):
    """x[d] = spline_d(z[d]), a fixed increasing spline for each feature that takes normal z to the marginals of data.

    The spline is rational quadratic between K knots. Beyond them, at a distance t in z, it is s (exp(t) - 1) with the
    slope s of its end: nearly straight at first, while a value that lies a million times farther out than all data is
    at log(1e6) in z, improbable and no more; from t = 60 on it is straight, so that nothing overflows. Where x has a
    bound it bends towards that instead, and never passes it: from a last knot at distance d from the bound and with
    slope s on, the distance is d exp(-|z - z_knot| s / d). Knots are buffers and are not trained; without `from_data`
    it is the identity between them.

    Arguments:
        features: D.
        knots: K, default 32.
        bounded: whether there are bounds, default False.

    Attributes:
        z_knots: (D, K), increasing.
        x_knots: (D, K), increasing.
        slopes: (D, K), ∂x/∂z at the knots.
        low: (D,), -inf for no bound; None if not bounded.
        high: (D,), inf for no bound; None if not bounded.

    Raises:
        ValueError: less than four knots.

    Cost: 1 pass in both directions.

    Source: of the spline, Durkan et al. 2019, arXiv:1906.04032; of making marginals normal as a layer, Meng, Song, Song
    and Ermon 2020, arXiv:2003.01941.

    Example:
        >>> x = torch.distributions.LogNormal(0.0, 2.0).sample((1000, 1))
        >>> z, log_det = MarginalSpline.from_data(x).inverse(x)
        >>> bool((z.mean().abs() < 0.1) & ((z.std() - 1).abs() < 0.1))
        True
    """

    z_knots: Tensor
    x_knots: Tensor
    slopes: Tensor
    low: Tensor | None
    high: Tensor | None

    def __init__(self, features: int, knots: int = 32, bounded: bool = False):
        super().__init__()
        if knots < 4:
            raise ValueError(f"MarginalSpline needs at least four knots, got {knots}.")
        self.features = features
        line = torch.linspace(-3, 3, knots).repeat(features, 1)
        for name, value in (("z_knots", line), ("x_knots", line.clone()), ("slopes", torch.ones_like(line))):
            self.register_buffer(name, value)
        for name, end in (("low", -math.inf), ("high", math.inf)):
            self.register_buffer(name, torch.full((features,), end) if bounded else None)

    @classmethod
    def from_data(
        cls,
        x: Tensor,
        knots: int = 32,
        *,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        normal: Sequence[int] = (),
        weights: Tensor | None = None,
    ) -> "MarginalSpline":
        """Lay the knots through the quantiles of data.

        There is a knot at the smallest and at the largest value, at Φ⁻¹ of 1 / (N + 1) and N / (N + 1); the others
        stand at equal distances in z, with at least 5 rows outside. Equal quantiles (a value that many rows share) are
        one knot at the middle of their probabilities, and knots that would make the spline flatter than a thousandth of
        the column's own slope are left out: no density is made larger than about 1500 times that of a normal
        distribution as wide as the column, however many rows are alike. Slopes at knots are the harmonic means of those
        on both sides. Beyond the data, from a last knot at a distance of 1 in z on, each tail has the slope of the
        outermost piece, or else 0.1 or 10 times the mean slope between the middle and that end, so that rows beyond
        those seen have a sensible density; it is heavier than a normal one, as one row in a million may be a mistake.
        Features with fewer knots have the rest on their upper tail, where they change nothing.

        Arguments:
            x: (N, D); its precision is that of the spline.
            knots: K, default 32.
            low: (D,) lower bounds that no x passes, -inf for none; default none.
            high: (D,) upper bounds, inf for none; default none.
            normal: features that are normal already: for them it is the identity, whatever x holds.
            weights: (N,) weights above 0, by which rows count in the quantiles: N rows in all, whatever their sum;
                default all alike.

        Raises:
            ValueError: fewer than two rows, or a feature that is constant (to 64 roundings) or not finite, or lies
                outside its bounds.
        """
        if x.dim() != 2 or len(x) < 2:
            raise ValueError(f"x must have shape (N, features) with at least two rows, got {tuple(x.shape)}.")
        lows, highs = ([*(ends or [end] * x.shape[1])] for ends, end in ((low, -math.inf), (high, math.inf)))
        bounded = any(map(math.isfinite, [*lows, *highs]))
        spline = cls(x.shape[1], knots, bounded).to(x.dtype)
        if spline.low is not None and spline.high is not None:
            spline.low.copy_(torch.tensor(lows))
            spline.high.copy_(torch.tensor(highs))
        count = len(x)
        outermost, next_to_it = (
            float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))
            for p in (1 / (count + 1), min(ROWS_AT_ENDS / (count + 1), 0.25))
        )
        between = torch.linspace(next_to_it, -next_to_it, knots - 4, dtype=torch.float64).tolist()
        z = torch.tensor([outermost, *between, -outermost], dtype=torch.float64)
        probabilities = torch.special.ndtr(z)
        for feature in range(x.shape[1]):
            if feature in normal:
                continue
            ordered, order = x[:, feature].detach().double().sort()
            eps = torch.finfo(x.dtype).eps
            if not bool(ordered.isfinite().all()) or not _resolved(float(ordered[0]), float(ordered[-1]), eps):
                raise ValueError(f"Column {feature} of x is constant or not finite: it has no quantiles to go through.")
            ends = (lows[feature], highs[feature])
            if not ends[0] <= float(ordered[0]) <= float(ordered[-1]) <= ends[1]:
                raise ValueError(f"Column {feature} of x lies outside its bounds, {ends[0]} and {ends[1]}.")
            inside = max(INSIDE * float(ordered[-1] - ordered[0]), 1e6 * eps * float(ordered.abs().max()))
            ordered = ordered.clamp(ends[0] + inside, ends[1] - inside)
            place = (probabilities * (count + 1) - 1).clamp(0, count - 1)
            below = place.floor().clamp(max=count - 2)
            share = (place - below).to(ordered.device)
            left, right = (_rows_at(at.to(ordered.device), order, weights) for at in (below, below + 1))
            quantiles = ordered[left] * (1 - share) + ordered[right] * share
            # The ends stay the smallest and the largest value, however little these weigh.
            quantiles[0], quantiles[-1] = ordered[0], ordered[-1]
            points = _one_per_value(quantiles.tolist(), probabilities.tolist())
            columns = _knots(points, knots, eps, ends)
            for buffer, column in zip((spline.z_knots, spline.x_knots, spline.slopes), columns, strict=True):
                buffer[feature] = torch.tensor(column, dtype=torch.float64)
        return spline.to(x.device)

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log ∂x/∂z of each feature, (*batch, D)."""
        return self._apply_spline(z, backwards=False)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with log ∂z/∂x of each feature, (*batch, D)."""
        return self._apply_spline(x, backwards=True)

    def _apply_spline(self, value: Tensor, backwards: bool) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        rows = value.to(torch.promote_types(value.dtype, self.z_knots.dtype)).reshape(-1, self.features).t()
        ends = self.x_knots if backwards else self.z_knots
        # Before any arithmetic: what is computed of points outside must have gradients too.
        inside = rows.clamp(ends[:, :1], ends[:, -1:])
        outside = rows - inside
        bin_of = torch.searchsorted(ends[:, 1:-1].contiguous(), inside.detach().contiguous(), right=True)
        z_knots, x_knots, slopes = (
            knots.to(rows.dtype)[..., None] for knots in (self.z_knots, self.x_knots, self.slopes)
        )
        there, log_derivative = through_knots(inside, z_knots, x_knots, slopes, bin_of, backwards)
        end = torch.where(outside < 0, self.slopes[:, :1], self.slopes[:, -1:])
        bounded = torch.zeros_like(outside, dtype=torch.bool)
        if self.low is not None and self.high is not None:
            bounded = torch.where(outside < 0, self.low[:, None], self.high[:, None]).isfinite() & (outside != 0)
        # None where there is a bound: what is not taken must have gradients too.
        distance = torch.where(bounded, 0.0, outside.abs())
        if backwards:
            logarithm = torch.log1p(distance / end)
            curved = logarithm.clamp(max=LONGEST_TAIL)
            straight = (distance / end - math.expm1(LONGEST_TAIL)).clamp(min=0) * math.exp(-LONGEST_TAIL)
            beyond = curved + straight
            there, log_derivative = there + outside.sign() * beyond, log_derivative - curved
        else:
            curved = distance.clamp(max=LONGEST_TAIL)
            straight = (distance - LONGEST_TAIL).clamp(min=0) * math.exp(LONGEST_TAIL)
            beyond = torch.expm1(curved) + straight
            there, log_derivative = there + outside.sign() * end * beyond, log_derivative + curved
        if self.low is not None:
            there, bend = self._towards_bounds(rows, outside, end, there, bounded, backwards)
            log_derivative = log_derivative + bend
        return there.t().reshape(value.shape), log_derivative.t().reshape(value.shape)

    def _towards_bounds(
        self, rows: Tensor, outside: Tensor, slope: Tensor, there: Tensor, bounded: Tensor, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """The spline, bent where it leads towards a bound, and what the bend adds to the log-derivative."""
        assert self.low is not None and self.high is not None
        below = outside < 0
        bound = torch.where(bounded, torch.where(below, self.low[:, None], self.high[:, None]), 0.0)
        side = torch.where(below, 1.0, -1.0).to(rows.dtype)
        room = side * (torch.where(below, self.x_knots[:, :1], self.x_knots[:, -1:]) - bound)
        if backwards:
            # The bounds themselves are at no finite z.
            left = torch.where(bounded, (side * (rows - bound) / room).clamp_min(NEAREST), 1.0).log()
            end = torch.where(below, self.z_knots[:, :1], self.z_knots[:, -1:])
            return torch.where(bounded, end + side * left * room / slope, there), -left
        # From the bound on, not from the knot: a small distance keeps its digits.
        steepness = torch.where(bounded, (-outside.abs() * slope / room).clamp_min(-700.0), 0.0)
        return torch.where(bounded, bound + side * room * steepness.exp(), there), steepness


def _rows_at(places: Tensor, order: Tensor, weights: Tensor | None) -> Tensor:
    """Which of N ordered rows stand at whole places from 0 to N - 1, where each takes up as many as it weighs."""
    if weights is None:
        return places.long()
    ends = weights.to(order.device).double()[order].cumsum(0)
    ends = ends / ends[-1] * len(order)
    # Beyond rounding, so that whole weights are whole numbers of rows.
    return torch.searchsorted(ends, places + 1e-9 * len(order), right=True).clamp(max=len(order) - 1)


Point = tuple[float, float]


def _one_per_value(quantiles: list[float], probabilities: list[float]) -> list[Point]:
    """Points (z, x), one for each different quantile, at the middle of its probabilities."""
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
    # The largest value stays; what is too near to it gives way.
    while len(kept) > 1 and not apart(kept[-1], points[-1]):
        kept.pop()
    kept.append(points[-1])
    # A knot that lies too near to a bound would make the tail too steep: rows between the two lie on the tail.
    while len(kept) > 2 and _too_near(kept[0], bounds[0], FLATTEST * own):
        kept.pop(0)
    while len(kept) > 2 and _too_near(kept[-1], bounds[1], FLATTEST * own):
        kept.pop()
    # Each tail begins with a piece of its own, so that no slope of a piece is far from those at its ends.
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
    while len(kept) < count:  # what is left over goes on along the tail
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
    # Where the density is even up to a bound at distance d, the slope at z is about d |z|.
    own = abs((bound - end[1]) * end[0]) if math.isfinite(bound) else _slope(end, middle)
    return min(max(slope, LEAST_TAIL * own, flattest), max(MOST_TAIL * own, flattest))


def _too_near(end: Point, bound: float, flattest: float) -> bool:
    """Whether the steepest tail from here is still too flat."""
    return math.isfinite(bound) and MOST_TAIL * abs((bound - end[1]) * end[0]) < flattest


def _further(end: Point, slope: float, eps: float, bound: float, side: int, part: float = 1.0) -> tuple[Point, float]:
    """The next knot of a tail and the slope there: 1 further in z, or as far as it takes to tell the two apart in x.

    Towards a bound, a part of the way on which the distance from it falls to 1 / e, and no more than 1 in z.
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
