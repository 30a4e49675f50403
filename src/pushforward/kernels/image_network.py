"""Residual networks of images with their gradients, one image at a time."""

from collections.abc import Callable, Sequence
from ctypes import byref
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from pushforward.kernels import Native, native
from pushforward.kernels.eligibility import gradients_by_torch, is_float32_on_cpu, is_untransformed, takes_gradients
from pushforward.kernels.structures import Convolution, ImageNetworkCall, ImageNetworkSizes
from pushforward.kernels.threads import thread_count

# For fewer multiplications it takes longer to wake a second thread than to compute.
FEWEST_FOR_THREADS = 2**18
# Of smaller images there are too few pixels beside the zeros between their rows; torch's own convolutions between more
# channels are as quick forwards, and quicker backwards.
FEWEST_PIXELS, MOST_CHANNELS = 25, 64


def functions_of(library: Native) -> tuple[Callable[..., None], ...]:
    """The kernels: of sizes, of values, and of gradients."""
    return (
        library.function("image_network_sizes", ImageNetworkCall, ImageNetworkSizes),
        library.function("image_network_forward", ImageNetworkCall),
        library.function("image_network_gradients", ImageNetworkCall),
    )


if native is not None:
    _sizes, _forward, _gradients = functions_of(native)


def is_quicker(images: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether there are kernels, which take these images and weights and are quicker than torch by measurement."""
    between_hidden = len(weights) > 3
    return (
        native is not None
        and is_untransformed()
        and len(images) > 0
        and images.shape[-2] * images.shape[-1] >= FEWEST_PIXELS
        and not (between_hidden and len(weights[0]) > MOST_CHANNELS)
        and all(is_float32_on_cpu(tensor) for tensor in (images, *weights))
        and not torch.is_autocast_enabled("cpu")
    )


def residual_network(images: Tensor, added: Tensor, rows: Tensor | None, *weights: Tensor) -> Tensor:
    """W a(h) of h = W x + added + rows and then, for each pair of layers, h = h + W₂ a(W₁ a(h)).

    The activation is a(z) = z · sigmoid(z). Every W is a convolution of 3 × 3, and all but the first have a bias.

    Arguments:
        images: x, (n, channels, H, W), n at least 1.
        added: (hidden, H, W).
        rows: (n, hidden), or None.
        weights: W of the first layer, (hidden, channels, 3, 3), then W and bias of each other one.

    Returns:
        (n, outputs, H, W).
    """
    found: Tensor = _ResidualNetwork.apply(images, added, rows, *weights)
    return found


def in_torch(images: Tensor, added: Tensor, rows: Tensor | None, *weights: Tensor) -> Tensor:
    """The same in operations of torch."""
    hidden = functional.conv2d(images, weights[0], padding=1) + added
    if rows is not None:
        hidden = hidden + rows[..., None, None]
    layers = list(zip(weights[1::2], weights[2::2], strict=True))
    for first, second in zip(layers[:-1:2], layers[1:-1:2], strict=True):
        hidden = hidden + _activated(_activated(hidden, *first), *second)
    return _activated(hidden, *layers[-1])


def _activated(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.conv2d(functional.silu(hidden), weight, bias, padding=1)


class _ResidualNetwork(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, added: Tensor, rows: Tensor | None, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(images, added, rows, *weights)
        images, added, rows = images.contiguous(), added.contiguous(), None if rows is None else rows.contiguous()
        weights = tuple(weight.contiguous() for weight in weights)
        count, _, height, width = images.shape
        layers = _convolutions(weights)
        results = images.new_empty(count, layers[-1].outputs, height, width)
        call = ImageNetworkCall(
            count,
            height,
            width,
            len(layers),
            layers,
            1,
            images.data_ptr(),
            added.data_ptr(),
            None if rows is None else rows.data_ptr(),
            results.data_ptr(),
        )
        if count * height * width * sum(weight.numel() for weight in weights) >= FEWEST_FOR_THREADS:
            call.threads = thread_count()
        sizes = ImageNetworkSizes()
        _sizes(byref(call), byref(sizes))
        saved = images.new_empty(sizes.saved) if any(ctx.needs_input_grad) else None
        workspace = images.new_empty(sizes.workspace)
        call.saved = None if saved is None else saved.data_ptr()
        call.workspace = workspace.data_ptr()
        _forward(byref(call))
        # The call points into these tensors.
        ctx.call, ctx.held = call, (images, added, rows, weights, saved)
        ctx.workspace = sizes.workspace
        return results

    @staticmethod
    def backward(ctx: Any, of_results: Tensor) -> tuple:
        if not takes_gradients(of_results):
            return gradients_by_torch(_results, ctx.saved_tensors, ctx.needs_input_grad, (of_results,))
        images, added, rows, *weights = ctx.saved_tensors
        call: ImageNetworkCall = ctx.call
        of_results, workspace = of_results.contiguous(), images.new_empty(ctx.workspace)
        of_images = images.new_empty(images.shape) if ctx.needs_input_grad[0] else None
        of_added = images.new_empty(added.shape)
        of_rows = None if rows is None else images.new_empty(rows.shape)
        of_weights = [images.new_empty(weight.shape) for weight in weights]
        for k in range(call.depth):
            layer = call.layers[k]
            layer.of_weight = of_weights[max(2 * k - 1, 0)].data_ptr()
            layer.of_bias = of_weights[2 * k].data_ptr() if k else None
        call.of_results, call.workspace = of_results.data_ptr(), workspace.data_ptr()
        call.of_images = None if of_images is None else of_images.data_ptr()
        call.of_added = of_added.data_ptr()
        call.of_rows = None if of_rows is None else of_rows.data_ptr()
        _gradients(byref(call))
        return of_images, of_added, of_rows, *of_weights


def _convolutions(weights: Sequence[Tensor]) -> Any:
    """The layers as the kernels see them, with these contiguous weights; the gradients are still missing."""
    layers = (Convolution * (1 + len(weights) // 2))()
    for k in range(len(layers)):
        weight = weights[max(2 * k - 1, 0)]
        layers[k] = Convolution(weight.shape[1], weight.shape[0], weight.data_ptr())
        layers[k].bias = weights[2 * k].data_ptr() if k else None
    return layers


def _results(*inputs: Tensor) -> tuple[Tensor]:
    return (in_torch(*inputs),)
