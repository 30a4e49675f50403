"""A kernel density estimate, as the base of a flow that leaves it as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from pushforward.bijections import ElementwiseAffine
from pushforward.distributions import Base
from pushforward.flow import Flow
from pushforward.zoo.covariance import WITHIN, shrunk_covariance
from pushforward.zoo.normal_mixture import chain_rule
from pushforward.zoo.options import Features
from pushforward.zoo.registry import register

MOST_POINTS = 100_000
# Rows times points of which distances are in memory at a time.
DISTANCES = 2**22
# Bandwidths are looked for between these, in deviations of the rows, to this relative accuracy; of more rows than this,
# so many are left out in turn.
SMALLEST, LARGEST, TOLERANCE, MOST_LEFT_OUT = 0.02, 2.0, 0.02, 1_000


class KernelDensity(Base):
    """p(z) = 1/N Σ N(z; point_n, L Lᵀ): a Gaussian kernel at every point.

    Arguments:
        features: D.
        points: N.

    Attributes:
        points: (N, D), float64.
        factor: (D, D) lower triangular L with a positive diagonal, the bandwidth times that of the covariance.

    Example:
        >>> kernels = KernelDensity(features=2, points=5)
        >>> torch.allclose(kernels.log_prob(torch.zeros(2)), torch.tensor(-math.log(2 * math.pi)))
        True
    """

    of_rows = True
    points: Tensor
    factor: Tensor

    def __init__(self, features: int, points: int) -> None:
        super().__init__(features)
        self.register_buffer("points", torch.zeros(points, features, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(features, dtype=torch.float64))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        rows, points = self._white(z.reshape(-1, self.features), slice(None), self.factor)
        values = [_log_mean(squares) for squares in _squares(rows, points)]
        constant = self.factor.diagonal().log().sum() + 0.5 * self.features * math.log(2 * math.pi)
        found = torch.cat(values) if values else rows.new_zeros(0)
        return (found - constant).reshape(z.shape[:-1]).to(z.dtype)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d] | z before d), (*batch, D): the features before d determine the weights of the points."""
        places = torch.tensor(list(order), device=z.device)
        factor = torch.linalg.cholesky((self.factor @ self.factor.t())[places][:, places])
        rows, points = self._white(z.reshape(-1, self.features), places, factor)
        constant = (factor.diagonal().log() + 0.5 * math.log(2 * math.pi))[:, None]
        found = []
        for part in rows.split(max(1, DISTANCES // (len(points) * self.features))):
            terms = -0.5 * (points[:, :, None] - part.t()).square() - constant
            found.append(chain_rule(terms.cumsum(1) - math.log(len(points)), places))
        return (torch.cat(found) if found else rows).reshape(z.shape).to(z.dtype)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D)."""
        count, like = math.prod(shape), self.points
        which = torch.randint(len(like), (count,), device=like.device)
        noise = torch.randn(count, self.features, dtype=like.dtype, device=like.device)
        return (like[which] + noise @ self.factor.t()).reshape(*shape, self.features)

    def distribution_function(self, z: Tensor) -> Tensor:
        """The mean of Φ((z - point_n) / L), (*batch, 1), of z, (*batch, 1)."""
        return torch.special.ndtr((z - self.points[:, 0]) / self.factor[0, 0]).mean(-1, keepdim=True)

    def _white(self, z: Tensor, places: Tensor | slice, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Rows, (n, D), and the points, both in units of the kernel, from the middle of the points."""
        middle = self.points.mean(0)
        rows, points = ((some.to(self.points) - middle)[:, places] for some in (z, self.points))
        both = torch.linalg.solve_triangular(factor, torch.cat([rows, points]).t(), upper=False).t()
        return both[: len(rows)], both[len(rows) :]


def _squares(rows: Tensor, points: Tensor) -> Iterator[Tensor]:
    """Squares of the distances of rows and points, (n, N), a part of the rows at a time."""
    of_points = points.square().sum(1)
    for part in rows.split(max(1, DISTANCES // len(points))):
        yield (part.square().sum(1, keepdim=True) + of_points - 2 * part @ points.t()).clamp_min(0)


def _log_mean(squares: Tensor) -> Tensor:
    return (-0.5 * squares).logsumexp(1) - math.log(squares.shape[1])


@torch.no_grad()
def fit_kernel_density(y: Tensor, bandwidth: float) -> Flow:
    """The kernel density estimate of rows: kernels with their covariance, shrunk, times the square of a bandwidth.

    Arguments:
        y: (N, D).
        bandwidth: in deviations of the rows.
    """
    flow = _build_kernel_density(y.shape[1], len(y))
    assert isinstance(flow.base, KernelDensity)
    flow.base.points.copy_(y)
    flow.base.factor.copy_(bandwidth * torch.linalg.cholesky(shrunk_covariance(y, within=WITHIN)[1]))
    return flow


@torch.no_grad()
def bandwidth_by_likelihood(y: Tensor, together: Tensor | None = None) -> float:
    """The bandwidth with most likelihood of rows, each under the kernels of the others.

    Arguments:
        y: (N, D).
        together: (N,) labels; rows of the same one say nothing of each other. Default none.

    Source: Duin 1976, doi:10.1109/TC.1976.1674577.

    Example:
        >>> y = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
        >>> 0.15 < bandwidth_by_likelihood(y) < 0.6  # 0.32 by the rule for a normal distribution
        True
    """
    from scipy.optimize import minimize_scalar

    count, features = y.shape
    labels = torch.arange(count) if together is None else together
    mean, covariance = shrunk_covariance(y, within=WITHIN)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (y.double() - mean).t(), upper=False).t()
    left_out = torch.arange(0, count, -(-count // MOST_LEFT_OUT))
    squares = torch.cat(list(_squares(white[left_out], white)))
    squares.masked_fill_(labels[left_out, None] == labels, math.inf)
    squares = squares[squares.isfinite().any(1)]

    def loss(log_bandwidth: float) -> float:
        of_rows = _log_mean(squares * math.exp(-2 * log_bandwidth))
        return features * log_bandwidth - float(of_rows.mean())

    ends = math.log(SMALLEST), math.log(LARGEST)
    return math.exp(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": TOLERANCE}).x)


@register("kernel_density")
def _build_kernel_density(features: Features, points: Annotated[int, Field(ge=1, le=MOST_POINTS)]) -> Flow:
    config = {"architecture": "kernel_density", "features": features, "points": points}
    return Flow(ElementwiseAffine(torch.zeros(features)), KernelDensity(features, points), config)
