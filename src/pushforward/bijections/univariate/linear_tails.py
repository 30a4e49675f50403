"""Families that are given on a box, from data to latent, and continue outside it as straight lines."""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.bijections.base import Cost
from pushforward.bijections.univariate.base import Univariate
from pushforward.solvers.scalar_root import monotone_root
from pushforward.support.broadcasting import broadcast_shapes


class LinearTails(Univariate):
    """z = within(x) for |x| ≤ bound; outside, straight lines with the slopes of the ends.

    A subclass is a frozen dataclass with the field `bound`, half the side of the box. It defines `within` and
    `parameter_count`.

    Cost: inverse (x → z) closed form; forward (z → x) a scalar root, with gradients by the implicit function theorem.
    """

    bound: float
    cost = Cost(forward="scalar root")

    @abstractmethod
    def within(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log ∂z/∂x for |x| ≤ bound, both (*batch, D), from x, (*batch, D), and parameters, (*batch, D, P)."""

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = within(x), or on the line through the nearer end of the box."""
        nearest = x.clamp(-self.bound, self.bound)
        z, log_slope = self.within(nearest, parameters)
        return z + (x - nearest) * log_slope.exp(), log_slope

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The x in the box at which within(x) = z, or on the line through the nearer end."""
        # A bracket that is not a number gives a root that is not.
        end = torch.where(z.isnan(), z, self.bound).expand(broadcast_shapes(z.shape, parameters.shape[:-1]))
        lowest, highest = self.within(-end, parameters)[0], self.within(end, parameters)[0]
        nearest = torch.minimum(torch.maximum(z, lowest), highest)

        def excess(x: Tensor) -> tuple[Tensor, Tensor]:
            mapped, log_slope = self.within(x, parameters)
            return mapped - nearest, log_slope.exp()

        x = monotone_root(excess, -end, end)
        _, log_slope = self.within(x, parameters)
        return x + (z - nearest) * (-log_slope).exp(), -log_slope


def check_bound(bound: float) -> None:
    """Raise a ValueError for a box without a size."""
    if not 0 < bound < math.inf:
        raise ValueError(f"The bound of a box must be a positive number, got {bound}.")
