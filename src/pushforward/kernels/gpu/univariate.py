"""The univariate families as functions of Triton: many values at once, and the gradients of both results.

A family is a `pushforward.kernels.univariate.Shape`, whose numbers the compiler knows. The parameters of a value lie
one after the other in memory. The formulas are those of `pushforward.bijections.univariate`.
"""

import triton
import triton.language as tl

# Fields of a Shape, and some of their values.
FAMILY = tl.constexpr(0)
LOG_SCALE_BOUND = tl.constexpr(1)
BINS = tl.constexpr(2)
TAILS = tl.constexpr(3)
BOX = tl.constexpr(4)
SMALLEST_BIN = tl.constexpr(5)
SMALLEST_SLOPE = tl.constexpr(6)
SLOPE_SHIFT = tl.constexpr(7)
FREE = tl.constexpr(8)
AFFINE = tl.constexpr(1)
SPLINE = tl.constexpr(2)
LINEAR = tl.constexpr(1)
CIRCULAR = tl.constexpr(2)


@triton.jit
def softplus(t):
    return tl.where(t > 0, t, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(t)))


@triton.jit
def sigmoid(t):
    e = tl.exp(-tl.abs(t))
    return tl.where(t < 0, e, 1.0) / (1.0 + e)


@triton.jit
def arctangent(t):
    # Cephes: three ranges, and a quotient of polynomials that is exact to the last digits of float64.
    size = tl.abs(t)
    large, middle = size > 2.414213562373095, size > 0.66
    start = tl.where(large, 2.0, tl.where(middle, 1.0, 0.0)).to(t.dtype) * 0.7853981633974483
    y = tl.where(large, -1.0, tl.where(middle, size - 1.0, size)) / tl.where(
        large, size, tl.where(middle, size + 1.0, 1.0)
    )
    z = y * y
    p = z * -8.750608600031904122785e-1 - 1.615753718733365076637e1
    p = p * z - 7.500855792314704667340e1
    p = p * z - 1.228866684490136173410e2
    p = p * z - 6.485021904942025371773e1
    q = z + 2.485846490142306297962e1
    q = q * z + 1.650270098316988542046e2
    q = q * z + 4.328810604912902668951e2
    q = q * z + 4.853903996359136964868e2
    q = q * z + 1.945506571482613964425e2
    out = start + (y * (z * p / q) + y)
    return tl.where(t < 0, -out, out)


@triton.jit
def slope_index(knot, SHAPE: tl.constexpr):
    """The slope parameter of a knot; a negative one, or one beyond the last, where the slope is 1."""
    if SHAPE[TAILS] == LINEAR:
        return knot
    elif SHAPE[TAILS] == CIRCULAR:
        return tl.where(knot == SHAPE[BINS], 0, knot)
    else:
        return tl.where(knot == SHAPE[BINS], 0, knot) - 1


@triton.jit
def slope_of(raw, SHAPE: tl.constexpr):
    return softplus(raw + SHAPE[SLOPE_SHIFT]) + SHAPE[SMALLEST_SLOPE]


@triton.jit
def raw_slope(parameters, valid, index):
    return tl.load(parameters + index, valid & (index >= 0), other=0.0)


@triton.jit
def split(value, SHAPE: tl.constexpr):
    """The nearest point of the box, and how far outside the value lies; by whole turns if circular."""
    box = tl.full(value.shape, SHAPE[BOX], value.dtype)
    inside = value
    if SHAPE[TAILS] == CIRCULAR:
        turns = tl.floor((value + SHAPE[BOX]) / (2 * SHAPE[BOX])) * (2 * SHAPE[BOX])
        inside = value - turns
    inside = tl.where(inside < -box, -box, tl.where(inside > box, box, inside))
    if SHAPE[TAILS] == CIRCULAR:
        return inside, turns
    else:
        return inside, value - inside


@triton.jit
def shares_of(parameters, valid, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    """The softmax of the sizes of the bins, (values, WIDTH), 0 beyond the last."""
    k = tl.arange(0, WIDTH)
    raw = tl.load(parameters[:, None] + k[None, :], valid[:, None] & (k < SHAPE[BINS])[None, :], other=0.0)
    raw = tl.where((k < SHAPE[BINS])[None, :], raw, -float("inf"))
    e = tl.exp(raw - tl.max(raw, 1)[:, None])
    return e / tl.sum(e, 1)[:, None]


@triton.jit
def inner_knots(shares, SHAPE: tl.constexpr):
    """Where each bin ends; the last one's is not used."""
    sizes = SHAPE[SMALLEST_BIN] + SHAPE[FREE] * shares
    return SHAPE[BOX] * (2 * tl.cumsum(sizes, 1) - 1)


@triton.jit
def ends_of_bin(knots, bin_of, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    k = tl.arange(0, WIDTH)[None, :]
    box = tl.full(bin_of.shape, SHAPE[BOX], knots.dtype)
    start = tl.sum(tl.where(k == bin_of[:, None] - 1, knots, 0.0), 1)
    end = tl.sum(tl.where(k == bin_of[:, None], knots, 0.0), 1)
    return tl.where(bin_of == 0, -box, start), tl.where(bin_of == SHAPE[BINS] - 1, box, end)


@triton.jit
def find_bin(inside, parameters, valid, INVERSE: tl.constexpr, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    """The bin of each value: both softmaxes, its number, its ends on both axes, and the raw slopes there."""
    of_width = shares_of(parameters, valid, SHAPE, WIDTH)
    of_height = shares_of(parameters + SHAPE[BINS], valid, SHAPE, WIDTH)
    z_knots, x_knots = inner_knots(of_width, SHAPE), inner_knots(of_height, SHAPE)
    searched = z_knots
    if INVERSE:
        searched = x_knots
    below = (inside[:, None] >= searched) & (tl.arange(0, WIDTH) < SHAPE[BINS] - 1)[None, :]
    bin_of = tl.sum(below.to(tl.int32), 1)
    left, right = ends_of_bin(z_knots, bin_of, SHAPE, WIDTH)
    bottom, top = ends_of_bin(x_knots, bin_of, SHAPE, WIDTH)
    slopes = parameters + 2 * SHAPE[BINS]
    raw_a = raw_slope(slopes, valid, slope_index(bin_of, SHAPE))
    raw_b = raw_slope(slopes, valid, slope_index(bin_of + 1, SHAPE))
    return of_width, of_height, bin_of, left, right - left, bottom, top - bottom, raw_a, raw_b


@triton.jit
def rise(theta, s, a, b):
    rest = 1 - theta
    both = theta * rest
    return (s * theta * theta + a * both) / (s * (theta * theta + rest * rest) + (a + b) * both)


@triton.jit
def upper_and_lower(theta, s, a, b):
    """Numerator and denominator of the slope at θ, which is s² upper / lower²."""
    rest = 1 - theta
    both = theta * rest
    return b * theta * theta + 2 * s * both + a * rest * rest, s * (theta * theta + rest * rest) + (a + b) * both


@triton.jit
def clamped(theta):
    return tl.where(theta < 0, 0.0, tl.where(theta > 1, 1.0, theta))


@triton.jit
def solve_bin(share, s, a, b):
    """The θ at which a share of the bin's height is reached: a root of a quadratic, polished by a Newton step."""
    bend = a + b - 2 * s
    q = a - share * bend
    other = q > s
    from_end = tl.where(other, 1 - share, share)
    q = tl.where(other, b - from_end * bend, q)
    square = q * q + 4 * (s - q) * s * from_end
    root = tl.sqrt(tl.where(square < 0, 0.0, square))
    positive = q >= 0
    theta = tl.where(positive, 2 * s * from_end, root - q) / tl.where(positive, q + root, 2 * (s - q))
    start = clamped(tl.where(other, 1 - theta, theta))
    upper, lower = upper_and_lower(start, s, a, b)
    return clamped(start - (rise(start, s, a, b) - share) * (lower * lower) / (s * upper))


@triton.jit
def end_slope(value, parameters, valid, SHAPE: tl.constexpr):
    index = tl.where(value < 0, 0, SHAPE[BINS])
    raw = tl.load(parameters + 2 * SHAPE[BINS] + index, valid, other=0.0)
    return raw, slope_of(raw, SHAPE)


@triton.jit
def spline(value, parameters, valid, INVERSE: tl.constexpr, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    inside, outside = split(value, SHAPE)
    _, _, _, left, width, bottom, height, raw_a, raw_b = find_bin(inside, parameters, valid, INVERSE, SHAPE, WIDTH)
    s, a, b = height / width, slope_of(raw_a, SHAPE), slope_of(raw_b, SHAPE)
    if INVERSE:
        theta = solve_bin((inside - bottom) / height, s, a, b)
        mapped = left + width * theta
    else:
        theta = (inside - left) / width
        mapped = bottom + height * rise(theta, s, a, b)
    upper, lower = upper_and_lower(theta, s, a, b)
    log_slope = tl.log(upper) + 2 * tl.log(s / lower)
    if SHAPE[TAILS] == LINEAR:
        _, end = end_slope(value, parameters, valid, SHAPE)
        if INVERSE:
            end = 1 / end
        # Zero times infinity is NaN, and nothing of a value inside lies outside.
        outside = tl.where(outside == 0, outside, outside * end)
    if INVERSE:
        log_slope = -log_slope
    return mapped + outside, log_slope


@triton.jit
def map_values(value, parameters, valid, INVERSE: tl.constexpr, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    """Map values, or solve for them with `INVERSE`.

    Arguments:
        value: (values,).
        parameters: pointers to the first parameter of each, (values,).
        valid: which values there are, (values,).
        INVERSE: the direction.
        SHAPE: the family.
        WIDTH: a power of 2, at least the number of bins.

    Returns:
        The mapped values and the log-derivatives, (values,).
    """
    if SHAPE[FAMILY] == SPLINE:
        return spline(value, parameters, valid, INVERSE, SHAPE, WIDTH)
    elif SHAPE[FAMILY] == AFFINE:
        shift = tl.load(parameters, valid, other=0.0)
        bend: tl.constexpr = 1.5707963267948966 / SHAPE[LOG_SCALE_BOUND]
        log_scale = arctangent(tl.load(parameters + 1, valid, other=0.0) * bend) * (1 / bend)
        if INVERSE:
            return (value - shift) * tl.exp(-log_scale), -log_scale
        else:
            return shift + tl.exp(log_scale) * value, log_scale
    else:
        shift = tl.load(parameters, valid, other=0.0)
        if INVERSE:
            return value - shift, tl.zeros_like(value)
        else:
            return value + shift, tl.zeros_like(value)


@triton.jit
def store_of_sizes(target, valid, shares, bin_of, of_start, of_size, SHAPE: tl.constexpr, WIDTH: tl.constexpr):
    """The gradient of the sizes of the bins before their softmax, from those of the bin's start and size."""
    k = tl.arange(0, WIDTH)[None, :]
    each = tl.where(k == bin_of[:, None], of_size[:, None], tl.where(k < bin_of[:, None], of_start[:, None], 0.0))
    mean = tl.sum(shares * each, 1)
    span: tl.constexpr = 2 * SHAPE[BOX] * SHAPE[FREE]
    tl.store(target[:, None] + k, span * shares * (each - mean[:, None]), valid[:, None] & (k < SHAPE[BINS]))


@triton.jit
def store_of_slopes(target, value, valid, bin_of, of_a, of_b, of_end, SHAPE: tl.constexpr, SLOPES: tl.constexpr):
    """The gradient of the slopes before their softplus: of those at the two knots of the bin, and at the box's end."""
    knot = tl.arange(0, SLOPES)[None, :]
    of_slopes = tl.where(knot == slope_index(bin_of, SHAPE)[:, None], of_a[:, None], 0.0)
    of_slopes += tl.where(knot == slope_index(bin_of + 1, SHAPE)[:, None], of_b[:, None], 0.0)
    count = SHAPE[BINS] - 1
    if SHAPE[TAILS] == LINEAR:
        of_slopes += tl.where(knot == tl.where(value < 0, 0, SHAPE[BINS])[:, None], of_end[:, None], 0.0)
        count = SHAPE[BINS] + 1
    elif SHAPE[TAILS] == CIRCULAR:
        count = SHAPE[BINS]
    tl.store(target[:, None] + knot, of_slopes, valid[:, None] & (knot < count))


@triton.jit
def derivatives_of_point(theta, s, a, b):
    """Rise and slope at θ, and the derivatives of the rise and of the slope's logarithm: s, a, b, and θ, s, a, b."""
    rest = 1 - theta
    both = theta * rest
    corner = 1 - 2 * both
    upper, lower = upper_and_lower(theta, s, a, b)
    per, per_upper = 1 / lower, 1 / upper
    ratio = (s * theta * theta + a * both) * per
    slope = s * s * upper * per * per
    rise_s = (theta * theta - ratio * corner) * per
    rise_a, rise_b = (1 - ratio) * both * per, -ratio * both * per
    log_theta = 2 * (b * theta + s * (1 - 2 * theta) - a * rest) * per_upper
    log_theta -= 2 * (a + b - 2 * s) * (1 - 2 * theta) * per
    log_s = 2 * both * per_upper + 2 / s - 2 * corner * per
    log_a, log_b = rest * rest * per_upper - 2 * both * per, theta * theta * per_upper - 2 * both * per
    return ratio, slope, rise_s, rise_a, rise_b, log_theta, log_s, log_a, log_b


@triton.jit
def spline_gradients(
    value, parameters, target, valid, of_mapped, of_log,
    INVERSE: tl.constexpr, SHAPE: tl.constexpr, WIDTH: tl.constexpr, SLOPES: tl.constexpr,
):  # fmt: skip
    inside, outside = split(value, SHAPE)
    of_width_shares, of_height_shares, bin_of, left, width, bottom, height, raw_a, raw_b = find_bin(
        inside, parameters, valid, INVERSE, SHAPE, WIDTH
    )
    s, a, b = height / width, slope_of(raw_a, SHAPE), slope_of(raw_b, SHAPE)
    if INVERSE:
        # Solved for again: computed from the rounded result it would lack digits in a narrow bin.
        theta = solve_bin((inside - bottom) / height, s, a, b)
    else:
        theta = clamped((inside - left) / width)
    ratio, slope, rise_s, rise_a, rise_b, log_theta, log_s, log_a, log_b = derivatives_of_point(theta, s, a, b)
    # Outside the box only the straight line depends on the value, not the point of the spline or its slope.
    if SHAPE[TAILS] == CIRCULAR:
        within = value == value
    else:
        within = outside == 0
    log_z = tl.where(within, log_theta / width, 0.0)
    raw_end, end = raw_a, tl.full(value.shape, 1.0, value.dtype)
    if SHAPE[TAILS] == LINEAR:
        raw_end, end = end_slope(value, parameters, valid, SHAPE)
    total_slope = tl.where(within, slope, end)
    of_x, of_log_slope = of_mapped, of_log
    if INVERSE:  # the implicit function theorem: ∂z = -∂x / slope
        of_log_slope = -of_log
        of_value = (of_mapped + of_log_slope * log_z) / total_slope
        of_x = -of_value
    else:
        of_value = of_x * total_slope + of_log_slope * log_z
    # Gradients of the bin: its start and size on both axes. A point outside maps to the corner of the box.
    through_theta = of_x * height * (slope / s) + of_log_slope * log_theta
    through_s = of_x * height * rise_s + of_log_slope * log_s
    of_left = tl.where(within, -through_theta / width, 0.0)
    of_width = tl.where(within, -(through_theta * theta + through_s * s) / width, 0.0)
    of_bottom = tl.where(within, of_x, 0.0)
    of_height = tl.where(within, of_x * ratio + through_s / width, 0.0)
    store_of_sizes(target, valid, of_width_shares, bin_of, of_left, of_width, SHAPE, WIDTH)
    store_of_sizes(target + SHAPE[BINS], valid, of_height_shares, bin_of, of_bottom, of_height, SHAPE, WIDTH)
    of_a = (of_x * height * rise_a + of_log_slope * log_a) * sigmoid(raw_a + SHAPE[SLOPE_SHIFT])
    of_b = (of_x * height * rise_b + of_log_slope * log_b) * sigmoid(raw_b + SHAPE[SLOPE_SHIFT])
    of_end = of_a
    if SHAPE[TAILS] == LINEAR:
        # x = ±box + (z ∓ box) · end, so that ∂x/∂end is the distance in z.
        distance = outside
        if INVERSE:
            distance = outside / end
        of_end = tl.where(within, 0.0, of_x * distance) * sigmoid(raw_end + SHAPE[SLOPE_SHIFT])
    store_of_slopes(target + 2 * SHAPE[BINS], value, valid, bin_of, of_a, of_b, of_end, SHAPE, SLOPES)
    return of_value


@triton.jit
def gradients_of_values(
    value, parameters, target, valid, of_mapped, of_log,
    INVERSE: tl.constexpr, SHAPE: tl.constexpr, WIDTH: tl.constexpr, SLOPES: tl.constexpr,
):  # fmt: skip
    """The gradients of `map_values`: those of the values are returned, those of the parameters stored at `target`."""
    if SHAPE[FAMILY] == SPLINE:
        return spline_gradients(value, parameters, target, valid, of_mapped, of_log, INVERSE, SHAPE, WIDTH, SLOPES)
    elif SHAPE[FAMILY] == AFFINE:
        shift = tl.load(parameters, valid, other=0.0)
        bend: tl.constexpr = 1.5707963267948966 / SHAPE[LOG_SCALE_BOUND]
        bent = tl.load(parameters + 1, valid, other=0.0) * bend
        log_scale = arctangent(bent) * (1 / bend)
        if INVERSE:
            of_value = of_mapped * tl.exp(-log_scale)
            of_shift, of_scale = -of_value, -of_value * (value - shift) - of_log
        else:
            of_value = of_mapped * tl.exp(log_scale)
            of_shift, of_scale = of_mapped, of_value * value + of_log
        tl.store(target, of_shift, valid)
        tl.store(target + 1, of_scale / (1 + bent * bent), valid)
        return of_value
    else:
        of_shift = of_mapped
        if INVERSE:
            of_shift = -of_mapped
        tl.store(target, of_shift, valid)
        return of_mapped
