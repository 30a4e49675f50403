"""Target densities with known answers, to compare variational fits with.

Each is an unnormalized log-density with what is known of it exactly: log Z, moments.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Cauchy, MultivariateNormal, Normal


@dataclass(frozen=True)
class Target:
    """An unnormalized density p̃ = Z p and what is known of it.

    Attributes:
        name: for tables of results.
        features: D.
        log_density: log p̃ in nats, (*batch,), of points, (*batch, D).
        log_normalizer: log Z; None if unknown.
        mean: (D,) of p; None if unknown.
        deviation: (D,) standard deviations of p; None if unknown.
    """

    name: str
    features: int
    log_density: Callable[[Tensor], Tensor]
    log_normalizer: float | None = None
    mean: Tensor | None = None
    deviation: Tensor | None = None


def energies() -> list[Target]:
    """U1 to U4, the two-dimensional energies of the planar flow paper, log p̃(z) = -U(z) - Σ max(|zᵢ| - 6, 0)².

    The second term makes U2 to U4 normalizable: they do not decay along z₁. log Z is by quadrature.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770, table 1.
    """
    normalizers = {"U1": 1.8775, "U2": 2.6253, "U3": 3.1849, "U4": 3.2539}
    shapes = {"U1": _two_arcs, "U2": _wave, "U3": _two_waves, "U4": _forked_wave}
    return [Target(name, 2, _Bounded(shape), normalizers[name]) for name, shape in shapes.items()]


@dataclass(frozen=True)
class _Bounded:
    log_shape: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, z: Tensor) -> Tensor:
        return self.log_shape(z[..., 0], z[..., 1]) - (z.abs() - 6).clamp_min(0).square().sum(-1)


def _bump(distance: Tensor, width: float) -> Tensor:
    return -0.5 * (distance / width).square()


def _sine(z1: Tensor) -> Tensor:
    return torch.sin(math.pi / 2 * z1)


def _two_arcs(z1: Tensor, z2: Tensor) -> Tensor:
    ring = _bump(torch.sqrt(z1.square() + z2.square() + 1e-12) - 2, 0.4)
    return ring + torch.logaddexp(_bump(z1 - 2, 0.6), _bump(z1 + 2, 0.6))


def _wave(z1: Tensor, z2: Tensor) -> Tensor:
    return _bump(z2 - _sine(z1), 0.4)


def _two_waves(z1: Tensor, z2: Tensor) -> Tensor:
    second = 3 * torch.exp(_bump(z1 - 1, 0.6))
    return torch.logaddexp(_bump(z2 - _sine(z1), 0.35), _bump(z2 - _sine(z1) + second, 0.35))


def _forked_wave(z1: Tensor, z2: Tensor) -> Tensor:
    second = 3 * torch.sigmoid((z1 - 1) / 0.3)
    return torch.logaddexp(_bump(z2 - _sine(z1), 0.4), _bump(z2 - _sine(z1) + second, 0.35))


def funnel(features: int = 10) -> Target:
    """Neal's funnel: v ~ N(0, 3²), the other D - 1 coordinates ~ N(0, exp(v)), v first. log Z = 0."""

    def log_density(x: Tensor) -> Tensor:
        v, rest = x[..., :1], x[..., 1:]
        narrow = -0.5 * (rest.square() * torch.exp(-v) + v + math.log(2 * math.pi)).sum(-1)
        return narrow + Normal(0.0, 3.0).log_prob(v[..., 0])

    deviation = torch.full((features,), math.exp(2.25))
    deviation[0] = 3.0
    return Target(f"funnel ({features})", features, log_density, 0.0, torch.zeros(features), deviation)


def many_well(features: int = 32) -> Target:
    """D / 2 independent pairs, log p̃ = Σ -a⁴ + 6 a² + a / 2 - b² / 2: 2^(D/2) modes of unequal weight.

    log Z = D / 2 · (log 11784.50927 + log √(2π)), the first factor by quadrature.

    Source: Midgley et al. 2022, arXiv:2208.01893.
    """

    def log_density(x: Tensor) -> Tensor:
        a, b = x[..., 0::2], x[..., 1::2]
        return (-(a**4) + 6 * a.square() + 0.5 * a - 0.5 * b.square()).sum(-1)

    a = torch.linspace(-4, 4, 80001, dtype=torch.float64)
    weight = torch.softmax(-(a**4) + 6 * a.square() + 0.5 * a, 0)
    mean_a = (weight * a).sum()
    deviation_a = (weight * (a - mean_a).square()).sum().sqrt()
    pairs = features // 2
    mean = torch.tensor([float(mean_a), 0.0]).repeat(pairs)
    deviation = torch.tensor([float(deviation_a), 1.0]).repeat(pairs)
    log_normalizer = pairs * (math.log(11784.50927) + 0.5 * math.log(2 * math.pi))
    return Target(f"many-well ({features})", features, log_density, log_normalizer, mean, deviation)


def eight_schools() -> Target:
    """The eight schools, not centered: (θ'₁ .. θ'₈, μ, log τ), effect θ = μ + τ θ'.

    θ' ~ N(0, 1), μ ~ N(0, 5²), τ ~ half-Cauchy(5), yᵢ ~ N(θᵢ, σᵢ²). The density is that of log τ, Jacobian included.
    The known moments are those of μ and of τ, from long reference chains: 4.41 ± 3.31 and 3.60 ± 3.20.

    Source: Rubin 1981; Gelman et al., Bayesian Data Analysis.
    """
    effect = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    error = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

    def log_density(x: Tensor) -> Tensor:
        standard, mu, log_tau = x[..., :8], x[..., 8], x[..., 9]
        tau = log_tau.exp()
        schools = mu[..., None] + tau[..., None] * standard
        prior = Normal(0.0, 1.0).log_prob(standard).sum(-1) + Normal(0.0, 5.0).log_prob(mu)
        prior = prior + Cauchy(0.0, 5.0).log_prob(tau) + math.log(2) + log_tau
        likelihood = Normal(schools, error.to(x)).log_prob(effect.to(x)).sum(-1)
        return prior + likelihood

    return Target("eight schools", 10, log_density)


def linear_regression(features: int = 10, rows: int = 40, noise: float = 0.5, seed: int = 0) -> Target:
    """Bayesian linear regression with known noise: y = X w + noise ε, w ~ N(0, 1). Everything is known in closed form.

    Arguments:
        features: D, number of weights.
        rows: number of observations.
        noise: standard deviation of ε.
        seed: of X, of the true weights and of ε.
    """
    generator = torch.Generator().manual_seed(seed)
    design = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    true = torch.randn(features, generator=generator, dtype=torch.float64)
    y = design @ true + noise * torch.randn(rows, generator=generator, dtype=torch.float64)
    precision = torch.eye(features, dtype=torch.float64) + design.T @ design / noise**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ design.T @ y / noise**2
    evidence = MultivariateNormal(
        torch.zeros(rows, dtype=torch.float64), design @ design.T + noise**2 * torch.eye(rows, dtype=torch.float64)
    )

    def log_density(w: Tensor) -> Tensor:
        prior = Normal(0.0, 1.0).log_prob(w).sum(-1)
        return prior + Normal(w @ design.T.to(w), noise).log_prob(y.to(w)).sum(-1)

    return Target(
        f"linear regression ({features})",
        features,
        log_density,
        float(evidence.log_prob(y)),
        mean.float(),
        covariance.diagonal().sqrt().float(),
    )


def two_moons(observation: Sequence[float | Tensor] = (0.0, 0.0)) -> Target:
    """The two-moons posterior: two crescents of θ in [-1, 1]² given one observation, under a uniform prior.

    observation = (r cos a + 1/4, r sin a) + (-|θ₁ + θ₂|, -θ₁ + θ₂) / √2, a ~ U(-π/2, π/2), r ~ N(0.1, 0.01²).
    Outside the square and behind the crescents the density decays by a factor e every 0.001 instead of being zero, so
    that it has gradients everywhere.

    Source: Greenberg, Nonnenmacher and Macke 2019, arXiv:1905.07488; Lueckmann et al. 2021, arXiv:2101.04653.
    """

    def log_density(theta: Tensor) -> Tensor:
        first, second = theta.unbind(-1)
        across = observation[0] - 0.25 + (first + second).abs() / math.sqrt(2)
        along = observation[1] - (second - first) / math.sqrt(2)
        r = torch.sqrt(across.square() + along.square() + 1e-12)
        # Uniform in the angle: the density over the plane is that of r over π r, on the right half only.
        moon = Normal(0.1, 0.01).log_prob(r) - torch.log(math.pi * r)
        behind = -(-across).clamp_min(0) / 0.001
        outside = -((theta.abs() - 1).clamp_min(0) / 0.001).sum(-1)
        return moon + behind + outside - math.log(4)

    return Target("two moons", 2, log_density)
