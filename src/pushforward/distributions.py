"""Base densities: the distributions of z.

Each is a module over vectors of D features with `log_prob` and a reparameterized `rsample`, so that trained parameters
move with the flow (device, dtype, state) and gradients pass through samples.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.support.even_points import normal_points
from pushforward.support.seeding import seeded


class Base(nn.Module):
    """A density over vectors that is easy to sample and to evaluate.

    A density of your own defines `log_prob` and `rsample`, and may define `log_prob_of_each`.

    Arguments:
        features: D, the length of an event.

    Attributes:
        independent: whether the features are independent of each other, default False.
        of_rows: whether it is itself an estimate from rows, such as kernels at each of them, default False.
        bounded: whether there is no density beyond some distance, default False.
    """

    independent: bool = False
    of_rows: bool = False
    bounded: bool = False
    reference: Tensor

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        # Holds the device and dtype of samples, also for densities without parameters.
        self.register_buffer("reference", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        raise NotImplementedError

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d] | z before d in an order), (*batch, D), of z, (*batch, D): terms that sum to log_prob."""
        raise NotImplementedError

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D), differentiable in the parameters of the density."""
        raise NotImplementedError

    @torch.no_grad()
    def sample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D), without gradients."""
        return self.rsample(shape)

    def distribution_function(self, z: Tensor) -> Tensor:
        """P(latent ≤ z), of z, (*batch, 1), of a density of one feature."""
        raise NotImplementedError

    def even_points(self, count: int) -> Tensor:
        """Points that stand for the density, (count, D), float64, the same at every call; default seeded draws."""
        with seeded(0, self.reference.device):
            return self.sample((count,)).double()

    def empty(self, *shape: int) -> Tensor:
        """An unfilled tensor of the density's device and dtype."""
        return torch.empty(shape, dtype=self.reference.dtype, device=self.reference.device)

    def extra_repr(self) -> str:
        """Show the number of features."""
        return f"features={self.features}"


class StandardNormal(Base):
    """The standard normal density, log p(z) = -|z|²/2 - D/2 · log 2π.

    Example:
        >>> StandardNormal(2).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    independent = True

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        return -0.5 * (z.square().sum(-1) + self.features * math.log(2 * math.pi))

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d]), (*batch, D), whatever the order."""
        return -0.5 * (z.square() + math.log(2 * math.pi))

    def distribution_function(self, z: Tensor) -> Tensor:
        """Φ(z), (*batch, 1)."""
        return torch.special.ndtr(z)

    def even_points(self, count: int) -> Tensor:
        """Points that fill the space evenly, (count, D), float64."""
        return normal_points(count, self.features).to(self.reference.device)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D)."""
        return self.empty(*shape, self.features).normal_()


class Logistic(Base):
    """Independent standard logistic densities, log p(z) = Σ -|z| - 2 log(1 + exp(-|z|)): the base of the NICE paper.

    Example:
        >>> Logistic(1).log_prob(torch.tensor([[0.0], [-1e3]]))
        tensor([   -1.3863, -1000.0000])
    """

    independent = True

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        return self.log_prob_of_each(z).sum(-1)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int] = ()) -> Tensor:
        """log p(z[d]), (*batch, D), whatever the order."""
        distance = z.abs()
        return -(distance + 2 * torch.log1p((-distance).exp()))

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D)."""
        return logistic_noise(self.empty(*shape, self.features))


class Uniform(Base):
    """The uniform density on a box, log p(z) = -Σ log(high - low) inside, -inf outside.

    Arguments:
        features: D.
        low: lower edge of every feature, default 0.
        high: upper edge of every feature, default 1.

    Raises:
        ValueError: low is not below high.

    Example:
        >>> Uniform(2, high=2.0).log_prob(torch.tensor([[1.0, 1.0], [1.0, 3.0]]))
        tensor([-1.3863,    -inf])
    """

    independent = True
    bounded = True

    def __init__(self, features: int, low: float = 0.0, high: float = 1.0):
        super().__init__(features)
        if not low < high:
            raise ValueError(f"low must be below high, got {low} and {high}.")
        self.low, self.high = low, high

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        inside = ((z >= self.low) & (z <= self.high)).all(-1)
        density = -self.features * math.log(self.high - self.low)
        # NaN is neither inside nor outside: the result is NaN.
        return torch.where(inside, density, torch.where(z.isnan().any(-1), math.nan, -math.inf)).to(z.dtype)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d]), (*batch, D), whatever the order."""
        inside = (z >= self.low) & (z <= self.high)
        outside = torch.where(z.isnan(), math.nan, -math.inf)
        return torch.where(inside, -math.log(self.high - self.low), outside).to(z.dtype)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D)."""
        return self.empty(*shape, self.features).uniform_(self.low, self.high)


class StudentT(Base):
    """Independent Student-t densities with trained degrees of freedom, for heavy tails.

    log p(z) = Σ log Γ((ν+1)/2) - log Γ(ν/2) - log(πν)/2 - (ν+1)/2 · log(1 + z²/ν), one ν for each feature.

    Arguments:
        features: D.
        degrees_of_freedom: ν to start from, positive, default 10.

    Example:
        >>> StudentT(1, degrees_of_freedom=1.0).log_prob(torch.zeros(1)).exp()  # Cauchy: 1 / π
        tensor(0.3183, grad_fn=<ExpBackward0>)
    """

    independent = True

    def __init__(self, features: int, degrees_of_freedom: float = 10.0):
        super().__init__(features)
        if not 0 < degrees_of_freedom < math.inf:
            raise ValueError(f"degrees_of_freedom must be positive and finite, got {degrees_of_freedom}.")
        self.log_degrees_of_freedom = nn.Parameter(torch.full((features,), math.log(degrees_of_freedom)))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        return self.log_prob_of_each(z).sum(-1)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int] = ()) -> Tensor:
        """log p(z[d]), (*batch, D), whatever the order."""
        # The two log Γ nearly cancel at large ν: float64 keeps the difference exact, and there are only D of them.
        nu = self.log_degrees_of_freedom.double().exp()
        constant = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - 0.5 * (math.pi * nu).log()
        nu, constant = nu.to(z.dtype), constant.to(z.dtype)
        return constant - (nu + 1) / 2 * torch.log1p(z.square() / nu)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D), differentiable in ν."""
        nu = self.log_degrees_of_freedom.exp()
        return torch.distributions.StudentT(nu, validate_args=False).rsample(torch.Size(shape))


class GaussianMixture(Base):
    """A mixture of K Gaussians with diagonal covariances and trained weights, means and scales.

    log p(z) = logsumexp over k of (log weight_k + Σ log N(z; mean_k, scale_k)).

    Arguments:
        features: D.
        components: K, default 8.

    Source of the reparameterized samples: Graves 2016, arXiv:1607.05690 (feature by feature, by implicit
    differentiation of the conditional distribution function).
    """

    def __init__(self, features: int, components: int = 8):
        super().__init__(features)
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}.")
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, features))
        self.log_scales = nn.Parameter(torch.zeros(components, features))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of z, (*batch, D)."""
        return (self._log_densities(z).sum(-1) + self.logits.log_softmax(0)).logsumexp(-1)

    def log_prob_of_each(self, z: Tensor, order: Sequence[int]) -> Tensor:
        """log p(z[d] | z before d), (*batch, D): the features before d determine the weights of the components."""
        log_joint = self._log_densities(z)[..., list(order)].cumsum(-1) + self.logits.log_softmax(0)[:, None]
        log_prob = log_joint.logsumexp(-2)  # of each feature together with those before it
        terms = torch.cat([log_prob[..., :1], log_prob.diff(dim=-1)], -1)
        return torch.empty_like(terms).index_copy(-1, torch.tensor(list(order), device=terms.device), terms)

    def rsample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Draws, (*shape, D), differentiable (once) in weights, means and scales."""
        with torch.no_grad():
            # The largest of logit plus Gumbel noise is a draw from the weights.
            component = (self.logits - self.empty(*shape, len(self.logits)).exponential_().log()).argmax(-1)
            draw = (
                self.means[component] + self.log_scales[component].exp() * self.empty(*shape, self.features).normal_()
            )
        if not (torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())):
            return draw
        # F_d(z_d | z before d; parameters) is the uniform number behind the draw and does not change with the
        # parameters: ∂z_d = -∂F_d / p_d. The value added is zero, its gradient is not.
        log_weights = self.logits.log_softmax(0).expand(*shape, -1)
        columns = []
        for d in range(self.features):
            fixed = draw[..., d, None]
            posterior = log_weights.softmax(-1)
            standardized = (fixed - self.means[:, d]) * (-self.log_scales[:, d]).exp()
            distribution = (posterior * torch.special.ndtr(standardized)).sum(-1)
            density = (posterior * self._log_density(fixed, d).exp()).sum(-1).detach()
            columns.append(fixed[..., 0] - (distribution - distribution.detach()) / density)
            log_weights = log_weights + self._log_density(columns[-1][..., None], d)
        return torch.stack(columns, -1)

    def _log_densities(self, z: Tensor) -> Tensor:
        standardized = (z[..., None, :] - self.means) * (-self.log_scales).exp()
        return -0.5 * standardized.square() - self.log_scales - 0.5 * math.log(2 * math.pi)

    def _log_density(self, column: Tensor, d: int) -> Tensor:
        standardized = (column - self.means[:, d]) * (-self.log_scales[:, d]).exp()
        return -0.5 * standardized.square() - self.log_scales[:, d] - 0.5 * math.log(2 * math.pi)


@torch.no_grad()
def logistic_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws from the standard logistic distribution, of the shape, device and precision of `like`.

    Example:
        >>> logistic_noise(torch.empty(2, 3)).shape
        torch.Size([2, 3])
    """
    # The log-ratio of two exponentials is logistic; logit(uniform) would cut the tails at the resolution of floats.
    first, second = (torch.empty_like(like).exponential_(generator=generator) for _ in range(2))
    smallest = torch.finfo(like.dtype).tiny
    return first.clamp_min(smallest).log() - second.clamp_min(smallest).log()


BASES: dict[str, type[Base]] = {
    "normal": StandardNormal,
    "logistic": Logistic,
    "uniform": Uniform,
    "student_t": StudentT,
    "mixture": GaussianMixture,
}
