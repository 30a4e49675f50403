"""A fixed circular spline through the quantiles of angles that makes each of them nearly uniform on its circle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.cross_fitting import MOST_ROWS, PARTS
from pushforward.bijections.elementwise import Elementwise
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.univariate.spline import through_knots

TURN = 2 * math.pi
# The probability that is spread over the whole turn, at most; of few rows a row is worth more.
MOST_ANYWHERE = 1e-4
# Knots are no further apart than this in the normal quantile of their probability, and no closer than this in radians.
WIDEST, CLOSEST = 0.25, 1e-9
# Toward the cut, knots end where this share of what is spread over the turn lies beyond them.
BEYOND = 0.25

# Positions in z and in x, and slopes.
Curve = tuple[Tensor, Tensor, Tensor]


class CircularMarginal(Elementwise):
    """x[d] = spline_d(z[d]), a fixed increasing map of a circle onto itself that takes uniform z to the angles of data.

    Angles are in radians, and x(z + 2π) = x(z) + 2π. The spline is rational quadratic between K + 1 knots of one turn
    from -π to π, which it leaves where they are, with the same slope at both: it is smooth all around. Without
    `from_data` it is the identity. Knots are buffers and are not trained.

    Arguments:
        features: D.
        knots: K, default 32.

    Attributes:
        z_knots: (D, K + 1), increasing from -π to π.
        x_knots: (D, K + 1), likewise.
        slopes: (D, K + 1), ∂x/∂z at the knots.

    Raises:
        ValueError: no knot.

    Cost: 1 pass in both directions.

    Source: Rezende et al. 2020, arXiv:2002.02428, for the circular spline.

    Example:
        >>> x = 0.1 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> z = CircularMarginal.from_data(x, 8).inverse(x)[0]
        >>> bool((z.cos().mean().abs() < 0.05) & (z.sin().mean().abs() < 0.05))
        True
    """

    z_knots: Tensor
    x_knots: Tensor
    slopes: Tensor

    def __init__(self, features: int, knots: int = 32) -> None:
        super().__init__()
        if knots < 1:
            raise ValueError(f"CircularMarginal needs at least one knot, got {knots}.")
        self.features = features
        line = torch.linspace(-math.pi, math.pi, knots + 1).repeat(features, 1)
        for name, value in (("z_knots", line), ("x_knots", line.clone()), ("slopes", torch.ones_like(line))):
            self.register_buffer(name, value)

    @property
    def knots(self) -> int:
        """K."""
        return self.z_knots.shape[1] - 1

    @classmethod
    @torch.no_grad()
    def from_data(
        cls, x: Tensor | Sequence[Tensor], knots: int = 32, *, weights: Sequence[Tensor | None] | None = None
    ) -> CircularMarginal:
        """Lay the knots through the quantiles of angles.

        Each turn is cut open at ±π, and is there what `MarginalSpline.from_data` makes of numbers between two bounds:
        with its knots and their slopes, its rule for ties, and next to no probability in gaps that are empty. Between
        those knots others follow the same curve. The least of 1 / (N + 1) and 1e-4 is spread evenly over the whole
        turn, so that no place has density 0. Where this predicts angles that it has not seen less well than a uniform
        circle does, in five parts each of which is predicted by the others, the map is the identity.

        Arguments:
            x: (N, D) angles from -π to π, or one tensor for each feature.
            knots: of each `MarginalSpline`; there are more of the circular one.
            weights: positive weights of the rows of each feature, or None; default all equal.

        Raises:
            ValueError: an angle is not finite, or beyond ±π.
        """
        columns = [*(x.unbind(1) if isinstance(x, Tensor) else x)]
        shares = [None] * len(columns) if weights is None else [*weights]
        lines = [_line(column.double(), knots, share) for column, share in zip(columns, shares, strict=True)]
        curves = [_curve(*line) for line in lines if line is not None]
        most = max((len(z) - 1 for z, _, _ in curves), default=1)
        found = cls(len(columns), most).double()
        for feature, line in enumerate(lines):
            if line is not None:
                found._set_knots(feature, _curve(*line, most + 1))
        return found.to(columns[0]) if columns else found

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log ∂x/∂z of each feature, (*batch, D)."""
        return self._apply_spline(z, backwards=False)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with log ∂z/∂x of each feature, (*batch, D)."""
        return self._apply_spline(x, backwards=True)

    def _set_knots(self, feature: int, curve: Curve) -> None:
        for buffer, values in zip((self.z_knots, self.x_knots, self.slopes), curve, strict=True):
            buffer[feature] = values

    def _apply_spline(self, value: Tensor, backwards: bool) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        rows = value.to(torch.promote_types(value.dtype, self.z_knots.dtype)).reshape(-1, self.features).t()
        turns = (((rows + math.pi) / TURN).floor() * TURN).detach()
        z_knots, x_knots, slopes = (knots.to(rows.dtype) for knots in (self.z_knots, self.x_knots, self.slopes))
        ends = x_knots if backwards else z_knots
        inside = (rows - turns).clamp(ends[:, :1], ends[:, -1:])
        bin_of = torch.searchsorted(ends[:, 1:-1].contiguous(), inside.detach().contiguous(), right=True)
        mapped, log_derivative = through_knots(
            inside, z_knots[..., None], x_knots[..., None], slopes[..., None], bin_of, backwards
        )
        return (mapped + turns).t().reshape(value.shape), log_derivative.t().reshape(value.shape)


def _line(column: Tensor, knots: int, weights: Tensor | None) -> tuple[MarginalSpline, float] | None:
    """The spline of a turn cut open, and the probability that is spread over it; None for a uniform circle."""
    line = _cut_open(column, knots, weights)
    if line is None:
        return None
    some = torch.arange(min(len(column), MOST_ROWS)) * len(column) // min(len(column), MOST_ROWS)
    part, column = torch.arange(len(some)) % PARTS, column[some]
    share = None if weights is None else weights.double()[some]
    gains = torch.zeros_like(column)
    for number in range(PARTS):
        here = part == number
        others = _cut_open(column[~here], knots, None if share is None else share[~here])
        if others is not None and bool(here.any()):
            gains[here] = _log_density(*others, column[here]) + math.log(TURN)
    gain = gains.mean() if share is None else (share * gains).sum() / share.sum()
    return line if float(gain) > 0 else None


def _cut_open(column: Tensor, knots: int, weights: Tensor | None) -> tuple[MarginalSpline, float] | None:
    """The spline of a turn cut open, and the probability that is spread over it; None if it does not vary."""
    if len(column) < 2 or not bool(column.max() - column.min() > CLOSEST):
        return None
    line = MarginalSpline.from_data(column[:, None], knots, low=[-math.pi], high=[math.pi], weights=weights)
    return line, min(1 / (len(column) + 1), MOST_ANYWHERE)


def _log_density(line: MarginalSpline, anywhere: float, x: Tensor) -> Tensor:
    """log p of angles, (n,)."""
    z, log_slope = (part[:, 0] for part in line.each_inverse(x[:, None]))
    log_density = log_slope - 0.5 * z.square() - 0.5 * math.log(TURN)
    return ((1 - anywhere) * log_density.exp() + anywhere / TURN).log()


def _curve(line: MarginalSpline, anywhere: float, count: int = 0) -> Curve:
    """Knots all around the circle, at least so many."""
    knots = line.z_knots[0].tolist()
    # Beyond the first knot and the last, until hardly anything is left.
    least = float(torch.special.ndtri(torch.tensor(BEYOND * anywhere, dtype=torch.float64)))
    knots = [min(least, knots[0]), *knots, max(-least, knots[-1])]
    z = [knots[0]]
    for left, right in itertools.pairwise(knots):
        pieces = math.ceil((right - left) / WIDEST)
        z += [left + (right - left) * piece / pieces for piece in range(1, pieces + 1)]
    curve = _closed(*_along(line, anywhere, torch.tensor(z, dtype=torch.float64)))
    while len(curve[0]) < count:
        # In the middle of the widest pieces.
        widths = curve[0].diff()
        widest = widths.topk(min(count - len(curve[0]), len(widths))).indices
        curve = _halved(curve, widest)
    return curve


def _along(line: MarginalSpline, anywhere: float, z: Tensor) -> Curve:
    """The angles at normal quantiles, (n,), of a turn cut open, their places on a uniform circle, and the slopes."""
    x, log_slope = (part[:, 0] for part in line.each_forward(z[:, None]))
    density = (1 - anywhere) * (-0.5 * z.square() - log_slope).exp() / math.sqrt(TURN) + anywhere / TURN
    part = (1 - anywhere) * torch.special.ndtr(z) + anywhere * (x + math.pi) / TURN
    return TURN * part - math.pi, x, 1 / (TURN * density)


def _closed(z: Tensor, x: Tensor, slopes: Tensor) -> Curve:
    """The knots that are far enough apart, and one at each end of the turn, with the mean slope of what is next."""
    kept = [0]
    for place in range(1, len(z)):
        if min(z[place] - z[kept[-1]], x[place] - x[kept[-1]]) > CLOSEST:
            kept.append(place)
    inside = [k for k in kept if min(float(part) for part in (z[k] + math.pi, x[k] + math.pi)) > CLOSEST]
    inside = [k for k in inside if min(float(part) for part in (math.pi - z[k], math.pi - x[k])) > CLOSEST]
    z, x, slopes = z[inside], x[inside], slopes[inside]
    end = z.new_tensor([math.pi])
    at_cut = (x[:1] + TURN - x[-1:]) / (z[:1] + TURN - z[-1:])
    return torch.cat([-end, z, end]), torch.cat([-end, x, end]), torch.cat([at_cut, slopes, at_cut])


def _halved(curve: Curve, pieces: Tensor) -> Curve:
    """The same map with a knot more in the middle of some pieces."""
    z, x, slopes = curve
    middle = 0.5 * (z[pieces] + z[pieces + 1])
    at_z, at_x, slope = (part[None, :, None] for part in curve)
    found, log_slope = through_knots(middle[None], at_z, at_x, slope, pieces[None], False)
    z, order = torch.cat([z, middle]).sort()
    return z, torch.cat([x, found[0]])[order], torch.cat([slopes, log_slope[0].exp()])[order]
