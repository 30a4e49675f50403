"""Radial flow: a push toward or away from one point."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.bijections.base import Bijection
from pushforward.networks.amortized import Amortized


class Radial(Bijection):
    """x = z + β (z - center) / (α + r), r = |z - center|, α > 0, β > -α.

    With slope = α + β > 0, the slope at the center times α:
    log_det = (D - 1) log((slope + r) / (α + r)) + log((r² + 2 α r + α slope) / (α + r)²).

    The distance R = |x - center| = r (slope + r) / (α + r) is a quadratic in r, so the inverse has a closed form.

    Arguments:
        features: D.
        context: C; center, α and β are then a function of the context (amortized), default 0.
        hidden: widths of the hidden layers of that function, default (64,).

    Cost: 1 pass in both directions.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770, section 4.1 and appendix A.2.

    Example:
        >>> layer = Radial(3).double()
        >>> z = torch.randn(5, 3, dtype=torch.float64)
        >>> x, log_det = layer(z)
        >>> torch.allclose(layer.inverse(x)[0], z)
        True
    """

    def __init__(self, features: int, context: int = 0, hidden: Sequence[int] = (64,)):
        super().__init__()
        self.features = features
        self.context_features = context
        # Start near the identity: α and slope are nearly equal.
        start = torch.cat([torch.randn(features), math.log(math.e - 1) + 0.1 * torch.randn(2)])
        self.parameters_of = Amortized(start, context, hidden)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Push away from the center, or toward it."""
        self.check_event(z)
        center, alpha, slope = self.weights(context)
        from_center = z - center
        r = _length(from_center)
        x = center + from_center * ((slope + r) / (alpha + r))[..., None]
        return x, self._log_det(r, alpha, slope)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve the quadratic for the distance before the push."""
        self.check_event(x)
        center, alpha, slope = self.weights(context)
        from_center = x - center
        distance = _length(from_center)
        # r² + (slope - R) r - α R = 0; of the two forms of its positive root, the one that does not subtract.
        half = (distance - slope) / 2
        product = alpha * distance
        root = (half.square() + product + torch.finfo(x.dtype).tiny).sqrt()
        outside = half > 0
        r = torch.where(outside, half + root, product / (torch.where(outside, 0.0, -half) + root))
        z = center + from_center * ((alpha + r) / (slope + r))[..., None]
        return z, -self._log_det(r, alpha, slope)

    def _log_det(self, r: Tensor, alpha: Tensor, slope: Tensor) -> Tensor:
        across = torch.log((slope + r) / (alpha + r))
        along = torch.log(r.square() + 2 * alpha * r + alpha * slope) - 2 * torch.log(alpha + r)
        return (self.features - 1) * across + along

    def weights(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The center, (*batch, D), and α and the slope, (*batch), both above 0 by at least a few roundings."""
        center, alpha, slope = self.parameters_of(context).split([self.features, 1, 1], -1)
        least = 8 * torch.finfo(center.dtype).eps
        return center, softplus(alpha[..., 0]) + least, softplus(slope[..., 0]) + least


def _length(vector: Tensor) -> Tensor:
    """|vector|, with gradient 0 at the origin."""
    squared = vector.square().sum(-1)
    # Below the smallest squares the gradient of the norm has no digits, and at 0 it does not exist.
    tiny = squared < torch.finfo(vector.dtype).tiny
    return torch.where(tiny, 0.0, torch.where(tiny, 1.0, squared).sqrt())
