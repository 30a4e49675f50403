"""Flows of residual layers."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.bijections import Compose, Residual
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.zoo.layers import interleaved
from pushforward.zoo.options import BaseName, Context, Features, Hidden, Layers
from pushforward.zoo.registry import architecture


@architecture
def residual(
    features: Features,
    context: Context = 0,
    layers: Layers = 8,
    hidden: Hidden = (64, 64),
    activation: Literal["silu", "tanh"] = "silu",
    lipschitz: Annotated[float, Field(gt=0, lt=1)] = 0.97,
    log_det: Literal["auto", "exact", "series"] = "auto",
    actnorm: bool = True,
    base: BaseName = "normal",
) -> Flow:
    """Residual flow: each layer takes a step by a network that is too flat to fold space, with a free Jacobian.

    z = f_1(... f_layers(x)), each f(x) = x + g(x; context), |g(a) - g(b)| ≤ lipschitz · |a - b|.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of residual layers, default 8.
        hidden: widths of the hidden layers of each g, default (64, 64).
        activation: "silu" (default) or "tanh".
        lipschitz: the bound of each g, default 0.97. A layer stretches by no more than 1 + lipschitz and shrinks by no
            less than 1 - lipschitz.
        log_det: "exact", by the Jacobian of each layer, "series", an unbiased random estimate, or "auto" (default),
            exact up to 100 features.
        actnorm: an ActNorm after each layer, default True. It takes its scale from the first batch that `log_prob` sees
            in training mode.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: log_prob 1 pass, and D for the exact log_det; sample a fixed point for each layer.

    Source: Behrmann et al. 2019, arXiv:1811.00995; Chen et al. 2019, arXiv:1906.02735.

    Example:
        >>> import torch
        >>> flow = residual(features=2, layers=4)
        >>> flow.bijection.cost
        Cost(forward='4 × fixed point', inverse='1 pass')
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    parts = [Residual(features, context, hidden, activation, lipschitz, log_det) for _ in range(layers)]
    return Flow(Compose(list(interleaved(parts, "actnorm" if actnorm else "none", features))), BASES[base](features))
