"""What a Gaussian regression says of a column where conditions lie beyond the range of the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.table_models.conditional_gaussian import conditional_moments, covariance_of
from pushforward.tables.columns.columns import Intervals


class LinearTrend(nn.Module):
    """The prediction of linear regression: normal, about its mean, with the deviation of residuals and coefficients.

    A network has learned nothing of conditions beyond their range. A linear relation continues there, and the error of
    its coefficients, which grows with the distance, says how far it can be trusted.

    Arguments:
        features: D.

    Attributes:
        mean: (D,) of the rows.
        deviation: (D,) of the rows.
        correlation: (D, D) of the rows; the identity for features without a trend.
        rows: (D,) how many there were; 0 for features without a trend.

    Source: the predictive distribution of linear regression with n rows has variance σ² (1 + (1 + d²) / n), d the
    Mahalanobis distance of the conditions from their mean.
    """

    mean: Tensor
    deviation: Tensor
    correlation: Tensor
    rows: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(features, dtype=torch.float64))
        self.register_buffer("correlation", torch.eye(features, dtype=torch.float64))
        self.register_buffer("rows", torch.zeros(features, dtype=torch.int64))

    @torch.no_grad()
    def set(self, y: Tensor, features: list[int], rows: int) -> None:
        """Learn the trend of some features of y, (N, D), NaN where a value is missing, which are some of all rows."""
        y = y[:, features].double()
        places = torch.tensor(features)
        mean = y.nanmean(0)
        deviation = (y - mean).square().nanmean(0).sqrt()
        self.mean[places], self.deviation[places] = mean, deviation
        covariance = covariance_of((y - mean) / deviation)
        scale = covariance.diagonal().sqrt()
        self.correlation[places[:, None], places] = covariance / (scale[:, None] * scale)
        self.rows[places] = rows

    def moments(self, y: Tensor, known: Tensor, feature: int) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of the prediction of a feature, both (n,).

        Arguments:
            y: (n, D), of which only known values matter.
            known: (n, D), True for conditions with a trend.
            feature: which one is predicted; it is not known.
        """
        standard = (torch.where(known, y, self.mean) - self.mean) / self.deviation
        mean, deviation, _ = conditional_moments(self.correlation, standard, known)
        present = known.double()
        among = present[:, :, None] * self.correlation * present[:, None, :] + torch.diag_embed(1 - present)
        distance = (standard * torch.linalg.solve(among, standard)).sum(1)
        spread = deviation[:, feature] * (1 + (1 + distance) / self.rows[feature]).sqrt()
        center, unit = self.mean[feature], self.deviation[feature]
        return center + unit * mean[:, feature], unit * spread


class Truncated:
    """Normal distributions within an interval, (n,) of them, whose means keep two deviations from its ends.

    Arguments:
        mean: (n,).
        deviation: (n,).
        low: the lower end, -inf for none.
        high: the upper end, inf for none.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, low: float, high: float) -> None:
        # Otherwise a trend that leaves the interval would crowd all probability on its end.
        lowest, highest = low + 2 * deviation, high - 2 * deviation
        inside = torch.maximum(torch.minimum(mean, highest), lowest)
        self.mean = torch.where(lowest > highest, 0.5 * (lowest + highest), inside)
        self.deviation, self.low, self.high = deviation, low, high
        self.below = torch.special.ndtr((low - self.mean) / deviation)
        self.above = torch.special.ndtr((self.mean - high) / deviation)

    @property
    def log_total(self) -> Tensor:
        """log P(within the interval) before it is cut off, (n,)."""
        return (1 - self.below - self.above).log()

    def log_density(self, y: Tensor) -> Tensor:
        """log p(y), (n,)."""
        z = (y - self.mean) / self.deviation
        return -0.5 * (z.square() + math.log(2 * math.pi)) - self.deviation.log() - self.log_total

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """log P(low < y < high), (n,); a narrow interval far outside has the density at its middle times its width."""
        low, high = low.clamp(self.low, self.high), high.clamp(self.low, self.high)
        a, b = ((end - self.mean) / self.deviation for end in (low, high))
        flip = a + b > 0
        a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
        at_b = torch.special.log_ndtr(b)
        ratio = torch.special.log_ndtr(a) - at_b
        wide = at_b + torch.log(-torch.expm1(ratio.clamp(max=-1e-9)))
        middle = torch.where(low.isinf() | high.isinf(), 0.0, 0.5 * (low + high))
        width = torch.where(low.isinf() | high.isinf(), 1.0, high - low)
        narrow = (width / self.deviation < 1e-4) & ~low.isinf() & ~high.isinf()
        return torch.where(narrow, self.log_density(middle) + width.log(), wide - self.log_total)

    def distribution_function(self, y: Tensor) -> Tensor:
        """P(Y < y), (n,)."""
        within = torch.special.ndtr((y - self.mean) / self.deviation) - self.below
        within = torch.where(y < self.low, 0.0, within)
        return (within / self.log_total.exp()).clamp(0, 1)

    def quantile(self, level: Tensor) -> Tensor:
        """The y of which P(Y < y) is the level, (n,)."""
        return self.mean + self.deviation * torch.special.ndtri(self.below + level * self.log_total.exp())


@dataclass(frozen=True, eq=False)
class BeyondRange:
    """What is said of a column in the rows that have a known value beyond its range.

    Attributes:
        rows: (n,) which rows these are.
        column: which one.
        normal: its distributions there.
    """

    rows: Tensor
    column: int
    normal: Truncated

    def log_prob(self, value: Tensor, intervals: Intervals, *, every: bool = False) -> Tensor:
        """log p of values in all rows, (n,), of which those in other rows are known, by the intervals of n rows.

        Or of every value in every row, (values, n), by the intervals of the values.
        """
        low, high, log_term = (part[:, self.column] for part in intervals)
        low, high, log_term = (p[:, None] if every else p[self.rows] for p in (low, high, log_term))
        mass = high > low
        point, end = torch.where(mass, 0.0, low), torch.where(mass, high, 1.0)
        of_mass = self.normal.log_mass(torch.where(mass, low, 0.0), end)
        found = torch.where(mass, of_mass, self.normal.log_density(point)) + log_term
        value = value.clone()
        value[..., self.rows] = found.to(value.dtype)
        return value

    def distribution_functions(self, value: Tensor, intervals: Intervals) -> Tensor:
        """P(column < its value) and P(column ≤ its value), (2, n), in all rows; those in other rows are known."""
        ends = [self.normal.distribution_function(end[self.rows, self.column]) for end in intervals[:2]]
        value = value.clone()
        value[:, self.rows] = torch.stack(ends)
        return value

    def quantile(self, y: Tensor, level: Tensor) -> Tensor:
        """The y of levels in all rows, (n,), of which those in other rows are known."""
        return y.masked_scatter(self.rows, self.normal.quantile(level[self.rows]))
