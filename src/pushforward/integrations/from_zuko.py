"""Flows of zuko as flows of ours, with their weights."""

from functools import partial
from typing import Any

import torch
from torch import nn

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.imported.reading import Network, ReadLayer, activation_name, rebuilt
from pushforward.integrations.requirement import requires

with requires("zuko", "zuko"):
    from zuko import flows, lazy, transforms
    from zuko.nn import Linear


def from_zuko(flow: Any) -> Flow:
    """A flow of zuko as one of ours, with its weights and so its density.

    It can be saved, distilled and checked, and draws take the arithmetic of one pass. zuko's maps lead from data to
    latent, ours from latent to data: what is one pass stays one pass.

    Arguments:
        flow: a `zuko.flows.Flow` of masked autoregressive and coupling layers, with affine maps or rational quadratic
            splines, over a standard normal base, such as MAF, NSF, NICE and RealNVP; conditional or not.

    Returns:
        A flow in the precision and on the device of the other, whose log_prob is the same up to rounding.

    Raises:
        InputError: it has a layer, a univariate map, a network or a base of another kind; the message names it.

    Source: zuko, Rozet et al. 2022.

    Example:
        >>> import zuko
        >>> other = zuko.flows.MAF(features=3, context=2)
        >>> flow = from_zuko(other)
        >>> x, context = torch.randn(5, 3), torch.randn(5, 2)
        >>> torch.allclose(flow.log_prob(x, context), other(context).log_prob(x), atol=1e-5)
        True
    """
    if not isinstance(flow, lazy.Flow):
        raise InputError(f"from_zuko takes a zuko.flows.Flow, not {type(flow).__name__}.")
    features = _features_of(flow.base)
    whole = flow.transform
    parts = list(whole.transforms) if isinstance(whole, lazy.LazyComposedTransform) else [whole]
    layers = [_layer(part, f"layer {number}", features) for number, part in enumerate(parts)]
    context = max(_inputs(part) for part in parts) - features
    return rebuilt(features, context, layers, next(flow.parameters())).train(flow.training)


def _features_of(base: Any) -> int:
    """D of a standard normal base."""
    distribution = base()
    normal = getattr(distribution, "base_dist", None)
    if not isinstance(normal, torch.distributions.Normal) or (normal.loc != 0).any() or (normal.scale != 1).any():
        raise InputError(f"from_zuko takes flows over a standard normal base; this one has {distribution!r}.")
    return distribution.event_shape[-1]


def _inputs(part: Any) -> int:
    """How many features and numbers of the context a layer depends on."""
    own = part.transform if isinstance(part, lazy.LazyInverse) else part
    mapped = int((~own.mask).sum()) if isinstance(own, flows.GeneralCouplingTransform) else 0
    return own.hyper.in_features + mapped


def _layer(part: Any, place: str, features: int) -> ReadLayer:
    inverse = isinstance(part, lazy.LazyInverse)
    own = part.transform if inverse else part
    if not isinstance(own, flows.MaskedAutoregressiveTransform | flows.GeneralCouplingTransform):
        raise InputError(
            f"from_zuko takes masked autoregressive and coupling layers; {place} is a {type(own).__name__}."
        )
    family, options = _family(own, place)
    masked = isinstance(own, flows.MaskedAutoregressiveTransform)
    network = _network(own.hyper, place, features if masked else None)
    return ReadLayer(family, options, network, None if masked else tuple((~own.mask).tolist()), inverse=inverse)


def _family(own: Any, place: str) -> tuple[str, dict[str, Any]]:
    """The family of univariate maps and its options."""
    univariate: Any = own.univariate
    options: dict[str, Any] = {}
    if isinstance(univariate, partial) and not univariate.args:
        univariate, options = univariate.func, dict(univariate.keywords)
    if univariate is transforms.MonotonicAffineTransform and options.keys() <= {"slope"}:
        return "zuko_affine", options
    if univariate is transforms.MonotonicRQSTransform and options.keys() <= {"slope", "bound"}:
        return "zuko_spline", {"bins": own.shapes[0][0], **options}
    raise InputError(
        f"from_zuko takes affine maps and rational quadratic splines; the maps of {place} are "
        f"{getattr(univariate, '__name__', type(univariate).__name__)}."
    )


def _network(hyper: Any, place: str, features: int | None) -> Network:
    """A network, masked if it reads a number of features, otherwise not."""
    linear, activations = list(hyper)[::2], list(hyper)[1::2]
    if (
        not all(isinstance(module, nn.Linear | Linear) for module in linear)
        or len({type(module) for module in activations}) > 1
    ):
        raise InputError(
            f"from_zuko takes networks of linear layers with one activation between them; {place} has residual blocks, "
            "normalization or something else."
        )
    activation = activation_name(activations[0]) if activations else "relu"
    biases = [module.bias for module in linear]
    if features is None:
        return Network([(module.weight, bias) for module, bias in zip(linear, biases, strict=True)], activation)
    weights = [(module.mask * module.weight, bias) for module, bias in zip(linear, biases, strict=True)]
    first, *rest = (module.mask for module in linear)
    return Network(weights, activation, [first[:, :features], *rest])
