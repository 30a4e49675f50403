"""Products of a layer of weights with a block of rows, as functions of Triton, and what their tiles are like."""

import triton
import triton.language as tl

# tf32x3 is as exact as float32, on tensor cores.
PRECISION = tl.constexpr("tf32x3")
# What a layer's weights are masked by: nothing, the stretch in which each unit is alive, or a mask.
STRETCHES = tl.constexpr(1)
MASK = tl.constexpr(2)


@triton.jit
def rectified(h):
    # NaN stays NaN.
    return tl.where(h < 0, 0.0, h)


@triton.jit
def reach_of(reach, units, unit, MASKED: tl.constexpr, whole):
    """From where to where some units are alive: the ends that hold for all of them, and those of each."""
    begin, end = 0, whole
    begins, ends = unit, unit
    if MASKED:
        begins = tl.load(reach + 2 * unit, unit < units, other=whole)
        ends = tl.load(reach + 2 * unit + 1, unit < units, other=0)
        begin, end = tl.min(begins), tl.max(ends)
    return begin, end, begins, ends


@triton.jit
def weights_of(weight, mask, rows, columns, row, column, alive, MASKED: tl.constexpr):
    """A tile of masked weights, for pointers to whichever of its dimensions comes first."""
    inside = (row < rows) & (column < columns)
    place = row * columns + column
    if MASKED == STRETCHES:
        inside = inside & alive
    tile = tl.load(weight + place, inside, other=0.0)
    if MASKED == MASK:
        tile *= tl.load(mask + place, inside, other=0.0)
    return tile


@triton.jit
def product(
    accumulator, row, present, source, source_row, source_column, weight, mask, reach, units, inputs, unit,
    RECTIFIED: tl.constexpr, MASKED: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of some rows of a source with the weights of some units."""
    begin, end, begins, ends = reach_of(reach, units, unit, MASKED, inputs)
    for start in range(begin // BK * BK, end, BK):
        column = start + tl.arange(0, BK)
        h = tl.load(
            source + row[:, None] * source_row + column[None, :] * source_column,
            present[:, None] & (column < inputs)[None, :],
            other=0.0,
        )
        if RECTIFIED:
            h = rectified(h)
        alive = (column[:, None] >= begins[None, :]) & (column[:, None] < ends[None, :])
        w = weights_of(weight, mask, units, inputs, unit[None, :], column[:, None], alive, MASKED)
        accumulator = tl.dot(h, w, accumulator, input_precision=PRECISION, out_dtype=accumulator.dtype)
    return accumulator
