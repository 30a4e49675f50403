"""A flow that answers p(any features | any others): one network, told which features are known."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pushforward.bijections import MarginalSpline, RationalQuadraticSpline
from pushforward.bijections.univariate.base import soft_bound
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.zoo.options import Features
from pushforward.zoo.registry import architecture

# Of the spline's box, and of log scales.
BOUND, LOG_SCALE_BOUND = 5.0, math.log(1e3)
# Scores beyond this are shown to the network as this.
FURTHEST_INPUT = 6.0
# The Gaussian has no smaller variance, and no more features.
LEAST_VARIANCE, MOST_CORRELATED = 1e-8, 64
# Ends of intervals beyond this are taken for this, unless they are infinite.
FURTHEST_END = 40.0
# An interval narrower than this, in scores, has the mass density times width, to a relative 1e-5.
NARROW = 0.02


class ArbitraryConditionalFlow(nn.Module):
    """p(s[d] | s[known]) of each feature d given any set of known ones, and so any joint density by the chain rule.

    s[d] = mean + deviation · (shift + exp(log_scale) · spline(z[d])), z normal. Mean and deviation are those of a
    Gaussian given the known features, in closed form. Shift, log_scale and the spline's parameters are the output of a
    residual network that sees the known features, which they are, and how far each lies from what the others say.

    A feature that is neither known nor asked for does not enter: it is marginalised by the model itself, without an
    integral. A joint density is the product of its conditionals in the features' order, so each query is a normalised
    density with an exact value and exact draws; that queries agree with each other is learned, not built in. Circular
    features are angles in radians with a circular spline and a rotation.

    Arguments:
        features: D.
        widths: (D,) how many inputs each feature has in the network beside its score, default none.
        circular: features that are angles, default none.
        hidden: width of the network, default 256.
        blocks: residual pairs of layers, default 2.
        bins: of the splines, default 12.
        knots: of the splines that make features nearly normal, default 32.
        bounded: whether those have bounds, default False.

    Attributes:
        marginal: from normal scores s to features y, fixed; see `MarginalSpline`.
        covariance: (D, D) of the Gaussian, of scores; the identity unless set. Beyond 64 features it is not used.

    Cost: a conditional is one pass of the network, a joint density or draw D of them.

    Source: order-agnostic autoregression: Uria, Murray and Larochelle 2014, arXiv:1310.1757, Hoogeboom et al. 2022,
    arXiv:2110.02037; any conditional of a flow: Li, Akbar and Oliva 2020, arXiv:1909.06319.

    Example:
        >>> flow = ArbitraryConditionalFlow(features=3)
        >>> known = torch.tensor([[True, False, False]])
        >>> parameters = flow.conditionals(torch.zeros(1, 3), known)
        >>> flow.log_density(parameters, torch.zeros(1, 3)).shape
        torch.Size([1, 3])
    """

    circular: Tensor
    owner: Tensor
    covariance: Tensor

    def __init__(
        self,
        features: int,
        widths: Sequence[int] | None = None,
        circular: Sequence[int] = (),
        hidden: int = 256,
        blocks: int = 2,
        bins: int = 12,
        knots: int = 32,
        bounded: bool = False,
    ) -> None:
        super().__init__()
        widths = [0] * features if widths is None else list(widths)
        self.features = features
        self.context_features = 0
        self.config: dict[str, Any] = {
            "architecture": "arbitrary_conditional", "features": features, "widths": widths, "circular": list(circular),
            "hidden": hidden, "blocks": blocks, "bins": bins, "knots": knots, "bounded": bounded,
        }  # fmt: skip
        is_circular = torch.tensor([feature in set(circular) for feature in range(features)])
        each = torch.arange(features)
        owner = torch.cat([each, each.repeat_interleave(torch.tensor(widths))])
        self.register_buffer("circular", is_circular, persistent=False)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("covariance", torch.eye(features, dtype=torch.float64))
        self.base = StandardNormal(features)
        self.marginal = MarginalSpline(features, knots, bounded)
        self.spline = RationalQuadraticSpline(bins, BOUND)
        self.circle = RationalQuadraticSpline(bins, math.pi, "circular")
        self.parameter_count = max(self.spline.parameter_count + 2, self.circle.parameter_count + 1)
        self.first = nn.Linear(sum(widths) + 5 * features, hidden)
        self.pairs = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
            for _ in range(blocks)
        )
        self.last = nn.Linear(hidden, features * self.parameter_count)
        # At first all features are independent, and normal in their scores.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @torch.no_grad()
    def gaussian(self, scores: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the Gaussian says of each feature, all (n, D), float64.

        Arguments:
            scores: (n, D), of which the known ones count.
            known: (n, D).

        Returns:
            Mean and deviation of each feature that is not known, given those that are; 0 and 1 of known ones. And how
            far each known one lies from its mean given the other known ones, in deviations; 0 of others.
        """
        x = torch.where(known, scores, 0.0).double()
        if self.features > MOST_CORRELATED:
            return torch.zeros_like(x), torch.ones_like(x), x
        covariance, there = self.covariance.double(), known.double()
        # Of the known features; the identity of the others, which then have no part in the inverse.
        among = there[:, :, None] * covariance * there[:, None, :] + torch.diag_embed(1 - there)
        precision = torch.linalg.inv(among)
        weighted = (precision @ x[..., None])[..., 0] * there
        towards = covariance * there[:, None, :]
        variance = covariance.diagonal() - ((towards @ precision) * towards).sum(-1)
        deviation = variance.clamp_min(LEAST_VARIANCE).sqrt()
        away = weighted / precision.diagonal(dim1=1, dim2=2).clamp_min(LEAST_VARIANCE).sqrt()
        return (weighted @ covariance).masked_fill(known, 0.0), deviation.masked_fill(known, 1.0), away

    def conditionals(self, inputs: Tensor, known: Tensor, feature: int | None = None) -> Tensor:
        """Parameters of p(s[d] | known) for every feature, (n, D, P + 2), or for one, (n, 1, P + 2).

        Arguments:
            inputs: (n, D + Σ widths), scores first; those of features that are not known do not count, and may be NaN.
            known: (n, D), True where a feature is known.
            feature: which one, default all.
        """
        dtype = self.first.weight.dtype
        mean, deviation, away = self.gaussian(inputs[:, : self.features], known)
        seen = torch.where(known[:, self.owner], inputs, 0.0)
        shown = [part.to(dtype).clamp(-FURTHEST_INPUT, FURTHEST_INPUT) for part in (seen, mean, deviation.log(), away)]
        hidden = self.first(torch.cat([*shown, known.to(dtype)], -1))
        for pair in self.pairs:
            hidden = hidden + pair(hidden)
        hidden = functional.silu(hidden)
        base = torch.stack([mean, deviation.log()], -1).to(dtype)
        if feature is None:
            own = self.last(hidden).view(len(hidden), self.features, self.parameter_count)
            return torch.cat([own, base], -1)
        rows = slice(feature * self.parameter_count, (feature + 1) * self.parameter_count)
        own = functional.linear(hidden, self.last.weight[rows], self.last.bias[rows])[:, None]
        return torch.cat([own, base[:, feature : feature + 1]], -1)

    def to_latent(self, parameters: Tensor, s: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z of scores, and log ∂z/∂s, both (n, k).

        Arguments:
            parameters: (n, k, P + 2).
            s: (n, k) scores, or angles.
            features: (k,) which features these are, default all.
        """
        circular = self.circular if features is None else self.circular[features]
        shift, log_scale = self._line(parameters)
        z, log_slope = self.spline.inverse((s - shift) * (-log_scale).exp(), self._spline_part(parameters))
        log_slope = log_slope - log_scale
        if bool(circular.any()):
            turned, of_circle = self.circle.inverse(
                s[:, circular] - parameters[:, circular, 0],
                parameters[:, circular, 1 : 1 + self.circle.parameter_count],
            )
            z, log_slope = z.clone(), log_slope.clone()
            z[:, circular], log_slope[:, circular] = turned, of_circle
        return z, log_slope

    def to_score(self, parameters: Tensor, z: Tensor, features: Tensor | None = None) -> Tensor:
        """Scores of z, (n, k); angles are found up to whole turns."""
        circular = self.circular if features is None else self.circular[features]
        s, _ = self.spline.forward(z, self._spline_part(parameters))
        shift, log_scale = self._line(parameters)
        s = shift + log_scale.exp() * s
        if bool(circular.any()):
            turned, _ = self.circle.forward(
                z[:, circular], parameters[:, circular, 1 : 1 + self.circle.parameter_count]
            )
            s = s.clone()
            s[:, circular] = turned + parameters[:, circular, 0]
        return s

    def log_density(self, parameters: Tensor, s: Tensor, features: Tensor | None = None) -> Tensor:
        """log p(s[d] | known), (n, k); arguments as for `to_latent`."""
        z, log_slope = self.to_latent(parameters, s, features)
        circular = self.circular if features is None else self.circular[features]
        return torch.where(circular, -math.log(2 * math.pi), -0.5 * (z.square() + math.log(2 * math.pi))) + log_slope

    def log_mass(self, parameters: Tensor, low: Tensor, high: Tensor, features: Tensor | None = None) -> Tensor:
        """log P(low < s[d] < high | known), (n, k), low < high, perhaps infinite; arguments as for `to_latent`."""
        circular = self.circular if features is None else self.circular[features]
        width = high - low
        narrow = width < NARROW
        middle = torch.where(narrow, 0.5 * (low + high), 0.0).to(parameters.dtype)
        density = self.log_density(parameters, middle, features) + torch.where(narrow, width, 1.0).log()
        ends = []
        for end, apart in ((low, -1.0), (high, 1.0)):
            inside = torch.where(narrow, apart, end).clamp(-FURTHEST_END, FURTHEST_END).to(parameters.dtype)
            z = self.to_latent(parameters, inside, features)[0]
            ends.append(torch.where(end.isinf(), math.copysign(1e4, apart), z))
        part = torch.where(circular, ends[1] - ends[0], 1.0) / (2 * math.pi)
        return torch.where(narrow, density, torch.where(circular, part.log(), _log_between(ends[0], ends[1])))

    def _line(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """shift and log_scale, on top of the Gaussian's mean and deviation."""
        mean, log_deviation = parameters[..., -2], parameters[..., -1]
        log_scale = soft_bound(parameters[..., 1], LOG_SCALE_BOUND)
        return mean + log_deviation.exp() * parameters[..., 0], log_deviation + log_scale

    def _spline_part(self, parameters: Tensor) -> Tensor:
        return parameters[..., 2 : 2 + self.spline.parameter_count]


@architecture
def arbitrary_conditional(
    features: Features,
    widths: list[Annotated[int, Field(ge=0, le=10_000)]],
    circular: list[Annotated[int, Field(ge=0)]],
    hidden: Annotated[int, Field(ge=1, le=100_000)],
    blocks: Annotated[int, Field(ge=0, le=1_000)],
    bins: Annotated[int, Field(ge=1, le=1_000)],
    knots: Annotated[int, Field(ge=4, le=10_000)],
    bounded: bool,
) -> ArbitraryConditionalFlow:
    """An `ArbitraryConditionalFlow` with options within limits, as a model file describes it."""
    if len(widths) != features or any(feature >= features for feature in circular):
        raise InputError("arbitrary_conditional: widths must be as many as features, and circular ones among them.")
    return ArbitraryConditionalFlow(features, widths, circular, hidden, blocks, bins, knots, bounded)


def covariance_of(scores: Tensor, passes: int = 30) -> Tensor:
    """The covariance about 0 of rows with gaps, NaN, by expectation-maximisation, (D, D).

    Source: Dempster, Laird and Rubin 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
    """
    flow = ArbitraryConditionalFlow(scores.shape[1], hidden=1, blocks=0)
    known = ~scores.isnan()
    x = torch.where(known, scores, 0.0).double()
    there = known.double()
    # From pairs of values that are both there.
    flow.covariance = (x.t() @ x) / (there.t() @ there).clamp_min(1)
    size, directions = torch.linalg.eigh(flow.covariance)
    flow.covariance = directions @ torch.diag(size.clamp_min(1e-4)) @ directions.t()
    for _ in range(0 if bool(known.all()) else passes):
        mean, _, _ = flow.gaussian(scores, known)
        whole = torch.where(known, x, mean)
        among = there[:, :, None] * flow.covariance * there[:, None, :] + torch.diag_embed(1 - there)
        towards = flow.covariance * there[:, None, :]
        rest = flow.covariance - towards @ torch.linalg.inv(among) @ towards.transpose(1, 2)
        absent = 1 - there
        spread = (rest * absent[:, :, None] * absent[:, None, :]).sum(0)
        flow.covariance = (whole.t() @ whole + spread) / len(x)
    return flow.covariance + 1e-6 * torch.eye(len(flow.covariance), dtype=torch.float64)


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    """log(Φ(high) - Φ(low)), from the side where both are small."""
    flip = low + high > 0
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    at_b = torch.special.log_ndtr(b)
    ratio = (torch.special.log_ndtr(a) - at_b).clamp(max=-1e-6)
    return at_b + torch.log(-torch.expm1(ratio))
