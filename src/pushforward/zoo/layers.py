"""The layers of coupling and autoregressive flows, one after the other from the latent side."""

import math
import warnings
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from pushforward.bijections import (
    LU,
    ActNorm,
    Affine,
    Autoregressive,
    Bijection,
    Coupling,
    Householder,
    Inverse,
    Univariate,
)
from pushforward.networks import Conditioner
from pushforward.zoo.options import Adjacency, Order

# Of a linear layer.
LOG_SCALE_BOUND = 40.0


def coupling_layers(
    features: int, univariate: Univariate, conditioner: Conditioner, context: int, layers: int, *, at_identity: bool
) -> Iterator[Bijection]:
    """Coupling layers that transform every other feature in turn.

    Arguments:
        features: D.
        univariate: the family of maps.
        conditioner: of each layer.
        context: C.
        layers: how many.
        at_identity: whether they start near the identity, from where they train soonest, or at random.
    """
    for layer in range(layers):
        part = Coupling(_transformed(features, layer), univariate, conditioner, context)
        if at_identity:
            part.conditioner.start_at_zero()
        yield part


def autoregressive_layers(
    features: int,
    univariate: Univariate,
    conditioner: Conditioner,
    context: int,
    layers: int,
    order: Order = "alternating",
    adjacency: Adjacency = None,
    *,
    inverse: bool = False,
    at_identity: bool,
) -> Iterator[Bijection]:
    """Autoregressive layers.

    Arguments:
        features: D.
        univariate: the family of maps.
        conditioner: of each layer.
        context: C.
        layers: how many.
        order: as in `pushforward.autoregressive`.
        adjacency: in place of an order.
        inverse: whether directions are swapped.
        at_identity: whether they start near the identity, from where they train soonest, or at random.
    """
    for layer in range(layers):
        own_order = order_of(features, layer, order) if adjacency is None else None
        part = Autoregressive(features, univariate, conditioner, context, own_order, adjacency)
        if at_identity:
            part.conditioner.start_at_zero()
        yield Inverse(part) if inverse else part


def interleaved(parts: Iterable[Bijection], linear: str, features: int) -> Iterator[Bijection]:
    """Each layer followed by one that mixes or scales all features: "lu", "householder", "actnorm", or "none"."""
    kind = {"lu": LU, "householder": Householder, "actnorm": ActNorm}.get(linear)
    for part in parts:
        yield part
        if kind is not None:
            yield kind(features)


def linear_layer(features: int, context: int) -> Autoregressive:
    """x[d] = a + b · x[before d] + c · context + e · z[d]: a linear-Gaussian layer, features in their order."""
    return Autoregressive(features, Affine(LOG_SCALE_BOUND), Conditioner(()), context)


@torch.no_grad()
def set_linear(layer: Autoregressive, weight: Tensor, bias: Tensor, covariance: Tensor) -> None:
    """Let a layer that `linear_layer` made be x = weight · context + bias + noise, for standard normal z.

    Arguments:
        layer: over D features given C.
        weight: (D, C).
        bias: (D,).
        covariance: (D, D) of the noise.

    Raises:
        torch.linalg.LinAlgError: a covariance that is not positive definite.
    """
    features, context = layer.features, layer.context_features
    root = torch.linalg.cholesky(covariance.double())
    white = torch.linalg.solve_triangular(root, torch.eye(features).to(root), upper=False)
    scale = 1 / white.diagonal()
    before = (-white * scale[:, None]).fill_diagonal_(0.0)
    # Each feature around what is said of it given those before.
    own = torch.eye(features).to(before) - before
    bound = LOG_SCALE_BOUND
    # The inverse of `soft_bound`.
    log_scale = torch.tan(scale.log().clamp(-0.9 * bound, 0.9 * bound) * math.pi / (2 * bound)) * 2 * bound / math.pi
    parameters = dict(layer.conditioner.named_parameters())
    parameters["layers.0.bias"].copy_(torch.stack([own @ bias.double(), log_scale], 1).flatten())
    if "layers.0.weight" in parameters:
        parameters["layers.0.weight"].copy_(_shifts(before))
    if context:
        parameters["context.weight"].copy_(_shifts(own @ weight.double()))


def _shifts(weight: Tensor) -> Tensor:
    """Weights of shifts, (D, inputs), between those of log-scales, which are 0."""
    return torch.stack([weight, torch.zeros_like(weight)], 1).flatten(0, 1)


def order_of(features: int, layer: int, order: Order) -> list[int]:
    """The order of the features in a layer; a ValueError where it is none."""
    if order == "same" or (order == "alternating" and layer % 2 == 0):
        return list(range(features))
    if order == "alternating":
        return list(range(features))[::-1]
    if sorted(order) != list(range(features)):
        raise ValueError(f"order must hold each of 0 .. {features - 1} once, got {list(order)}.")
    return [int(feature) for feature in order]


def warn_if_one_feature(name: str, univariate: Univariate, features: int, context: int) -> None:
    """Warn of a flow that is no more flexible than its base: families of two parameters only shift and scale."""
    if features == 1 and not context and univariate.parameter_count <= 2:
        warnings.warn(
            f"{name} of one feature and no context can only shift and scale its base: "
            'base="mixture" gives it a shape of its own.',
            stacklevel=7,
        )


def _transformed(features: int, layer: int) -> Tensor:
    """Every other feature, beginning with the second, then the first, and so on; a single feature always."""
    return (torch.arange(features) + layer) % 2 == 1 if features > 1 else torch.tensor([True])
