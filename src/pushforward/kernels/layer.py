"""Whole layers, network and univariate maps, in one pass, forwards and backwards, 64 rows at a time."""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function

from pushforward.kernels import Native, native
from pushforward.kernels.autoregressive import FAMILIES, is_plain_tensor, may_run_compiled
from pushforward.kernels.eligibility import gradients_by_torch, takes_gradients

# Fewer multiplications are not worth waking a second thread.
FEWEST_FOR_THREADS = 2**18
CHUNK = 64
# Of `Dense`.
FIELDS = 10
# Somewhat less than the largest block that glibc learns from, 32 MB.
LEARNED_FROM = 8_000_000


class Product(NamedTuple):
    """What a linear layer multiplies by and adds, and of a masked one, where each row and column is alive."""

    weight: Tensor
    bias: Tensor
    mask: Tensor | None
    rows: Tensor | None
    columns: Tensor | None


class Layer(NamedTuple):
    """A network of rectifiers and the univariate maps whose parameters it gives.

    Attributes:
        products: of its linear layers. They are looked up in the modules once a pass, which takes longer than it seems.
        skips: whether to each product's result that of two products before is added.
        univariate: the family.
        inverse: the direction.
    """

    products: Sequence[Product]
    skips: Sequence[bool]
    univariate: Any
    inverse: bool

    @property
    def weights(self) -> list[Tensor]:
        """Weight and bias of each product in turn."""
        return [part for product in self.products for part in (product.weight, product.bias)]

    def plainly(self, value: Tensor, seen: Tensor | None, added: Tensor | None, *weights: Tensor) -> tuple[Tensor, ...]:
        """The same map in operations of torch, of which derivatives beyond the first are taken."""
        hidden = (value if seen is None else seen).t()
        results: list[Tensor] = []
        for k, product in enumerate(self.products):
            weight, bias = weights[2 * k : 2 * k + 2]
            masked = weight if product.mask is None else weight * product.mask
            hidden = torch.addmm(bias[:, None], masked, hidden)
            if k == 0 and added is not None:
                hidden = hidden + added
            if self.skips[k]:
                hidden = hidden + results[k - 2]
            results.append(hidden)
            hidden = hidden.relu()
        parameters = results[-1].unflatten(0, (value.shape[1], -1)).permute(2, 0, 1)
        mapped, log_derivative = (self.univariate.inverse if self.inverse else self.univariate.forward)(
            value, parameters
        )
        return mapped, log_derivative.sum(-1)


def functions_of(library: Native) -> tuple[Callable[..., None], ...]:
    """The kernels: of sizes, of values, and of gradients."""
    return (
        library.function("layer_sizes", "lpp"),
        library.function("layer_forward", "llpiiiffffippppppi"),
        library.function("layer_gradients", "llpiiiffffippppppppi"),
    )


if native is not None:
    _sizes, _forward, _gradients = functions_of(native)


def layer_of(
    network: Any, products: Sequence[nn.Module], univariate: Any, inverse: bool, value: Tensor
) -> Layer | None:
    """The layer as the kernels take it, or None where they do not take it, or values like this.

    They want float32 on a processor, rectifiers, a known family, and that no transformation of torch looks on.
    """
    if (
        native is None
        or value.dim() != 2
        or value.numel() == 0
        or type(network.activation) is not nn.ReLU
        or not may_run_compiled(univariate, value)
    ):
        return None
    found = []
    for product in products:
        one = _product(product)
        if one is None or not (is_plain_tensor(one.weight) and is_plain_tensor(one.bias)):
            return None
        found.append(one)
    return Layer(found, [skip is not None for skip in network.skips], univariate, inverse)


def _product(layer: nn.Module) -> Product | None:
    """The parts of a linear layer, or None where it has no weight, or no bias."""
    # By attributes each would take as long as a small product.
    of = layer._parameters | layer._buffers
    weight, bias = of.get("weight"), of.get("bias")
    if weight is None or bias is None:
        return None
    return Product(weight, bias, of.get("mask"), of.get("rows"), of.get("columns"))


def whole_layer(layer: Layer, value: Tensor, seen: Tensor | None, added: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mapped value, (n, D), and log_det, (n,).

    Arguments:
        layer: what `layer_of` gave.
        value: (n, D).
        seen: what the network sees, (n, inputs); None for value itself.
        added: what is added to the first product's result, (units, n or 1), or None.
    """
    added = None if added is None else added.expand(-1, len(value))
    _keep_freed_memory()
    return _Layer.apply(layer, value, seen, added, *layer.weights)


@functools.cache
def _keep_freed_memory() -> None:
    """Let one large block be freed, once in a process.

    From the largest block that it has seen freed, glibc learns how much freed memory to keep for the next one, at most
    64 MB. A step frees more than it keeps by itself, and fetches it anew, page by page, at the next: a quarter of the
    time of a layer of 512 units. No page of the block is ever touched.
    """
    torch.empty(LEARNED_FROM)


class _Layer(Function):
    # What comes out lies feature by feature in memory, as the next layer takes it.
    @staticmethod
    def forward(
        ctx: Any, layer: Layer, value: Tensor, seen: Tensor | None, added: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(value, seen, added, *weights)
        by_feature = value.t().contiguous()
        seen_by_feature = by_feature if seen is None else seen.t().contiguous()
        added = None if added is None else added.contiguous()
        weights = tuple(weight.contiguous() for weight in weights)
        features, count = by_feature.shape
        fields = _fields(layer, weights)
        dense = (ctypes.c_long * len(fields))(*fields)
        sizes = (ctypes.c_long * 4)()
        depth = len(layer.products)
        _sizes(depth, dense, sizes)
        chunks = -(-count // CHUNK)
        threads = min(torch.get_num_threads(), chunks) if sizes[0] * count >= FEWEST_FOR_THREADS else 1
        saved = value.new_empty(sizes[0] + chunks * sizes[1] + threads * sizes[2])
        there, log_det = value.new_empty(features, count), value.new_empty(count)
        family = FAMILIES[type(layer.univariate)](layer.univariate)
        _forward(
            count,
            depth,
            dense,
            *family,
            layer.inverse,
            by_feature.data_ptr(),
            seen_by_feature.data_ptr(),
            None if added is None else added.data_ptr(),
            there.data_ptr(),
            log_det.data_ptr(),
            saved.data_ptr(),
            threads,
        )
        ctx.layer, ctx.family, ctx.threads = layer, family, threads
        ctx.held = by_feature, saved, weights, dense
        ctx.workspace = sizes[0] + threads * sizes[3]
        return there.t(), log_det

    @staticmethod
    def backward(ctx: Any, of_there: Tensor, of_log_det: Tensor) -> tuple:
        value, seen, added, *_ = ctx.saved_tensors
        layer = ctx.layer
        if not takes_gradients(of_there, of_log_det):
            wanted = ctx.needs_input_grad[1:]
            return None, *gradients_by_torch(layer.plainly, ctx.saved_tensors, wanted, (of_there, of_log_det))
        by_feature, saved, weights, dense = ctx.held
        of_there, of_log_det = of_there.t().contiguous(), of_log_det.contiguous()
        of_value = torch.empty_like(by_feature)
        # Seen values have a gradient of their own, or one that is summed with that of the values, or none.
        of_seen = None
        if seen is not None and ctx.needs_input_grad[2]:
            of_seen = value.new_empty(seen.shape[1], seen.shape[0])
        elif seen is None and ctx.needs_input_grad[1]:
            of_seen = of_value
        of_added = None if added is None else value.new_empty(added.shape)
        of_weights = [torch.empty_like(weight) for weight in weights]
        for k, gradient in enumerate(of_weights):
            dense[k // 2 * FIELDS + FIELDS - 2 + k % 2] = gradient.data_ptr()
        workspace = value.new_empty(ctx.workspace)
        _gradients(
            by_feature.shape[1],
            len(layer.products),
            dense,
            *ctx.family,
            layer.inverse,
            by_feature.data_ptr(),
            saved.data_ptr(),
            of_there.data_ptr(),
            of_log_det.data_ptr(),
            of_value.data_ptr(),
            None if of_seen is None else of_seen.data_ptr(),
            None if of_added is None else of_added.data_ptr(),
            workspace.data_ptr(),
            ctx.threads,
        )
        own = None if seen is None or of_seen is None else of_seen.t()
        return None, of_value.t(), own, of_added, *of_weights


def _fields(layer: Layer, weights: Sequence[Tensor]) -> list[int]:
    """The struct `Dense` of layer.h for each product, the places of the gradients, which come last, still empty."""
    fields: list[int] = []
    for k, (_, _, mask, rows, columns) in enumerate(layer.products):
        weight, bias = weights[2 * k : 2 * k + 2]
        fields += *weight.shape, layer.skips[k], weight.data_ptr()
        places = [0 if part is None else part.data_ptr() for part in (mask, rows, columns)]
        fields += places[0], bias.data_ptr(), *places[1:], 0, 0
    return fields
