"""Densities of quantities that are measured with known errors."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Density
from pushforward.support.even_points import normal_points
from pushforward.table_models.dequantized import DRAWS as DRAWS_OF_ROWS
from pushforward.table_models.dequantized import LATENT_POINTS

# Draws of the noise for each row: new ones in training, fixed ones for scores.
DRAWS_IN_TRAINING, DRAWS = 8, 128


class DeconvolvedDensity(nn.Module):
    """The density of measured values x' = x + error · ε, ε standard normal, where p(x) is that of the true values.

    log p(x' | error) = log ∫ p(x' - error · ε) N(ε) dε ≈ log 1/K Σ_k p(x' - error · ε_k): the mean of the densities
    over K draws is unbiased, and its logarithm is too low by about half the relative variance of that mean. This bias
    falls as 1/K, and is small unless the error is larger than the structure of p. Training on this is maximum
    likelihood of p(x) itself, deconvolved. In training mode the draws are new at every call; in evaluation mode they
    are a fixed set that fills the cube evenly, so that a row always has the same value.

    Arguments:
        density: p(x) of the true values.
        with_errors: which of its D features have errors.
        draws: K of evaluation mode, default 128.

    Source: Bovy, Hogg and Roweis 2011, extreme deconvolution, arXiv:0905.2979; with flows and importance weights,
    Dockhorn, Ritchie, Yu and Murray 2020, arXiv:2006.09396.

    Cost: that of p(x), K times.
    """

    allows_gaps = False
    draws: Tensor

    def __init__(self, density: Density, with_errors: Sequence[int], draws: int = DRAWS) -> None:
        super().__init__()
        self.density = density
        self.with_errors = list(with_errors)
        self.register_buffer("draws", normal_points(draws, len(self.with_errors)), persistent=False)

    @property
    def features(self) -> int:
        """D and the number of errors: what log_prob takes."""
        return self.density.features + len(self.with_errors)

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return self.density.context_features

    @property
    def context_allows_gaps(self) -> bool:
        """Whether values of the context may be missing, NaN."""
        return self.density.context_allows_gaps

    @property
    def config(self) -> dict[str, Any]:
        """The density and which features have errors, as plain JSON: enough to tell two densities apart."""
        return {"density": self.density.config, "measured": self.with_errors}

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        return (
            "the density of measured values: that of the true ones convolved with the noise of their errors, "
            f"averaged over {len(self.draws)} draws of it"
        )

    def log_prob(self, rows: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x' | error, context) in nats, (n,).

        Arguments:
            rows: (n, D and errors): measured values, then the error of each measured feature, not negative.
            context: (n, C).
        """
        x, errors = rows.split([self.density.features, len(self.with_errors)], -1)
        count = DRAWS_IN_TRAINING if self.training else len(self.draws)
        noise = torch.randn(count, *errors.shape, dtype=x.dtype, device=x.device)
        if not self.training:
            noise = self.draws.to(x.dtype)[:, None].expand(count, *errors.shape)
        true = x.repeat(count, 1, 1)
        true[..., self.with_errors] = true[..., self.with_errors] - errors * noise
        context = None if context is None else context.repeat(count, 1)
        log_prob = self.density.log_prob(true.reshape(-1, self.density.features), context).reshape(count, -1)
        return log_prob.logsumexp(0) - math.log(count)

    def beyond_range(self, conditions: Tensor) -> Tensor:
        """Which conditions, (n, C), lie beyond the range of the training rows."""
        return self.density.beyond_range(conditions)

    def check_shares(self) -> None:
        """Refuse: a mean of densities is not a product of conditionals.

        Raises:
            InputError: always.
        """
        raise InputError("This model has no shares of columns: its scores average over measurement errors.")

    def log_prob_of_each(self, rows: Tensor, context: Tensor | None = None) -> Tensor:
        """Refused, as by `check_shares`."""
        self.check_shares()
        raise NotImplementedError

    @torch.no_grad()
    def distribution_functions(self, rows: Tensor, context: Tensor | None = None) -> Tensor:
        """P(measured value < its value | error, context) of each column, and P(≤), (2, n, D), over 256 latent points.

        Arguments:
            rows: (n, D and errors): measured values, then the error of each measured feature.
            context: (n, C).
        """
        measured, errors = rows.double().split([self.density.features, len(self.with_errors)], -1)
        noise = torch.zeros_like(measured)
        noise[:, self.with_errors] = errors
        z = normal_points(LATENT_POINTS, self.density.features).to(measured)
        found = []
        for part in torch.arange(len(rows), device=rows.device).split(max(1, DRAWS_OF_ROWS // len(z))):
            size = len(part)
            # Latents come first: each of them with every row.
            given = None if context is None else context[part].repeat(len(z), 1)
            true = self.density.draws_of(z.repeat_interleave(size, 0), given)  # type: ignore[attr-defined]
            away = measured[part] - true.view(len(z), size, -1)
            smooth = torch.special.ndtr(away / noise[part].clamp_min(torch.finfo(away.dtype).tiny))
            steps = (away > 0, away >= 0)
            found.append(torch.stack([torch.where(noise[part] > 0, smooth, step.to(smooth)).mean(0) for step in steps]))
        return torch.cat(found, 1) if found else torch.stack([measured, measured])

    def chain_order(self) -> list[int] | None:
        """None: a mean of densities is not a product of conditionals."""
        return None

    def distribution_functions_in_order(self, rows: Tensor, context: Tensor | None = None) -> Tensor:
        """Refused, as by `check_shares`."""
        self.check_shares()
        raise NotImplementedError

    @property
    def evaluations(self) -> int:
        """The draws of the noise."""
        return len(self.draws)

    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """True values drawn, (*shape, *batch, D), without errors."""
        return self.density.sample(shape, context)

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, D), from the global random state; of a density of a table's codes."""
        return self.density.noise(rows)  # type: ignore[attr-defined]

    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws that `sample` makes of noise, (n, D)."""
        return self.density.draws_of(noise, context)  # type: ignore[attr-defined]
