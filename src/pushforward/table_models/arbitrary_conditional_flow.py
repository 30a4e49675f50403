"""A flow of p(any features | any others): one network, which is told which features are known."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pushforward.bijections import RationalQuadraticSpline
from pushforward.bijections.context_range import ContextRange
from pushforward.bijections.univariate.base import soft_bound
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.table_models.conditional_gaussian import conditional_moments
from pushforward.table_models.feature_scores import FeatureScores
from pushforward.table_models.linear_trend import LinearTrend
from pushforward.zoo.options import Features
from pushforward.zoo.registry import architecture

# Of the spline's box, and of log scales.
BOUND, LOG_SCALE_BOUND = 5.0, math.log(1e3)
# Larger scores are shown to the network as this.
FURTHEST_INPUT = 6.0
# The Gaussian correlates at most this many features.
MOST_CORRELATED = 64
# Finite ends of intervals beyond this are moved to it.
FURTHEST_END = 40.0
# The latent number of an infinite end, beyond which no mass is left.
INFINITE_END = 1e4
# The mass of an interval narrower than this, in scores, is density times width, to a relative 1e-5.
NARROW = 0.02


class ArbitraryConditionalFlow(FeatureScores):
    """p(s[d] | s[known]) of each feature d given any set of known ones, and so any joint density by the chain rule.

    s[d] = mean + deviation · (shift + exp(log_scale) · spline(z[d])), z normal. Mean and deviation are those of a
    Gaussian given the known features, in closed form. Shift, log_scale and the spline's parameters are the output of a
    residual network. It is shown the known features, which of them are known, and how far each lies from its mean given
    the others.

    A feature that is neither known nor asked for does not enter: the model itself marginalizes it, without an integral.
    A joint density is the product of its conditionals in the features' order, so each query is a normalized density
    with an exact value and exact draws; that queries agree with each other is learned, not built in. Circular features
    are angles in radians with a circular spline and a rotation, on a circle where those of the data are uniform.

    Arguments:
        features: D.
        widths: (D,) how many inputs of the network each feature has beside its score, default none.
        circular: features that are angles, default none.
        hidden: width of the network, default 256.
        blocks: residual pairs of layers, default 2.
        bins: of the splines, default 12.
        knots: of the splines that make features nearly normal, default 32.
        bounded: whether those splines have bounds, default False.
        limited: whether the network sees the ends of the scores' range in training beyond it, default False.
        trend: whether the conditions of scores beyond the range are moved to its ends, and there is a linear trend for
            those who ask; needs `limited`, default False.
        circle_knots: of the splines that make angles nearly uniform, default 0: there are none.

    Attributes: those of `FeatureScores`, and
        score_range: that range, or None; see `ContextRange`.
        trend: of the features beyond it, or None; see `LinearTrend`.
        covariance: (D, D) of the Gaussian over scores; the identity unless set. It is not used beyond 64 features.

    Cost: a conditional takes one pass of the network, a joint density or a draw takes D.

    Source: order-agnostic autoregression: Uria, Murray and Larochelle 2014, arXiv:1310.1757, Hoogeboom et al. 2022,
    arXiv:2110.02037; any conditional of a flow: Li, Akbar and Oliva 2020, arXiv:1909.06319.

    Example:
        >>> flow = ArbitraryConditionalFlow(features=3)
        >>> known = torch.tensor([[True, False, False]])
        >>> parameters = flow.conditionals(torch.zeros(1, 3), known)
        >>> flow.log_density(parameters, torch.zeros(1, 3)).shape
        torch.Size([1, 3])
    """

    allows_gaps: Literal[True] = True
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
        limited: bool = False,
        trend: bool = False,
        circle_knots: int = 0,
    ) -> None:
        widths = [0] * features if widths is None else list(widths)
        super().__init__(features, widths, circular, knots, bounded, circle_knots)
        self.context_features = 0
        self.config: dict[str, Any] | None = {
            "architecture": "arbitrary_conditional", "features": features, "widths": widths, "circular": list(circular),
            "hidden": hidden, "blocks": blocks, "bins": bins, "knots": knots, "bounded": bounded,
            "limited": limited, "trend": trend, "circle_knots": circle_knots,
        }  # fmt: skip
        self.register_buffer("covariance", torch.eye(features, dtype=torch.float64))
        self.base = StandardNormal(features)
        self.score_range = ContextRange(features) if limited else None
        self.trend = LinearTrend(features) if trend else None
        self.spline = RationalQuadraticSpline(bins, BOUND)
        self.spline_of_angles = RationalQuadraticSpline(bins, math.pi, "circular")
        self.parameter_count = max(self.spline.parameter_count + 2, self.spline_of_angles.parameter_count + 1)
        self.first = nn.Linear(sum(widths) + 5 * features, hidden)
        self.pairs = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
            for _ in range(blocks)
        )
        self.last = nn.Linear(hidden, features * self.parameter_count)
        # A new flow has independent features with normal scores.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision and on the device of the base."""
        return self.base.reference

    def conditionals(self, inputs: Tensor, known: Tensor, feature: int | None = None) -> Tensor:
        """Return the parameters of p(s[d] | known) for every feature, (n, D, P + 2), or for one, (n, 1, P + 2).

        Arguments:
            inputs: (n, D + Σ widths), scores first; those of unknown features do not matter, and may be NaN.
            known: (n, D), True where a feature is known.
            feature: which one, default all.
        """
        dtype = self.first.weight.dtype
        inputs = self.standardized_inputs(inputs)
        if self.trend is not None and self.score_range is not None:
            nearest = self.score_range.nearest(inputs[:, : self.features])
            inputs = torch.cat([nearest, inputs[:, self.features :]], 1)
        mean, deviation, distance = _moments(self.covariance, inputs[:, : self.features], known)
        seen = torch.where(known[:, self.owner], inputs, 0.0)
        parts = (self._limited(seen), self._limited(mean), deviation.log(), self._limited(distance))
        shown = [part.to(dtype).clamp(-FURTHEST_INPUT, FURTHEST_INPUT) for part in parts]
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
        """Return z of scores, and log ∂z/∂s, both (n, k).

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
            turned, of_circle = self.spline_of_angles.inverse(
                s[:, circular] - parameters[:, circular, 0],
                parameters[:, circular, 1 : 1 + self.spline_of_angles.parameter_count],
            )
            z, log_slope = z.clone(), log_slope.clone()
            z[:, circular], log_slope[:, circular] = turned, of_circle
        return z, log_slope

    def to_score(self, parameters: Tensor, z: Tensor, features: Tensor | None = None) -> Tensor:
        """Return the scores of z, (n, k), angles up to whole turns; arguments as for `to_latent`."""
        circular = self.circular if features is None else self.circular[features]
        s, _ = self.spline.forward(z, self._spline_part(parameters))
        shift, log_scale = self._line(parameters)
        s = shift + log_scale.exp() * s
        if bool(circular.any()):
            turned, _ = self.spline_of_angles.forward(
                z[:, circular], parameters[:, circular, 1 : 1 + self.spline_of_angles.parameter_count]
            )
            s = s.clone()
            s[:, circular] = turned + parameters[:, circular, 0]
        return s

    def log_density(self, parameters: Tensor, s: Tensor, features: Tensor | None = None) -> Tensor:
        """Return log p(s[d] | known), (n, k); arguments as for `to_latent`."""
        z, log_slope = self.to_latent(parameters, s, features)
        circular = self.circular if features is None else self.circular[features]
        return torch.where(circular, -math.log(2 * math.pi), -0.5 * (z.square() + math.log(2 * math.pi))) + log_slope

    def log_mass(self, parameters: Tensor, low: Tensor, high: Tensor, features: Tensor | None = None) -> Tensor:
        """Return log P(low < s[d] < high | known), (n, k); low < high, perhaps infinite; otherwise as `to_latent`."""
        circular = self.circular if features is None else self.circular[features]
        width = high - low
        narrow = width < NARROW
        middle = torch.where(narrow, 0.5 * (low + high), 0.0).to(parameters.dtype)
        density = self.log_density(parameters, middle, features) + torch.where(narrow, width, 1.0).log()
        ends = []
        for end, apart in ((low, -1.0), (high, 1.0)):
            inside = torch.where(narrow, apart, end).clamp(-FURTHEST_END, FURTHEST_END).to(parameters.dtype)
            z = self.to_latent(parameters, inside, features)[0]
            ends.append(torch.where(end.isinf(), math.copysign(INFINITE_END, apart), z))
        part = torch.where(circular, ends[1] - ends[0], 1.0) / (2 * math.pi)
        return torch.where(narrow, density, torch.where(circular, part.log(), _log_between(ends[0], ends[1])))

    def _limited(self, inputs: Tensor) -> Tensor:
        """Inputs whose first D numbers are scores, or as large as scores are, within the range of the scores."""
        if self.score_range is None:
            return inputs
        return torch.cat([self.score_range(inputs[:, : self.features]), inputs[:, self.features :]], 1)

    def _line(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """shift and log_scale, with the Gaussian's mean and deviation in them."""
        mean, log_deviation = parameters[..., -2], parameters[..., -1]
        log_scale = soft_bound(parameters[..., 1], LOG_SCALE_BOUND)
        return mean + log_deviation.exp() * parameters[..., 0], log_deviation + log_scale

    def _spline_part(self, parameters: Tensor) -> Tensor:
        return parameters[..., 2 : 2 + self.spline.parameter_count]


def _moments(covariance: Tensor, scores: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, deviation and distance of `conditional_moments`; of independent features if there are too many."""
    if len(covariance) > MOST_CORRELATED:
        known_scores = torch.where(known, scores, 0.0).double()
        return torch.zeros_like(known_scores), torch.ones_like(known_scores), known_scores
    return conditional_moments(covariance, scores, known)


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
    limited: bool = False,
    trend: bool = False,
    circle_knots: Annotated[int, Field(ge=0, le=100_000)] = 0,
) -> ArbitraryConditionalFlow:
    """An `ArbitraryConditionalFlow` with options within limits, as a model file describes it."""
    if len(widths) != features or any(feature >= features for feature in circular):
        raise InputError(
            "arbitrary_conditional: there must be one width for each feature, and circular features must exist."
        )
    return ArbitraryConditionalFlow(
        features, widths, circular, hidden, blocks, bins, knots, bounded, limited, trend, circle_knots
    )


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    """log(Φ(high) - Φ(low)), from the side where both are small."""
    flip = low + high > 0
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    at_b = torch.special.log_ndtr(b)
    ratio = (torch.special.log_ndtr(a) - at_b).clamp(max=-1e-6)
    return at_b + torch.log(-torch.expm1(ratio))
