"""The layers of coupling and autoregressive flows, one after the other from the latent side."""

import warnings
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from pushforward.bijections import LU, ActNorm, Autoregressive, Bijection, Coupling, Householder, Inverse, Univariate
from pushforward.networks import Conditioner
from pushforward.zoo.options import Adjacency, Order


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
