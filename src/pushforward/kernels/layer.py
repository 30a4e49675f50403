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
    """What a layer is, apart from its weights.

    `plainly` is the same map in operations of torch, from value, (n, D), and weights and biases in turn to the result,
    (n, D), and its log_det, (n,): derivatives beyond the first are taken of it.
    """

    family: Family
    masks: Sequence[Mask]
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


def has_kernel(value: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether the kernels take a value, (n, D), and weights: float32 on a processor, not autocast or transformed."""
    return (
        native is not None
        and value.dim() == 2
        and value.numel() > 0
        and all(tensor.dtype == torch.float32 and tensor.is_cpu for tensor in (value, *weights))
        and not torch.is_autocast_enabled("cpu")
        and is_plain()
    )


def layer_inverse(layer: Layer, x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """From x, (n, D), to z, (n, D), and log_det, (n,).

    Arguments:
        layer: family and masks.
        x: (n, D), n at least 1.
        weights: weight, (outputs, inputs), and bias, (outputs,), of each product in turn.
    """
    z, log_det = _Layer.apply(layer, x.t(), *weights)
    return z.t(), log_det


class _Layer(Function):
    """x, (D, n), and weights to z, (D, n), and log_det, (n,)."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        weights = tuple(weight.contiguous() for weight in weights)
        features, count = x.shape
        depth = len(layer.masks)
        dense = _dense(layer, weights, [0] * len(weights))
        sizes = (ctypes.c_long * 3)()
        _sizes(depth, dense, sizes)
        chunks = -(-count // CHUNK)
        saved = torch.empty(sizes[0] + chunks * sizes[1])
        z, log_det = torch.empty(features, count), torch.empty(count)
        threads = min(torch.get_num_threads(), chunks) if sizes[0] * count >= FEWEST_FOR_THREADS else 1
        _forward(
            count,
            depth,
            dense,
            *layer.family,
            True,
            x.data_ptr(),
            x.data_ptr(),
            z.data_ptr(),
            log_det.data_ptr(),
            saved.data_ptr(),
            threads,
        )
        ctx.save_for_backward(x, saved, *weights)
        ctx.layer, ctx.threads = layer, threads
        ctx.workspace = sizes[0] + threads * sizes[2]
        return z, log_det

    @staticmethod
    def backward(ctx: Any, of_z: Tensor, of_log_det: Tensor) -> tuple:
        x, saved, *weights = ctx.saved_tensors
        layer = ctx.layer
        if not takes_gradients(of_z, of_log_det):
            wanted = ctx.needs_input_grad[1:]
            return None, *gradients_by_torch(_turned(layer.plainly), (x, *weights), wanted, (of_z, of_log_det))
        of_z, of_log_det = of_z.contiguous(), of_log_det.contiguous()
        of_x = torch.empty_like(x)
        of_weights = [torch.empty_like(weight) for weight in weights]
        workspace = torch.empty(ctx.workspace)
        _gradients(
            x.shape[1],
            len(layer.masks),
            _dense(layer, weights, [gradient.data_ptr() for gradient in of_weights]),
            *layer.family,
            True,
            x.data_ptr(),
            saved.data_ptr(),
            of_z.data_ptr(),
            of_log_det.data_ptr(),
            of_x.data_ptr() if ctx.needs_input_grad[1] else None,
            of_x.data_ptr(),
            workspace.data_ptr(),
            ctx.threads,
        )
        return None, of_x, *of_weights


def _turned(plainly: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The same of x, (D, n), to z, (D, n)."""

    def turned(x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = plainly(x.t(), *weights)
        return z.t(), log_det

    return turned


def _dense(layer: Layer, weights: Sequence[Tensor], gradients: Sequence[int]) -> ctypes.Array:
    """The struct `Dense` of layer.h for each product."""
    fields: list[int] = []
    for k, mask in enumerate(layer.masks):
        weight, bias = weights[2 * k : 2 * k + 2]
        fields += weight.shape
        fields += [weight.data_ptr(), mask.mask.data_ptr(), bias.data_ptr()]
        fields += [mask.rows.data_ptr(), mask.columns.data_ptr(), *gradients[2 * k : 2 * k + 2]]
    return (ctypes.c_long * len(fields))(*fields)
