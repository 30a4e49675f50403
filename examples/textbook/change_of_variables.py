"""The change of variables by hand: a bent Gaussian, from a custom map with two parameters.

x₁ = a z₁, x₂ = z₂ + b z₁²: the Jacobian is triangular, log|det| = log a.
"""

import math

import torch
from torch import nn

import pushforward as pf
from plane import fit_and_draw


class Bend(pf.Bijection):
    """x = (a z₁, z₂ + b z₁²)."""

    features = 2

    def __init__(self):
        super().__init__()
        self.log_a = nn.Parameter(torch.zeros(()))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, z, context=None):
        """Stretch and bend."""
        x = torch.stack([self.log_a.exp() * z[..., 0], z[..., 1] + self.b * z[..., 0] ** 2], -1)
        return x, self.log_a.expand(z.shape[:-1])

    def inverse(self, x, context=None):
        """Straighten."""
        z1 = x[..., 0] * (-self.log_a).exp()
        return torch.stack([z1, x[..., 1] - self.b * z1**2], -1), -self.log_a.expand(x.shape[:-1])


def bent(rows: int, seed: int) -> torch.Tensor:
    """Return draws of the bent Gaussian with a = 2, b = 0.8."""
    z = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([2 * z[:, 0], z[:, 1] + 0.8 * z[:, 0] ** 2], 1)


print(pf.check_bijection(Bend()))
flow = pf.Flow(Bend(), pf.distributions.StandardNormal(2))
# The entropy of a Gaussian plus the log|det| of the map.
fit_and_draw("change_of_variables", flow, bent, 1 + math.log(2 * math.pi) + math.log(2), max_time=5)
