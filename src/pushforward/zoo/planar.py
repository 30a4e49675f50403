"""Flows of pushes along directions and away from points: planar, radial, Sylvester."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.bijections import Compose, Planar, Radial, Sylvester
from pushforward.distributions import BASES
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.zoo.options import BaseName, Context, Features, Hidden, Layers
from pushforward.zoo.registry import architecture


@architecture
def planar(
    features: Features,
    context: Context = 0,
    layers: Layers = 16,
    hidden: Hidden = (64,),
    activation: Literal["tanh", "leaky_relu"] = "tanh",
    base: BaseName = "normal",
) -> Flow:
    """Planar flow: pushes along one direction after another.

    x = f_layers(... f_1(z)), each f(z) = z + û h(wᵀz + b).

    Arguments:
        features: D.
        context: C; u, w and b of each layer are then functions of the context, default 0.
        layers: number of layers, default 16.
        hidden: widths of the hidden layers of those functions, default (64,).
        activation: h, "tanh" (default) or "leaky_relu".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: sample 1 pass; log_prob a scalar root for each layer with tanh, else 1 pass.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770.

    Example:
        >>> import torch
        >>> flow = planar(features=2, layers=8)
        >>> flow.bijection.cost
        Cost(forward='1 pass', inverse='8 × scalar root')
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    return Flow(
        Compose([Planar(features, activation, context=context, hidden=hidden) for _ in range(layers)]),
        BASES[base](features),
    )


@architecture
def radial(
    features: Features,
    context: Context = 0,
    layers: Layers = 16,
    hidden: Hidden = (64,),
    base: BaseName = "normal",
) -> Flow:
    """Radial flow: pushes toward or away from one point after another.

    x = f_layers(... f_1(z)), each f(z) = z + β (z - center) / (α + |z - center|).

    Arguments:
        features: D.
        context: C; center, α and β of each layer are then functions of the context, default 0.
        layers: number of layers, default 16.
        hidden: widths of the hidden layers of those functions, default (64,).
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770.

    Example:
        >>> radial(features=2).sample((3,)).shape
        torch.Size([3, 2])
    """
    return Flow(
        Compose([Radial(features, context, hidden) for _ in range(layers)]),
        BASES[base](features),
    )


@architecture
def sylvester(
    features: Features,
    context: Context = 0,
    layers: Layers = 8,
    rank: Annotated[int, Field(ge=1)] | None = None,
    hidden: Hidden = (64,),
    base: BaseName = "normal",
) -> Flow:
    """Sylvester flow: pushes along M directions at once.

    x = f_layers(... f_1(z)), each f(z) = z + Q R tanh(S Qᵀz + b).

    Arguments:
        features: D.
        context: C; all weights are then functions of the context, default 0.
        layers: number of layers, default 8.
        rank: M, at most D; default D, but at most 8.
        hidden: widths of the hidden layers of those functions, default (64,).
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: sample 1 pass; log_prob M scalar roots for each layer.

    Source: van den Berg, Hasenclever, Tomczak and Welling 2018, arXiv:1803.05649.

    Example:
        >>> sylvester(features=4, rank=2).sample((3,)).shape
        torch.Size([3, 4])
    """
    rank = min(features, 8) if rank is None else rank
    if rank > features:
        raise InputError(f"sylvester: rank {rank} is more than the number of features, {features}.")
    return Flow(
        Compose([Sylvester(features, rank, context, hidden) for _ in range(layers)]),
        BASES[base](features),
    )
