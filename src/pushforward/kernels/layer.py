"""Whole autoregressive layers, network and univariate maps, forwards and backwards, 64 rows at a time."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from pushforward.kernels import Native, native
from pushforward.kernels.function import gradients_by_torch, is_plain, takes_gradients

# Fewer multiplications are not worth waking a second thread.
FEWEST_FOR_THREADS = 2**18
CHUNK = 64


class Family(NamedTuple):
    """A univariate family as the kernels know it: kind 0 affine, whose bound is that of log_scale, 1 a spline."""

    kind: int
    bins: int
    tails: int
    bound: float
    smallest_bin: float
    smallest_slope: float
    slope_shift: float


class Mask(NamedTuple):
    """A mask, (outputs, inputs), and where each of its rows and columns is alive: from and to, (rows, 2)."""

    mask: Tensor
    rows: Tensor
    columns: Tensor


class Layer(NamedTuple):
    """What a layer is.

    `weights` are weight, (outputs, inputs), and bias, (outputs,), of each product in turn. `plainly` is the same map in
    operations of torch, from x, (n, D), and weights to z, (n, D), and log_det, (n,): derivatives beyond the first are
    taken of it.
    """

    family: Family
    masks: Sequence[Mask]
    weights: Sequence[Tensor]
    plainly: Callable[..., tuple[Tensor, Tensor]]


def functions_of(library: Native) -> tuple[Callable[..., None], ...]:
    """The kernels: of sizes, of values, and of gradients."""
    return (
        library.function("layer_sizes", "lpp"),
        library.function("layer_forward", "llpiiiffffipppppi"),
        library.function("layer_gradients", "llpiiiffffipppppppi"),
    )


if native is not None:
    _sizes, _forward, _gradients = functions_of(native)


def has_kernel(layer: Layer, x: Tensor) -> bool:
    """Whether the kernels take a value, (n, D), and weights: float32 on a processor, not autocast or transformed."""
    return (
        native is not None
        and x.dim() == 2
        and x.dtype == torch.float32
        and x.is_cpu
        and x.numel() > 0
        and all(weight.dtype == torch.float32 and weight.is_cpu for weight in layer.weights)
        and not torch.is_autocast_enabled("cpu")
        and is_plain()
    )


def layer_inverse(layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
    """From x, (n, D), to z, (n, D), and log_det, (n,)."""
    return _Layer.apply(layer, x, *layer.weights)


class _Layer(Function):
    """x, (n, D), and weights to z, (n, D), and log_det, (n,)."""

    # Both lie feature by feature in memory, as the next layer takes them.
    @staticmethod
    def forward(ctx: Any, layer: Layer, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        value = x.t().contiguous()
        weights = tuple(weight.contiguous() for weight in weights)
        features, count = value.shape
        depth = len(layer.masks)
        fields = _fields(layer, weights)
        dense = (ctypes.c_long * len(fields))(*fields)
        sizes = (ctypes.c_long * 3)()
        _sizes(depth, dense, sizes)
        chunks = -(-count // CHUNK)
        saved = torch.empty(sizes[0] + chunks * sizes[1])
        z, log_det = torch.empty(features, count), torch.empty(count)
        threads = min(torch.get_num_threads(), chunks) if sizes[0] * count >= FEWEST_FOR_THREADS else 1
        given = value.data_ptr()
        _forward(
            count,
            depth,
            dense,
            *layer.family,
            True,
            given,
            given,
            z.data_ptr(),
            log_det.data_ptr(),
            saved.data_ptr(),
            threads,
        )
        ctx.save_for_backward(x, value, saved, *weights)
        ctx.layer, ctx.fields, ctx.threads = layer, fields, threads
        ctx.workspace = sizes[0] + threads * sizes[2]
        return z.t(), log_det

    @staticmethod
    def backward(ctx: Any, of_z: Tensor, of_log_det: Tensor) -> tuple:
        x, value, saved, *weights = ctx.saved_tensors
        layer = ctx.layer
        if not takes_gradients(of_z, of_log_det):
            wanted = ctx.needs_input_grad[1:]
            return None, *gradients_by_torch(layer.plainly, (x, *weights), wanted, (of_z, of_log_det))
        of_z, of_log_det = of_z.t().contiguous(), of_log_det.contiguous()
        of_x = torch.empty_like(value)
        of_weights = [torch.empty_like(weight) for weight in weights]
        fields = ctx.fields.copy()
        fields[7::9] = [gradient.data_ptr() for gradient in of_weights[::2]]
        fields[8::9] = [gradient.data_ptr() for gradient in of_weights[1::2]]
        workspace = torch.empty(ctx.workspace)
        _gradients(
            value.shape[1],
            len(layer.masks),
            (ctypes.c_long * len(fields))(*fields),
            *layer.family,
            True,
            value.data_ptr(),
            saved.data_ptr(),
            of_z.data_ptr(),
            of_log_det.data_ptr(),
            of_x.data_ptr() if ctx.needs_input_grad[1] else None,
            of_x.data_ptr(),
            workspace.data_ptr(),
            ctx.threads,
        )
        return None, of_x.t(), *of_weights


def _fields(layer: Layer, weights: Sequence[Tensor]) -> list[int]:
    """The struct `Dense` of layer.h for each product, gradients left out."""
    fields: list[int] = []
    for k, (mask, rows, columns) in enumerate(layer.masks):
        weight, bias = weights[2 * k], weights[2 * k + 1]
        fields += weight.shape
        fields += (weight.data_ptr(), mask.data_ptr(), bias.data_ptr(), rows.data_ptr(), columns.data_ptr(), 0, 0)
    return fields
