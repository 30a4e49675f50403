"""Rational quadratic splines: increasing maps of one number, flexible within a box and straight lines outside."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pushforward.bijections.univariate.base import SLOPE_SHIFT, SMALLEST_SLOPE, Univariate, positive_slope, univariate
from pushforward.kernels import structures
from pushforward.kernels.eligibility import gradients_by_torch, takes_gradients
from pushforward.kernels.spline import has_kernel, spline_apply, spline_gradients
from pushforward.kernels.univariate import FAMILIES, SHAPES, Shape
from pushforward.support.broadcasting import broadcast_shapes

SMALLEST_BIN = 1e-3
TAILS = ("identity", "linear", "circular")


@univariate("spline")
@dataclass(frozen=True)
class RationalQuadraticSpline(Univariate):
    """A spline of K pieces between (-bound, -bound) and (bound, bound), each a quotient of two quadratics.

    With θ = (z - left) / width within a bin of slope s = height / width and end slopes a and b,

    x = bottom + height · (s θ² + a θ (1 - θ)) / (s (θ² + (1 - θ)²) + (a + b) θ (1 - θ)).

    Parameters of a feature are K widths and K heights before a softmax, then the slopes at knots before a softplus. At
    0 it is the identity. No bin is narrower or lower than a thousandth of the box (at more than 500 bins, than half of
    its equal share), and no slope at a knot is below a thousandth.

    Arguments:
        bins: K, default 8.
        bound: half the side of the box, default 5.
        tails: outside the box, "identity" (default): slope 1; "linear": the slopes at the ends are parameters;
            "circular": the spline repeats itself every 2 · bound, with equal slopes at both ends, for angles.

    Raises:
        ValueError: less than one bin, a bound that is not positive, or unknown tails.

    Cost: closed form in both directions.

    Source: Durkan, Bekasov, Murray and Papamakarios 2019, arXiv:1906.04032; circular: Rezende et al. 2020,
    arXiv:2002.02428.

    Example:
        >>> spline = RationalQuadraticSpline(bins=4)
        >>> z, parameters = torch.tensor([-9.0, 0.5, 2.0]), torch.randn(3, spline.parameter_count)
        >>> x, log_derivative = spline.forward(z, parameters)
        >>> torch.allclose(spline.inverse(x, parameters)[0], z, atol=1e-5)
        True
    """

    bins: int = 8
    bound: float = 5.0
    tails: str = "identity"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.bins < 1 or not 0 < self.bound < math.inf or self.tails not in TAILS:
            raise ValueError(
                f"A spline needs at least one bin, a positive bound and tails out of {', '.join(TAILS)}; got "
                f"{self.bins}, {self.bound} and {self.tails!r}."
            )

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """K widths, K heights, and the slopes at K - 1 inner knots and as many ends as are free."""
        return 3 * self.bins - 1 + {"identity": 0, "linear": 2, "circular": 1}[self.tails]

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x = bottom + height · (s θ² + a θ (1 - θ)) / (s (θ² + (1 - θ)²) + (a + b) θ (1 - θ))."""
        return self._apply(z, parameters, inverse=False)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = left + width · θ, θ the root of a quadratic, polished by a Newton step."""
        return self._apply(x, parameters, inverse=True)

    def _apply(self, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        batch = broadcast_shapes(value.shape, parameters.shape[:-1])
        if not batch:
            mapped, log_derivative = self._apply(value[None], parameters[None], inverse)
            return mapped[0], log_derivative[0]
        # The parameters of one kind lie side by side for all rows, as a conditioner makes them.
        value = value.expand(batch).movedim(0, -1)
        parameters = parameters.expand(*batch, -1).movedim(0, -1)
        if value.numel() and has_kernel(value, parameters, self.bins):
            count = value.shape[-1]
            results = _Spline.apply(
                value.reshape(-1, count), parameters.reshape(-1, self.parameter_count, count), self, inverse
            )
            mapped, log_derivative = (result.view(value.shape) for result in results)
        else:
            mapped, log_derivative = self._with_torch(value, parameters, inverse)
        return mapped.movedim(-1, 0), log_derivative.movedim(-1, 0)

    def _with_torch(self, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """The spline of values (..., n) by parameters (..., P, n), in operations of torch."""
        widths, heights, slopes = self._knots(parameters)
        inside, outside = self._split(value)
        mapped, log_derivative = through_knots(
            inside, widths, heights, slopes, _bin_of(inside, heights if inverse else widths), inverse
        )
        if self.tails == "linear":
            end = torch.where(outside < 0, slopes[..., 0, :], slopes[..., -1, :])
            outside = outside / end if inverse else outside * end
        return mapped + outside, log_derivative

    @property
    def _shape(self) -> structures.Spline:
        return structures.Spline(
            self.bins, TAILS.index(self.tails), self.bound, self.smallest_bin, SMALLEST_SLOPE, SLOPE_SHIFT
        )

    @property
    def _numbers(self) -> Shape:
        tails = TAILS.index(self.tails)
        return Shape(
            structures.SPLINE, 0.0, self.bins, tails, self.bound, self.smallest_bin, SMALLEST_SLOPE, SLOPE_SHIFT
        )

    @property
    def smallest_bin(self) -> float:
        """The least share of the box that a bin has."""
        return min(SMALLEST_BIN, 0.5 / self.bins)

    def _knots(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the K + 1 knots in z and in x, and the slopes at them, each (..., K + 1, n)."""
        widths, heights, slopes = parameters.tensor_split([self.bins, 2 * self.bins], -2)
        slopes = positive_slope(slopes)
        if self.tails == "circular":
            slopes = torch.cat([slopes, slopes[..., :1, :]], -2)
        elif self.tails == "identity":
            end = torch.ones_like(widths[..., :1, :])
            slopes = torch.cat([end, slopes, end], -2)
        return self._positions(widths), self._positions(heights), slopes

    def _positions(self, sizes: Tensor) -> Tensor:
        smallest = self.smallest_bin
        shares = smallest + (1 - self.bins * smallest) * sizes.softmax(-2)
        inner = self.bound * (2 * shares[..., :-1, :].cumsum(-2) - 1)
        end = torch.full_like(sizes[..., :1, :], self.bound)
        return torch.cat([-end, inner, end], -2)

    def _split(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest point of the box, and how far outside the value lies; in full turns if circular."""
        if self.tails == "circular":
            turns = ((value + self.bound) / (2 * self.bound)).floor() * (2 * self.bound)
            return (value - turns).clamp(-self.bound, self.bound), turns.detach()
        # Before any arithmetic, so that points outside have finite gradients too.
        inside = value.clamp(-self.bound, self.bound)
        return inside, value - inside


FAMILIES[RationalQuadraticSpline] = lambda spline: structures.Univariate(structures.SPLINE, 0.0, spline._shape)
SHAPES[RationalQuadraticSpline] = lambda spline: spline._numbers


def through_knots(
    inside: Tensor, z_knots: Tensor, x_knots: Tensor, slopes: Tensor, bin_of: Tensor, inverse: bool
) -> tuple[Tensor, Tensor]:
    """Follow a rational quadratic spline between its first and its last knot.

    Arguments:
        inside: (..., n) values that lie between the outermost knots.
        z_knots: (..., K + 1, m), increasing; with m = n knots of their own for each value, with m = 1 the same for all.
        x_knots: (..., K + 1, m), increasing.
        slopes: (..., K + 1, m), ∂x/∂z at the knots.
        bin_of: (..., n), the piece that each value lies in, 0 .. K - 1.
        inverse: from x to z instead of z to x.

    Returns:
        The value at the other side and the logarithm of the derivative, both (..., n).
    """
    if z_knots.shape[-1] == inside.shape[-1]:
        at, bins = -2, bin_of.unsqueeze(-2)
    else:
        z_knots, x_knots, slopes = (knots.squeeze(-1) for knots in (z_knots, x_knots, slopes))
        at, bins = -1, bin_of

    def ends(knots: Tensor) -> tuple[Tensor, Tensor]:
        start, end = (knots.gather(at, index).view_as(inside) for index in (bins, bins + 1))
        return start, end

    (left, right), (bottom, top), (a, b) = ends(z_knots), ends(x_knots), ends(slopes)
    width, height = right - left, top - bottom
    s = height / width
    if inverse:
        theta = _solve((inside - bottom) / height, s, a, b)
        return left + width * theta, -_log_slope(theta, s, a, b)
    theta = (inside - left) / width
    return bottom + height * _rise(theta, s, a, b), _log_slope(theta, s, a, b)


def _bin_of(value: Tensor, knots: Tensor) -> Tensor:
    """The bin of each value, (..., n): how many inner knots, (..., K + 1, n), are not above it."""
    return (value.unsqueeze(-2) >= knots[..., 1:-1, :]).sum(-2)


def _rise(theta: Tensor, s: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The share of the bin's height that is reached at θ. No difference is taken, so nothing cancels."""
    rest = 1 - theta
    both = theta * rest
    return (s * theta.square() + a * both) / (s * (theta.square() + rest.square()) + (a + b) * both)


def _log_slope(theta: Tensor, s: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """log ∂x/∂z at θ."""
    rest = 1 - theta
    both = theta * rest
    numerator = b * theta.square() + 2 * s * both + a * rest.square()
    denominator = s * (theta.square() + rest.square()) + (a + b) * both
    return numerator.log() + 2 * (s / denominator).log()


def _solve(share: Tensor, s: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The θ at which a share of the height is reached: (s - q) θ² + q θ - s share = 0, q = a - share (a + b - 2 s).

    Seen from the bin's other end, 1 - θ at 1 - share, q is 2 s - q: from one of the two it is at most s, and then no
    difference is taken under the root.
    """
    bend = a + b - 2 * s
    q = a - share * bend
    other = q > s
    share_from_end = torch.where(other, 1 - share, share)
    q = torch.where(other, b - share_from_end * bend, q)
    root = (q.square() + 4 * (s - q) * s * share_from_end).sqrt()
    # Of the two ways to write the solution, the one that adds numbers of one sign.
    theta = torch.where(q >= 0, 2 * s * share_from_end, root - q) / torch.where(q >= 0, q + root, 2 * (s - q))
    theta = torch.where(other, 1 - theta, theta)
    with torch.no_grad():
        start = theta.clamp(0, 1)
        slope = (_log_slope(start, s, a, b) - s.log()).exp()
        polished = (start - (_rise(start, s, a, b) - share) / slope).clamp(0, 1)
    # The value is the polished one; derivatives of every order are those of the closed form.
    return theta + (polished - theta).detach()


class _Spline(Function):
    """The spline of values (F, n) by parameters (F, P, n), and its gradients, by kernels; further ones by torch."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, parameters: Tensor, spline: RationalQuadraticSpline, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(value, parameters)
        ctx.spline, ctx.inverse = spline, inverse
        return spline_apply(spline._shape, value, parameters, inverse)

    @staticmethod
    def backward(ctx: Any, of_mapped: Tensor, of_log: Tensor) -> tuple:
        spline, inverse = ctx.spline, ctx.inverse
        if takes_gradients(of_mapped, of_log):
            value, parameters = ctx.saved_tensors
            return *spline_gradients(spline._shape, value, parameters, inverse, of_mapped, of_log), None, None

        def with_torch(value: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
            return spline._with_torch(value, parameters, inverse)

        return (
            *gradients_by_torch(with_torch, ctx.saved_tensors, ctx.needs_input_grad[:2], (of_mapped, of_log)),
            None,
            None,
        )
