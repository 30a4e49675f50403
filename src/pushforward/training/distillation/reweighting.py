"""Exact expectations under a teacher from draws of its student."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.support.modules import device_of, frozen
from pushforward.support.seeding import seeded, stream, uniform_noise
from pushforward.training.distillation.measurement import context_rows, draws_of
from pushforward.training.importance import LARGEST_PARETO_K, effective_share, pareto_k


@dataclass
class Reweighted:
    """Draws of a student with the weights that make them represent its teacher.

    Attributes:
        x: (draws, D).
        weights: (draws,), float64, self-normalized: proportional to p(x) / q(x), of sum 1.
        effective_sample_size: 1 / Σ weights², how many draws of the teacher they are worth.
        pareto_k: shape of the tail of the weights; above 0.7 they cannot be trusted.
    """

    x: Tensor
    weights: Tensor
    effective_sample_size: float
    pareto_k: float

    def expectation(self, function: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The teacher's expectation of a function of x, and its standard error.

        Arguments:
            function: from x, (draws, D), to values, (draws, ...); by default x itself.

        Returns:
            Σ weights · value and √(Σ weights² · (value - expectation)²), each of the shape of one value, float64.
        """
        values = (self.x if function is None else function(self.x)).to(self.weights)
        weights = self.weights.view(-1, *[1] * (values.ndim - 1))
        # Where p is 0, the function need not have a value.
        values = torch.where(weights > 0, values, 0.0)
        mean = (weights * values).sum(0)
        return mean, (weights.square() * (values - mean).square()).sum(0).sqrt()


@dataclass
class Chains:
    """Markov chains whose law is the teacher's.

    Attributes:
        x: (steps, chains, D).
        acceptance_rate: share of proposals that were accepted.
        longest_stay: the largest number of steps in a row for which a chain did not move.
    """

    x: Tensor
    acceptance_rate: float
    longest_stay: int


def reweight(teacher: Any, student: Any, draws: int = 20_000, *, context: Any = None, seed: int = 0) -> Reweighted:
    """Draw from a student, and weight the draws so that they represent its teacher: importance sampling.

    E_p[h(x)] = Σ w h(x) / Σ w with w = p(x) / q(x): exact in the limit of many draws, whatever the errors of the
    student, as long as it covers all of the teacher.

    Arguments:
        teacher: p, has `log_prob(x, context)`; it need not be normalized.
        student: q, has `rsample_with_log_prob(shape, context)`.
        draws: how many.
        context: the one context, (C,) or (...), of conditional densities.
        seed: of the draws.

    Returns:
        Draws, weights, effective sample size and Pareto k̂; `.expectation(h)` gives the teacher's expectations. Warns
        with a RuntimeWarning where the weights cannot be trusted.

    Raises:
        InputError: fewer than two draws have a weight.

    Cost: one pass of the student and one log_prob of the teacher.

    Example:
        >>> import pushforward as pf
        >>> base = pf.distributions.StandardNormal(1)
        >>> teacher, student = (pf.Flow(pf.bijections.ElementwiseAffine([0.0], [scale]), base) for scale in (1.0, 1.2))
        >>> mean, error = pf.reweight(teacher, student).expectation(torch.square)
        >>> abs(float(mean) - 1.0) < 4 * float(error) < 0.1
        True
    """
    x, log_weights = _weighted_draws(teacher, student, draws, context, seed)
    kept = log_weights.isfinite()
    if int(kept.sum()) < 2:
        raise InputError("log p(x) - log q(x) is finite for fewer than two of the student's draws: no weights.")
    shape = pareto_k(log_weights[kept])
    # A draw where p is 0 has weight 0; one where it is not a number has none either.
    weights = torch.where(kept, log_weights, -torch.inf).softmax(0)
    size = effective_share(log_weights[kept]) * int(kept.sum())
    if shape > LARGEST_PARETO_K:
        warnings.warn(
            f"The importance weights have Pareto k {shape:.2f}, above {LARGEST_PARETO_K}, and {draws} draws are worth "
            f"{size:.0f}: the student misses a part of the teacher. Do not trust the expectations; distill longer, or "
            "use a more flexible student.",
            RuntimeWarning,
            stacklevel=2,
        )
    return Reweighted(x, weights, size, shape)


def independence_metropolis(
    teacher: Any,
    student: Any,
    steps: int = 1000,
    *,
    chains: int = 16,
    warm_up: int = 100,
    context: Any = None,
    seed: int = 0,
) -> Chains:
    """Draw from a teacher by Metropolis-Hastings with proposals of its student.

    Each step proposes x' from q, whatever x is, and goes there with probability min(1, p(x') q(x) / (p(x) q(x'))). The
    law of the chains converges to p, faster the better the student is.

    Arguments:
        teacher: p, has `log_prob(x, context)`; it need not be normalized.
        student: q, has `rsample_with_log_prob(shape, context)`.
        steps: of each chain, after the warm-up.
        chains: how many run side by side.
        warm_up: first steps, which are dropped: a chain starts at a draw of the student.
        context: the one context, (C,) or (...), of conditional densities.
        seed: of proposals and decisions.

    Returns:
        The chains, the share of proposals accepted (1 is perfect), and the longest stay at one place.

    Raises:
        InputError: numbers out of range, or a chain without a proposal of finite weight.

    Cost: one pass of the student and one log_prob of the teacher for each step and chain.

    Source: Tierney 1994, doi:10.1214/aos/1176325750.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.maf(2, layers=1)
        >>> found = pf.independence_metropolis(flow, flow, steps=50, chains=4)
        >>> found.x.shape, found.acceptance_rate > 0.99
        (torch.Size([50, 4, 2]), True)
    """
    if steps < 1 or chains < 1 or warm_up < 0:
        raise InputError(
            f"steps and chains must be at least 1 and warm_up 0 or more; they are {steps}, {chains} and {warm_up}."
        )
    total = warm_up + steps
    x, log_weights = _weighted_draws(teacher, student, (total + 1) * chains, context, seed)
    log_weights = torch.where(log_weights.isnan(), -torch.inf, log_weights).view(total + 1, chains)
    # min(1, w' / w) against a uniform number, in logarithms. It must not depend on the noise of the proposals.
    thresholds = uniform_noise((total, chains), stream(seed, "decisions")).log()
    place = torch.zeros(chains, dtype=torch.long)
    weight, stay = log_weights[0], torch.zeros(chains, dtype=torch.long)
    places, accepted, longest = [], 0, 0
    for step in range(total):
        proposed = log_weights[step + 1]
        # From a point of weight 0 any proposal is accepted.
        goes = (weight == -torch.inf) | (thresholds[step] < proposed - weight)
        place, weight = torch.where(goes, step + 1, place), torch.where(goes, proposed, weight)
        if step >= warm_up:
            stay = torch.where(goes, 0, stay + 1)
            accepted, longest = accepted + int(goes.sum()), max(longest, int(stay.max()))
            places.append(place)
    if bool((weight == -torch.inf).any()):
        raise InputError("A chain has met no proposal where log p(x) - log q(x) is finite: do p and q share a support?")
    rows = torch.stack(places) * chains + torch.arange(chains)
    return Chains(x[rows.to(x.device)], accepted / (steps * chains), longest)


def _weighted_draws(teacher: Any, student: Any, draws: int, context: Any, seed: int) -> tuple[Tensor, Tensor]:
    """Draws of the student, (draws, D), and log p(x) - log q(x), (draws,), float64 on the CPU."""
    if draws < 2:
        raise InputError(f"draws must be at least 2; they are {draws}.")
    one = None if context is None else context_rows(student, torch.as_tensor(context).unsqueeze(0))
    parts, log_weights = [], []
    with frozen(teacher), frozen(student), torch.no_grad(), seeded(seed, device_of(student)):
        for x, log_q, rows in draws_of(student, draws, one):
            parts.append(x)
            log_weights.append((teacher.log_prob(x, rows).double() - log_q.double()).cpu())
    return torch.cat(parts), torch.cat(log_weights)
