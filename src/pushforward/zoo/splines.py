"""Neural spline flows."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.bijections import Affine, Compose, RationalQuadraticSpline
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.networks import Conditioner
from pushforward.zoo.layers import autoregressive_layers, coupling_layers, interleaved, linear_layer, order_of
from pushforward.zoo.options import Activation, BaseName, Context, Dropout, Features, Hidden, Layers, Order
from pushforward.zoo.registry import architecture


@architecture
def nsf(
    features: Features,
    context: Context = 0,
    kind: Literal["autoregressive", "inverse_autoregressive", "coupling"] = "autoregressive",
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    bins: Annotated[int, Field(ge=1, le=1_000)] = 8,
    bound: Annotated[float, Field(gt=0, lt=float("inf"))] = 5.0,
    tails: Literal["identity", "linear"] = "identity",
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    linear: Literal["none", "lu", "householder"] = "none",
    base: BaseName = "normal",
    order: Order = "alternating",
    regression: bool = False,
) -> Flow:
    """Neural spline flow: layers of rational quadratic splines, autoregressive (either way round) or coupling.

    x = f_layers(... f_1(z)), each f mapping a feature by a spline whose knots depend on features before it (kind
    "autoregressive", the order reversed from one layer to the next) or on every other feature ("coupling"); in the
    inverse autoregressive kind f⁻¹ is such a layer.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        kind: "autoregressive" (default), "inverse_autoregressive" or "coupling".
        layers: number of layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        bins: pieces of each spline, default 8.
        bound: half the side of the box in which the splines bend, default 5: data should be standardized.
        tails: outside it, "identity" (default), or "linear" with trained slopes.
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        linear: a layer that mixes all features before each layer of splines, seen from the data: "none" (default),
            "lu", a free matrix that starts at the identity, or "householder", a rotation that starts at random.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.
        regression: whether two affine autoregressive layers follow: one with a network, and next to the data one that
            is linear in the context and the features before, as a linear regression is. Default False.

    Cost: autoregressive: log_prob 1 pass, sample D steps; its inverse the other way round; coupling: 1 pass in both
    directions.

    Source: Durkan, Bekasov, Murray and Papamakarios 2019, arXiv:1906.04032.

    Example:
        >>> flow = nsf(features=6, kind="coupling", layers=2)
        >>> flow.sample((3,)).shape
        torch.Size([3, 6])
    """
    spline = RationalQuadraticSpline(bins, bound, tails)
    conditioner = Conditioner(hidden, activation, residual, dropout)
    order_of(features, 0, order)
    inverse = kind == "inverse_autoregressive"
    parts = (
        coupling_layers(features, spline, conditioner, context, layers, at_identity=True)
        if kind == "coupling"
        else autoregressive_layers(
            features, spline, conditioner, context, layers, order, inverse=inverse, at_identity=True
        )
    )
    every = list(interleaved(parts, linear, features))
    if regression:
        every += autoregressive_layers(features, Affine(), conditioner, context, 1, "same", at_identity=True)
        every.append(linear_layer(features, context))
    return Flow(Compose(every), BASES[base](features))
