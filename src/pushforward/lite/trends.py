"""Gaussians of columns given others: their moments, and the linear trend beyond the range of the training rows."""

from __future__ import annotations

from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.special import log_ndtr, log_normal, ndtr, probit

# As of `pushforward.table_models.conditional_gaussian`.
LEAST_VARIANCE = 1e-8


def conditional_moments(n: Arrays, covariance: Any, x: Any, known: Any) -> tuple[Any, Any, Any, Any]:
    """Return what a Gaussian of mean 0 says of each feature given the known ones, each (n, D).

    Arguments:
        n: arrays.
        covariance: (D, D), of numpy.
        x: (n, D), of which only known values matter.
        known: (n, D).

    Returns:
        Mean and deviation, 0 and 1 of known features; how far a known one lies from its mean given the other known
        ones; and the terms of the square of Mahalanobis' distance of all known ones.
    """
    x, present, eye = n.where(known, x, n(0.0)), n.where(known, n(1.0), n(0.0)), n(numpy.eye(len(covariance)))
    across = n(covariance) * present[:, None, :]
    precision = n.linalg.inv(present[:, :, None] * across + eye * (1 - present)[:, None, :])
    weighted = n.sum(precision * x[:, None, :], axis=-1) * present
    variance = n(numpy.diagonal(covariance)) - n.sum(n.matmul(across, precision) * across, axis=-1)
    deviation = n.sqrt(n.maximum(variance, n(LEAST_VARIANCE)))
    distance = weighted / n.sqrt(n.maximum(n.sum(precision * eye, axis=-1), n(LEAST_VARIANCE)))
    mean = n.where(known, n(0.0), n.matmul(weighted, n(covariance)))
    return mean, n.where(known, n(1.0), deviation), distance, x * weighted


def predicted(n: Arrays, trend: dict[str, Any], y: Any, known: Any, feature: int) -> tuple[Any, Any]:
    """Return mean and deviation, (n,), that linear regression predicts of a feature."""
    standard = n.where(known, (y - n(trend["mean"])) / n(trend["deviation"]), n(0.0))
    mean, deviation, _, squares = conditional_moments(n, trend["correlation"], standard, known)
    spread = deviation[:, feature] * n.sqrt(1 + (1 + n.sum(squares, axis=-1)) / float(trend["rows"][feature]))
    center, unit = float(trend["mean"][feature]), float(trend["deviation"][feature])
    return center + unit * mean[:, feature], unit * spread


def log_between(n: Arrays, low: Any, high: Any, least: float) -> Any:
    """Return log(Φ(high) - Φ(low)), from the side where both are small, of a ratio below 1 by at least so much."""
    flip = low + high > 0
    a, b = n.where(flip, -high, low), n.where(flip, -low, high)
    at_b = log_ndtr(n, b)
    return at_b + n.log(-n.expm1(n.minimum(log_ndtr(n, a) - at_b, n(-least))))


class Truncated:
    """Normal distributions within an interval, (n,), whose means keep two deviations from its ends."""

    def __init__(self, n: Arrays, mean: Any, deviation: Any, bounds: tuple[float, float]) -> None:
        lowest, highest = bounds[0] + 2 * deviation, bounds[1] - 2 * deviation
        inside = n.maximum(n.minimum(mean, highest), lowest)
        self.mean = n.where(lowest > highest, 0.5 * (lowest + highest), inside)
        self.n, self.deviation, self.bounds = n, deviation, bounds
        self.below = ndtr(n, (bounds[0] - self.mean) / deviation)
        self.log_total = n.log(1 - self.below - ndtr(n, (self.mean - bounds[1]) / deviation))

    def log_density(self, y: Any) -> Any:
        """Return log p(y)."""
        return log_normal(self.n, (y - self.mean) / self.deviation) - self.n.log(self.deviation) - self.log_total

    def log_mass(self, low: Any, high: Any) -> Any:
        """Return log P(low < y < high); a narrow interval has the density at its middle times its width."""
        n = self.n
        low, high = n.clip(low, *self.bounds), n.clip(high, *self.bounds)
        wide = log_between(n, (low - self.mean) / self.deviation, (high - self.mean) / self.deviation, 1e-9)
        finite = n.isfinite(high - low)
        middle, width = n.where(finite, 0.5 * (low + high), n(0.0)), n.where(finite, high - low, n(1.0))
        narrow = (width / self.deviation < 1e-4) & finite
        return n.where(narrow, self.log_density(middle) + n.log(width), wide - self.log_total)

    def log_prob(self, interval: tuple[Any, Any, Any]) -> Any:
        """Return log p of values with a density, or a probability, by their intervals."""
        n, (low, high, term) = self.n, interval
        mass = high > low
        of_mass = self.log_mass(n.where(mass, low, n(0.0)), n.where(mass, high, n(1.0)))
        return n.where(mass, of_mass, self.log_density(n.where(mass, n(0.0), low))) + term

    def quantile(self, level: Any) -> Any:
        """Return the y of which P(Y < y) is the level."""
        share = self.below + level * self.n.exp(self.log_total)
        return self.mean + self.deviation * probit(self.n, share, 1 - share)
