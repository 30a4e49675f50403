"""Mixtures of logistic distributions as increasing maps: the logit of their distribution function."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.bijections.base import Cost
from pushforward.bijections.univariate.base import Univariate, soft_bound, univariate
from pushforward.solvers.scalar_root import ROUNDINGS, monotone_root

# Where components start: centers at equal distances within ±REACH, all of this scale. The logit of the mixture is
# then nearly straight, while no two components have the same gradient.
REACH = 2.0
SCALE = 2.0


@univariate("logistic_mixture")
@dataclass(frozen=True)
class LogisticMixture(Univariate):
    """From data to latent a mixture's distribution function and its logit, z = shift + exp(log_scale) · logit(F(x)).

    F(x) = Σ_k π_k σ((x - μ_k) / s_k), with K components of weight π, center μ and scale s.

    Parameters of a feature are shift, log_scale, and then K logits of weights, K displacements of centers from where
    they start, and K log-scales. At 0 the map is within 0.05 of the identity on (-3, 3). All log-scales are under
    `soft_bound`. Everything is computed from logarithms of F and 1 - F, so that nothing saturates: far out the map is
    linear.

    Arguments:
        components: K, default 8.
        log_scale_bound: of each log-scale, default log 1000.

    Raises:
        ValueError: less than one component.

    Cost: inverse (x → z) closed form; forward (z → x) a scalar root, with gradients by the implicit function theorem.

    Source: Ho, Chen, Srinivas, Duan and Abbeel 2019, Flow++, arXiv:1902.00275; it is the deep sigmoidal flow with one
    hidden layer of Huang, Krueger, Lacoste and Courville 2018, arXiv:1804.00779.

    Example:
        >>> mixture = LogisticMixture(components=3)
        >>> x, parameters = torch.tensor([-9.0, 0.5, 2.0]), torch.randn(3, mixture.parameter_count)
        >>> z, log_derivative = mixture.inverse(x, parameters)
        >>> torch.allclose(mixture.forward(z, parameters)[0], x, atol=1e-4)
        True
    """

    components: int = 8
    log_scale_bound: float = math.log(1e3)
    cost = Cost(forward="scalar root")

    def __post_init__(self) -> None:
        """Check the options."""
        if self.components < 1:
            raise ValueError(f"A mixture needs at least one component, got {self.components}.")

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """Shift and log-scale, and K weights, centers and scales."""
        return 2 + 3 * self.components

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The x at which logit(F(x)) = (z - shift) · exp(-log_scale)."""
        shift, log_scale, mixture = self._split(parameters)
        target = (z - shift) * (-log_scale).exp()

        def excess(x: Tensor) -> tuple[Tensor, Tensor]:
            logit, log_slope = _logit(x, mixture)
            # Between components far apart the exponential of a slope may be zero; bisection takes over.
            return logit - target, log_slope.exp().clamp_min(torch.finfo(x.dtype).eps)

        with torch.no_grad():
            # Each component alone reaches the target at its own end; the mixture does so between them.
            _, centers, log_scales = mixture
            reach = log_scales.exp() * target
            ends = centers + reach
            rounding = ROUNDINGS * torch.finfo(ends.dtype).eps * (centers.abs() + reach.abs() + log_scales.exp())
            lower, upper = (ends - rounding).amin(0), (ends + rounding).amax(0)
        x = monotone_root(excess, lower, upper)
        return x, -(log_scale + _logit(x, mixture)[1])

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z = shift + exp(log_scale) · logit(F(x))."""
        shift, log_scale, mixture = self._split(parameters)
        logit, log_slope = _logit(x, mixture)
        return shift + log_scale.exp() * logit, log_scale + log_slope

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Shift, log_scale, and the components' log-weights, centers and log-scales, each (K, *batch, D)."""
        count, bound = self.components, self.log_scale_bound
        # The parameters of one kind lie side by side for all rows, as a conditioner makes them.
        shift, log_scale, *rest = parameters.movedim(-1, 0).split([1, 1, count, count, count])
        logits, displacements, log_scales = rest
        starts = [REACH * ((2 * k + 1) / count - 1) for k in range(count)]
        slope = sum(math.cosh(start / SCALE / 2) ** -2 for start in starts) / count / SCALE  # of the logit at 0
        centers = displacements + displacements.new_tensor(starts).view(-1, *[1] * (parameters.dim() - 1))
        mixture = (logits.log_softmax(0), centers, soft_bound(log_scales, bound) + math.log(SCALE))
        return shift[0], soft_bound(log_scale[0], bound) - math.log(slope), mixture


def _logit(x: Tensor, mixture: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """logit(F(x)) and the logarithm of its slope, f / (F (1 - F)) = f / F + f / (1 - F)."""
    log_weights, centers, log_scales = mixture
    u = (x - centers) * (-log_scales).exp()
    log_below, log_above = logsigmoid(u), logsigmoid(-u)
    below, above = log_weights + log_below, log_weights + log_above
    log_cdf, log_rest = below.logsumexp(0), above.logsumexp(0)
    # Weights are normalized before anything is added: in a tail, only differences of large numbers matter.
    log_slope = torch.logaddexp(
        (below - log_cdf + log_above - log_scales).logsumexp(0),
        (above - log_rest + log_below - log_scales).logsumexp(0),
    )
    return log_cdf - log_rest, log_slope
