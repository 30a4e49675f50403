"""A fixed spline through the quantiles of data that makes each feature nearly normal."""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from pushforward.bijections.elementwise import Elementwise
from pushforward.bijections.far_knots import knots_of_column
from pushforward.bijections.quantile_knots import lengthened
from pushforward.bijections.univariate.spline import through_knots

# The distance in z up to which tails bend; e^60 times the width of the data is far enough, and float32 holds it.
LONGEST_TAIL = 60.0
# Without data the spline is the identity up to here: columns that are normal already have maps with tails of their own,
# and a bent tail behind another would reach exponentially far of an exponent.
FURTHEST_IDENTITY = 36.0
# Data are no nearer to a bound than this share of the last knot's distance; those exactly on it, which other data only
# come near, were rounded or cut: they stand for all that are nearer than the last knot, and lie in the middle of these.
NEAREST, ON_BOUND = 1e-12, 0.5


class MarginalSpline(Elementwise):
    """x[d] = spline_d(z[d]), a fixed increasing spline for each feature that takes normal z to the marginals of data.

    The spline is rational quadratic between K knots. Beyond them, at a distance t in z, it is s (exp(t) - 1), where s
    is the slope at that end. It is nearly straight at first, but a value a million times farther out than all data is
    only log(1e6) away in z: improbable, not impossible. From t = 60 on it is straight, so that nothing overflows. Where
    x has a bound, the spline approaches the bound instead and never passes it: beyond a last knot at distance d from
    the bound and with slope s, the distance is d exp(-|z - z_knot| s / d). The bound itself, which no z reaches, is
    taken for the distance d / 2. Knots are buffers and are not trained.
    Without `from_data` the spline is the identity from -36 to 36.

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

    Source: Durkan et al. 2019, arXiv:1906.04032, for the spline; Meng, Song, Song and Ermon 2020, arXiv:2003.01941, for
    making marginals normal as a layer.

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
        line = torch.linspace(-FURTHEST_IDENTITY, FURTHEST_IDENTITY, knots).repeat(features, 1)
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
        straight: Collection[int] = (),
        apart: bool = True,
    ) -> "MarginalSpline":
        """Lay the knots through the quantiles of data.

        There is a knot at the smallest and at the largest value, at Φ⁻¹ of 1 / (N + 1) and N / (N + 1). The others are
        at equal distances in z, with at least 5 rows outside. Equal quantiles (a value that many rows share) become one
        knot at the middle of their probabilities. Knots that would make the spline flatter than a thousandth of the
        column's own slope are left out: no density exceeds about 1500 times that of a normal distribution as wide as
        the column, however many rows are equal. Slopes at knots are the harmonic means of those on both sides.

        Where no row lies in a gap three times as wide as the space of ten different values on either side, as between
        clusters far apart, z grows by no more than 1 / (N + 1), or 1e-4, in probability, most of it next to the values
        at both sides: four knots more for each such gap, at most eight, and the flattest piece is that of each cluster.
        A few values at an end that are far from all others, see `far_ends`, have the probability of their number beyond
        such a gap, and the others the map that they would have alone.

        Beyond the data, from a last knot at a distance of 1 in z, each tail has the slope of the outermost piece,
        within 0.1 and 10 times the mean slope between the middle and that end, so that rows beyond the data have a
        sensible density. It is heavier than a normal tail, since one row in a million may be a mistake. If a feature
        needs fewer knots, the remaining ones lie on its upper tail, where they change nothing.

        Arguments:
            x: (N, D); its precision is that of the spline.
            knots: K, default 32; there are more where a feature has empty gaps.
            low: (D,) lower bounds that no x passes, -inf for none; default none.
            high: (D,) upper bounds, inf for none; default none.
            normal: features that are already normal: for them the spline is the identity, whatever x holds.
            weights: (N,) positive weights of the rows in the quantiles, scaled to sum to N; default all equal.
            straight: features for which the spline is the straight line of their mean and deviation, those of the
                values that are not far from all others: see `straight_features`.
            apart: whether far values are kept apart, default so.

        Raises:
            ValueError: fewer than two rows, or a feature that is constant (to 64 roundings) or not finite, or lies
                outside its bounds.
        """
        if x.dim() != 2 or len(x) < 2:
            raise ValueError(f"x must have shape (N, features) with at least two rows, got {tuple(x.shape)}.")
        lows, highs = ([*(ends or [end] * x.shape[1])] for ends, end in ((low, -math.inf), (high, math.inf)))
        bounded = any(map(math.isfinite, [*lows, *highs]))
        through = {
            feature: knots_of_column(
                x[:, feature],
                knots,
                (lows[feature], highs[feature]),
                f"Column {feature} of x",
                weights,
                straight=feature in straight,
                apart=apart,
            )
            for feature in range(x.shape[1])
            if feature not in normal
        }
        most = max((len(columns[0]) for columns in through.values()), default=knots)
        spline = cls(x.shape[1], most, bounded).to(x.dtype)
        if spline.low is not None and spline.high is not None:
            spline.low.copy_(torch.tensor(lows))
            spline.high.copy_(torch.tensor(highs))
        for feature, columns in through.items():
            spline._set_knots(feature, columns, highs[feature])
        return spline.to(x.device)

    def copy_knots(self, feature: int, other: "MarginalSpline") -> None:
        """Give a feature the knots of another spline of one feature, which has no more of them."""
        columns = tuple(buffer[0].tolist() for buffer in (other.z_knots, other.x_knots, other.slopes))
        high = math.inf if other.high is None else float(other.high[0])
        if self.low is not None and self.high is not None:
            self.low[feature] = -math.inf if other.low is None else other.low[0]
            self.high[feature] = high
        self._set_knots(feature, columns, high)

    def _set_knots(self, feature: int, columns: tuple[list[float], ...], high: float) -> None:
        eps = torch.finfo(self.z_knots.dtype).eps
        z, x, slopes = columns
        columns = lengthened((z, x, slopes), self.z_knots.shape[1], eps, high)
        for buffer, column in zip((self.z_knots, self.x_knots, self.slopes), columns, strict=True):
            buffer[feature] = torch.tensor(column, dtype=torch.float64)

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
        # Clamp before any arithmetic: results that are computed for points outside but not used need finite gradients.
        inside = rows.clamp(ends[:, :1], ends[:, -1:])
        outside = rows - inside
        bin_of = torch.searchsorted(ends[:, 1:-1].contiguous(), inside.detach().contiguous(), right=True)
        z_knots, x_knots, slopes = (
            knots.to(rows.dtype)[..., None] for knots in (self.z_knots, self.x_knots, self.slopes)
        )
        mapped, log_derivative = through_knots(inside, z_knots, x_knots, slopes, bin_of, backwards)
        end = torch.where(outside < 0, self.slopes[:, :1], self.slopes[:, -1:])
        bounded = torch.zeros_like(outside, dtype=torch.bool)
        if self.low is not None and self.high is not None:
            bounded = torch.where(outside < 0, self.low[:, None], self.high[:, None]).isfinite() & (outside != 0)
        # Zero where there is a bound: results that are not used need finite gradients.
        distance = torch.where(bounded, 0.0, outside.abs())
        if backwards:
            logarithm = torch.log1p(distance / end)
            curved = logarithm.clamp(max=LONGEST_TAIL)
            straight = (distance / end - math.expm1(LONGEST_TAIL)).clamp(min=0) * math.exp(-LONGEST_TAIL)
            beyond = curved + straight
            mapped, log_derivative = mapped + outside.sign() * beyond, log_derivative - curved
        else:
            curved = distance.clamp(max=LONGEST_TAIL)
            straight = (distance - LONGEST_TAIL).clamp(min=0) * math.exp(LONGEST_TAIL)
            beyond = torch.expm1(curved) + straight
            mapped, log_derivative = mapped + outside.sign() * end * beyond, log_derivative + curved
        if self.low is not None:
            mapped, bend = self._toward_bounds(rows, outside, end, mapped, bounded, backwards)
            log_derivative = log_derivative + bend
        return mapped.t().reshape(value.shape), log_derivative.t().reshape(value.shape)

    def _toward_bounds(
        self, rows: Tensor, outside: Tensor, slope: Tensor, mapped: Tensor, bounded: Tensor, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """The spline, bent where it approaches a bound, and what the bend adds to the log-derivative."""
        assert self.low is not None and self.high is not None
        below = outside < 0
        bound = torch.where(bounded, torch.where(below, self.low[:, None], self.high[:, None]), 0.0)
        side = torch.where(below, 1.0, -1.0).to(rows.dtype)
        room = side * (torch.where(below, self.x_knots[:, :1], self.x_knots[:, -1:]) - bound)
        if backwards:
            # The bounds themselves have no finite z.
            share = side * (rows - bound) / room
            share = torch.where(share == 0, ON_BOUND, share.clamp_min(NEAREST))
            left = torch.where(bounded, share, 1.0).log()
            end = torch.where(below, self.z_knots[:, :1], self.z_knots[:, -1:])
            return torch.where(bounded, end + side * left * room / slope, mapped), -left
        # Measured from the bound, not from the knot, so that a small distance keeps its digits.
        steepness = torch.where(bounded, (-outside.abs() * slope / room).clamp_min(-700.0), 0.0)
        return torch.where(bounded, bound + side * room * steepness.exp(), mapped), steepness
