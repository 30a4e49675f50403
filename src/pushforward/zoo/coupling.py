"""Flows of coupling layers, with any univariate family; NICE and RealNVP by their names."""

from typing import Any

from pushforward.bijections import UNIVARIATES, Additive, Affine, Compose, Rescaling
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.networks import Conditioner
from pushforward.zoo.layers import coupling_layers, interleaved, warn_if_one_feature
from pushforward.zoo.options import Activation, BaseName, Context, Dropout, Features, Hidden, Layers, Mixing
from pushforward.zoo.registry import architecture


@architecture
def coupling(
    features: Features,
    univariate: str = "affine",
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    linear: Mixing = "none",
    base: BaseName = "normal",
    **family: Any,
) -> Flow:
    """Coupling flow: each layer transforms every other feature by maps of a univariate family, given the rest.

    x = f_layers(... f_1(z)), each f(z)[d] = univariate(z[d]; network(z[rest], context)) for half of the features. The
    layers start near the identity.

    Arguments:
        features: D.
        univariate: the family of maps, a name in `pushforward.bijections.UNIVARIATES`, default "affine".
        context: C, number of context features, default 0.
        layers: number of coupling layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        linear: a layer before each coupling layer, seen from the data: "none" (default), "lu", a free matrix that
            starts at the identity, "householder", a rotation that starts at random, or "actnorm", a scale and a shift
            from the first batch.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        family: options of the univariate family, such as `bins` of "spline".

    Cost: that of the univariate family: 1 pass in both directions, or a scalar root for each layer in one of them.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> import torch
        >>> flow = coupling(features=4, univariate="spline", bins=16)
        >>> flow.log_prob(torch.zeros(3, 4)).shape
        torch.Size([3])
    """
    made = UNIVARIATES[univariate](**family)
    warn_if_one_feature("coupling", made, features, context)
    conditioner = Conditioner(hidden, activation, residual, dropout)
    parts = coupling_layers(features, made, conditioner, context, layers, at_identity=True)
    return Flow(Compose(list(interleaved(parts, linear, features))), BASES[base](features))


@architecture
def nice(
    features: Features,
    context: Context = 0,
    layers: Layers = 4,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    base: BaseName = "normal",
) -> Flow:
    """NICE: additive coupling layers, which preserve volume, and one rescaling layer.

    x = b_layers(... b_1(exp(log_scale) · z)), each b shifting every other feature by a function of the rest.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of coupling layers, default 4 as in the paper (at least 3 let every feature reach every other).
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516.

    Example:
        >>> nice(features=4).sample((2,)).shape
        torch.Size([2, 4])
    """
    family = Additive()
    warn_if_one_feature("nice", family, features, context)
    conditioner = Conditioner(hidden, activation)
    couplings = coupling_layers(features, family, conditioner, context, layers, at_identity=False)
    return Flow(Compose([Rescaling(features), *couplings]), BASES[base](features))


@architecture
def realnvp(
    features: Features,
    context: Context = 0,
    layers: Layers = 6,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    actnorm: bool = True,
    base: BaseName = "normal",
) -> Flow:
    """RealNVP: affine coupling layers that transform every other feature in turn.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of coupling layers, default 6.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        actnorm: an ActNorm after each coupling layer (in place of the paper's batch normalization), default True. It
            takes its scale from the first batch that `log_prob` sees in training mode.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> import torch
        >>> flow = realnvp(features=4)
        >>> flow.to_latent(torch.zeros(7, 4)).shape
        torch.Size([7, 4])
    """
    family = Affine()
    warn_if_one_feature("realnvp", family, features, context)
    conditioner = Conditioner(hidden, activation, residual, dropout)
    couplings = coupling_layers(features, family, conditioner, context, layers, at_identity=False)
    parts = interleaved(couplings, "actnorm" if actnorm else "none", features)
    return Flow(Compose(list(parts)), BASES[base](features))
