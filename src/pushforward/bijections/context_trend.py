"""What is said of contexts beyond the range of those of a training: a linear trend, ever less certain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.bijections.base import Bijection
from pushforward.bijections.conditional_map import ConditionalMap

# Distances, in standard deviations of the context, at which the trend ends, so that nothing overflows.
FURTHEST = 1e6
# A deviation at the end of the range is at least this share of the noise, or of that of all rows, in a ratio.
LEAST_DEVIATION = 1e-6
# Of so many features the moments of linear images of the latent points are exact.
MOST_EXACT = 15


class Widening(NamedTuple):
    """x[d] = y[d] + growth[d] · (y[d] - center[d]) + shift[d], for some growth ≥ 0.

    Attributes:
        center: (*batch, D), as all others.
        growth: how much wider it becomes, 0 for not at all.
        shift: of the center.
    """

    center: Tensor
    growth: Tensor
    shift: Tensor

    @property
    def affine(self) -> bool:
        """True."""
        return True

    def within(self, batch: torch.Size, rows: Tensor | None) -> Widening:
        """The same for some rows, (N,), of a whole batch, default all of them, and none for the others."""
        parts: Iterable[Tensor] = self
        if rows is not None:
            parts = (part.new_zeros(len(rows), part.shape[1]).index_put((rows,), part) for part in self)
        return Widening(*(part.reshape(*batch, part.shape[1]) for part in parts))

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and log ∂x/∂y, both (..., *batch, D); y itself, bit by bit, where nothing is widened or shifted."""
        center, growth, shift = (part.to(z.dtype) for part in self)
        x = z + growth * (z - center) + shift
        return x, torch.log1p(growth).expand(x.shape)

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log ∂y/∂x, both (..., *batch, D)."""
        center, growth, shift = (part.to(x.dtype) for part in self)
        moved = x - shift
        y = moved - growth / (1 + growth) * (moved - center)
        return y, -torch.log1p(growth).expand(y.shape)


class WidenedData(NamedTuple):
    """A map into the units of data between two widenings, one in standardized units and one in those of the data.

    Attributes:
        scores: the widening before the map.
        data: the map.
        values: the widening after it.
    """

    scores: Widening
    data: Bijection
    values: Widening

    def within(self, batch: torch.Size, rows: Tensor | None = None) -> WidenedData:
        """The same map for some rows, (N,), of a batch, default all of them, which leaves the others as they are."""
        return WidenedData(self.scores.within(batch, rows), self.data, self.values.within(batch, rows))

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """x and log|det ∂x/∂y|, as of any map."""
        y, first = self.scores.each_forward(y)
        x, log_det = self.data(y)
        x, last = self.values.each_forward(x)
        return x, log_det + first.sum(-1).to(log_det.dtype) + last.sum(-1).to(log_det.dtype)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log|det ∂y/∂x|."""
        x, first = self.values.each_inverse(x)
        y, log_det = self.data.inverse(x)
        y, last = self.scores.each_inverse(y)
        return y, log_det + first.sum(-1).to(log_det.dtype) + last.sum(-1).to(log_det.dtype)

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term for each feature."""
        x, first = self.values.each_inverse(x)
        y, terms = self.data.each_inverse(x)
        y, last = self.scores.each_inverse(y)
        return y, terms + first.to(terms.dtype) + last.to(terms.dtype)

    def forward_with_maps(self, y: Tensor) -> tuple[Tensor, list[ConditionalMap]]:
        """As the map, with the maps of each feature."""
        x, maps = self.data.forward_with_maps(self.scores.each_forward(y)[0])
        return self.values.each_forward(x)[0], [self.scores, *maps, self.values]

    def inverse_with_maps(self, x: Tensor) -> tuple[Tensor, list[ConditionalMap]]:
        """As `inverse`, with the maps of each feature."""
        y, maps = self.data.inverse_with_maps(self.values.each_inverse(x)[0])
        return self.scores.each_inverse(y)[0], [self.scores, *maps, self.values]


class ContextTrend(nn.Module):
    """Beyond the range of contexts: x' = m + s · (x - m) + slope · b, x as at the end of the range, b = c - c_end.

    A network has learned nothing there. The mean goes on along the linear regression of the training rows, and nobody
    knows how long the relation holds: its slope beyond the range is taken to be that within, as uncertain as if a
    single row had determined it (the unit information prior), so that the mean has the variance noise² · d², d the
    Mahalanobis distance of b and noise the residual deviation of the regression. With mean m and deviation σ of x at
    the end of the range, s² = 1 + (noise · d / σ)²: the deviation is never smaller than σ, grows with the distance, and
    grows soon where the relation is not linear or hardly there.

    Features without a trend, with bounds or with values that have probabilities, keep their location in standardized
    units, and widen to the deviation of all training rows, which is 1 there: s² = 1 + max(0, 1 / σ² - 1) · d²/(1 + d²).

    m and σ are those of the images of some latent points. All of this depends on the context alone, so that densities
    are exact; at the end of the range it begins smoothly. Nothing of it is trained.

    Arguments:
        features: D.
        contexts: C.
        points: P, how many latent points.

    Attributes:
        slope: (D, C), in the units of the data for a deviation of each context.
        noise: (D,), 0 for features without a trend.
        precision: (C, C), the inverse of the covariance of the contexts.
        latents: (P, D).

    Source: the unit information prior, Kass and Wasserman 1995, doi:10.1080/01621459.1995.10476592.
    """

    slope: Tensor
    noise: Tensor
    precision: Tensor
    latents: Tensor

    def __init__(self, features: int, contexts: int, points: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.zeros(features, contexts))
        self.register_buffer("noise", torch.zeros(features))
        self.register_buffer("precision", torch.eye(contexts))
        self.register_buffer("latents", torch.zeros(points, features))

    def widened(self, data: Bijection, ends: Tensor, beyond: Tensor) -> WidenedData:
        """The map into the units of data for rows of contexts.

        Arguments:
            data: that at the end of the range.
            ends: (P, n, D), the images of the latent points at the end of the range, in standardized units.
            beyond: (n, C), how far beyond the range, in standard deviations.
        """
        beyond = beyond.clamp(-FURTHEST, FURTHEST)
        slope, noise, precision = (part.to(beyond.dtype) for part in (self.slope, self.noise, self.precision))
        distance = ((beyond @ precision) * beyond).sum(-1, keepdim=True).clamp_min(0)
        trends, ends = noise > 0, ends.to(beyond.dtype)
        center, variance = _moments(ends, torch.ones_like(noise))
        toward_all = (1 / variance - 1).clamp_min(0) * distance / (1 + distance)
        scores = Widening(center, _growth(torch.where(trends, 0.0, toward_all)), torch.zeros_like(center))
        center, variance = _moments(data(ends)[0], torch.where(trends, noise, 1.0))
        growth = _growth(torch.where(trends, distance / variance, 0.0))
        return WidenedData(scores, data, Widening(center, growth, beyond @ slope.t()))


def latents_of(features: int) -> Tensor:
    """Points ±1 with mean 0 and covariance 1, (P, D), float64: moments of their linear images are exact.

    They are the rows of a Hadamard matrix without its first column; of more than 15 features, seeded signs.

    Example:
        >>> latents_of(1)[:, 0].tolist(), (latents_of(3).t() @ latents_of(3) / 4 == torch.eye(3)).all()
        ([1.0, -1.0], tensor(True))
    """
    rows = torch.ones(1, 1, dtype=torch.float64)
    while len(rows) <= min(features, MOST_EXACT):
        rows = torch.cat([torch.cat([rows, rows], 1), torch.cat([rows, -rows], 1)])
    if features <= MOST_EXACT:
        return rows[:, 1 : features + 1].contiguous()
    signs = torch.randint(2, (len(rows) // 2, features), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    return torch.cat([signs, -signs])


def _moments(points: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of points, (P, n, D), and their variance in units squared, (n, D)."""
    center = points.mean(0)
    return center, ((points - center) / unit).square().mean(0).clamp_min(LEAST_DEVIATION**2)


def _growth(excess: Tensor) -> Tensor:
    """√(1 + excess) - 1, 0 for 0."""
    return excess / ((1 + excess).sqrt() + 1)
