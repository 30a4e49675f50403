"""Flows of nflows as flows of ours, with their weights."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections.univariate.base import SLOPE_SHIFT, SMALLEST_SLOPE
from pushforward.bijections.univariate.spline import SMALLEST_BIN
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.imported.reading import Network, ReadLayer, activation_name, rebuilt
from pushforward.integrations.requirement import requires

with requires("nflows", "nflows"):
    from nflows import flows, transforms
    from nflows.distributions import StandardNormal
    from nflows.nn.nets import ResidualNet
    from nflows.transforms.coupling import CouplingTransform

# Activations a with h = a(h) - a(-h).
HALVES = ("relu", "silu", "gelu")


def from_nflows(flow: Any) -> Flow:
    """A flow of nflows as one of ours, with its weights and so its density.

    Arguments:
        flow: an unconditional `nflows.flows.Flow` over a standard normal base, of permutations and of masked
            autoregressive and coupling layers with affine maps, additive ones or rational quadratic splines with linear
            tails. The networks are residual, as they are by default, of rectifiers, SiLU or GELU, without batch
            normalization; they become twice as wide.

    Returns:
        A flow in the precision and on the device of the other, whose log_prob is the same up to rounding.

    Raises:
        InputError: it has a layer, a network, a context or a base of another kind; the message names it.

    Source: nflows, Durkan, Bekasov, Murray and Papamakarios 2020.

    Example:
        >>> from nflows.flows import MaskedAutoregressiveFlow
        >>> other = MaskedAutoregressiveFlow(features=3, hidden_features=8, num_layers=2, num_blocks_per_layer=1)
        >>> flow, x = from_nflows(other), torch.randn(5, 3)
        >>> torch.allclose(flow.log_prob(x), other.log_prob(x), atol=1e-5)
        True
    """
    if not isinstance(flow, flows.Flow):
        raise InputError(f"from_nflows takes an nflows.flows.Flow, not {type(flow).__name__}.")
    if not isinstance(flow._distribution, StandardNormal):
        raise InputError(
            f"from_nflows takes flows over a standard normal base; this one has {type(flow._distribution).__name__}."
        )
    features = flow._distribution._shape[0]
    layers = [_layer(part, f"layer {number}") for number, part in enumerate(_parts(flow._transform))]
    return rebuilt(features, 0, layers, next(flow.parameters())).train(flow.training)


def _parts(transform: Any) -> Iterator[Any]:
    """The layers from data to latent."""
    if isinstance(transform, transforms.CompositeTransform):
        for part in transform._transforms:
            yield from _parts(part)
    else:
        yield transform


def _layer(part: Any, place: str) -> ReadLayer:
    inverse = isinstance(part, transforms.InverseTransform)
    own = part._transform if inverse else part
    if isinstance(own, transforms.Permutation):
        order = own._permutation.argsort()
        return ReadLayer(order=tuple((order.argsort() if inverse else order).tolist()))
    if isinstance(own, transforms.MaskedAffineAutoregressiveTransform):
        return ReadLayer("nflows_affine", {}, _masked(own.autoregressive_net, place), inverse=inverse)
    if isinstance(own, transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform):
        options = _spline(own, place)
        network = _masked(own.autoregressive_net, place)
        return ReadLayer("inverse_spline", options, _as_our_spline(network, own.num_bins, 1.0), inverse=inverse)
    if isinstance(own, CouplingTransform) and own.unconditional_transform is None:
        return _coupling(own, place)._replace(inverse=inverse)
    raise InputError(
        "from_nflows takes permutations, and autoregressive and coupling layers with affine maps or rational quadratic "
        f"splines; {place} is a {type(own).__name__}."
    )


def _coupling(own: Any, place: str) -> ReadLayer:
    network = _dense(own.transform_net, place)
    transformed = torch.zeros(own.features, dtype=torch.bool)
    transformed[own.transform_features] = True
    mapped = tuple(transformed.tolist())
    weight, bias = network.weights[-1]
    if type(own) is transforms.AdditiveCouplingTransform:
        # z = x + shift there, x = z + shift here.
        return ReadLayer("additive", {}, _with_last(network, -weight, -bias), mapped)
    if type(own) is transforms.AffineCouplingTransform:
        # All shifts and then all scales there; here the two of a feature side by side, the scale first.
        place_of = torch.arange(len(bias)).view(2, -1).flip(0).t().flatten()
        return ReadLayer(
            "nflows_affine", {"gate": "sigmoid"}, _with_last(network, weight[place_of], bias[place_of]), mapped
        )
    if type(own) is transforms.PiecewiseRationalQuadraticCouplingTransform:
        scale = 1 / math.sqrt(own.transform_net.hidden_features)
        return ReadLayer("inverse_spline", _spline(own, place), _as_our_spline(network, own.num_bins, scale), mapped)
    raise InputError(
        f"from_nflows takes coupling layers of affine maps and splines; {place} is a {type(own).__name__}."
    )


def _spline(own: Any, place: str) -> dict[str, Any]:
    """The options of a spline, which has the same smallest bins and slopes as ours."""
    smallest = {own.min_bin_width, own.min_bin_height}
    if own.tails != "linear" or smallest != {SMALLEST_BIN} or own.min_derivative != SMALLEST_SLOPE:
        raise InputError(
            f"from_nflows takes splines with linear tails and the smallest bins and slopes that nflows has by default; "
            f"those of {place} are others."
        )
    return {"bins": own.num_bins, "bound": float(own.tail_bound)}


def _as_our_spline(network: Network, bins: int, scale: float) -> Network:
    """The network with widths and heights times a number, and slopes from where ours start."""
    weight, bias = network.weights[-1]
    count = 3 * bins - 1
    sizes = torch.arange(len(bias), device=bias.device) % count < 2 * bins
    factor = torch.where(sizes, scale, 1.0).to(bias)
    shift = torch.where(sizes, 0.0, SLOPE_SHIFT).to(bias)
    return _with_last(network, weight * factor[:, None], bias * factor - shift)


def _with_last(network: Network, weight: Tensor, bias: Tensor) -> Network:
    return network._replace(weights=[*network.weights[:-1], (weight, bias)])


def _masked(net: Any, place: str) -> Network:
    layers: list[Any] = list(_linear_layers(net, place))
    weights = [(layer.mask * layer.weight, layer.bias) for layer in layers]
    return _doubled(Network(weights, _activation(net, place), [layer.mask for layer in layers], residual=True))


def _dense(net: Any, place: str) -> Network:
    if not isinstance(net, ResidualNet):
        raise InputError(f"from_nflows takes networks of nflows.nn.nets.ResidualNet; {place} has {type(net).__name__}.")
    weights = [(layer.weight, layer.bias) for layer in _linear_layers(net, place)]
    return _doubled(Network(weights, _activation(net, place), None, residual=True))


def _activation(net: Any, place: str) -> str:
    name = activation_name(net.blocks[0].activation) if len(net.blocks) else "relu"
    if name not in HALVES:
        raise InputError(
            f"from_nflows takes networks of the activations {', '.join(HALVES)}; that of {place} has {name}."
        )
    return name


def _doubled(network: Network) -> Network:
    """The network with each value h of a residual layer beside -h.

    In nflows the last layer reads h itself, in ours a(h); and h = a(h) - a(-h).
    """
    weights = []
    last = len(network.weights) - 1
    for number, (weight, bias) in enumerate(network.weights):
        if number == last:
            weights.append((torch.cat([weight, -weight], 1), bias))
            continue
        # A pair reads a(h) alone, and its inner values have no opposites.
        sign = 0.0 if number % 2 else -1.0
        rows = torch.cat([weight, sign * weight])
        weights.append((torch.cat([rows, 0 * rows], 1) if number else rows, torch.cat([bias, sign * bias])))
    if network.masks is None:
        return network._replace(weights=weights)
    first, *inner, outputs = network.masks
    masks = [first.repeat(2, 1), *(mask.repeat(2, 2) for mask in inner), outputs.repeat(1, 2)]
    return network._replace(weights=weights, masks=masks)


def _linear_layers(net: Any, place: str) -> Iterator[nn.Linear]:
    if hasattr(net, "context_layer") or getattr(net, "context_features", None):
        raise InputError(f"from_nflows takes unconditional flows; {place} reads a context.")
    yield net.initial_layer
    for block in net.blocks:
        if not hasattr(block, "linear_layers") or block.use_batch_norm:
            raise InputError(
                f"from_nflows takes residual networks without batch normalization; the network of {place} is another."
            )
        yield from block.linear_layers
    yield net.final_layer
