"""Products of a layer of weights with a block of rows, as functions of Triton, and what their tiles are like.

The weights of sorted units form a staircase: each unit is alive in one stretch. Of a tile of units, most steps of a
product lie where all of them are alive; there the weights are loaded as they are, many at once. Only the steps at the
edge of the stairs compare columns with the ends of each stretch.
"""

import triton
import triton.language as tl

# What a layer's weights are masked by: nothing, the stretch in which each unit is alive, or a mask.
STRETCHES = tl.constexpr(1)
MASK = tl.constexpr(2)


@triton.jit
def rectified(h):
    # NaN stays NaN.
    return tl.where(h < 0, 0.0, h)


@triton.jit
def high(a):
    """The digits of float32 numbers that TF32 keeps."""
    return (a.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)


@triton.jit
def dot(a, b, c):
    """a b + c; in float32 by three products of TF32 numbers, which tensor cores take, as exact as float32."""
    if c.dtype == tl.float64:
        return tl.dot(a, b, c, input_precision="ieee", out_dtype=tl.float64)
    else:
        high_a, high_b = high(a), high(b)
        c = tl.dot(a - high_a, high_b, c, input_precision="tf32")
        c = tl.dot(high_a, b - high_b, c, input_precision="tf32")
        return tl.dot(high_a, high_b, c, input_precision="tf32")


@triton.jit
def reach_of(reach, unit, units, whole, MASKED: tl.constexpr):
    """In which stretch any of some units is alive, in which stretch all are, and the stretch of each."""
    begin, left, right, end = 0, 0, whole, whole
    begins, ends = unit, unit
    if MASKED:
        begins = tl.load(reach + 2 * unit, unit < units, other=whole)
        ends = tl.load(reach + 2 * unit + 1, unit < units, other=0)
        begin, end = tl.min(begins), tl.max(ends)
        left = tl.max(tl.where(unit < units, begins, 0))
        right = tl.min(tl.where(unit < units, ends, whole))
    if MASKED == MASK:
        left, right = end, begin
    return begin, left, right, end, begins, ends


@triton.jit
def product(
    accumulator, row, present, source, source_row, source_step, weight, mask, weight_unit, weight_step,
    reach, unit, units, whole, RECTIFIED: tl.constexpr, MASKED: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of some rows of a source, (rows, whole), with the masked weights of some units, (units, whole).

    The strides of the weights may be those of the transpose, for gradients.
    """
    begin, left, right, end, begins, ends = reach_of(reach, unit, units, whole, MASKED)
    # Steps of BK numbers: those that touch a stretch, and among them those in which all units are alive.
    first, last = begin // BK, (end + BK - 1) // BK
    inner = tl.maximum(first, (left + BK - 1) // BK)
    outer = tl.maximum(inner, right // BK)
    for step in range(inner, outer):
        k = step * BK + tl.arange(0, BK)
        h = tl.load(source + row[:, None] * source_row + k[None, :] * source_step, present[:, None], other=0.0)
        w = tl.load(weight + unit[None, :] * weight_unit + k[:, None] * weight_step, (unit < units)[None, :], other=0.0)
        if RECTIFIED:
            h = rectified(h)
        accumulator = dot(h, w, accumulator)
    for edge in range(0, last - first - (outer - inner)):
        step = first + edge
        k = tl.where(step < inner, step, step + outer - inner) * BK + tl.arange(0, BK)
        h = tl.load(
            source + row[:, None] * source_row + k[None, :] * source_step,
            present[:, None] & (k < whole)[None, :],
            other=0.0,
        )
        inside = (unit < units)[None, :] & (k < whole)[:, None]
        if MASKED == STRETCHES:
            inside &= (k[:, None] >= begins[None, :]) & (k[:, None] < ends[None, :])
        place = unit[None, :] * weight_unit + k[:, None] * weight_step
        w = tl.load(weight + place, inside, other=0.0)
        if MASKED == MASK:
            w *= tl.load(mask + place, inside, other=0.0)
        if RECTIFIED:
            h = rectified(h)
        accumulator = dot(h, w, accumulator)
    return accumulator
