"""Whole layers, network and univariate maps, in one pass, with their gradients, 64 rows at a time."""

from collections.abc import Callable, Sequence
from ctypes import byref
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from pushforward.kernels import Native, native
from pushforward.kernels.eligibility import gradients_by_torch, takes_gradients
from pushforward.kernels.structures import Dense, LayerCall, LayerSizes
from pushforward.kernels.threads import thread_count
from pushforward.kernels.univariate import compiled

# For fewer multiplications it takes longer to wake a second thread than to compute.
FEWEST_FOR_THREADS = 2**18


class Weights(NamedTuple):
    """The weights of a linear layer; of a masked one also the stretch in which each row and column is alive.

    Attributes:
        weight: (units, inputs).
        bias: (units,).
        mask: (units, inputs), 1 where a weight is alive and 0 elsewhere; None if all are.
        rows: (units, 2) of int32, from which input to which a unit is alive; None if it is from the first to the last.
        columns: (inputs, 2) of int32, the same of the transpose.
        contiguous: whether every row and column of the mask is alive throughout its stretch.
        skip: whether the result of two layers before is added.
    """

    weight: Tensor
    bias: Tensor
    mask: Tensor | None
    rows: Tensor | None
    columns: Tensor | None
    contiguous: bool
    skip: bool


class Layer(NamedTuple):
    """A network of rectifiers, the univariate maps whose parameters it supplies, and the direction."""

    network: Sequence[Weights]
    univariate: Any
    inverse: bool

    def in_torch(
        self, value: Tensor, known: Tensor | None, added: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        """The same map in operations of torch, for second and higher derivatives."""
        hidden = (value if known is None else known).t()
        results: list[Tensor] = []
        for k, linear in enumerate(self.network):
            weight, bias = weights[2 * k : 2 * k + 2]
            masked = weight if linear.mask is None else weight * linear.mask
            hidden = torch.addmm(bias[:, None], masked, hidden)
            if k == 0 and added is not None:
                hidden = hidden + added
            if linear.skip:
                hidden = hidden + results[k - 2]
            results.append(hidden)
            hidden = hidden.relu()
        parameters = results[-1].unflatten(0, (value.shape[1], -1)).permute(2, 0, 1)
        direction = self.univariate.inverse if self.inverse else self.univariate.forward
        mapped, log_derivative = direction(value, parameters)
        return mapped, log_derivative.sum(-1)


def functions_of(library: Native) -> tuple[Callable[..., None], ...]:
    """The kernels: of sizes, of values, of values in float64, and of gradients."""
    return (
        library.function("layer_sizes", LayerCall, LayerSizes),
        library.function("layer_forward", LayerCall),
        library.function("layer_forward_float64", LayerCall),
        library.function("layer_gradients", LayerCall),
    )


if native is not None:
    _sizes, _forward, _forward_float64, _gradients = functions_of(native)


def whole_layer(
    network: Sequence[Weights],
    univariate: object,
    inverse: bool,
    value: Tensor,
    known: Tensor | None,
    added: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """univariate(value; network(known)), mapped or, with `inverse`, solved for the latent value.

    Arguments:
        network: the weights of its layers, with rectifiers between them, of the dtype of the value.
        univariate: a family of maps that `may_run_compiled` accepts.
        inverse: the direction.
        value: (n, D), n at least 1.
        known: what the network reads, (n, inputs); None for value itself.
        added: what is added to the first layer's result, (units, n or 1), or None.

    Returns:
        The mapped value, (n, D), feature by feature in memory, and log_det, (n,).
    """
    added = None if added is None else added.expand(-1, len(value))
    weights = [part for linear in network for part in linear[:2]]
    return _WholeLayer.apply(Layer(network, univariate, inverse), value, known, added, *weights)


class _WholeLayer(Function):
    @staticmethod
    def forward(
        ctx: Any, layer: Layer, value: Tensor, known: Tensor | None, added: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(value, known, added, *weights)
        by_feature = value.t().contiguous()
        known_by_feature = by_feature if known is None else known.t().contiguous()
        added = None if added is None else added.contiguous()
        weights = tuple(weight.contiguous() for weight in weights)
        features, count = by_feature.shape
        mapped, log_det = value.new_empty(features, count), value.new_empty(count)
        call = LayerCall(
            compiled(layer.univariate),
            layer.inverse,
            1,
            count,
            len(layer.network),
            _dense(layer.network, weights),
            by_feature.data_ptr(),
            known_by_feature.data_ptr(),
            None if added is None else added.data_ptr(),
            mapped.data_ptr(),
            log_det.data_ptr(),
        )
        sizes = LayerSizes()
        _sizes(byref(call), byref(sizes))
        if sizes.weights * count >= FEWEST_FOR_THREADS:
            call.threads = thread_count()
        saved = value.new_empty(sizes.saved)
        call.saved = saved.data_ptr()
        forward = _forward if value.dtype is torch.float32 else _forward_float64
        forward(byref(call))
        # The call points into these tensors.
        ctx.layer, ctx.call, ctx.held = layer, call, (by_feature, weights, saved)
        ctx.workspace = sizes.workspace
        return mapped.t(), log_det

    @staticmethod
    def backward(ctx: Any, of_mapped: Tensor, of_log_det: Tensor) -> tuple:
        value, known, added, *_ = ctx.saved_tensors
        if not takes_gradients(of_mapped, of_log_det):
            wanted = ctx.needs_input_grad[1:]
            return None, *gradients_by_torch(ctx.layer.in_torch, ctx.saved_tensors, wanted, (of_mapped, of_log_det))
        by_feature, weights, _ = ctx.held
        of_mapped, of_log_det = of_mapped.t().contiguous(), of_log_det.contiguous()
        of_value = torch.empty_like(by_feature)
        # Known values have a gradient of their own, or one that is summed with that of the values, or none.
        of_known = None
        if known is not None and ctx.needs_input_grad[2]:
            of_known = value.new_empty(known.shape[1], known.shape[0])
        elif known is None and ctx.needs_input_grad[1]:
            of_known = of_value
        of_added = None if added is None else value.new_empty(added.shape)
        of_weights = [torch.empty_like(weight) for weight in weights]
        workspace = value.new_empty(ctx.workspace)
        call: LayerCall = ctx.call
        for k in range(call.depth):
            linear = call.dense[k]
            linear.of_weight, linear.of_bias = of_weights[2 * k].data_ptr(), of_weights[2 * k + 1].data_ptr()
        call.of_mapped, call.of_log_det = of_mapped.data_ptr(), of_log_det.data_ptr()
        call.of_value = of_value.data_ptr()
        call.of_known = None if of_known is None else of_known.data_ptr()
        call.of_added = None if of_added is None else of_added.data_ptr()
        call.workspace = workspace.data_ptr()
        _gradients(byref(call))
        own = None if known is None or of_known is None else of_known.t()
        return None, of_value.t(), own, of_added, *of_weights


def _dense(network: Sequence[Weights], weights: Sequence[Tensor]) -> Any:
    """The layers as the kernels see them, with these contiguous weights; the gradients are still missing."""
    dense = (Dense * len(network))()
    for k, (_, _, mask, rows, columns, _, skip) in enumerate(network):
        weight, bias = weights[2 * k : 2 * k + 2]
        if mask is None or rows is None or columns is None:
            dense[k] = Dense(*weight.shape, skip, weight.data_ptr(), None, bias.data_ptr(), None, None)
        else:
            dense[k] = Dense(
                *weight.shape,
                skip,
                weight.data_ptr(),
                mask.data_ptr(),
                bias.data_ptr(),
                rows.data_ptr(),
                columns.data_ptr(),
            )
    return dense
