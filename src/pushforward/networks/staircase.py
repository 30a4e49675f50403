"""Products with matrices whose live entries form a staircase: the dead half is not computed.

The hidden units of a MADE are sorted by degree, so each row of a masked matrix is alive on a contiguous stretch of
columns. Rows are taken in blocks, each multiplied over the columns that any of its rows needs.

With L(x, W) = x Wᵀ for W that is zero outside its blocks, the product, its transpose and its gradient with respect to W
are closed under differentiation: each one's gradients are the other two. So derivatives of any order come cheap.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

# Smaller products are quicker whole.
SMALLEST = 2**15
ROWS = 4
FEWEST_ROWS = 32


class Block(NamedTuple):
    """Rows `top` to `bottom` are alive at most in columns `left` to `right`, ends not included."""

    top: int
    bottom: int
    left: int
    right: int


def blocks_of(mask: Tensor, repeats: int = 1) -> list[Block] | None:
    """Cut a mask, (rows, columns), into blocks; None where that does not pay.

    Arguments:
        mask: True where a weight is alive; `repeats` staircases one below the other.
        repeats: how many.

    Example:
        >>> mask = torch.ones(256, 256).tril()
        >>> blocks_of(mask)[0], sum((b.bottom - b.top) * (b.right - b.left) for b in blocks_of(mask)) / 256**2
        (Block(top=0, bottom=64, left=0, right=64), 0.625)
    """
    rows, columns = mask.shape
    if mask.numel() < SMALLEST:
        return None
    each = rows // repeats
    height = max(FEWEST_ROWS, -(-each // ROWS))
    blocks = []
    for start in range(0, rows, each):
        for top in range(start, start + each, height):
            bottom = min(top + height, start + each)
            alive = mask[top:bottom].any(0).nonzero()[:, 0]
            left, right = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, 0)
            blocks.append(Block(top, bottom, left, right))
    computed = sum((b.bottom - b.top) * (b.right - b.left) for b in blocks)
    return blocks if computed < 0.8 * rows * columns else None


def staircase_linear(x: Tensor, weight: Tensor, bias: Tensor | None, blocks: Sequence[Block]) -> Tensor:
    """X weightᵀ + bias, (*batch, rows), for a weight that is zero outside its blocks; differentiable to any order.

    Arguments:
        x: (*batch, columns).
        weight: (rows, columns).
        bias: (rows,) or None.
        blocks: of the weight; every row belongs to one.
    """
    # Autocast and the compiler see through a plain product only.
    if torch.is_autocast_enabled(x.device.type) or torch.compiler.is_compiling():
        return functional.linear(x, weight, bias)
    flat = _Product.apply(x.reshape(-1, x.shape[-1]), weight, bias, blocks)
    return flat.view(*x.shape[:-1], weight.shape[0])


class _Product(Function):
    """L: x, (n, columns), and weight to x weightᵀ + bias, (n, rows)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, blocks: Sequence[Block]) -> Tensor:
        out = x.new_empty(len(x), len(weight))
        for top, bottom, left, right in blocks:
            part, columns, rows = out[:, top:bottom], x[:, left:right], weight[top:bottom, left:right].t()
            if bias is None:
                torch.mm(columns, rows, out=part)
            else:
                torch.addmm(bias[top:bottom], columns, rows, out=part)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, weight, bias, ctx.blocks = inputs
        ctx.save_for_backward(x, weight)
        ctx.with_bias = bias is not None

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, weight = ctx.saved_tensors
        of_x = _Transposed.apply(gradient, weight, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(gradient, x, ctx.blocks) if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(0) if ctx.with_bias and ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, x: Tensor, weight: Tensor, bias: Tensor | None, blocks: Any) -> tuple:
        return torch.vmap(functional.linear, in_dims[:3])(x, weight, bias), 0


class _Transposed(Function):
    """T: y, (n, rows), and weight to y weight, (n, columns)."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = y.new_zeros(len(y), weight.shape[1])
        for top, bottom, left, right in blocks:
            out[:, left:right].addmm_(y[:, top:bottom], weight[top:bottom, left:right])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, weight, ctx.blocks = inputs
        ctx.save_for_backward(y, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, weight = ctx.saved_tensors
        of_y = _Product.apply(gradient, weight, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(y, gradient, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_weight, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, weight: Tensor, blocks: Any) -> tuple:
        return torch.vmap(torch.matmul, in_dims[:2])(y, weight), 0


class _Outer(Function):
    """O: y, (n, rows), and x, (n, columns), to yᵀ x within the blocks, (rows, columns)."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, blocks: Sequence[Block]) -> Tensor:
        out = y.new_zeros(y.shape[1], x.shape[1])
        for top, bottom, left, right in blocks:
            out[top:bottom, left:right] = y[:, top:bottom].t() @ x[:, left:right]
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, x, ctx.blocks = inputs
        ctx.save_for_backward(y, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, x = ctx.saved_tensors
        of_y = _Product.apply(x, gradient, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_x = _Transposed.apply(y, gradient, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_x, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, x: Tensor, blocks: Any) -> tuple:
        def within(y: Tensor, x: Tensor) -> Tensor:
            alive = torch.zeros(y.shape[1], x.shape[1], dtype=y.dtype, device=y.device)
            for top, bottom, left, right in blocks:
                alive[top:bottom, left:right] = 1
            return y.t() @ x * alive

        return torch.vmap(within, in_dims[:2])(y, x), 0
