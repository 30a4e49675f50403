"""Flows of autoregressive layers, with any univariate family; MAF and IAF by their names."""

from typing import Any

from pushforward.bijections import UNIVARIATES, Affine, Compose
from pushforward.distributions import BASES
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.networks import Conditioner
from pushforward.zoo.layers import autoregressive_layers, interleaved, warn_if_one_feature
from pushforward.zoo.options import (
    Activation,
    Adjacency,
    BaseName,
    Context,
    Dropout,
    Features,
    Hidden,
    Layers,
    Mixing,
    Order,
)
from pushforward.zoo.registry import architecture


@architecture
def autoregressive(
    features: Features,
    univariate: str = "affine",
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    linear: Mixing = "none",
    inverse: bool = False,
    base: BaseName = "normal",
    order: Order = "alternating",
    adjacency: Adjacency = None,
    **family: Any,
) -> Flow:
    """Autoregressive flow: each layer transforms every feature by a map of a univariate family, given those before it.

    x = f_layers(... f_1(z)), each x[d] = univariate(z[d]; network(x[before d], context)). The layers start near the
    identity.

    Arguments:
        features: D.
        univariate: the family of maps, a name in `pushforward.bijections.UNIVARIATES`, default "affine".
        context: C, number of context features, default 0.
        layers: number of autoregressive layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        linear: a layer before each autoregressive layer, seen from the data: "none" (default), "lu", a free matrix that
            starts at the identity, "householder", a rotation that starts at random, or "actnorm", a scale and a shift
            from the first batch.
        inverse: whether each f is the inverse of such a layer, as in IAF, default False.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer.
        adjacency: (D, D) booleans, adjacency[i][j] True where feature i may depend on feature j in a layer; without
            cycles, in place of an order; the diagonal does not count. With L layers, i depends on what is at most L
            steps away. Default: all features before i.
        family: options of the univariate family, such as `bins` of "spline".

    Cost: log_prob 1 pass; sample D steps, each a scalar root with some families; the other way round if `inverse`.

    Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057; Kingma et al. 2016, arXiv:1606.04934; adjacency:
    Wehenkel and Louppe 2021, Graphical normalizing flows, arXiv:2006.02548.

    Example:
        >>> import torch
        >>> flow = autoregressive(features=3, univariate="bernstein", degree=8)
        >>> flow.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
        >>> chain = ((0, 0, 0), (1, 0, 0), (0, 1, 0))  # p(x0) p(x1 | x0) p(x2 | x1)
        >>> flow = autoregressive(features=3, layers=1, adjacency=chain)
    """
    made = UNIVARIATES[univariate](**family)
    # Without hidden layers a Gaussian is meant.
    if hidden:
        warn_if_one_feature("autoregressive", made, features, context)
    if adjacency is not None and order != "alternating":
        raise InputError(
            "autoregressive: give an order or an adjacency, not both: an adjacency has an order of its own."
        )
    conditioner = Conditioner(hidden, activation, residual, dropout)
    parts = autoregressive_layers(
        features, made, conditioner, context, layers, order, adjacency, inverse=inverse, at_identity=True
    )
    return Flow(Compose(list(interleaved(parts, linear, features))), BASES[base](features))


@architecture
def maf(
    features: Features,
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    base: BaseName = "normal",
    order: Order = "alternating",
) -> Flow:
    """MAF, the masked autoregressive flow: affine autoregressive layers, the order reversed from one to the next.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of autoregressive layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.

    Cost: log_prob 1 pass; sample D steps.

    Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057.

    Example:
        >>> import torch
        >>> flow = maf(features=6, layers=2)
        >>> flow.log_prob(torch.zeros(3, 6)).shape
        torch.Size([3])
        >>> flow.bijection.cost
        Cost(forward='2 × D steps', inverse='1 pass')
    """
    family = Affine()
    warn_if_one_feature("maf", family, features, context)
    conditioner = Conditioner(hidden, activation, residual, dropout)
    parts = autoregressive_layers(features, family, conditioner, context, layers, order, at_identity=False)
    return Flow(Compose(list(parts)), BASES[base](features))


@architecture
def iaf(
    features: Features,
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    base: BaseName = "normal",
    order: Order = "alternating",
) -> Flow:
    """IAF, the inverse autoregressive flow: MAF's layers with their directions swapped.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of autoregressive layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.

    Cost: sample 1 pass; log_prob D steps.

    Source: Kingma et al. 2016, arXiv:1606.04934.

    Example:
        >>> x, log_prob = iaf(features=6).sample_with_log_prob((3,))
        >>> x.shape, log_prob.shape
        (torch.Size([3, 6]), torch.Size([3]))
    """
    family = Affine()
    warn_if_one_feature("iaf", family, features, context)
    conditioner = Conditioner(hidden, activation)
    parts = autoregressive_layers(
        features, family, conditioner, context, layers, order, inverse=True, at_identity=False
    )
    return Flow(Compose(list(parts)), BASES[base](features))
