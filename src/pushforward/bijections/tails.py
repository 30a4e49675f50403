"""Heavy tails from light ones: Gaussian tails stretched to those of the generalized Pareto distribution."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pushforward.bijections.complementary_error import inverse_log_reciprocal_erfc, log_reciprocal_erfc
from pushforward.bijections.elementwise import Elementwise

SMALLEST_TAIL = 1e-6
# exp(60) is 1e26: no data reach beyond it, and float32 ends at 3e38.
LARGEST_EXPONENT = 60.0


class TailTransform(Elementwise):
    """x = shift + scale · sign(z) · (E^λ - 1) / λ, E = 1 / erfc(|z| / √2), with a separate tail λ on either side.

    E is the reciprocal of the probability that a normal number is further out than z, so that a standard normal z
    gives x the tails of a generalized Pareto distribution, P(X > x) ~ x^(-1/λ): λ = 0.5 is that of Student's t with two
    degrees of freedom, λ → 0 an exponential tail. As the last layer of a flow (the nearest to the data) it makes heavy
    tails out of a Gaussian base, and the layers before it never meet large numbers.

    Everything is computed from t = log E, so that nothing overflows or underflows; where λ t exceeds 60 (x beyond 1e26
    scales) the map continues as a straight line in t. At z = 0 the derivative is scale · √(2/π) from both sides;
    log_det has a kink there.

    Arguments:
        features: D.
        tail: λ at the start, on both sides of every feature, default 0.05.

    Attributes:
        shift: (D,).
        log_scale: (D,).
        raw_tails: (D, 2), λ = 1e-6 + softplus(·) of the lower and the upper tail.

    Raises:
        ValueError: tail is not more than 1e-6, or not finite.

    Cost: 1 pass in both directions, the inverse with three Newton steps for the normal quantile.

    Source: Hickling and Prangle 2025, Flexible Tails for Normalizing Flows, arXiv:2406.16971.

    Example:
        >>> layer = TailTransform(1, tail=0.5)
        >>> x, log_det = layer(torch.tensor([[-3.0], [0.0], [3.0]]))
        >>> x
        tensor([[-36.4915],
                [  0.0000],
                [ 36.4915]], grad_fn=<AddBackward0>)
        >>> torch.allclose(layer.inverse(x)[0], torch.tensor([[-3.0], [0.0], [3.0]]))
        True
    """

    def __init__(self, features: int, tail: float = 0.05):
        super().__init__()
        if not SMALLEST_TAIL < tail < math.inf:
            raise ValueError(f"A tail must be more than {SMALLEST_TAIL:g} and finite, got {tail}.")
        self.features = features
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))
        self.raw_tails = nn.Parameter(_raw(torch.full((features, 2), tail)))

    @classmethod
    def from_data(cls, x: Tensor) -> "TailTransform":
        """Start from data: the median as shift, tails by Hill's estimate, the scale that gives the quartiles.

        Hill's estimate is the mean of log(distance / threshold) over the √N rows furthest from the median on that side,
        with the next one's distance as threshold.

        Arguments:
            x: (N, D), at least 20 rows; its precision is that of the layer.

        Raises:
            ValueError: fewer than 20 rows, a value that is not finite, or a feature with half its rows equal.

        Source: Hill 1975, doi:10.1214/aos/1176343247.

        Example:
            >>> generator = torch.Generator().manual_seed(0)
            >>> t = torch.randn(10_000, 1, generator=generator) / torch.rand(10_000, 1, generator=generator).sqrt()
            >>> TailTransform.from_data(t).tails.detach()  # of about 1/2
            tensor([[0.4272, 0.5342]])
        """
        if x.dim() != 2 or len(x) < 20:
            raise ValueError(f"x must have shape (N, features) with at least 20 rows, got {tuple(x.shape)}.")
        rows = x.detach().double()
        if not bool(rows.isfinite().all()):
            raise ValueError(
                f"Column {int((~rows.isfinite().all(0)).nonzero()[0])} of x has values that are not finite."
            )
        ordered = rows.sort(0).values
        count = len(rows)
        lower, median, upper = (ordered[round(share * (count - 1))] for share in (0.25, 0.5, 0.75))
        if not bool(((lower < median) & (median < upper)).all()):
            bad = int((~((lower < median) & (median < upper))).nonzero()[0])
            raise ValueError(f"Column {bad} of x has a quartile equal to its median: too many rows are equal.")
        layer = cls(x.shape[1]).to(x.dtype)
        k = math.isqrt(count)
        furthest = torch.stack([median - ordered[: k + 1], (ordered[-k - 1 :] - median).flip(0)])  # (2, k + 1, D)
        tails = (furthest[:, :k] / furthest[:, k:]).log().mean(1).clamp_min(1e-3).t()
        quarter = torch.expm1(tails * math.log(2)) / tails  # half of all draws lie within: E = 2
        scale = 0.5 * ((median - lower) / quarter[:, 0] + (upper - median) / quarter[:, 1])
        with torch.no_grad():
            layer.shift.copy_(median)
            layer.log_scale.copy_(scale.log())
            layer.raw_tails.copy_(_raw(tails))
        return layer

    @classmethod
    def of_tails(cls, tails: Tensor, shift: Tensor, scale: Tensor) -> "TailTransform":
        """A fixed transform: none of its parameters are trained.

        Arguments:
            tails: (D, 2), λ of the lower and the upper tail, more than 1e-6.
            shift: (D,).
            scale: (D,), positive.
        """
        layer = cls(len(shift)).to(shift.dtype)
        with torch.no_grad():
            layer.shift.copy_(shift)
            layer.log_scale.copy_(scale.log())
            layer.raw_tails.copy_(_raw(tails))
        return layer.requires_grad_(False)

    @property
    def tails(self) -> Tensor:
        """λ of the lower and the upper tail, (D, 2)."""
        return SMALLEST_TAIL + softplus(self.raw_tails)

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with log ∂x/∂z of each feature, (*batch, D)."""
        self.check_event(z)
        tails, sign, distance = self._sides(z)
        u = distance / math.sqrt(2)
        t, log_hazard = log_reciprocal_erfc(u)
        exponent = tails * t
        inside = exponent.clamp(max=LARGEST_EXPONENT)
        y = (torch.expm1(inside) + inside.exp() * (exponent - inside)) / tails
        log_det = self.log_scale + inside + log_hazard - 0.5 * math.log(2)
        return self.shift + self.log_scale.exp() * sign * y, log_det

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with log ∂z/∂x of each feature, (*batch, D)."""
        self.check_event(x)
        tails, sign, distance = self._sides((x - self.shift) * (-self.log_scale).exp())
        stretched = tails * distance
        inside = stretched.clamp(max=math.expm1(LARGEST_EXPONENT))
        exponent = torch.log1p(inside)
        t = (exponent + (stretched - inside) * math.exp(-LARGEST_EXPONENT)) / tails
        u = inverse_log_reciprocal_erfc(t)
        log_det = self.log_scale + exponent + log_reciprocal_erfc(u)[1] - 0.5 * math.log(2)
        return sign * u * math.sqrt(2), -log_det

    def _sides(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The λ, the sign and the distance from 0 of each number; 0 counts as the upper side, for its derivative."""
        tails = self.tails
        above = value >= 0
        return (
            torch.where(above, tails[:, 1], tails[:, 0]),
            above.to(value.dtype) * 2 - 1,
            torch.where(above, value, -value),
        )


def _raw(tails: Tensor) -> Tensor:
    """The inverse of 1e-6 + softplus(·)."""
    tails = tails - SMALLEST_TAIL
    return tails + (-torch.expm1(-tails)).log()
