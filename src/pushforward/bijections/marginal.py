"""Each feature made nearly normal by a fixed spline through the quantiles of data."""

import itertools

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection
from pushforward.bijections.splines import through_knots

# No secant is flatter than this share of the column's own slope, that between its quantiles at ±1 deviation.
FLATTEST = 1e-3
# The slopes of the tails against the mean slope from the middle to that end of the data.
LEAST_TAIL, MOST_TAIL = 0.1, 10.0
# Values nearer than so many roundings are taken for one.
ROUNDINGS = 64
# Fewer rows than this between an end and its neighbour tell little of a slope.
ROWS_AT_ENDS = 5


class MarginalSpline(Bijection):
    """x[d] = spline_d(z[d]), a fixed increasing spline for each feature that takes normal z to the marginals of data.

    The spline is rational quadratic between K knots. Beyond them, at a distance t in z, it is s (exp(t) - 1) with the
    slope s of its end: nearly straight at first, while a value that lies a million times farther out than all data is
    at log(1e6) in z, improbable and no more. Knots are buffers and are not trained; without `from_data` it is the
    identity between them.

    Arguments:
        features: D.
        knots: K, default 32.

    Attributes:
        z_knots: (D, K), increasing.
        x_knots: (D, K), increasing.
        slopes: (D, K), ∂x/∂z at the knots.

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

    def __init__(self, features: int, knots: int = 32):
        super().__init__()
        if knots < 4:
            raise ValueError(f"MarginalSpline needs at least four knots, got {knots}.")
        self.features = features
        line = torch.linspace(-3, 3, knots).repeat(features, 1)
        for name, value in (("z_knots", line), ("x_knots", line.clone()), ("slopes", torch.ones_like(line))):
            self.register_buffer(name, value)

    @classmethod
    def from_data(cls, x: Tensor, knots: int = 32) -> "MarginalSpline":
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

        Raises:
            ValueError: fewer than two rows, or a feature that is constant (to 64 roundings) or not finite.
        """
        if x.dim() != 2 or len(x) < 2:
            raise ValueError(f"x must have shape (N, features) with at least two rows, got {tuple(x.shape)}.")
        spline = cls(x.shape[1], knots).to(x.dtype)
        count = len(x)
        outermost, next_to_it = (
            float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))
            for p in (1 / (count + 1), min(ROWS_AT_ENDS / (count + 1), 0.25))
        )
        between = torch.linspace(next_to_it, -next_to_it, knots - 4, dtype=torch.float64).tolist()
        z = torch.tensor([outermost, *between, -outermost], dtype=torch.float64)
        probabilities = torch.special.ndtr(z)
        for feature in range(x.shape[1]):
            ordered = x[:, feature].detach().double().sort().values
            eps = torch.finfo(x.dtype).eps
            if not bool(ordered.isfinite().all()) or not _resolved(float(ordered[0]), float(ordered[-1]), eps):
                raise ValueError(f"Column {feature} of x is constant or not finite: it has no quantiles to go through.")
            place = (probabilities * (count + 1) - 1).clamp(0, count - 1)
            below = place.floor().long().clamp(max=count - 2)
            share = (place - below).to(ordered.device)
            below = below.to(ordered.device)
            quantiles = ordered[below] * (1 - share) + ordered[below + 1] * share
            points = _one_per_value(quantiles.tolist(), probabilities.tolist())
            columns = _knots(points, knots, eps)
            for buffer, column in zip((spline.z_knots, spline.x_knots, spline.slopes), columns, strict=True):
                buffer[feature] = torch.tensor(column, dtype=torch.float64)
        return spline.to(x.device)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From normal z to the data's marginals."""
        return self._apply_spline(z, backwards=False)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From the data's marginals to nearly normal z."""
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
        distance = outside.abs()
        if backwards:
            beyond = torch.log1p(distance / end)
            there, log_derivative = there + outside.sign() * beyond, log_derivative - beyond
        else:
            there = there + outside.sign() * end * torch.expm1(distance)
            log_derivative = log_derivative + distance
        return there.t().reshape(value.shape), log_derivative.sum(0).view(value.shape[:-1])


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


def _knots(points: list[Point], count: int, eps: float) -> tuple[list[float], list[float], list[float]]:
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
    # Each tail begins with a piece of its own, so that no slope of a piece is far from those at its ends.
    middle = min(kept, key=lambda point: abs(point[0]))
    lower, upper = (_tail(end, next_to_it, middle) for end, next_to_it in ((kept[0], kept[1]), (kept[-1], kept[-2])))
    kept.insert(0, _further(kept[0], lower, eps, -1))
    kept.append(_further(kept[-1], upper, eps, 1))
    secants = [_slope(left, right) for left, right in itertools.pairwise(kept)]
    slopes = [lower, *(2 / (1 / a + 1 / b) for a, b in itertools.pairwise(secants)), upper]
    while len(kept) < count:  # what is left over goes on along the tail
        kept.append(_further(kept[-1], upper, eps, 1))
        slopes.append(upper)
    z, x = (list(column) for column in zip(*kept, strict=True))
    return z, x, slopes


def _tail(end: Point, next_to_it: Point, middle: Point) -> float:
    """The slope of a tail: that of the outermost piece, within limits."""
    slope = _slope(end, next_to_it)
    if end == middle:
        return slope
    own = _slope(end, middle)
    return min(max(slope, LEAST_TAIL * own), MOST_TAIL * own)


def _further(end: Point, slope: float, eps: float, side: int) -> Point:
    """The next knot of a tail, 1 further in z, or as far as it takes to tell the two apart in x."""
    step = side * max(1.0, 2 * ROUNDINGS * eps * abs(end[1]) / slope)
    return end[0] + step, end[1] + step * slope


def _resolved(left: float, right: float, eps: float) -> bool:
    """Whether two numbers are more than a few roundings apart."""
    return right - left > ROUNDINGS * eps * max(abs(left), abs(right))


def _slope(one: Point, other: Point) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])
