"""Small densities with known answers."""

import math

import torch
from torch import Tensor, nn


class AffineGaussian(nn.Module):
    """x = shift + exp(log_scale) z, z standard normal; with context the shift is linear in it."""

    allows_gaps = False
    context_allows_gaps = False
    config = None

    def __init__(self, features: int = 2, context_features: int = 0):
        super().__init__()
        self.features = features
        self.context_features = context_features
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))
        self.slope = nn.Linear(context_features, features, bias=False) if context_features else None

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        mean = self.shift if self.slope is None else self.shift + self.slope(context)
        z = (x - mean) * torch.exp(-self.log_scale)
        return -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1) - self.log_scale.sum()


class Intolerant(AffineGaussian):
    """Rows whose second number is far out have no density."""

    def log_prob(self, x, context=None):
        return torch.where(x[:, 1] > 50, torch.nan, super().log_prob(x, context))


class Affected(AffineGaussian):
    """An affine Gaussian with something that happens at a given call in train mode."""

    def __init__(self, at_call: int, happening):
        super().__init__()
        self.at_call = at_call
        self.happening = happening
        self.calls = 0

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        value = super().log_prob(x, context)
        if self.training:
            self.calls += 1
            if self.calls == self.at_call:
                return self.happening(self, x, value)
        return value


def gaussian_rows(rows: int = 600, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor([1.0, -2.0]) + torch.tensor([0.5, 3.0]) * torch.randn(rows, 2, generator=generator)
