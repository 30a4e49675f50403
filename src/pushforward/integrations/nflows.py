"""Flows of nflows as flows of ours, with their weights."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

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
        flow: an `nflows.flows.Flow` over a standard normal base, of permutations, batch normalizations and of masked
            autoregressive and coupling layers with affine maps, additive ones or rational quadratic splines with linear
            tails. Autoregressive layers may read a context, which comes as it is. Batch normalizations are those of
            evaluation. The networks are residual, as they are by default, of rectifiers, SiLU or GELU, without batch
            normalization inside; they become twice as wide.

    Returns:
        A flow in the precision and on the device of the other, whose log_prob is the same up to rounding.

    Raises:
        InputError: it has a layer, a network, an embedding or a base of another kind; the message names it.

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
    if not isinstance(flow._embedding_net, nn.Identity):
        raise InputError(
            f"from_nflows takes flows that read their context as it is; this one embeds it by a "
            f"{type(flow._embedding_net).__name__}, which can be called before."
        )
    features = flow._distribution._shape[0]
    layers = [_layer(part, f"layer {number}") for number, part in enumerate(_parts(flow._transform))]
    masked = [layer.network for layer in layers if layer.network is not None and layer.network.masks is not None]
    context = max((network.weights[0][0].shape[1] - features for network in masked), default=0)
    return rebuilt(features, context, layers, next(flow.parameters())).train(flow.training)


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
    if isinstance(own, transforms.BatchNorm):
        log_scale = 0.5 * (own.running_var + own.eps).log() - own.weight.log()
        shift = own.running_mean - own.bias * log_scale.exp()
        return ReadLayer(affine=(shift, log_scale), inverse=inverse)
    if isinstance(own, transforms.MaskedAffineAutoregressiveTransform):
        return ReadLayer("nflows_affine", {}, _masked(own.autoregressive_net, place), inverse=inverse)
    if isinstance(own, transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform):
        options = _spline(own, place)
        network = _masked(own.autoregressive_net, place)
        return ReadLayer("inverse_spline", options, _as_our_spline(network, own.num_bins, 1.0), inverse=inverse)
    if isinstance(own, CouplingTransform) and own.unconditional_transform is None:
        return _coupling(own, place)._replace(inverse=inverse)
    raise InputError(
        "from_nflows takes permutations, batch normalizations, and autoregressive and coupling layers with affine maps "
        f"or rational quadratic splines; {place} is a {type(own).__name__}."
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
    if hasattr(net, "context_layer"):
        return _masked_with_context(net, layers, _activation(net, place))
    weights = [(layer.mask * layer.weight, layer.bias) for layer in layers]
    return _doubled(Network(weights, _activation(net, place), [layer.mask for layer in layers], residual=True))


def _masked_with_context(net: Any, layers: list[Any], activation: str) -> Network:
    """The network with the values h of its residual layers beside -h, c and -c, c its context.

    In nflows a(V c + b) is added to the first layer, and each pair reads the context too.
    """
    first, *pairs, last = layers
    units, context = len(first.bias), net.context_layer.in_features
    wide = 2 * (units + context)

    def inner(weight: Tensor, bias: Tensor, of_context: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.cat([weight, torch.zeros_like(weight), of_context, -of_context], 1)
        return pad(rows, (0, 0, 0, wide - units)), pad(bias, (0, wide - units))

    def outer(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        rows = pad(torch.cat([weight, -weight]), (0, wide - units, 0, 2 * context))
        return rows, pad(torch.cat([bias, -bias]), (0, 2 * context))

    def both(mask: Tensor) -> Tensor:
        return pad(mask.repeat(2, 2), (0, 2 * context, 0, 2 * context))

    weight, eye = first.mask * first.weight, torch.eye(units).to(first.weight)
    own = torch.block_diag(
        torch.cat([weight, -weight]), torch.cat([torch.eye(context), -torch.eye(context)]).to(weight)
    )
    weights = [(own, pad(torch.cat([first.bias, -first.bias]), (0, 2 * context)))]
    added = net.context_layer
    weights += [inner(0 * eye, added.bias, added.weight), outer(eye, 0 * first.bias)]
    for block in net.blocks:
        begin, end = block.linear_layers
        added = block.context_layer
        weights.append(inner(begin.mask * begin.weight, begin.bias + added.bias, added.weight))
        weights.append(outer(end.mask * end.weight, end.bias))
    weight = last.mask * last.weight
    weights.append((pad(torch.cat([weight, -weight], 1), (0, 2 * context)), last.bias))
    masks = [pad(first.mask.repeat(2, 1), (0, 0, 0, 2 * context)), both(eye), both(eye)]
    masks += [both(layer.mask) for layer in pairs]
    return Network(weights, activation, [*masks, pad(last.mask.repeat(1, 2), (0, 2 * context))], residual=True)


def _dense(net: Any, place: str) -> Network:
    if not isinstance(net, ResidualNet):
        raise InputError(f"from_nflows takes networks of nflows.nn.nets.ResidualNet; {place} has {type(net).__name__}.")
    if net.context_features is not None:
        raise InputError(
            f"from_nflows takes coupling layers without a context; the residual blocks of {place} are gated by one, "
            "for which networks here have no layer."
        )
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
    yield net.initial_layer
    for block in net.blocks:
        if not hasattr(block, "linear_layers") or block.use_batch_norm:
            raise InputError(
                f"from_nflows takes residual networks without batch normalization; the network of {place} is another."
            )
        yield from block.linear_layers
    yield net.final_layer
