"""Forecasts of a target as weighted points, and what is computed from them: means, scores and shortest intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Nodes of z and their range, of Gauss-Legendre quadrature over a normal density.
NODES, FURTHEST = 200, 8.0
# Where a shortest interval may begin, in shares of the probability that it leaves out.
BEGINNINGS = 101


def normal_nodes() -> tuple[Tensor, Tensor]:
    """Points of z and weights that sum to one, (NODES,) float64, for means over a standard normal z.

    Example:
        >>> z, weights = normal_nodes()
        >>> float(weights.sum()), round(float((weights * z**4).sum()), 9)
        (1.0, 3.0)
    """
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
    z = FURTHEST * nodes
    weights = weights * torch.exp(-0.5 * z.square())
    return z, weights / weights.sum()


@dataclass(frozen=True, eq=False)
class Forecast:
    """Distributions of a target as points with weights.

    Attributes:
        values: (n, P), sorted in each row.
        weights: (n, P), which sum to one in each row.

    Example:
        >>> forecast = Forecast.of(np.array([[2.0, 1.0, 4.0]]), np.array([0.25, 0.5, 0.25]))
        >>> forecast.mean(), forecast.crps(np.array([1.0])), forecast.pit(np.array([2.0]))
        (array([2.]), array([0.375]), array([0.625]))
    """

    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> Forecast:
        """Of points, (n, P), in any order, with weights (P,) or (n, P); equal ones stay in their order."""
        order = values.argsort(1, kind="stable")
        weights = np.take_along_axis(np.broadcast_to(weights, values.shape), order, 1)
        return cls(np.take_along_axis(values, order, 1), weights)

    def quantile(self, level: float) -> np.ndarray:
        """The smallest value of each row, (n,), up to which there is at least such a probability."""
        place = (self.weights.cumsum(1) >= level).argmax(1)
        found: np.ndarray = np.take_along_axis(self.values, place[:, None], 1)[:, 0]
        return found

    def mean(self, low: float | np.ndarray = -np.inf, high: float | np.ndarray = np.inf) -> np.ndarray:
        """The mean of each row, (n,), where values beyond an end count as that end: tails may have no mean.

        Arguments:
            low: one end, or (n, 1).
            high: the other end.
        """
        found: np.ndarray = (self.weights * self.values.clip(low, high)).sum(1)
        return found

    def crps(self, y: np.ndarray, low: float | np.ndarray = -np.inf, high: float | np.ndarray = np.inf) -> np.ndarray:
        """The continuous ranked probability score E|Y - y| - E|Y - Y'| / 2 = ∫ (F(t) - 1[t ≥ y])² dt, (n,), of y, (n,).

        Beyond the ends, and beyond y, nothing is counted: of tails without a mean no quadrature finds the integral.

        Source: Gneiting and Raftery 2007, doi:10.1198/016214506000001437.
        """
        y = y[:, None]
        values = self.values.clip(np.minimum(low, y), np.maximum(high, y))
        # Piece by piece: in sums of signed terms the rounding of F would count as often as a value is large.
        below = self.weights.cumsum(1)[:, :-1]
        above = self.weights[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
        first, last = values[:, :-1], values[:, 1:]
        cut = y.clip(first, last)
        pieces = (cut - first) * below**2 + (last - cut) * above**2
        # Beyond all points F is 0 or 1.
        beyond = np.maximum(values[:, 0] - y[:, 0], 0) + np.maximum(y[:, 0] - values[:, -1], 0)
        found: np.ndarray = pieces.sum(1) + beyond
        return found

    def pit(self, y: np.ndarray) -> np.ndarray:
        """P(Y < y) + P(Y = y) / 2 of each row, (n,)."""
        below = (self.weights * (self.values < y[:, None])).sum(1)
        equal: np.ndarray = (self.weights * (self.values == y[:, None])).sum(1)
        return below + 0.5 * equal

    def at(self, levels: np.ndarray, *, discrete: bool = False) -> np.ndarray:
        """The quantiles of each row at levels of its own, (n, L): between two points, or one of them if `discrete`.

        Example:
            >>> forecast = Forecast.of(np.array([[0.0, 1.0]]), np.array([0.5, 0.5]))
            >>> forecast.at(np.array([[0.5]])), forecast.at(np.array([[0.5]]), discrete=True)
            (array([[0.5]]), array([[0.]]))
        """
        up_to = self.weights.cumsum(1)
        if discrete:
            places = np.stack([np.searchsorted(row, some) for row, some in zip(up_to, levels, strict=True)])
            found: np.ndarray = np.take_along_axis(self.values, places.clip(max=up_to.shape[1] - 1), 1)
            return found
        middles = up_to - 0.5 * self.weights
        return np.stack([np.interp(*row) for row in zip(levels, middles, self.values, strict=True)])

    def begin_of_shortest(self, coverage: float, *, discrete: bool = False) -> np.ndarray:
        """The probability below the shortest interval that holds a probability, (n,); `discrete` as for `at`."""
        begin = np.linspace(0, 1, BEGINNINGS + 2)[1:-1] * (1 - coverage)
        levels = np.tile(np.append(begin, begin + coverage), (len(self.values), 1))
        low, high = np.split(self.at(levels, discrete=discrete), 2, axis=1)
        found: np.ndarray = begin[(high - low).argmin(1)]
        return found
