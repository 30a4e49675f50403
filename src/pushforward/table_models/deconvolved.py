"""Densities of quantities that were measured with known errors."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Draws of the noise for each row: fresh ones in training, fixed ones for scores.
DRAWS_IN_TRAINING, DRAWS = 8, 128


class DeconvolvedDensity(nn.Module):
    """The density of measured values x' = x + error · ε, ε standard normal, where p(x) is that of the true ones.

    log p(x' | error) = log ∫ p(x' - error · ε) N(ε) dε ≈ log 1/K Σ_k p(x' - error · ε_k): the mean of the densities
    over K draws is right on average, and its logarithm too low by about half the relative variance of that mean. This
    bias falls as 1/K, and is small where the error is no larger than the structure of p. Training on this is maximum
    likelihood of p(x) itself, deconvolved. In training mode the draws are fresh; in evaluation mode they are a fixed
    set that fills the cube evenly, so that a row always has the same value.

    Arguments:
        density: p(x), with log_prob(x, context).
        features: D.
        measured: which features have errors.
        draws: K of evaluation mode, default 128.

    Source: Bovy, Hogg and Roweis 2011, extreme deconvolution, arXiv:0905.2979; with flows and importance weights,
    Dockhorn, Ritchie, Yu and Murray 2020, arXiv:2006.09396.

    Cost: that of p(x), K times.
    """

    draws: Tensor

    def __init__(self, density: Any, features: int, measured: Sequence[int], draws: int = DRAWS) -> None:
        super().__init__()
        self.density = density
        self.columns = features
        self.measured = list(measured)
        engine = torch.quasirandom.SobolEngine(len(self.measured), scramble=True, seed=0)
        uniform = engine.draw(draws, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
        self.register_buffer("draws", torch.special.ndtri(uniform), persistent=False)

    @property
    def features(self) -> int:
        """D and the number of errors: what log_prob takes."""
        return self.columns + len(self.measured)

    @property
    def config(self) -> dict[str, Any]:
        """The density and which features have errors, as plain JSON: what a checkpoint is of."""
        return {"density": getattr(self.density, "config", None), "measured": self.measured}

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return int(self.density.context_features)

    def log_prob(self, rows: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x' | error, context) in nats, (n,).

        Arguments:
            rows: (n, D and errors): measured values, then the error of each measured feature, not negative.
            context: (n, C).
        """
        x, errors = rows.split([self.columns, len(self.measured)], -1)
        count = DRAWS_IN_TRAINING if self.training else len(self.draws)
        noise = torch.randn(count, *errors.shape, dtype=x.dtype, device=x.device)
        if not self.training:
            noise = self.draws.to(x.dtype)[:, None].expand(count, *errors.shape)
        true = x.repeat(count, 1, 1)
        true[..., self.measured] = true[..., self.measured] - errors * noise
        context = None if context is None else context.repeat(count, 1)
        log_prob = self.density.log_prob(true.reshape(-1, self.columns), context).reshape(count, -1)
        return log_prob.logsumexp(0) - math.log(count)
