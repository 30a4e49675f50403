"""Planar flow: a push along one direction, by a function of one projection."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, softplus

from pushforward.bijections.base import Bijection, Cost
from pushforward.networks.amortized import Amortized
from pushforward.solvers.scalar_root import monotone_root

# softplus(IDENTITY) - 1 = 0
IDENTITY = math.log(math.e - 1)


class Planar(Bijection):
    """x = z + û h(wᵀz + b), log_det = log1p(wᵀû h'(wᵀz + b)).

    û is u moved along w until the map is invertible: û = u + (wᵀû - wᵀu) w / |w|², wᵀû = softplus(wᵀu) - 1 > -1.

    The inverse is a problem of one number: with s = wᵀz + b, multiply by w and s + wᵀû h(s) = wᵀx + b, which increases
    in s. For tanh its root lies within |wᵀû| of the right-hand side and is found to the last float; for leaky ReLU it
    has a closed form. Then z = x - û h(s).

    Arguments:
        features: D.
        activation: h, "tanh" (default) or "leaky_relu".
        negative_slope: of leaky ReLU left of 0, in (0, 1], default 0.01.
        context: C; u, w and b are then a function of the context (amortized), default 0.
        hidden: widths of the hidden layers of that function, default (64,).

    Raises:
        ValueError: an unknown activation, or a slope outside (0, 1], which would not be invertible; in `inverse`,
            SolverError if a root is not found.

    Cost: forward 1 pass; inverse a scalar root for tanh (a few evaluations of tanh for each row), else 1 pass.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770, section 4.1 and appendix A.1.

    Example:
        >>> layer = Planar(3).double()
        >>> z = torch.randn(5, 3, dtype=torch.float64)
        >>> x, log_det = layer(z)
        >>> torch.allclose(layer.inverse(x)[0], z)
        True
    """

    def __init__(
        self,
        features: int,
        activation: str = "tanh",
        negative_slope: float = 0.01,
        context: int = 0,
        hidden: Sequence[int] = (64,),
    ):
        super().__init__()
        if activation not in ("tanh", "leaky_relu"):
            raise ValueError(f'activation must be "tanh" or "leaky_relu", got {activation!r}.')
        if not 0 < negative_slope <= 1:
            raise ValueError(f"negative_slope must lie in (0, 1] for the map to be invertible, got {negative_slope}.")
        self.features = features
        self.context_features = context
        self.activation = activation
        self.negative_slope = negative_slope
        w = torch.randn(features) / math.sqrt(features)
        # Start near the identity: û is a small random push.
        u = IDENTITY * w / w.square().sum().clamp_min(1e-3) + 0.1 * torch.randn(features)
        self.parameters_of = Amortized(torch.cat([u, w, torch.randn(1)]), context, hidden)

    @property
    def cost(self) -> Cost:
        """1 pass from z to x; from x to z a scalar root for tanh."""
        return Cost("1 pass", "scalar root" if self.activation == "tanh" else "1 pass")

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Push z along û."""
        self.check_event(z)
        u_hat, w, w_u_hat, b = self.weights(context)
        h, slope = self._activate((w * z).sum(-1) + b)
        return z + u_hat * h[..., None], torch.log1p(w_u_hat * slope)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the projection on w before the push, and undo the push."""
        self.check_event(x)
        u_hat, w, w_u_hat, b = self.weights(context)
        right = (w * x).sum(-1) + b
        if self.activation == "tanh":
            s = tanh_root(right, w_u_hat)
        else:
            s = right / torch.where(right > 0, 1 + w_u_hat, 1 + w_u_hat * self.negative_slope)
        h, slope = self._activate(s)
        return x - u_hat * h[..., None], -torch.log1p(w_u_hat * slope)

    def weights(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """û and w, (*batch, D), wᵀû and b, (*batch)."""
        u, w, b = self.parameters_of(context).split([self.features, self.features, 1], -1)
        w_u, w_w = (w * u).sum(-1, keepdim=True), w.square().sum(-1, keepdim=True)
        # If w is 0, u cannot be moved along it and need not be: the map is a translation.
        flat = w_w < torch.finfo(w.dtype).tiny
        w_u_hat = torch.where(flat, 0.0, above_minus_one(w_u))
        u_hat = u + (w_u_hat - w_u) * w / torch.where(flat, 1.0, w_w)
        return u_hat, w, w_u_hat[..., 0], b[..., 0]

    def _activate(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """h(s) and h'(s)."""
        if self.activation == "tanh":
            h = s.tanh()
            return h, 1 - h.square()
        return leaky_relu(s, self.negative_slope), torch.where(s > 0, torch.ones_like(s), self.negative_slope)


def above_minus_one(value: Tensor) -> Tensor:
    """Return softplus(value) - 1, kept a few roundings above -1 where softplus is too small to be seen beside 1."""
    return softplus(value) - (1 - 8 * torch.finfo(value.dtype).eps)


def tanh_root(right: Tensor, factor: Tensor) -> Tensor:
    """Solve s + factor · tanh(s) = right for s, factor > -1; differentiable in both."""
    right, factor = torch.broadcast_tensors(right, factor)

    def residual(s: Tensor) -> tuple[Tensor, Tensor]:
        h = s.tanh()
        return s + factor * h - right, 1 + factor * (1 - h.square())

    # A little more than |factor|: Newton's method would otherwise reach the end of the bracket, where tanh is flat.
    middle, reach = right.detach(), 1.125 * factor.detach().abs()
    return monotone_root(residual, middle - reach, middle + reach)
