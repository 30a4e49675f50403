"""Flows of distribution functions of mixtures."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.bijections import Compose, LogisticMixture
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.networks import Conditioner
from pushforward.zoo.layers import autoregressive_layers, coupling_layers
from pushforward.zoo.options import Activation, BaseName, Context, Dropout, Features, Hidden, Layers
from pushforward.zoo.registry import architecture


@architecture
def mixture_cdf(
    features: Features,
    context: Context = 0,
    kind: Literal["autoregressive", "coupling"] = "autoregressive",
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    components: Annotated[int, Field(ge=1, le=1_000)] = 8,
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    base: BaseName = "normal",
) -> Flow:
    """Mixture CDF flow: layers of distribution functions of logistic mixtures, autoregressive or coupling.

    z = f_layers(... f_1(x)), each f(x) = shift + exp(log_scale) · logit(Σ_k π_k σ((x - μ_k) / s_k)) of a feature, with
    parameters that depend on features before it (kind "autoregressive", the order reversed from one layer to the next)
    or on every other feature ("coupling").

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        kind: "autoregressive" (default) or "coupling".
        layers: number of layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        components: of each mixture, default 8.
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: log_prob 1 pass; sample a scalar root for each layer, and, if autoregressive, for each feature.

    Source: Ho et al. 2019, Flow++, arXiv:1902.00275; Huang et al. 2018, neural autoregressive flows, arXiv:1804.00779.

    Example:
        >>> flow = mixture_cdf(features=6, kind="coupling", layers=2)
        >>> flow.sample((3,)).shape
        torch.Size([3, 6])
        >>> flow.bijection.cost
        Cost(forward='2 × scalar root', inverse='1 pass')
    """
    mixture = LogisticMixture(components)
    conditioner = Conditioner(hidden, activation, residual, dropout)
    layers_of = coupling_layers if kind == "coupling" else autoregressive_layers
    parts = layers_of(features, mixture, conditioner, context, layers, at_identity=True)
    return Flow(Compose(list(parts)), BASES[base](features))
