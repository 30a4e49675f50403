"""Splines through the quantiles of each cluster of rows, onto the box around it, and the covariance in each cluster."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from pushforward.bijections.clusters import Boxes
from pushforward.bijections.cross_fitting import straight_features
from pushforward.bijections.marginal import FURTHEST_IDENTITY, NEAREST, MarginalSpline

# As many rows for each knot of a cluster, but at least eight knots.
ROWS_OF_KNOT, FEWEST_KNOTS = 40, 8


class ClusterMarginals(nn.Module):
    """x = spline_k(mean_k + root_k y) given the label k of a cluster, inside the box of that cluster.

    The boxes divide the whole space, so that every x has a label, and with it a y. Each spline is a `MarginalSpline`
    through the rows of one cluster. Beyond these rows, toward an end of the box at a distance r from the last of them,
    a distance t becomes t / (1 + t / r): a tail is nearly as it would be without the end, and never passes it. What the
    splines make normal is then correlated in each cluster by a triangular matrix, root_k.

    Arguments:
        features: D.
        clusters: K, at least two.
        knots: of each spline, default 32.
        bounded: whether features have bounds, which no box passes, default False.

    Attributes:
        splines: of K · D features, those of the first cluster first.
        low: (K, D), the lower ends of the boxes, -inf for none; before `from_data` boxes divide the first feature.
        high: (K, D), the upper ends.
        first: (K, D), the smallest value in each box.
        last: (K, D), the largest value in each box.
        mean: (K, D), of what the splines make of each cluster's rows; 0 at first.
        root: (K, D, D), lower triangular, the Cholesky factor of its covariance; the identity at first.
    """

    low: Tensor
    high: Tensor
    first: Tensor
    last: Tensor
    mean: Tensor
    root: Tensor

    def __init__(self, features: int, clusters: int, knots: int = 32, bounded: bool = False) -> None:
        super().__init__()
        self.features, self.clusters = features, clusters
        self.splines = MarginalSpline(clusters * features, knots, bounded)
        zeros = torch.zeros(clusters, features)
        for name, value in (("low", -math.inf), ("high", math.inf), ("first", 0.0), ("last", 0.0), ("mean", 0.0)):
            self.register_buffer(name, zeros + value)
        self.register_buffer("root", torch.eye(features).repeat(clusters, 1, 1))
        places = 2.0 * torch.arange(clusters)
        self.first[:, 0] = self.last[:, 0] = places
        self.low[1:, 0] = self.high[:-1, 0] = places[1:] - 1

    @classmethod
    @torch.no_grad()
    def from_data(
        cls,
        x: Tensor,
        boxes: Boxes,
        knots: int = 32,
        *,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        normal: Collection[int] = (),
        weights: Tensor | None = None,
    ) -> ClusterMarginals:
        """Lay the knots of each cluster through the quantiles of its rows, or on a line where that predicts more.

        Arguments:
            x: (N, D), rows in every box; its precision is that of the splines.
            boxes: from `find_clusters` of these rows.
            knots: of each spline, at most; one for 40 rows, at least eight.
            low: (D,) lower bounds that no x passes, -inf for none; default none.
            high: (D,) upper bounds, inf for none; default none.
            normal: features, without bounds, that are nearly normal already: the tails of their splines become
                straight.
            weights: (N,) positive weights of the rows; default all equal.

        Raises:
            ValueError: a feature is constant in a cluster, not finite, or outside its bounds.
        """
        lows, highs = ([*(ends or [end] * x.shape[1])] for ends, end in ((low, -math.inf), (high, math.inf)))
        labels, made = boxes.labels(x.double()), []
        for label in range(len(boxes.low)):
            own = labels == label
            share = None if weights is None else weights[own]
            # Toward an end of the box there is no bound to meet.
            within = [
                [bound if end.isinf() else infinite for bound, end in zip(bounds, ends[label], strict=True)]
                for bounds, ends, infinite in ((lows, boxes.low, -math.inf), (highs, boxes.high, math.inf))
            ]
            made += _splines(x[own], knots, within, normal, share)
        most = max(spline.z_knots.shape[1] for spline in made)
        bounded = any(map(math.isfinite, [*lows, *highs]))
        result = cls(x.shape[1], len(boxes.low), most, bounded).to(x)
        for feature, spline in enumerate(made):
            result.splines.copy_knots(feature, spline)
        result.low.copy_(boxes.low)
        result.high.copy_(boxes.high)
        for label in range(result.clusters):
            result.first[label], result.last[label] = x[labels == label].aminmax(dim=0)
        return result

    def labels(self, x: Tensor) -> Tensor:
        """The label of the cluster in whose box each row lies, (*batch), of x, (*batch, D)."""
        return Boxes(self.low, self.high).labels(x)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y, (*batch, D), and log|det ∂y/∂x|, (*batch), of x, (*batch, D)."""
        scores, label, log_det = self.scores(x)
        root = self.root.to(scores.dtype)
        inverses = torch.linalg.solve_triangular(root, torch.eye(self.features).to(root), upper=False)
        y = torch.einsum("kde,...ke->...kd", inverses, scores[..., None, :] - self.mean)
        return self._of(label, y), log_det - self._log_scale()[label]

    def forward(self, y: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """x, (*batch, D), and log|det ∂x/∂y|, (*batch), of y, (*batch, D), given labels, (*batch)."""
        dtype = torch.promote_types(y.dtype, self.root.dtype)
        scores = torch.einsum("kde,...e->...kd", self.root.to(dtype), y.to(dtype)) + self.mean
        w, log_derivative = (self._of(label, each) for each in self._each(scores, backwards=False))
        first, last, low, high = (part[label] for part in (self.first, self.last, self.low, self.high))
        nearest = torch.minimum(torch.maximum(w, first), last)
        outside = w - nearest
        times = outside.abs() / torch.where(outside < 0, first - low, high - last)
        log_det = (log_derivative - 2 * torch.log1p(times)).sum(-1) + self._log_scale()[label]
        # Without an end exactly w, so that a small distance from a bound keeps its digits.
        return w - outside * times / (1 + times), log_det

    def scores(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the splines make of x, (*batch, D), the labels, and log|det| of the splines, (*batch)."""
        label = self.labels(x.detach())
        first, last, low, high = (part[label] for part in (self.first, self.last, self.low, self.high))
        nearest = torch.minimum(torch.maximum(x, first), last)
        outside = x - nearest
        # An infinite distance where there is no end.
        share = (outside.abs() / torch.where(outside < 0, first - low, high - last)).clamp(max=1 - NEAREST)
        w = (x + outside * share / (1 - share))[..., None, :].expand(*x.shape[:-1], self.clusters, self.features)
        y, log_derivative = (self._of(label, each) for each in self._each(w, backwards=True))
        return y, label, (log_derivative - 2 * torch.log1p(-share)).sum(-1)

    def _each(self, value: Tensor, backwards: bool) -> list[Tensor]:
        """The splines of every cluster, and their log-derivatives, both (*batch, K, D)."""
        apply = self.splines.each_inverse if backwards else self.splines.each_forward
        return [each.unflatten(-1, (self.clusters, self.features)) for each in apply(value.flatten(-2))]

    def _of(self, label: Tensor, each: Tensor) -> Tensor:
        """Of values for all clusters, (*batch, K, D), those of each row's own, (*batch, D)."""
        return each.gather(-2, label[..., None, None].expand(*label.shape, 1, self.features))[..., 0, :]

    def _log_scale(self) -> Tensor:
        """log|det root| of each cluster, (K,)."""
        return self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _splines(
    x: Tensor, knots: int, bounds: list[list[float]], normal: Collection[int], weights: Tensor | None
) -> list[MarginalSpline]:
    """The spline of each feature of the rows of a cluster, (n, D)."""
    low, high = bounds
    knots = min(knots, max(len(x) // ROWS_OF_KNOT, FEWEST_KNOTS))
    straight = straight_features(x, knots, low=low, high=high, weights=weights)
    made = [
        MarginalSpline.from_data(
            x[:, [place]],
            knots,
            low=[low[place]],
            high=[high[place]],
            weights=weights,
            straight=[0] if place in straight else [],
        )
        for place in range(x.shape[1])
    ]
    return [_with_straight_tails(spline) if place in normal else spline for place, spline in enumerate(made)]


def _with_straight_tails(spline: MarginalSpline) -> MarginalSpline:
    """The spline of one feature without bounds, with tails that become straight, of slope 1, from the last knots on.

    The feature is nearly normal itself and has a map with tails of its own, behind which these would be bent twice.
    """
    z, x, slopes = (buffer[0].tolist() for buffer in (spline.z_knots, spline.x_knots, spline.slopes))
    for end, inner, side in ((0, 1, -1), (-1, -2, 1)):
        if slopes[end] > 1:
            # From the slope at the last of the data to 1, not beyond.
            x[end] = x[inner] + 0.5 * (1 + slopes[end]) * (z[end] - z[inner])
            slopes[end] = 1.0
        knot = z[end] + side * FURTHEST_IDENTITY, x[end] + side * FURTHEST_IDENTITY, 1.0
        for column, number in zip((z, x, slopes), knot, strict=True):
            column.insert(0 if side < 0 else len(column), number)
    found = MarginalSpline(1, len(z)).to(spline.z_knots)
    for buffer, column in zip((found.z_knots, found.x_knots, found.slopes), (z, x, slopes), strict=True):
        buffer[0] = buffer.new_tensor(column)
    return found
