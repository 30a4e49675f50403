"""How well a flow fits an unnormalized density, measured on draws of the flow."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.support.seeding import seeded
from pushforward.training.history import History
from pushforward.training.importance import LARGEST_PARETO_K, effective_share, pareto_k
from pushforward.training.likelihood import CHUNK_ROWS
from pushforward.training.reverse_kl import LogDensity

if TYPE_CHECKING:
    from pushforward.flow import Flow


@dataclass
class VariationalFit:
    """How well a flow q fits an unnormalized density p̃ = Z p, from draws of q.

    Attributes:
        elbo: E_q[log p̃ - log q], at most log Z, in nats.
        elbo_error: Its standard error.
        log_normalizer: The importance-weighted estimate of log Z, log mean p̃ / q.
        log_normalizer_error: Its standard error, which is only right where `pareto_k` is small.
        effective_sample_size: (Σ weights)² / Σ weights², as a share of the draws: 1 is perfect.
        pareto_k: Shape of the tail of the weights; above 0.7 do not trust anything computed from them.
        kl: KL(q || p) = log Z - ELBO, where log Z is known; else None.
        draws: The number of draws behind the figures.
        history: The history of the fit, whose held-out values are the ELBO on fixed draws; None if there was no fit.
    """

    elbo: float
    elbo_error: float
    log_normalizer: float
    log_normalizer_error: float
    effective_sample_size: float
    pareto_k: float
    kl: float | None
    draws: int
    history: History | None = None

    def __str__(self) -> str:
        known = "" if self.kl is None else f", KL {self.kl:.4f}"
        trust = "" if self.pareto_k <= LARGEST_PARETO_K else " (do not trust it)"
        return (
            f"ELBO {self.elbo:.4f} ± {self.elbo_error:.4f}{known}; importance-weighted log Z "
            f"{self.log_normalizer:.4f} ± {self.log_normalizer_error:.4f}, effective sample size "
            f"{self.effective_sample_size:.1%} of {self.draws}, Pareto k {self.pareto_k:.2f}{trust}"
        )


def evaluate_on_target(
    flow: Flow,
    log_density: LogDensity,
    *,
    draws: int = 20_000,
    log_normalizer: float | None = None,
    seed: int = 0,
    history: History | None = None,
) -> VariationalFit:
    """Measure how well a flow fits an unnormalized density, from fresh draws of the flow.

    Arguments:
        flow: q.
        log_density: log p̃ in nats, (batch,), of points, (batch, features).
        draws: The number of draws.
        log_normalizer: log Z, where it is known.
        seed: Seed of the draws.
        history: Put into the result.

    Returns:
        ELBO, importance-weighted log Z, effective sample size, Pareto k̂, and KL where log Z is known. A
        RuntimeWarning says if the fit cannot be trusted.

    Raises:
        InputError: log_density gives no finite number for a draw.
    """
    with torch.no_grad():
        weights = log_weights(flow, log_density, draws, seed)
    if not bool(weights.isfinite().all()):
        bad = int((~weights.isfinite()).nonzero()[0])
        raise InputError(f"log p̃ - log q is {float(weights[bad])} at draw {bad} of {draws}: is p̃ zero there?")
    shape, share = pareto_k(weights), effective_share(weights)
    mean = weights.logsumexp(0) - math.log(draws)
    relative = (weights - mean).exp()
    elbo = float(weights.mean())
    if shape > LARGEST_PARETO_K:
        warnings.warn(
            f"The importance weights have Pareto k {shape:.2f}, above {LARGEST_PARETO_K}, and an effective sample "
            f"size of {share:.2%}: the flow's tails are lighter than the target's, or it misses a part of it. Do not "
            "trust log Z or moments; train longer, anneal, or use a more flexible flow.",
            RuntimeWarning,
            stacklevel=2,
        )
    return VariationalFit(
        elbo=elbo,
        elbo_error=float(weights.std()) / math.sqrt(draws),
        log_normalizer=float(mean),
        log_normalizer_error=float(relative.std()) / math.sqrt(draws),
        effective_sample_size=share,
        pareto_k=shape,
        kl=None if log_normalizer is None else log_normalizer - elbo,
        draws=draws,
        history=history,
    )


def log_weights(flow: Flow, log_density: LogDensity, draws: int, seed: int) -> Tensor:
    """Return log p̃(x) - log q(x) of draws x from q, float64, (draws,)."""
    parts = []
    with seeded(seed, device_of(flow)):
        for start in range(0, draws, CHUNK_ROWS):
            x, log_q = flow.rsample_with_log_prob((min(CHUNK_ROWS, draws - start),))
            parts.append((log_density(x).double() - log_q.double()).cpu())
    return torch.cat(parts)
