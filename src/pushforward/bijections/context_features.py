"""What a network sees of conditions: each in its units and as its normal score, without their correlations."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from pushforward.bijections.marginal import MarginalSpline

# The smallest share of the identity in the covariance that is removed: no direction is stretched a hundredfold more.
LEAST_SHARE = 1e-4


class ContextFeatures(nn.Module):
    """features = W (u - mean), u = (c, score(c)): conditions and their normal scores, of which W removes correlations.

    A linear relation between conditions is one between them as they are, and a skewed condition acts more evenly as its
    normal score, so that a network is given both. W is the symmetric inverse square root of the covariance of u, drawn
    toward the identity (ZCA): where conditions are nearly collinear, the small differences between them are what a
    network would need most steps to find. All of it is fixed by the training rows. Flags follow the features as they
    are: rare ones would be stretched, and have no score.

    Arguments:
        features: C, the number of conditions.
        knots: of the splines of the scores, default 32.
        flags: the places of F conditions that are flags; default none.

    Attributes:
        features: C.
        flags: their places.
        outputs: 2 C - F, the number of features.

    Source: Bell and Sejnowski 1997, doi:10.1016/S0042-6989(97)00121-1.

    Example:
        >>> c = torch.randn(500, 1, dtype=torch.float64).exp() * torch.ones(2) + 1e-3 * torch.randn(500, 2)
        >>> found = ContextFeatures.from_data(c.double())(c.double())
        >>> found.shape, bool((found.T.cov().diagonal().log().abs() < 1).all())
        (torch.Size([500, 4]), True)
    """

    mean: Tensor
    weight: Tensor

    def __init__(self, features: int, knots: int = 32, flags: Collection[int] = ()) -> None:
        super().__init__()
        self.features = features
        self.flags = sorted(flags)
        self.numbers = [place for place in range(features) if place not in self.flags]
        self.outputs = 2 * features - len(self.flags)
        self.scores = MarginalSpline(len(self.numbers), knots)
        self.register_buffer("mean", torch.zeros(2 * len(self.numbers)))
        self.register_buffer("weight", torch.eye(2 * len(self.numbers)))

    @classmethod
    def from_data(
        cls, context: Tensor, knots: int = 32, weights: Tensor | None = None, flags: Collection[int] = ()
    ) -> ContextFeatures:
        """Learn the scores and their correlations.

        Arguments:
            context: (N, C) standardized rows.
            knots: of the splines, default 32.
            weights: (N,) of the rows, or None.
            flags: the places of flags, default none.
        """
        numbers = [place for place in range(context.shape[1]) if place not in flags]
        scores = MarginalSpline.from_data(context[:, numbers], knots, weights=weights)
        found = cls(context.shape[1], scores.z_knots.shape[1], flags).to(context.dtype)
        found.scores = scores
        both = found.uncentered(context)[:, : 2 * len(numbers)].double()
        share = torch.full_like(both[:, 0], 1 / len(both)) if weights is None else (weights / weights.sum()).double()
        mean = share @ both
        deviations = (both - mean) * share.sqrt()[:, None]
        covariance = deviations.t() @ deviations
        # As if as many further rows as there are features were uncorrelated: every direction has variance.
        of_identity = max(len(mean) / (len(mean) + len(both)), LEAST_SHARE)
        variance, directions = torch.linalg.eigh(
            torch.lerp(covariance, torch.eye(len(mean)).to(covariance), of_identity)
        )
        found.mean.copy_(mean)
        found.weight.copy_(directions @ variance.rsqrt().diag() @ directions.t())
        return found

    def forward(self, context: Tensor) -> Tensor:
        """The features, (*batch, 2 C - F), of conditions, (*batch, C)."""
        both, size = self.uncentered(context), len(self.mean)
        return torch.cat([(both[..., :size] - self.mean) @ self.weight, both[..., size:]], -1)

    def uncentered(self, context: Tensor) -> Tensor:
        """The conditions, then their scores, and then the flags, (*batch, 2 C - F)."""
        numbers = context[..., self.numbers]
        return torch.cat([numbers, self.scores.inverse(numbers)[0], context[..., self.flags]], -1)

    def of_uncentered(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The same linear function of the features as weight · u + bias, of `uncentered`.

        Arguments:
            weight: (K, 2 C - F).
            bias: (K,).
        """
        size = len(self.mean)
        of_numbers = torch.linalg.solve(self.weight.double(), weight[:, :size].t()).t()
        return torch.cat([of_numbers, weight[:, size:]], 1), bias + weight[:, :size] @ self.mean.to(weight)
