"""Univariate families: increasing maps of single numbers, by parameters, in both directions.

Each is one function of values, (n, D), and parameters, (n or 1, D, P), to mapped values and log-derivatives, (n, D).
Those that are given from data to latent are inverted by a root.
"""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays

Pair = tuple[Any, Any]
# As of the classes of `pushforward.bijections.univariate`, whose formulas these are.
SMALLEST_SLOPE = 1e-3
SLOPE_SHIFT = math.log(math.expm1(1 - SMALLEST_SLOPE))
SMALLEST_BIN = 1e-3
REACH = SCALE = 2.0
LARGEST_RISE, STEEPNESS, LOG_SCALE_BOUND = 6.0, 3.0, math.log(1e3)


def soft_bound(n: Arrays, value: Any, bound: float) -> Any:
    """Return 2/π · bound · arctan(π/2 · value / bound)."""
    slope = math.pi / 2 / bound
    return n.atan(value * slope) / slope


def _slopes(n: Arrays, raw: Any) -> Any:
    return SMALLEST_SLOPE + n.softplus(raw + SLOPE_SHIFT)


def additive(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """x = z + shift."""
    shift = p[..., 0]
    return (value - shift if inverse else value + shift), n.zeros_like(value)


def affine(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """x = shift + exp(log_scale) · z; x = exp(log_scale) · (z + shift) if relative."""
    shift, log_scale = p[..., 0], soft_bound(n, p[..., 1], family["log_scale_bound"])
    scale, relative = n.exp(-log_scale if inverse else log_scale), family["kind"] == "relative_affine"
    if inverse:
        mapped = value * scale - shift if relative else (value - shift) * scale
    else:
        mapped = scale * (value + shift) if relative else shift + scale * value
    return mapped, (-log_scale if inverse else log_scale) + n.zeros_like(value)


def sinh_arcsinh(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """x = shift + exp(log_scale) · sinh((arcsinh(z) + skew) / exp(log_tail))."""
    bound = family["log_scale_bound"]
    shift, log_scale, skew = p[..., 0], soft_bound(n, p[..., 1], bound), soft_bound(n, p[..., 2], bound)
    log_tail = soft_bound(n, p[..., 3], family["log_tail_bound"])
    if inverse:
        stretched = n.asinh((value - shift) * n.exp(-log_scale))
        angle = n.exp(log_tail) * stretched - skew
        mapped = n.sinh(angle)
    else:
        angle = n.asinh(value)
        stretched = (angle + skew) * n.exp(-log_tail)
        mapped = shift + n.exp(log_scale) * n.sinh(stretched)
    log_cosh = [a + n.softplus(-2 * a) for a in (stretched, angle)]
    term = log_scale - log_tail + log_cosh[0] - log_cosh[1]
    return mapped, -term if inverse else term


def spline(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """Follow a rational quadratic spline in a box, and a line or the same spline again outside."""
    bins, bound, tails = family["bins"], family["bound"], family["tails"]
    widths, heights, slopes = p[..., :bins], p[..., bins : 2 * bins], _slopes(n, p[..., 2 * bins :])
    if tails == "circular":
        slopes = n.concat([slopes, slopes[..., :1]], axis=-1)
    elif tails == "identity":
        end = n.ones_like(widths[..., :1])
        slopes = n.concat([end, slopes, end], axis=-1)
    z_knots, x_knots = (_positions(n, sizes, bins, bound) for sizes in (widths, heights))
    turns = n.zeros_like(value)
    if tails == "circular":
        turns = n.floor((value + bound) / (2 * bound)) * (2 * bound)
    inside = n.clip(value - turns, -bound, bound)
    outside = turns if tails == "circular" else value - inside
    inner = (x_knots if inverse else z_knots)[..., 1:-1]
    edge = n.like(slopes[..., :1], math.inf)
    low, high = n.concat([-edge, inner], axis=-1), n.concat([inner, edge], axis=-1)
    mask = (inside[..., None] >= low) & (inside[..., None] < high)
    ends = [n.pick(knots[..., s], mask) for knots in (z_knots, x_knots, slopes) for s in (slice(-1), slice(1, None))]
    mapped, term = piece(n, inside, ends, inverse)
    if tails == "linear":
        end = n.where(outside < 0, slopes[..., 0], slopes[..., -1])
        outside = outside / end if inverse else outside * end
    return mapped + outside, term


def _positions(n: Arrays, sizes: Any, bins: int, bound: float) -> Any:
    least = min(SMALLEST_BIN, 0.5 / bins)
    shares = least + (1 - bins * least) * n.exp(n.log_softmax(sizes))
    end = n.like(sizes[..., :1], bound)
    if bins == 1:
        return n.concat([-end, end], axis=-1)
    inner = bound * (2 * n.cumulative_sum(shares[..., :-1], axis=-1) - 1)
    return n.concat([-end, inner, end], axis=-1)


def piece(n: Arrays, inside: Any, ends: list[Any], inverse: bool) -> Pair:
    """Follow one piece of a spline: its ends in z and in x, and the slopes there."""
    left, right, bottom, top, a, b = ends
    width, height = right - left, top - bottom
    s = height / width
    if inverse:
        theta = _solved(n, (inside - bottom) / height, s, a, b)
        return left + width * theta, -_log_slope(n, theta, s, a, b)
    theta = (inside - left) / width
    return bottom + height * _rise(theta, s, a, b), _log_slope(n, theta, s, a, b)


def _rise(theta: Any, s: Any, a: Any, b: Any) -> Any:
    rest = 1 - theta
    both = theta * rest
    return (s * theta * theta + a * both) / (s * (theta * theta + rest * rest) + (a + b) * both)


def _log_slope(n: Arrays, theta: Any, s: Any, a: Any, b: Any) -> Any:
    rest = 1 - theta
    both = theta * rest
    above = b * theta * theta + 2 * s * both + a * rest * rest
    return n.log(above) + 2 * n.log(s / (s * (theta * theta + rest * rest) + (a + b) * both))


def _solved(n: Arrays, share: Any, s: Any, a: Any, b: Any) -> Any:
    bend = a + b - 2 * s
    q = a - share * bend
    other = q > s
    from_end = n.where(other, 1 - share, share)
    q = n.where(other, b - from_end * bend, q)
    root = n.sqrt(q * q + 4 * (s - q) * s * from_end)
    plus = q >= 0
    theta = n.where(plus, 2 * s * from_end, root - q) / n.where(plus, q + root, 2 * (s - q))
    theta = n.clip(n.where(other, 1 - theta, theta), 0.0, 1.0)
    # A step of Newton's method, whose derivatives are those of the root.
    slope = n.exp(_log_slope(n, theta, s, a, b)) / s
    return n.clip(theta - (_rise(theta, s, a, b) - share) / slope, 0.0, 1.0)


def logistic_mixture(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """z = shift + exp(log_scale) · logit(F(x)), F the distribution function of a mixture."""
    k, bound = family["components"], family["log_scale_bound"]
    starts = [REACH * ((2 * place + 1) / k - 1) for place in range(k)]
    usual = sum(math.cosh(start / SCALE / 2) ** -2 for start in starts) / k / SCALE
    shift, log_scale = p[..., 0], soft_bound(n, p[..., 1], bound) - math.log(usual)
    log_weights, centers = n.log_softmax(p[..., 2 : 2 + k]), p[..., 2 + k : 2 + 2 * k] + n(starts)
    log_scales = soft_bound(n, p[..., 2 + 2 * k :], bound) + math.log(SCALE)

    def logit(x: Any) -> Pair:
        u = (x[..., None] - centers) * n.exp(-log_scales)
        log_below, log_above = -n.softplus(-u), -n.softplus(u)
        below, above = log_weights + log_below, log_weights + log_above
        log_cdf, log_rest = n.logsumexp(below, keepdims=True), n.logsumexp(above, keepdims=True)
        terms = [below - log_cdf + log_above - log_scales, above - log_rest + log_below - log_scales]
        slope = n.logaddexp(n.logsumexp(terms[0]), n.logsumexp(terms[1]))
        return (log_cdf - log_rest)[..., 0], slope

    if inverse:
        found, slope = logit(value)
        return shift + n.exp(log_scale) * found, log_scale + slope
    target = (value - shift) * n.exp(-log_scale)

    def excess(x: Any) -> Pair:
        found, slope = logit(x)
        return found - target, n.maximum(n.exp(slope), n(n.eps))

    reach = n.exp(log_scales) * target[..., None]
    room = 64 * n.eps * (n.abs(centers) + n.abs(reach) + n.exp(log_scales))
    x = n.root(excess, n.min(centers + reach - room, axis=-1), n.max(centers + reach + room, axis=-1))
    return x, -(log_scale + logit(x)[1])


def within_box(n: Arrays, family: dict[str, Any], value: Any, p: Any, inverse: bool) -> Pair:
    """z = within(x) in a box, with straight lines outside."""
    bound, within = family["bound"], WITHIN[family["kind"]]
    if inverse:
        nearest = n.clip(value, -bound, bound)
        z, log_slope = within(n, family, nearest, p)
        return z + (value - nearest) * n.exp(log_slope), log_slope
    end = n.like(value, bound)
    lowest, highest = within(n, family, -end, p)[0], within(n, family, end, p)[0]
    nearest = n.minimum(n.maximum(value, lowest), highest)

    def excess(x: Any) -> Pair:
        mapped, log_slope = within(n, family, x, p)
        return mapped - nearest, n.exp(log_slope)

    x = n.root(excess, -end, end)
    log_slope = within(n, family, x, p)[1]
    return x + (value - nearest) * n.exp(-log_slope), -log_slope


def _bernstein(n: Arrays, family: dict[str, Any], x: Any, p: Any) -> Pair:
    degree, bound = family["degree"], family["bound"]
    slopes = _slopes(n, p[..., 1:])
    steps = 2 * bound / degree * slopes
    first = -n.sum(steps, axis=-1, keepdims=True) / 2
    coefficients = n.concat([first, first + n.cumulative_sum(steps, axis=-1)], axis=-1)
    t = ((x + bound) / (2 * bound))[..., None]
    powers, rests = [n.ones_like(t)], [n.ones_like(t)]
    for _ in range(degree):
        powers.append(powers[-1] * t)
        rests.append(rests[-1] * (1 - t))

    def basis(size: int) -> Any:
        return n.concat([math.comb(size, k) * powers[k] * rests[size - k] for k in range(size + 1)], axis=-1)

    z = p[..., 0] + n.sum(coefficients * basis(degree), axis=-1)
    return z, n.log(n.sum(slopes * basis(degree - 1), axis=-1))


def _sum_of_squares(n: Arrays, family: dict[str, Any], x: Any, p: Any) -> Pair:
    count, size, bound = family["polynomials"], family["degree"] + 1, family["bound"]
    a = n.reshape(p[..., 1:], (-1, p.shape[-2], count, size)) + n(family["starts"])
    u = (x / bound)[..., None]
    powers = [n.ones_like(u)]
    for _ in range(size - 1):
        powers.append(powers[-1] * u)
    terms = a * n.concat(powers, axis=-1)[..., None, :]
    places = numpy.arange(size)
    integral = n.sum(n.matmul(terms, n(1 / (places[:, None] + places + 1.0))) * terms, axis=(-1, -2))
    total = n.sum(terms, axis=-1)
    slope = SMALLEST_SLOPE + (1 - SMALLEST_SLOPE) * n.sum(total * total, axis=-1)
    return p[..., 0] + x * (SMALLEST_SLOPE + (1 - SMALLEST_SLOPE) * integral), n.log(slope)


def _monotone_network(n: Arrays, family: dict[str, Any], x: Any, p: Any) -> Pair:
    units, bound = family["units"], family["bound"]
    nodes, weights = n(family["nodes"]), n(family["weights"])
    shift, log_scale = p[..., 0], soft_bound(n, p[..., 1], LOG_SCALE_BOUND)
    w, centers, steepness = (p[..., None, 2 + k * units : 2 + (k + 1) * units] for k in range(3))
    w = LARGEST_RISE / units**0.5 * w / n.sqrt(1 + n.sum(w * w, axis=-1, keepdims=True))
    starts = n((2 * numpy.arange(units) + 1) / units - 1)
    steepness = STEEPNESS * n.exp(soft_bound(n, steepness, math.log(2)))
    at = (x / bound)[..., None] * (nodes + 0.5)
    active = n.tanh(steepness * (at[..., None] - starts - soft_bound(n, centers, 1.0)))
    slopes = weights * n.exp(n.sum(w * active, axis=-1))
    growth = 1 + at * n.sum(w * steepness * (1 - active * active), axis=-1)
    z = shift + n.exp(log_scale) * x * n.sum(slopes, axis=-1)
    return z, log_scale + n.log(n.sum(slopes * growth, axis=-1))


WITHIN = {"bernstein": _bernstein, "sum_of_squares": _sum_of_squares, "monotone_network": _monotone_network}
FAMILIES = {
    "additive": additive,
    "affine": affine,
    "relative_affine": affine,
    "sinh_arcsinh": sinh_arcsinh,
    "spline": spline,
    "logistic_mixture": logistic_mixture,
    **dict.fromkeys(WITHIN, within_box),
}
