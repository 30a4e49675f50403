"""Bijections: each is one function of rows, (n, D), to mapped rows and log|det|, (n,) or what broadcasts to it.

A map is a dictionary with its `kind` and its numbers, which `pushforward.lite.reading` makes of a model file, and a
function of the table at the end of this file:

    function(n, map, rows, context, inverse) -> (mapped, log_det)

n: the arrays of a namespace; rows: (n, D); context: (n or 1, C) or None; inverse: from data to latent.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.families import FAMILIES, Pair, piece
from pushforward.lite.networks import parameters, sequence
from pushforward.lite.special import log_ndtr, log_normal, ndtr, normal_quantile

Map = dict[str, Any]
# As of the classes of `pushforward.bijections`.
LONGEST_TAIL, NEAREST, ON_BOUND = 60.0, 1e-12, 0.5
MARGIN, FURTHEST, LEAST_DEVIATION = 0.01, 1e6, 1e-6
LEAST = 1e-17


def apply(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """Apply a map of any kind."""
    found: Pair = MAPS[part["kind"]](n, part, value, context, inverse)
    return found


def compose(n: Arrays, whole: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """Apply one part after the other."""
    total = n(0.0)
    for part in reversed(whole["parts"]) if inverse else whole["parts"]:
        value, log_det = apply(n, part, value, context, inverse)
        total = total + log_det
    return value, total


def affine(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = shift + scale · z."""
    log_det = n(numpy.log(part["scale"]).sum())
    if inverse:
        return (value - n(part["shift"])) / n(part["scale"]), -log_det
    return n(part["shift"]) + n(part["scale"]) * value, log_det


def linear(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = matrix z + shift."""
    log_det = n(part["log_det"])
    if inverse:
        return n.matmul(value - n(part["shift"]), n(part["inverse"].T)), -log_det
    return n.matmul(value, n(part["matrix"].T)) + n(part["shift"]), log_det


def coupling(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """Map some features by parameters that the others and the context give."""
    kept, moved = (n.columns(value, part[name]) for name in ("identity", "transformed"))
    family = part["univariate"]
    found = parameters(n, part["network"], kept, context)
    mapped, terms = FAMILIES[family["kind"]](n, family, moved, found, inverse)
    order = numpy.argsort([*part["identity"], *part["transformed"]])
    return n.columns(n.concat([kept, mapped], axis=-1), order), n.sum(terms, axis=-1)


def autoregressive(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """Map each feature by parameters that those before it in x, and the context, give."""
    family, order = part["univariate"], part["order"]
    through = FAMILIES[family["kind"]]
    if inverse:
        z, terms = through(n, family, value, parameters(n, part["network"], value, context), True)
        return z, n.sum(terms, axis=-1)
    x: dict[int, Any] = {}
    log_dets: list[Any] = []

    def mapped(feature: int, found: Any) -> Any:
        one = value[:, feature : feature + 1]
        x[feature], term = through(n, family, one, found[:, None, :], False)
        log_dets.append(term)
        return x[feature]

    sequence(n, part["network"], order, n.zeros_like(value[:, :1]), context, mapped)
    return n.concat([x[d] for d in range(len(order))], axis=-1), n.sum(n.concat(log_dets, axis=-1), axis=-1)


def _given(n: Arrays, amortized: Map, context: Any) -> Any:
    """Parameters of a whole layer, (n or 1, P)."""
    start = n(amortized["start"])[None, :]
    if amortized["network"] is None:
        return start
    return start + parameters(n, amortized["network"], None, context)[:, 0, :]


def _above_minus_one(n: Arrays, value: Any) -> Any:
    return n.softplus(value) - (1 - 8 * n.eps)


def _tanh_root(n: Arrays, right: Any, factor: Any) -> Any:
    right = right + n.zeros_like(factor)

    def residual(s: Any) -> Pair:
        h = n.tanh(s)
        return s + factor * h - right, 1 + factor * (1 - h * h)

    reach = 1.125 * n.abs(factor)
    return n.root(residual, right - reach, right + reach)


def planar(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = z + û h(wᵀz + b)."""
    found, size, tiny = _given(n, part["parameters"], context), value.shape[-1], numpy.finfo(float).tiny
    u, w, b = found[:, :size], found[:, size : 2 * size], found[:, 2 * size]
    w_u, w_w = n.sum(w * u, axis=-1), n.sum(w * w, axis=-1)
    flat = w_w < max(tiny, float(n.finfo(n.dtype).tiny))
    product = n.where(flat, n(0.0), _above_minus_one(n, w_u))
    push = u + ((product - w_u) / n.where(flat, n(1.0), w_w))[:, None] * w
    s, low = n.sum(w * value, axis=-1) + b, part["negative_slope"]
    if inverse:
        s = _tanh_root(n, s, product) if low is None else s / n.where(s > 0, 1 + product, 1 + product * low)
    h = n.tanh(s) if low is None else n.where(s > 0, s, low * s)
    slope = 1 - h * h if low is None else n.where(s > 0, n(1.0), n(low))
    log_det = n.log1p(product * slope)
    return (value - push * h[:, None], -log_det) if inverse else (value + push * h[:, None], log_det)


def radial(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = center + (z - center) (slope + r) / (α + r), r = |z - center|."""
    found, size = _given(n, part["parameters"], context), value.shape[-1]
    center, positive = found[:, :size], n.softplus(found[:, size:]) + 8 * n.eps
    alpha, slope, away = positive[:, 0], positive[:, 1], value - center
    squared = n.sum(away * away, axis=-1)
    tiny = squared < float(n.finfo(n.dtype).tiny)
    r = n.where(tiny, n(0.0), n.sqrt(n.where(tiny, n(1.0), squared)))
    if inverse:
        half, product = (r - slope) / 2, alpha * r
        root = n.sqrt(half * half + product + float(n.finfo(n.dtype).tiny))
        r = n.where(half > 0, half + root, product / (n.maximum(-half, n(0.0)) + root))
    across = n.log((slope + r) / (alpha + r))
    along = n.log(r * r + 2 * alpha * r + alpha * slope) - 2 * n.log(alpha + r)
    log_det = (size - 1) * across + along
    stretch = (alpha + r) / (slope + r) if inverse else (slope + r) / (alpha + r)
    return center + away * stretch[:, None], -log_det if inverse else log_det


def sylvester(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = z + Q R tanh(S Qᵀz + b)."""
    found, size, rank = _given(n, part["parameters"], context), value.shape[-1], part["rank"]
    above = rank * (rank - 1) // 2
    ends = numpy.cumsum([0, rank * size, above, above, rank, rank, rank])
    vectors, outer, inner, log_inner, rho, b = (found[:, i:j] for i, j in itertools.pairwise(ends))
    products, diagonal = _above_minus_one(n, rho), n.exp(log_inner)
    # Entry by entry: the triangles are small, and their places known.
    places = {pair: at for at, pair in enumerate(zip(*numpy.triu_indices(rank, 1), strict=True))}
    r = {(i, j): outer[:, at] for (i, j), at in places.items()} | {
        (i, i): (products / diagonal)[:, i] for i in range(rank)
    }
    s = {(i, j): inner[:, at] for (i, j), at in places.items()} | {(i, i): diagonal[:, i] for i in range(rank)}
    columns = _orthonormal(n, n.reshape(vectors, (-1, rank, size)))
    y = [n.sum(column * value, axis=-1) for column in columns]
    h: dict[int, Any] = {}
    for i in reversed(range(rank)):
        shift = sum((s[i, j] * y[j] for j in range(i + 1, rank)), b[:, i])
        if inverse:
            target = y[i] - sum((r[i, j] * h[j] for j in range(i + 1, rank)), n(0.0))
            root = _tanh_root(n, s[i, i] * target + shift, products[:, i] + n.zeros_like(target))
            h[i] = n.tanh(root)
            y[i] = target - r[i, i] * h[i]
        else:
            h[i] = n.tanh(s[i, i] * y[i] + shift)
    pushed = [sum((r[i, j] * h[j] for j in range(i, rank)), n(0.0)) for i in range(rank)]
    move = sum((column * push[:, None] for column, push in zip(columns, pushed, strict=True)), n(0.0))
    log_det = sum((n.log1p(products[:, i] * (1 - h[i] * h[i])) for i in range(rank)), n(0.0))
    return (value - move, -log_det) if inverse else (value + move, log_det)


def _orthonormal(n: Arrays, reflections: Any) -> list[Any]:
    """The first columns, each (n, D), of a product of reflections, (n, M, D)."""
    rank, size = reflections.shape[-2:]
    columns = [n(numpy.eye(size)[k])[None, :] for k in range(rank)]
    for m in reversed(range(rank)):
        vector = reflections[:, m]
        squared = n.sum(vector * vector, axis=-1, keepdims=True)
        flat = squared < float(n.finfo(n.dtype).tiny)
        factor = n.where(flat, n(0.0), 2 / n.where(flat, n(1.0), squared))
        columns = [c - factor * vector * n.sum(vector * c, axis=-1, keepdims=True) for c in columns]
    return columns


def marginal(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """Follow a fixed spline of each feature."""
    mapped, terms = each_marginal(n, part, value, inverse)
    return mapped, n.sum(terms, axis=-1)


def fixed_piece(n: Arrays, part: Map, inside: Any, inverse: bool) -> Pair:
    """Follow the splines of features between their outermost knots, (n, D)."""
    tables, size = [part[name] for name in ("z_knots", "x_knots", "slopes")], part["z_knots"].shape[1]
    inner = n(tables[1 if inverse else 0][:, 1:-1])
    bins = n.count(inside[..., None] >= inner) + n(numpy.arange(len(inner)) * size)
    start = n.flat(bins).astype(n.int32)
    width = len(inner)
    ends = [n.reshape(n.take(n(table.ravel()), start + k, axis=0), (-1, width)) for table in tables for k in (0, 1)]
    return piece(n, inside, ends, inverse)


def circular_marginal(n: Arrays, part: Map, value: Any, inverse: bool) -> Pair:
    """Follow fixed splines of angles, (n, D), again at every turn."""
    turns = n.floor((value + math.pi) / (2 * math.pi)) * (2 * math.pi)
    mapped, term = fixed_piece(n, part, n.clip(value - turns, -math.pi, math.pi), inverse)
    return mapped + turns, term


def each_marginal(n: Arrays, part: Map, value: Any, inverse: bool) -> Pair:
    """Follow a fixed spline of each feature, with log-derivatives, (n, D)."""
    z_knots, x_knots, slopes = (part[name] for name in ("z_knots", "x_knots", "slopes"))
    ends = x_knots if inverse else z_knots
    inside = n.clip(value, ends[:, 0], ends[:, -1])
    outside, below = value - inside, value - inside < 0
    mapped, term = fixed_piece(n, part, inside, inverse)
    end, free = n.where(below, n(slopes[:, 0]), n(slopes[:, -1])), n.ones_like(value)
    bounded = n.zeros_like(value) > 1
    if part["low"] is not None:
        has = [numpy.isfinite(part[name]) * 1.0 for name in ("low", "high")]
        bounded = (n.where(below, n(has[0]), n(has[1])) > 0) & (outside != 0)
    distance = n.where(bounded, n(0.0), n.abs(outside))
    if inverse:
        curved = n.minimum(n.log1p(distance / end), n(LONGEST_TAIL))
        straight = n.maximum(distance / end - math.expm1(LONGEST_TAIL), n(0.0)) * math.exp(-LONGEST_TAIL)
        mapped, term = mapped + n.sign(outside) * (curved + straight), term - curved
    else:
        curved = n.minimum(distance, n(LONGEST_TAIL))
        straight = n.maximum(distance - LONGEST_TAIL, n(0.0)) * math.exp(LONGEST_TAIL)
        mapped, term = mapped + n.sign(outside) * end * (n.expm1(curved) + straight), term + curved
    if part["low"] is None:
        return mapped, term
    low, high = (numpy.where(numpy.isfinite(part[name]), part[name], 0.0) for name in ("low", "high"))
    bound, side = n.where(below, n(low), n(high)), n.where(below, free, -free)
    room = n.where(bounded, side * (n.where(below, n(x_knots[:, 0]), n(x_knots[:, -1])) - bound), free)
    if inverse:
        share = side * (value - bound) / room
        share = n.where(bounded, n.where(share == 0, n(ON_BOUND), n.maximum(share, n(NEAREST))), free)
        edge = n.where(below, n(z_knots[:, 0]), n(z_knots[:, -1]))
        return n.where(bounded, edge + side * n.log(share) * room / end, mapped), term - n.log(share)
    steepness = n.where(bounded, n.maximum(-n.abs(outside) * end / room, n(-700.0)), n(0.0))
    return n.where(bounded, bound + side * room * n.exp(steepness), mapped), term + steepness


def standardized(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = data(f(z; context in its units)), moved and widened beyond the range of contexts."""
    seen, _, beyond = _seen(n, part["context"], context)
    widening = _widening(n, part, seen, beyond) if part["context"] and part["context"]["trend"] else None
    if inverse:
        first, log_det = _widened(n, widening, 1, value, True)
        y, constant = apply(n, part["data"], first, None, True)
        y, last = _widened(n, widening, 0, y, True)
        z, term = apply(n, part["part"], y, seen, True)
    else:
        y, term = apply(n, part["part"], value, seen, False)
        y, log_det = _widened(n, widening, 0, y, False)
        y, constant = apply(n, part["data"], y, None, False)
        z, last = _widened(n, widening, 1, y, False)
    return z, term + constant + log_det + last


def within_range(n: Arrays, limits: Map, value: Any) -> Any:
    """Return values, (n, C), beyond the ends of their range by a margin at most."""
    nearest = n.clip(value, limits["low"], limits["high"])
    beyond = (value - nearest) / MARGIN
    return nearest + MARGIN * beyond / (1 + n.abs(beyond))


def _seen(n: Arrays, units: Map | None, context: Any) -> tuple[Any, Any, Any]:
    """What a map is shown of a context, the nearest in the range, and how far it is beyond it."""
    if units is None or context is None:
        return context, context, None
    standard = (context - n(units["shift"])) / n(units["scale"])
    ends = standard
    if units["range"]:
        ends = within_range(n, units["range"], standard)
    if not units["features"]:
        return ends, ends, standard - ends
    shown = units["features"]
    own = n.columns(ends, shown["numbers"])
    both = n.concat([own, each_marginal(n, shown["scores"], own, True)[0]], axis=-1)
    whitened = n.matmul(both - n(shown["mean"]), n(shown["weight"]))
    return n.concat([whitened, n.columns(ends, shown["flags"])], axis=-1), ends, standard - ends


def _widening(n: Arrays, part: Map, seen: Any, beyond: Any) -> Any:
    """(center, growth, shift) of the widenings in standardized units and in those of the data."""
    trend = part["context"]["trend"]
    if n.concrete and not (beyond != 0).any():
        return None
    beyond = n.clip(beyond, -FURTHEST, FURTHEST)
    distance = n.sum(n.matmul(beyond, n(trend["precision"])) * beyond, axis=-1, keepdims=True)
    distance = n.maximum(distance, n(0.0))
    latents, size = n(trend["latents"]), trend["latents"].shape[1]
    rows = n.reshape(latents[:, None, :] + n.zeros_like(seen[:, :1])[None], (-1, size))
    shown = n.reshape(seen[None] + n.zeros_like(latents[:, :1])[:, :, None], (-1, seen.shape[1]))
    images = apply(n, part["part"], rows, shown, False)[0]
    trends = trend["noise"] > 0
    free, unit = n(1.0 - trends), n(numpy.where(trends, trend["noise"], 1.0))
    center, variance = _moments(n, images, len(trend["latents"]), n(numpy.ones(size)))
    excess = n.maximum(1 / variance - 1, n(0.0)) * distance / (1 + distance) * free
    scores = center, _growth(n, excess), n.zeros_like(center)
    center, variance = _moments(n, apply(n, part["data"], images, None, False)[0], len(trend["latents"]), unit)
    growth = _growth(n, distance / variance * n(1.0 * trends))
    return scores, (center, growth, n.matmul(beyond, n(trend["slope"].T)))


def _moments(n: Arrays, images: Any, points: int, unit: Any) -> Pair:
    each = n.reshape(images, (points, -1, images.shape[-1]))
    center = n.mean(each, axis=0)
    away = (each - center) / unit
    return center, n.maximum(n.mean(away * away, axis=0), n(LEAST_DEVIATION**2))


def _growth(n: Arrays, excess: Any) -> Any:
    return excess / (n.sqrt(1 + excess) + 1)


def _widened(n: Arrays, widening: Any, which: int, value: Any, inverse: bool) -> Pair:
    if widening is None:
        return value, n(0.0)
    center, growth, shift = widening[which]
    log_det = n.sum(n.log1p(growth), axis=-1)
    if inverse:
        moved = value - shift
        return moved - growth / (1 + growth) * (moved - center), -log_det
    return value + growth * (value - center) + shift, log_det


def clustered(n: Arrays, part: Map, value: Any, context: Any, inverse: bool) -> Pair:
    """x = marginals(f(z′; context, k), k), z[0] standing for the label k and for z′[0]."""
    known, _, _ = _seen(n, part["context"], context)
    shares = n(part["log_shares"])[None, :]
    if part["network"] is not None:
        shares = shares + parameters(n, part["network"], None, known)[:, 0, :]
    shares = n.log_softmax(shares) + n.zeros_like(value[:, :1])
    if inverse:
        low, high = n(part["low"]), n(part["high"])
        mask = n.all((value[:, None, :] >= low) & (value[:, None, :] < high), axis=-1)
        y, constant = _from_box(n, part, value, mask)
        z, log_det = apply(n, part["part"], y, _with_label(n, part, known, mask), True)
        first, term = _join(n, mask, z[:, 0], shares)
        return n.concat([first[:, None], z[:, 1:]], axis=-1), log_det + term + constant
    mask, first, term = _divide(n, value[:, 0], shares)
    z = n.concat([first[:, None], value[:, 1:]], axis=-1)
    y, log_det = apply(n, part["part"], z, _with_label(n, part, known, mask), False)
    x, constant = _into_box(n, part, y, mask)
    return x, log_det + term + constant


def _with_label(n: Arrays, part: Map, known: Any, mask: Any) -> Any:
    if not part["labels"]:
        return known
    own = n.where(mask, n(1.0), n(0.0))[:, 1:]
    return own if known is None else n.concat([known + n.zeros_like(own[:, :1]), own], axis=-1)


def _own(n: Arrays, mask: Any, each: Any) -> Any:
    """Of values for all clusters, (n, K, D), those of each row's own."""
    return n.sum(n.where(mask[:, :, None], each, n(0.0)), axis=1)


def _room(n: Arrays, part: Map, mask: Any, value: Any) -> tuple[Any, Any]:
    """How far a row lies outside the rows of its cluster, and the distance to the end of the box."""
    first, last = (_own(n, mask, n(part[name])[None] + n.zeros_like(value)[:, None]) for name in ("first", "last"))
    gaps = n(part["first"] - part["low"])[None], n(part["high"] - part["last"])[None]
    rooms = [_own(n, mask, gap + n.zeros_like(value)[:, None]) for gap in gaps]
    outside = value - n.minimum(n.maximum(value, first), last)
    return outside, n.where(outside < 0, rooms[0], rooms[1])


def _from_box(n: Arrays, part: Map, value: Any, mask: Any) -> Pair:
    count, size = part["low"].shape
    outside, room = _room(n, part, mask, value)
    share = n.minimum(n.abs(outside) / room, n(1 - NEAREST))
    w = value + outside * share / (1 - share)
    every = n.reshape(w[:, None, :] + n.zeros_like(n(part["low"]) * 0)[None], (-1, count * size))
    scores, terms = (n.reshape(e, (-1, count, size)) for e in each_marginal(n, part["splines"], every, True))
    centered = scores - n(part["mean"])
    whitened = n.sum(n(numpy.linalg.inv(part["root"]))[None] * centered[:, :, None, :], axis=-1)
    log_det = n.sum(_own(n, mask, terms) - 2 * n.log1p(-share), axis=-1)
    return _own(n, mask, whitened), log_det - n.pick(n(_log_scale(part)), mask)


def _into_box(n: Arrays, part: Map, y: Any, mask: Any) -> Pair:
    count, size = part["low"].shape
    scores = n.sum(n(part["root"])[None] * y[:, None, None, :], axis=-1) + n(part["mean"])
    each = each_marginal(n, part["splines"], n.reshape(scores, (-1, count * size)), False)
    w, terms = (_own(n, mask, n.reshape(e, (-1, count, size))) for e in each)
    outside, room = _room(n, part, mask, w)
    times = n.abs(outside) / room
    log_det = n.sum(terms - 2 * n.log1p(times), axis=-1)
    return w - outside * times / (1 + times), log_det + n.pick(n(_log_scale(part)), mask)


def _log_scale(part: Map) -> Any:
    return numpy.log(numpy.diagonal(part["root"], axis1=1, axis2=2)).sum(1)


def _sums(n: Arrays, log_shares: Any) -> tuple[Any, Any]:
    """The logarithms of the sums of the shares before each label and after it, -inf for none, (n, K)."""
    each = [log_shares[:, k : k + 1] for k in range(log_shares.shape[1])]
    none = n.like(each[0], -math.inf)
    below, above = [none], [none]
    for k in range(len(each) - 1):
        below.append(n.logaddexp(below[-1], each[k]))
        above.append(n.logaddexp(above[-1], each[-1 - k]))
    return n.concat(below, axis=-1), n.concat(above[::-1], axis=-1)


def _divide(n: Arrays, z: Any, log_shares: Any) -> tuple[Any, Any, Any]:
    below, above = _sums(n, log_shares)
    edges = normal_quantile(n, below[:, 1:], above[:, :-1])
    end = n.like(edges[:, :1], math.inf)
    low, high = n.concat([-end, edges], axis=-1), n.concat([edges, end], axis=-1)
    mask = (z[:, None] >= low) & (z[:, None] < high)
    own = [n.sum(n.where(mask, part, n(0.0)), axis=-1) for part in (log_shares, below, above)]
    rest = []
    for side, beyond in ((z, own[1]), (-z, own[2])):
        difference = n.log(n.maximum(ndtr(n, side) - n.exp(beyond), n(LEAST)))
        rest.append(n.where(beyond == -math.inf, log_ndtr(n, side), difference) - own[0])
    y = normal_quantile(n, *rest)
    return mask, y, log_normal(n, z) - own[0] - log_normal(n, y)


def _join(n: Arrays, mask: Any, y: Any, log_shares: Any) -> Pair:
    own = [n.sum(n.where(mask, part, n(0.0)), axis=-1) for part in (log_shares, *_sums(n, log_shares))]
    sides = [n.logaddexp(beyond, own[0] + log_ndtr(n, side)) for side, beyond in ((y, own[1]), (-y, own[2]))]
    z = normal_quantile(n, *sides)
    return z, log_normal(n, y) + own[0] - log_normal(n, z)


MAPS = {
    "compose": compose,
    "inverse": lambda n, part, value, context, inverse: apply(n, part["part"], value, context, not inverse),
    "affine": affine,
    "linear": linear,
    "coupling": coupling,
    "autoregressive": autoregressive,
    "planar": planar,
    "radial": radial,
    "sylvester": sylvester,
    "marginal": marginal,
    "standardized": standardized,
    "clustered": clustered,
}
