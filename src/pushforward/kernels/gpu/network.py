"""Products of a layer of weights with a block of rows, as functions of Triton, and what their tiles are like."""

import triton
import triton.language as tl

# tf32x3 is as exact as float32, on tensor cores.
PRECISION = tl.constexpr("tf32x3")


@triton.jit
def rectified(h):
    # NaN stays NaN.
    return tl.where(h < 0, 0.0, h)


@triton.jit
def reach_of(reach, units, unit, MASKED: tl.constexpr, whole):
    """From where to where some units are alive: the ends that hold for all of them."""
    begin, end = 0, whole
    if MASKED:
        begin = tl.min(tl.load(reach + 2 * unit, unit < units, other=whole))
        end = tl.max(tl.load(reach + 2 * unit + 1, unit < units, other=0))
    return begin, end


@triton.jit
def weights_of(weight, mask, rows, columns, row, column, MASKED: tl.constexpr):
    """A tile of masked weights, for pointers to whichever of its dimensions comes first."""
    inside = (row < rows) & (column < columns)
    place = row * columns + column
    tile = tl.load(weight + place, inside, other=0.0)
    if MASKED:
        tile *= tl.load(mask + place, inside, other=0.0)
    return tile


@triton.jit
def product(
    accumulator, row, present, source, source_row, source_column, weight, mask, units, inputs, unit, begin, end,
    RECTIFIED: tl.constexpr, MASKED: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of some rows of a source, from one column to another, with the weights of some units."""
    for start in range(begin // BK * BK, end, BK):
        column = start + tl.arange(0, BK)
        h = tl.load(
            source + row[:, None] * source_row + column[None, :] * source_column,
            present[:, None] & (column < inputs)[None, :],
            other=0.0,
        )
        if RECTIFIED:
            h = rectified(h)
        w = weights_of(weight, mask, units, inputs, unit[None, :], column[:, None], MASKED)
        accumulator = tl.dot(h, w, accumulator, input_precision=PRECISION, out_dtype=accumulator.dtype)
    return accumulator
