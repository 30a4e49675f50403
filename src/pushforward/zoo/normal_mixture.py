"""A mixture of Gaussians with full covariances, as the base of a flow that leaves it as it is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from pushforward.bijections import ElementwiseAffine
from pushforward.distributions import Base
from pushforward.flow import Flow
from pushforward.zoo.covariance import shrunk_covariance
from pushforward.zoo.options import Features
from pushforward.zoo.registry import register

MOST_COMPONENTS = 10_000
# What is added to the variances of components, in those of all rows: a component does not collapse onto a few of them.
LEAST_VARIANCE = 1e-6
# The numbers of components are tried in their order, on so many rows, until the criterion has risen twice.
ROWS_OF_CHOICE = 1_000
COMPONENTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


class NormalMixture(Base):
    """p(z) = Σ w_k N(z; mean_k, L_k L_kᵀ), with full covariances that are found once and not trained.

    Arguments:
        features: D.
        components: K.

    Attributes:
        log_weights: (K,), as all of these in float64.
        means: (K, D).
        factors: (K, D, D) lower triangular L, with a positive diagonal.

    Example:
        >>> mixture = NormalMixture(features=2, components=3)
        >>> torch.allclose(mixture.log_prob(torch.zeros(2)), torch.tensor(-math.log(2 * math.pi)))
        True
    """

    of_rows = True
    log_weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, features: int, components: int) -> None:
        super().__init__(features)
        self.register_buffer("log_weights", torch.full((components,), -math.log(components), dtype=torch.float64))
        self.register_buffer("means", torch.zeros(components, features, dtype=torch.float64))
        ones = torch.eye(features, dtype=torch.float64).expand(components, -1, -1)
        self.register_buffer("factors", ones.clone())

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        each = self._terms(z, self.means, self.factors).sum(1) + self.log_weights[:, None]
        return each.logsumexp(0).reshape(z.shape[:-1]).to(z.dtype)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d] | z before d), (*batch, D): the features before d determine the weights of the components."""
        places = torch.tensor(list(order), device=z.device)
        covariances = self.factors @ self.factors.mT
        factors = torch.linalg.cholesky(covariances[:, places][:, :, places])
        joint = self._terms(z[..., places], self.means[:, places], factors).cumsum(1) + self.log_weights[:, None, None]
        return chain_rule(joint, places).reshape(z.shape).to(z.dtype)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D)."""
        count = math.prod(shape)
        which = torch.multinomial(self.log_weights.exp(), max(1, count), replacement=True)[:count]
        noise = torch.randn(count, self.features, 1, dtype=self.means.dtype, device=self.means.device)
        return (self.means[which] + (self.factors[which] @ noise)[..., 0]).reshape(*shape, self.features)

    def distribution_function(self, z: Tensor) -> Tensor:
        """Σ w_k Φ((z - mean_k) / L_k), (*batch, 1), of z, (*batch, 1)."""
        below = torch.special.ndtr((z - self.means[:, 0]) / self.factors[:, 0, 0])
        return (below * self.log_weights.exp()).sum(-1, keepdim=True)

    def set(self, weights: Tensor, means: Tensor, factors: Tensor) -> NormalMixture:
        """Take the numbers of a fit, and return itself."""
        self.log_weights.copy_(weights.log())
        self.means.copy_(means)
        self.factors.copy_(factors)
        return self

    def _terms(self, z: Tensor, means: Tensor, factors: Tensor) -> Tensor:
        """log N of each feature given those before it, (K, D, n), under each component."""
        deviations = z.reshape(-1, self.features).to(means) - means[:, None]
        standardized = torch.linalg.solve_triangular(factors, deviations.mT, upper=False)
        log_scales = factors.diagonal(dim1=-2, dim2=-1).log()[..., None]
        return -0.5 * standardized.square() - log_scales - 0.5 * math.log(2 * math.pi)


def chain_rule(joint: Tensor, places: Tensor) -> Tensor:
    """log p(z[d] | z before d), (n, D), of a mixture.

    Arguments:
        joint: (K, D, n) log-densities of the features up to each in an order, with the weights of the parts.
        places: (D,) the features in that order.
    """
    log_prob = joint.logsumexp(0).t()
    terms = torch.cat([log_prob[:, :1], log_prob.diff(dim=-1)], -1)
    return torch.empty_like(terms).index_copy(-1, places, terms)


@torch.no_grad()
def fit_normal_mixture(y: Tensor, components: int, seed: int = 0) -> Flow:
    """The mixture of most likelihood of rows, by expectation-maximization from two starts.

    Arguments:
        y: (N, D), N at least `components`.
        components: K.
        seed: of the starts.
    """
    flow = _build_normal_mixture(y.shape[1], components)
    assert isinstance(flow.base, NormalMixture)
    flow.base.set(*_fitted(y, components, seed)[:3])
    return flow


@torch.no_grad()
def components_by_bic(y: Tensor, seed: int = 0, most: int = COMPONENTS[-1]) -> int:
    """The number of components with the least Bayesian information criterion, which rises beyond it.

    Arguments:
        y: (N, D), of which evenly spaced rows are taken where there are more than 1,000.
        seed: of the starts.
        most: components.

    Source: Schwarz 1978, doi:10.1214/aos/1176344136.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> y = torch.randn(300, 2, generator=generator) + 9 * torch.randint(2, (300, 1), generator=generator)
        >>> components_by_bic(y)
        2
    """
    best, least, risen = 1, math.inf, 0
    y = y[:: -(-len(y) // ROWS_OF_CHOICE)]
    # Every component has more rows than its covariance needs to have an inverse.
    for number in (count for count in COMPONENTS if count <= max(1, min(most, len(y) // (y.shape[1] + 2)))):
        criterion = _fitted(y, number, seed)[3]
        risen = 0 if criterion < least else risen + 1
        if criterion < least:
            best, least = number, criterion
        if risen == 2:
            break
    return best


def _fitted(y: Tensor, components: int, seed: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Weights, means and factors of the better of two fits, and its criterion.

    Clusters are first looked for in units in which the rows have variance one in every column, and in those in which
    they have it in every direction: either may hide what the other shows.
    """
    mean, covariance = shrunk_covariance(y)
    factors = [covariance.diagonal().sqrt().diag(), torch.linalg.cholesky(covariance)]
    found = [_fitted_in(factor, mean, y, components, seed) for factor in (factors if components > 1 else factors[1:])]
    return min(found, key=lambda one: one[3])


def _fitted_in(
    factor: Tensor, mean: Tensor, y: Tensor, components: int, seed: int
) -> tuple[Tensor, Tensor, Tensor, float]:
    """The same of a fit in the units in which mean + factor · u are the rows."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

    units = torch.linalg.solve_triangular(factor, (y.double() - mean).t(), upper=False).t().numpy()
    mixture = GaussianMixture(components, reg_covar=LEAST_VARIANCE, random_state=seed)
    # These matrices are too small to share out. Stopping after a hundred rounds is good enough.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(units)
    means = mean + torch.from_numpy(mixture.means_) @ factor.t()
    roots = factor @ torch.linalg.cholesky(torch.from_numpy(mixture.covariances_))
    criterion = float(mixture.bic(units) + 2 * len(y) * factor.diagonal().log().sum())
    return torch.from_numpy(mixture.weights_), means, roots, criterion


@register("normal_mixture")
def _build_normal_mixture(features: Features, components: Annotated[int, Field(ge=1, le=MOST_COMPONENTS)]) -> Flow:
    config = {"architecture": "normal_mixture", "features": features, "components": components}
    # The map of a flow in standardized units that leaves them as they are.
    return Flow(ElementwiseAffine(torch.zeros(features)), NormalMixture(features, components), config)
