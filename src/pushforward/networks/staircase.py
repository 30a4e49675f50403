"""Products with matrices whose live entries form a staircase: the dead half is not computed.

The hidden units of a MADE are sorted by degree, so each row of a masked matrix is alive on a contiguous stretch of
columns. Rows are taken in blocks, each multiplied over the columns that any of its rows needs.

With M the mask and L(x, W) = x (M · W)ᵀ, the product, its transpose T(y, W) = y (M · W) and its gradient with respect
to W, O(y, x) = M · (yᵀ x), are closed under differentiation: each one's gradients are the other two. So derivatives of
any order come cheap.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

# Smaller products are quicker whole.
SMALLEST = 2**14
ROWS = 4
FEWEST_ROWS = 32
# Matrix products are written for this many rows at a time: 31 take twice as long as 32.
GRAIN = 16


class Block(NamedTuple):
    """Rows `top` to `bottom` are alive at most in columns `left` to `right`, ends not included.

    So are the rows from `above` to `top`, which belong to the block before: they may be computed along with these.
    """

    top: int
    bottom: int
    left: int
    right: int
    above: int


def blocks_of(mask: Tensor, repeats: int = 1) -> list[Block] | None:
    """Cut a mask, (rows, columns), into blocks; None where that does not pay.

    Arguments:
        mask: True where a weight is alive; `repeats` staircases one below the other.
        repeats: how many.

    Example:
        >>> mask = torch.ones(256, 256).tril().bool()
        >>> blocks_of(mask)[0], sum((b.bottom - b.top) * (b.right - b.left) for b in blocks_of(mask)) / 256**2
        (Block(top=0, bottom=64, left=0, right=64, above=0), 0.625)
    """
    rows, columns = mask.shape
    if mask.numel() < SMALLEST:
        return None
    each = rows // repeats
    height = max(FEWEST_ROWS, -(-each // ROWS))
    height = -(-height // GRAIN) * GRAIN
    blocks = []
    for start in range(0, rows, each):
        for top in range(start, start + each, height):
            bottom = min(top + height, start + each)
            alive = mask[top:bottom].any(0).nonzero()[:, 0]
            left, right = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, 0)
            above = max(0, bottom - -(-(bottom - top) // GRAIN) * GRAIN)
            if mask[above:top, :left].any() or mask[above:top, right:].any():
                above = top
            blocks.append(Block(top, bottom, left, right, above))
    computed = sum((b.bottom - b.top) * (b.right - b.left) for b in blocks)
    return blocks if computed < 0.8 * rows * columns else None


def staircase_linear(x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None, blocks: Sequence[Block]) -> Tensor:
    """X (mask · weight)ᵀ + bias, (*batch, rows), differentiable to any order.

    Arguments:
        x: (*batch, columns).
        weight: (rows, columns).
        mask: (rows, columns), 1 where the weight is alive and 0 elsewhere, of the same dtype.
        bias: (rows,) or None.
        blocks: of the mask; every row belongs to one.
    """
    if torch.is_autocast_enabled(x.device.type):  # which knows plain products only
        return functional.linear(x, weight * mask, bias)
    if torch.compiler.is_compiling():
        parts = []
        for top, bottom, left, right, _ in blocks:
            rows = weight[top:bottom, left:right] * mask[top:bottom, left:right]
            parts.append(functional.linear(x[..., left:right], rows, None if bias is None else bias[top:bottom]))
        return torch.cat(parts, -1)
    if x.dim() == 2:  # no view of the result, which could not be overwritten cheaply
        return _Product.apply(x, weight, mask, bias, blocks)
    flat = _Product.apply(x.reshape(-1, x.shape[-1]), weight, mask, bias, blocks)
    return flat.view(*x.shape[:-1], weight.shape[0])


def _save(ctx: Any, *tensors: Tensor) -> None:
    """Keep tensors for both kinds of derivative."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def _bilinear(function: type[Function], ctx: Any, first_tangent: Any, second_tangent: Any) -> Tensor:
    """The derivative of a product of two, f(∂a, b) + f(a, ∂b), where a missing tangent is zero."""
    first, second, mask = ctx.saved_tensors
    parts = [] if first_tangent is None else [function.apply(first_tangent, second, mask, ctx.blocks)]
    parts += [] if second_tangent is None else [function.apply(first, second_tangent, mask, ctx.blocks)]
    return sum(parts[1:], parts[0])


class _Product(Function):
    """L: x, (n, columns), and weight to x (mask · weight)ᵀ + bias, (n, rows)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None, blocks: Sequence[Block]) -> Tensor:
        out = x.new_empty(len(x), len(weight))
        for _, bottom, left, right, above in blocks:
            part, columns = out[:, above:bottom], x[:, left:right]
            rows = torch.mul(weight[above:bottom, left:right], mask[above:bottom, left:right]).t()
            if bias is None:
                torch.mm(columns, rows, out=part)
            else:
                torch.addmm(bias[above:bottom], columns, rows, out=part)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, weight, mask, bias, ctx.blocks = inputs
        _save(ctx, x, weight, mask)
        ctx.with_bias = bias is not None

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, weight, mask = ctx.saved_tensors
        of_x = _Transposed.apply(gradient, weight, mask, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(gradient, x, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(0) if ctx.with_bias and ctx.needs_input_grad[3] else None
        return of_x, of_weight, None, of_bias, None

    @staticmethod
    def jvp(ctx: Any, x_tangent: Any, weight_tangent: Any, mask_tangent: Any, bias_tangent: Any, _: Any) -> Tensor:
        x, weight, mask = ctx.saved_tensors
        parts = []
        if x_tangent is not None:
            parts.append(_Product.apply(x_tangent, weight, mask, None, ctx.blocks))
        if weight_tangent is not None:
            parts.append(_Product.apply(x, weight_tangent, mask, None, ctx.blocks))
        if bias_tangent is not None:
            parts.append(bias_tangent.expand(len(x), -1))
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple, x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None, blocks: Any
    ) -> tuple:
        def product(x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None) -> Tensor:
            return functional.linear(x, weight * mask, bias)

        return torch.vmap(product, in_dims[:4])(x, weight, mask, bias), 0


class _Transposed(Function):
    """T: y, (n, rows), and weight to y (mask · weight), (n, columns)."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor, mask: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = y.new_zeros(len(y), weight.shape[1])
        for top, bottom, left, right, _ in blocks:
            rows = torch.mul(weight[top:bottom, left:right], mask[top:bottom, left:right])
            out[:, left:right].addmm_(y[:, top:bottom], rows)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, weight, mask, ctx.blocks = inputs
        _save(ctx, y, weight, mask)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, weight, mask = ctx.saved_tensors
        of_y = _Product.apply(gradient, weight, mask, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(y, gradient, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_weight, None, None

    @staticmethod
    def jvp(ctx: Any, y_tangent: Any, weight_tangent: Any, mask_tangent: Any, _: Any) -> Tensor:
        return _bilinear(_Transposed, ctx, y_tangent, weight_tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, weight: Tensor, mask: Tensor, blocks: Any) -> tuple:
        return torch.vmap(lambda y, weight, mask: y @ (weight * mask), in_dims[:3])(y, weight, mask), 0


class _Outer(Function):
    """O: y, (n, rows), and x, (n, columns), to mask · (yᵀ x), (rows, columns)."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, mask: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = x.new_zeros(mask.shape)
        for top, bottom, left, right, _ in blocks:
            within = slice(top, bottom), slice(left, right)
            torch.mul(y[:, top:bottom].t() @ x[:, left:right], mask[within], out=out[within])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, x, mask, ctx.blocks = inputs
        _save(ctx, y, x, mask)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, x, mask = ctx.saved_tensors
        of_y = _Product.apply(x, gradient, mask, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_x = _Transposed.apply(y, gradient, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_x, None, None

    @staticmethod
    def jvp(ctx: Any, y_tangent: Any, x_tangent: Any, mask_tangent: Any, _: Any) -> Tensor:
        return _bilinear(_Outer, ctx, y_tangent, x_tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, x: Tensor, mask: Tensor, blocks: Any) -> tuple:
        return torch.vmap(lambda y, x, mask: (y.mT @ x) * mask, in_dims[:3])(y, x, mask), 0
