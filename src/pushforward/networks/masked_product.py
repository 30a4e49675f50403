"""Products with matrices whose live entries are block-triangular: the other half is not computed.

The hidden units of a MADE are sorted by degree, so each row of a masked matrix is alive on a contiguous stretch of
columns. Rows are computed in blocks, each over the columns that any of its rows needs. The other factor is unit by unit
in memory, (units, n): so the units that a block needs are a contiguous part of it, and so is the block's result.

With M the mask, the product L(h, W) = (M · W) h, its transpose T(y, W) = (M · W)ᵀ y and its gradient with respect to W,
O(y, h) = M · (y hᵀ), are closed under differentiation: the gradients of each are the other two. So derivatives of every
order have the same cost.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from pushforward.networks.matmul import is_faster_with_onednn, matmul

# Smaller products are faster whole.
SMALLEST = 2**17
ROWS = 3
# Matrix products compute this many rows at a time: 31 take twice as long as 32.
GRAIN = 16


class Block(NamedTuple):
    """Rows `top` to `bottom` are alive only in columns `left` to `right`; both ends are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


class Blocks(NamedTuple):
    """Blocks that contain every live entry of a mask, of its rows and of the rows of its transpose."""

    of_rows: list[Block]
    of_columns: list[Block]


def blocks_of(mask: Tensor) -> Blocks | None:
    """Cut a mask, (rows, columns), into blocks; None where the whole product is faster.

    Example:
        >>> mask = torch.ones(480, 480).tril().bool()
        >>> blocks_of(mask).of_rows
        [Block(top=0, bottom=160, left=0, right=160), Block(top=160, bottom=320, left=0, right=320), \
Block(top=320, bottom=480, left=0, right=480)]
    """
    if mask.numel() < SMALLEST:
        return None
    blocks = Blocks(_rows_of(mask), _rows_of(mask.t()))
    computed = max(sum((b.bottom - b.top) * (b.right - b.left) for b in cut) for cut in blocks)
    return blocks if computed < 0.8 * mask.numel() else None


def reach_of(mask: Tensor) -> Tensor:
    """The stretch of columns in which each row of a mask is alive: from, and to (exclusive), (rows, 2) of int32.

    Example:
        >>> reach_of(torch.tensor([[False, True, True], [False, False, False]]))
        tensor([[1, 3],
                [0, 0]], dtype=torch.int32)
    """
    columns = torch.arange(mask.shape[1])
    start = torch.where(mask, columns, mask.shape[1]).amin(1)
    end = torch.where(mask, columns + 1, 0).amax(1)
    return torch.stack([torch.minimum(start, end), end], 1).int()


def _rows_of(mask: Tensor) -> list[Block]:
    rows = len(mask)
    height = -(-rows // ROWS)
    height = -(-height // GRAIN) * GRAIN
    blocks = []
    for top in range(0, rows, height):
        alive = mask[top : top + height].any(0).nonzero()[:, 0]
        left, right = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, 0)
        blocks.append(Block(top, min(top + height, rows), left, right))
    return blocks


def masked_linear(
    h: Tensor, weight: Tensor, mask: Tensor | None = None, bias: Tensor | None = None, blocks: Blocks | None = None
) -> Tensor:
    """(mask · weight) h + bias, (rows, n), differentiable to any order.

    Arguments:
        h: (columns, n).
        weight: (rows, columns).
        mask: (rows, columns), 1 where the weight is alive and 0 elsewhere, of the same dtype; None if all are.
        bias: (rows,) or None.
        blocks: of the mask; None to multiply it whole.
    """
    if torch.is_autocast_enabled(h.device.type):  # which only covers ordinary products
        return functional.linear(h.t(), weight if mask is None else weight * mask, bias).t()
    if torch.compiler.is_compiling():
        cuts = blocks.of_rows if blocks else [Block(0, len(weight), 0, len(h))]
        parts = [_live(weight, mask, *cut) @ h[cut.left : cut.right] for cut in cuts]
        out = torch.cat(parts) if len(parts) > 1 else parts[0]
        return out if bias is None else out + bias[:, None]
    if blocks or is_faster_with_onednn(weight, h):
        return _MaskedLinear.apply(h, weight, mask, bias, blocks)
    return _whole(h, weight, mask, bias)


def _whole(h: Tensor, weight: Tensor, mask: Tensor | None, bias: Tensor | None) -> Tensor:
    weight = weight if mask is None else weight * mask
    return weight @ h if bias is None else torch.addmm(bias[:, None], weight, h)


def _live(weight: Tensor, mask: Tensor | None, top: int, bottom: int, left: int, right: int) -> Tensor:
    part = weight[top:bottom, left:right]
    return part if mask is None else part * mask[top:bottom, left:right]


def _save(ctx: Any, *tensors: Tensor) -> None:
    """Keep tensors for derivatives in both modes."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def _bilinear(function: type[Function], ctx: Any, first_tangent: Any, second_tangent: Any) -> Tensor:
    """The derivative of a bilinear function, f(∂a, b) + f(a, ∂b), where a missing tangent is zero."""
    first, second, mask = ctx.saved_tensors
    parts = [] if first_tangent is None else [function.apply(first_tangent, second, mask, ctx.blocks)]
    parts += [] if second_tangent is None else [function.apply(first, second_tangent, mask, ctx.blocks)]
    return sum(parts[1:], parts[0])


class _MaskedLinear(Function):
    """L: h, (columns, n), and weight to (mask · weight) h + bias, (rows, n)."""

    @staticmethod
    def forward(h: Tensor, weight: Tensor, mask: Tensor | None, bias: Tensor | None, blocks: Blocks | None) -> Tensor:
        if blocks is None:
            out = matmul(weight if mask is None else weight * mask, h)
            return out if bias is None else out.add_(bias[:, None])
        out = h.new_empty(len(weight), h.shape[1])
        for top, bottom, left, right in blocks.of_rows:
            part = matmul(_live(weight, mask, top, bottom, left, right), h[left:right])
            if bias is None:
                out[top:bottom] = part
            else:
                torch.add(part, bias[top:bottom, None], out=out[top:bottom])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        h, weight, mask, bias, ctx.blocks = inputs
        _save(ctx, h, weight, mask)
        ctx.with_bias = bias is not None

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        h, weight, mask = ctx.saved_tensors
        of_h = _Transposed.apply(gradient, weight, mask, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(gradient, h, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(1) if ctx.with_bias and ctx.needs_input_grad[3] else None
        return of_h, of_weight, None, of_bias, None

    @staticmethod
    def jvp(ctx: Any, h_tangent: Any, weight_tangent: Any, mask_tangent: Any, bias_tangent: Any, _: Any) -> Tensor:
        h, weight, mask = ctx.saved_tensors
        parts = []
        if h_tangent is not None:
            parts.append(_MaskedLinear.apply(h_tangent, weight, mask, None, ctx.blocks))
        if weight_tangent is not None:
            parts.append(_MaskedLinear.apply(h, weight_tangent, mask, None, ctx.blocks))
        if bias_tangent is not None:
            parts.append(bias_tangent[:, None].expand(-1, h.shape[1]))
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple, h: Tensor, weight: Tensor, mask: Any, bias: Any, blocks: Any) -> tuple:
        return torch.vmap(_whole, in_dims[:4])(h, weight, mask, bias), 0


class _Transposed(Function):
    """T: y, (rows, n), and weight to (mask · weight)ᵀ y, (columns, n)."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor, mask: Tensor | None, blocks: Blocks | None) -> Tensor:
        if blocks is None:
            return matmul((weight if mask is None else weight * mask).t(), y)
        out = y.new_empty(weight.shape[1], y.shape[1])
        for left, right, top, bottom in blocks.of_columns:
            out[left:right] = matmul(_live(weight, mask, top, bottom, left, right).t(), y[top:bottom])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, weight, mask, ctx.blocks = inputs
        _save(ctx, y, weight, mask)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, weight, mask = ctx.saved_tensors
        of_y = _MaskedLinear.apply(gradient, weight, mask, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_weight = _Outer.apply(y, gradient, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_weight, None, None

    @staticmethod
    def jvp(ctx: Any, y_tangent: Any, weight_tangent: Any, mask_tangent: Any, _: Any) -> Tensor:
        return _bilinear(_Transposed, ctx, y_tangent, weight_tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, weight: Tensor, mask: Any, blocks: Any) -> tuple:
        def transposed(y: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
            return (weight if mask is None else weight * mask).t() @ y

        return torch.vmap(transposed, in_dims[:3])(y, weight, mask), 0


class _Outer(Function):
    """O: y, (rows, n), and h, (columns, n), to mask · (y hᵀ), (rows, columns)."""

    @staticmethod
    def forward(y: Tensor, h: Tensor, mask: Tensor | None, blocks: Blocks | None) -> Tensor:
        if blocks is None:
            out = matmul(y, h.t())
            return out if mask is None else out.mul_(mask)
        out = h.new_zeros(len(y), len(h))
        for top, bottom, left, right in blocks.of_rows:
            within = slice(top, bottom), slice(left, right)
            part = matmul(y[top:bottom], h[left:right].t())
            out[within] = part if mask is None else part.mul_(mask[within])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        y, h, mask, ctx.blocks = inputs
        _save(ctx, y, h, mask)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        y, h, mask = ctx.saved_tensors
        of_y = _MaskedLinear.apply(h, gradient, mask, None, ctx.blocks) if ctx.needs_input_grad[0] else None
        of_h = _Transposed.apply(y, gradient, mask, ctx.blocks) if ctx.needs_input_grad[1] else None
        return of_y, of_h, None, None

    @staticmethod
    def jvp(ctx: Any, y_tangent: Any, h_tangent: Any, mask_tangent: Any, _: Any) -> Tensor:
        return _bilinear(_Outer, ctx, y_tangent, h_tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, y: Tensor, h: Tensor, mask: Any, blocks: Any) -> tuple:
        def outer(y: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
            return y @ h.mT if mask is None else (y @ h.mT) * mask

        return torch.vmap(outer, in_dims[:3])(y, h, mask), 0
