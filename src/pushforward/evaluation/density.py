"""Whether the density of a flow is one: it integrates to 1, and samples follow it."""

import math

import torch
from torch import Tensor

from pushforward.evaluation.contracts import ContractError
from pushforward.flow import Flow

# The probability of rejecting samples that are right, where a check is a statistical test.
FALSE_ALARM = 2e-3
PERMUTATIONS = 999
COMPARED_DRAWS = 600
PROPOSAL_DRAWS = 20_000
PROPOSAL_TAIL = 4.0
LEAST_EFFECTIVE_DRAWS = 1000
QUADRATURE_POINTS = {1: 8001, 2: 601, 3: 101}


class Inconclusive(Exception):
    """A check that could not decide."""


class ExaminedDensity:
    """A flow at one context, its samples, and a wide Student-t around them as the proposal of importance sampling."""

    def __init__(self, flow: Flow, context: Tensor | None) -> None:
        self.flow = flow
        self.context = context
        self.samples, self.sample_log_prob = flow.sample_with_log_prob((4000,), context)
        middle = self.samples.median(0).values
        # Quantiles, since moments of heavy tails need not exist.
        low, high = self.samples.quantile(torch.tensor([0.1, 0.9], dtype=torch.float64), dim=0)
        self.middle, self.spread = middle, ((high - low) / 2.56).clamp_min(1e-12)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of many points at the context, in nats."""
        return torch.cat([self.flow.log_prob(part, self.context) for part in x.split(100_000)])

    def proposal(self) -> tuple[Tensor, Tensor]:
        """Draws from a Student-t around the samples, and log p - log proposal of each."""
        standard = (self.samples - self.middle) / self.spread
        near = standard[standard.abs().amax(1) < 20]
        factor = torch.linalg.cholesky(
            near.T.cov().view(*2 * [near.shape[1]]) + 1e-6 * torch.eye(near.shape[1]).double()
        )
        features = near.shape[1]
        degrees = torch.tensor(PROPOSAL_TAIL, dtype=torch.float64)
        normal = torch.randn(PROPOSAL_DRAWS, features, dtype=torch.float64)
        chi = torch.distributions.Chi2(degrees).sample((PROPOSAL_DRAWS, 1)) / degrees
        y = near.mean(0) + (normal / chi.sqrt()) @ factor.T
        squared = (normal.square() / chi).sum(1)
        log_proposal = (
            torch.lgamma((degrees + features) / 2)
            - torch.lgamma(degrees / 2)
            - features / 2 * torch.log(degrees * math.pi)
            - factor.diagonal().log().sum()
            - (degrees + features) / 2 * torch.log1p(squared / degrees)
            - self.spread.log().sum()
        )
        x = self.middle + self.spread * y
        return x, self.log_prob(x) - log_proposal


def sample_density(density: ExaminedDensity, tolerance: float) -> float:
    """The density returned with a sample is the density of the sample."""
    again = density.log_prob(density.samples)
    error = float((again - density.sample_log_prob).abs().max())
    if not error <= tolerance * 10:
        raise ContractError(f"the density returned with a sample differs from log_prob of it by {error:.2g}")
    return error


def integral(density: ExaminedDensity) -> float:
    """The density integrates to 1: by quadrature up to three features, beyond by importance sampling."""
    features = density.samples.shape[1]
    if features in QUADRATURE_POINTS:
        total, error = _quadrature(density, QUADRATURE_POINTS[features])
        how = "by quadrature"
    else:
        _, log_weight = density.proposal()
        weight = log_weight.exp()
        total, error = float(weight.mean()), float(weight.std()) / math.sqrt(len(weight))
        effective = float(weight.sum() ** 2 / weight.square().sum())
        how = f"by {len(weight)} weighted draws, {effective:.0f} effective"
        if effective < LEAST_EFFECTIVE_DRAWS:
            raise Inconclusive(f"{total:.4f} ± {error:.4f} {how}: too few to decide")
    if not abs(total - 1) <= 4 * error + 2e-3:
        raise ContractError(f"the density integrates to {total:.4f} ± {error:.4f} {how}")
    return abs(total - 1)


def _quadrature(density: ExaminedDensity, points: int) -> tuple[float, float]:
    """The integral over a grid that is fine around the samples and reaches far out, and its error by half the grid."""
    features = density.samples.shape[1]
    reach = float(((density.samples - density.middle) / density.spread).abs().max()) * 4
    u = torch.linspace(-math.asinh(reach), math.asinh(reach), points, dtype=torch.float64)
    axis, log_step = u.sinh(), u.cosh().log() + math.log(float(u[1] - u[0]))
    grid = torch.stack(torch.meshgrid(*features * [axis], indexing="ij"), -1)
    log_cell = sum(log_step.view([-1 if k == d else 1 for k in range(features)]) for d in range(features))
    x = (density.middle + density.spread * grid).view(-1, features)
    values = (density.log_prob(x).view_as(grid[..., 0]) + log_cell + density.spread.log().sum()).exp()
    half = values[tuple(features * [slice(None, None, 2)])]
    total, coarse = float(values.sum()), float(half.sum()) * 2**features
    return total, abs(total - coarse)


def samples_follow(density: ExaminedDensity) -> float:
    """Energy test of the samples against draws of the proposal, resampled by the density: no sampler is involved."""
    x, log_weight = density.proposal()
    weight = (log_weight - log_weight.logsumexp(0)).exp()
    effective = float(1 / weight.square().sum())
    if effective < LEAST_EFFECTIVE_DRAWS:
        raise Inconclusive(f"only {effective:.0f} effective draws to compare with: too few to decide")
    picked = x[torch.multinomial(weight, COMPARED_DRAWS, replacement=True)]
    return energy_test((density.samples - density.middle) / density.spread, (picked - density.middle) / density.spread)


def energy_test(samples: Tensor, others: Tensor) -> float:
    """Raise if the energy distance of two sets is larger than random relabeling explains."""
    samples, others = (rows[torch.randperm(len(rows))[:COMPARED_DRAWS]] for rows in (samples, others))
    both = torch.cat([samples, others])
    distance = torch.cdist(both, both)
    count, first = len(both), len(samples)
    label = torch.full((count,), -1 / (count - first), dtype=torch.float64)
    label[:first] = 1 / first
    shuffled = torch.stack([label] + [label[torch.randperm(count)] for _ in range(PERMUTATIONS)])
    energies = -((shuffled @ distance) * shuffled).sum(1)
    chance = float((energies >= energies[0]).double().mean())
    if chance <= FALSE_ALARM:
        raise ContractError(
            f"the energy distance is {float(energies[0]):.3g}, as large by chance only with p = {chance:.3f}"
        )
    return 0.0
