"""A smooth function of a context: kernels at some of the rows that it was learned from, and a straight line."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Rows times points of which kernels are in memory at a time.
KERNELS = 2**22
# Squares of distances have no gradient at the root of 0.
LEAST_SQUARE = 1e-12


def kernel(a: Tensor, b: Tensor, amplitude: Tensor, slope: Tensor) -> Tensor:
    """k(a, b) = amplitude · (1 + √5 d + 5 d² / 3) exp(-√5 d) + slope · (1 + a · b), (n, m), d = |a - b|.

    The first term is the Matérn kernel of twice differentiable functions, the second that of straight lines.

    Arguments:
        a: (n, C), in units of the length in which functions vary.
        b: (m, C).
        amplitude: of the functions, ().
        slope: of the lines, ().

    Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapter 4.
    """
    product = a @ b.t()
    squares = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * product).clamp_min(0)
    distance = (5 * squares + LEAST_SQUARE).sqrt()
    return amplitude * (1 + distance + 5 / 3 * squares) * (-distance).exp() + slope * (1 + product)


class KernelRegression(nn.Module):
    """f(c) = start + Σ weight[m] k(u(c), point[m]), u = (c within its range - shift) · scale, k that of `kernel`.

    Arguments:
        features: C.
        points: M.

    Attributes:
        shift: (C,), float64 as all others.
        scale: (C,).
        low: (C,) the range of c in which it was learned.
        high: (C,).
        points: (M, C), in units of u.
        weights: (M,).
        numbers: (3,) start, amplitude and slope.

    Example:
        >>> one = KernelRegression(features=2, points=1)
        >>> one.weights.fill_(1.0), one(torch.zeros(3, 2))[0]
        (tensor([1.], dtype=torch.float64), tensor([1.]))
    """

    shift: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    points: Tensor
    weights: Tensor
    numbers: Tensor

    def __init__(self, features: int, points: int) -> None:
        super().__init__()
        self.features = features
        like = torch.zeros(features, dtype=torch.float64)
        for name, value in {"shift": 0.0, "scale": 1.0, "low": -math.inf, "high": math.inf}.items():
            self.register_buffer(name, torch.full_like(like, value))
        self.register_buffer("points", like.repeat(points, 1))
        self.register_buffer("weights", like.new_zeros(points))
        self.register_buffer("numbers", torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))

    @property
    def sizes(self) -> dict[str, int]:
        """What one of the same size is made by."""
        return {"features": self.features, "points": len(self.points)}

    def units(self, context: Tensor) -> Tensor:
        """u, (n, C) float64, of c, (n, C)."""
        inside = context.to(torch.float64).clamp(self.low.double(), self.high.double())
        return (inside - self.shift.double()) * self.scale.double()

    @torch.no_grad()
    def forward(self, context: Tensor) -> Tensor:
        """f, (*batch, 1), of c, (*batch, C), in its precision and without gradients."""
        rows = context.reshape(-1, self.features)
        points, weights, numbers = (part.double() for part in (self.points, self.weights, self.numbers))
        step = max(1, KERNELS // max(1, len(points)))
        found = [numbers[0] + kernel(self.units(part), points, *numbers[1:]) @ weights for part in rows.split(step)]
        whole = torch.cat(found) if found else rows.new_zeros(0)
        return whole.to(context.dtype).reshape(*context.shape[:-1], 1)
