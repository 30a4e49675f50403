"""Columns of a table: from codes to numbers on the whole line, and back, as `pushforward.tables.columns.maps` does.

`described` makes a dictionary of a column's kind; `encode` and `decode` evaluate it in any namespace, for (n,) codes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.maps import each_marginal
from pushforward.lite.special import erf, erfcx, log_normal, ndtr, normal_quantile, probit

Column = dict[str, Any]
# As of the classes of `pushforward.tables.columns.maps`.
EDGE, FURTHEST, FURTHEST_CELL, LARGEST_LOG, LARGEST_EXACT = 2.0**-24, 36.0, 30.0, 700.0, 2.0**53
LOG_SHORTEST, ON_END, SMALLEST_TAIL, LARGEST_EXPONENT = -26 * math.log(2), 0.5, 1e-6, 60.0
DECADE_EDGE, ROUNDING, MOST_ROUNDING = 1e-9, 1e-6, 1e-3
NUMPY = Arrays(numpy, numpy.float64)


def described(kind: Any) -> Column:
    """Describe a column by its kind, an object of a schema."""
    name = kind.map_name
    found: Column = {"kind": name, "bounds": tuple(map(float, kind.bounds)), **NUMBERS[name](kind)}
    if kind.recorded is not None and name not in ("cells", "steps", "circle"):
        cells = kind.recorded
        found["cells"] = {"step": float(cells.step), "offset": float(cells.offset)}
        found["cells"] |= {"figures": int(getattr(cells, "figures", 0)), "exact_beside": bool(kind.partly_recorded)}
        low, high = kind.bounds if name == "mixture" else kind.support
        places = (low - cells.offset) / cells.step, (high - cells.offset) / cells.step
        found["cells"]["least"] = float(cells.offset + numpy.ceil(places[0] - 1e-9) * cells.step)
        found["cells"]["most"] = float(cells.offset + numpy.floor(places[1] + 1e-9) * cells.step)
        found["cells"]["discrete"] = bool(kind.discrete)
    return found


def _of_cells(kind: Any) -> Column:
    shares = numpy.array(kind.frequencies or [1.0])
    codes = kind.all_codes()[:2].tolist() or [0]
    shares = shares / shares.sum()
    below = numpy.concatenate([[0.0], shares.cumsum()[:-1]])
    above = numpy.concatenate([shares[::-1].cumsum()[::-1][1:], [0.0]])
    edges = probit(NUMPY, below[1:], above[:-1])
    step = float(codes[-1] - codes[0] or 1)
    return {"below": below, "above": above, "width": shares, "edges": edges, "step": step, "first": float(codes[0])}


def _of_steps(kind: Any) -> Column:
    (low, high), (step, offset) = kind.bounds, kind.lattice
    low = math.ceil((low - offset) / step) if low > -math.inf else low
    high = math.floor((high - offset) / step) if high < math.inf else high
    return {"step": float(step), "offset": float(offset), "low": float(low), "high": float(high)}


def _of_ends(bounds: Any, piled: Any) -> Column:
    near = [math.inf if end is None else float(end) for end in (piled.low, piled.high)]
    return {"low": float(bounds[0]), "high": float(bounds[1]), "near_low": near[0], "near_high": near[1]}


def _of_tails(kind: Any) -> Column:
    tail = kind.tail
    return {"tails": (float(tail.lower), float(tail.upper)), "shift": float(tail.shift), "scale": float(tail.scale)}


def _of_circle(kind: Any) -> Column:
    period, low, start = float(kind.period), float(kind.low), float(kind.start or 0.0)
    pairs = sorted(zip(kind.atom_codes, kind.shares or (), strict=True), key=lambda a: ((a[0] - start) / period) % 1.0)
    atoms, shares = (numpy.array([pair[k] for pair in pairs], float) for k in (0, 1))
    places, rest = numpy.mod((atoms - start) / period, 1.0), 1 - float(shares.sum())
    numbers = {"period": period, "low": low, "start": start, "step": float(kind.step or 0.0), "rest": rest}
    return {
        **numbers,
        "atoms": atoms,
        "shares": shares,
        "places": places,
        "jumps": rest * places + shares.cumsum() - shares,
    }


def _of_mixture(kind: Any) -> Column:
    (low, high), marginal = kind.bounds, kind.marginal
    of_spline = low, high
    if marginal.piled:
        of_spline = _end_bounds(low, high, marginal.piled)
    spline: Column = {
        name: numpy.array([getattr(marginal, key)], float) for name, key in (("z_knots", "z"), ("x_knots", "x"))
    }
    spline |= {"slopes": numpy.array([marginal.slopes], float)}
    spline |= {"low": numpy.array(of_spline[:1], float), "high": numpy.array(of_spline[1:], float)}
    found: Column = {"spline": spline, "ends": _of_ends((low, high), marginal.piled) if marginal.piled else None}
    found |= {"bounds": (float(low), float(high)), "rest": 1 - sum(kind.shares)}
    shares, atoms = numpy.array(kind.shares, float), numpy.array(kind.atom_codes, float)
    with numpy.errstate(all="ignore"):
        at = _normal(NUMPY, found, atoms)[0]
        before, after = (numpy.concatenate([[0.0], part.cumsum()]) for part in (shares, shares[::-1]))
        after = after[::-1]
        below, above = before[:-1] + found["rest"] * ndtr(NUMPY, at), after[1:] + found["rest"] * ndtr(NUMPY, -at)
        starts, ends = probit(NUMPY, below, above + shares), probit(NUMPY, below + shares, above)
    tables = {"atoms": atoms, "shares": shares, "before": before, "after": after, "below": below, "above": above}
    return {**found, **tables, "starts": starts, "stops": ends}


def _end_bounds(low: float, high: float, piled: Any) -> tuple[float, float]:
    if (piled.low is None) == (piled.high is None) or math.isinf(high - low):
        return -math.inf, math.inf
    furthest = math.log(high - low)
    return (-math.inf, furthest) if piled.high is None else (-furthest, math.inf)


NUMBERS = {
    "identity": lambda kind: {"support": tuple(map(float, kind.support))},
    "logarithm": lambda kind: {},
    "cells": _of_cells,
    "steps": _of_steps,
    "end_logarithms": lambda kind: _of_ends(kind.bounds, kind.piled),
    "tails": _of_tails,
    "circle": _of_circle,
    "mixture": _of_mixture,
}


def encode(n: Arrays, column: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    """Return y and what adds to log q(y), (n,), of codes and of noise from 0 to 1, which spreads probabilities."""
    noise = noise * (1 - 2 * EDGE) + EDGE
    if "cells" in column and column["kind"] == "mixture":
        return _encode_rounded_mixture(n, column, codes, noise)
    if "cells" not in column:
        return ENCODE[column["kind"]](n, column, codes, noise)
    cells, (least, most) = column["cells"], column["bounds"]
    low, high = _cell(n, cells, codes, least, most)
    beside = _exact(n, cells, codes)
    y, term = ENCODE[column["kind"]](n, column, n.where(beside, codes, low + noise * (high - low)), noise)
    length = n.log((high - low) / _lengths(n, cells, n.clip(codes, cells["least"], cells["most"])))
    return y, term + n.where(beside, n(0.0), length)


def decode(n: Arrays, column: Column, y: Any) -> Any:
    """Return codes, (n,), in the support of the column, of y."""
    x = DECODE[column["kind"]](n, column, y)
    if "cells" not in column:
        return x
    cells = column["cells"]
    near = n.clip(_nearest(n, cells, x), cells["least"], cells["most"])
    if column["kind"] == "mixture":
        near = n.where(n.any(x[:, None] == n(column["atoms"]), axis=-1), x, near)
    return x if cells["exact_beside"] else near


def _encode_cells(n: Arrays, c: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    mask = n.round((codes - c["first"]) / c["step"])[:, None] == n(numpy.arange(len(c["width"])))
    below, above, width = (n.pick(n(c[name]), mask) for name in ("below", "above", "width"))
    y = probit(n, below + noise * width, above + (1 - noise) * width)
    return y, n.log(width) - log_normal(n, y)


def _decode_cells(n: Arrays, c: Column, y: Any) -> Any:
    return n.count(y[:, None] >= n(c["edges"])) * c["step"] + c["first"] + 0 * y


def _encode_steps(n: Arrays, c: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    return n.round((codes - c["offset"]) / c["step"]) + noise, n.zeros_like(codes)


def _decode_steps(n: Arrays, c: Column, y: Any) -> Any:
    whole = n.clip(n.clip(n.floor(y), c["low"], c["high"]), -LARGEST_EXACT, LARGEST_EXACT)
    return whole * c["step"] + c["offset"]


def _encode_ends(n: Arrays, c: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    at, logs = [math.isfinite(c[name]) for name in ("near_low", "near_high")], []
    for piled, distance, near in ((at[0], codes - c["low"], c["near_low"]), (at[1], c["high"] - codes, c["near_high"])):
        logs.append(n.log(n.where(distance > 0, distance, n(ON_END * near))) if piled else n.zeros_like(codes))
    width = math.log(c["high"] - c["low"]) if all(at) else 0.0
    return logs[0] - logs[1], width - logs[0] - logs[1]


def _decode_ends(n: Arrays, c: Column, y: Any) -> Any:
    at_low, at_high = (math.isfinite(c[name]) for name in ("near_low", "near_high"))
    bent, width = n.clip(y, -LARGEST_LOG, LARGEST_LOG), c["high"] - c["low"] if at_low and at_high else 1.0
    below = c["low"] + (width * n.exp(-n.softplus(-bent)) if at_high else n.exp(bent))
    above = c["high"] - (width * n.exp(-n.softplus(bent)) if at_low else n.exp(-bent))
    found = n.where(y < 0, below, above) if at_low and at_high else below if at_low else above
    return n.clip(found, c["low"], c["high"])


def _log_reciprocal_erfc(n: Arrays, u: Any) -> tuple[Any, Any]:
    scaled = n.log(erfcx(n, u))
    near = -n.log1p(-erf(n, n.minimum(u, n(0.5))))
    return n.where(u < 0.5, near, u * u - scaled), math.log(2 / math.sqrt(math.pi)) - scaled


def _encode_tails(n: Arrays, c: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    value = (codes - c["shift"]) / c["scale"]
    tails, sign = n.where(value >= 0, n(c["tails"][1]), n(c["tails"][0])), n.where(value >= 0, n(1.0), n(-1.0))
    stretched = tails * n.abs(value)
    inside = n.minimum(stretched, n(math.expm1(LARGEST_EXPONENT)))
    exponent = n.log1p(inside)
    t = (exponent + (stretched - inside) * math.exp(-LARGEST_EXPONENT)) / tails
    u = -normal_quantile(n, -t - math.log(2), n.zeros_like(t)) * math.sqrt(0.5)
    found, log_slope = _log_reciprocal_erfc(n, n.maximum(u, n(0.0)))
    u = u - (found - t) * n.exp(-log_slope)
    log_slope = _log_reciprocal_erfc(n, n.maximum(u, n(0.0)))[1]
    term = math.log(c["scale"]) + exponent + log_slope - 0.5 * math.log(2)
    return sign * u * math.sqrt(2), -term


def _decode_tails(n: Arrays, c: Column, y: Any) -> Any:
    tails = n.where(y >= 0, n(c["tails"][1]), n(c["tails"][0]))
    exponent = tails * _log_reciprocal_erfc(n, n.abs(y) * math.sqrt(0.5))[0]
    inside = n.minimum(exponent, n(LARGEST_EXPONENT))
    far = (n.expm1(inside) + n.exp(inside) * (exponent - inside)) / tails
    return c["shift"] + c["scale"] * n.where(y >= 0, far, -far)


def _encode_circle(n: Arrays, c: Column, codes: Any, noise: Any) -> tuple[Any, Any]:
    turn = n.remainder((codes - c["start"]) / c["period"], n(1.0))
    before, width = n.zeros_like(codes), n.like(codes, c["rest"] * c["step"] / c["period"])
    for atom, share, place in zip(c["atoms"], c["shares"], c["places"], strict=True):
        on_atom = codes == float(atom)
        before = before + n.where((turn > float(place)) & ~on_atom, n(float(share)), n(0.0))
        width = width + n.where(on_atom, n(float(share)), n(0.0))
    log_width = n.log(n.where(width > 0, width, n(c["rest"] / c["period"])))
    part = n.clip(c["rest"] * turn + before + width * noise, EDGE**2, 1 - EDGE**2)
    y = probit(n, part, 1 - part)
    return y, log_width - log_normal(n, y)


def _decode_circle(n: Arrays, c: Column, y: Any) -> Any:
    whole, within, atom = ndtr(n, y), n.zeros_like(y), n.like(y, math.nan)
    for code, share, jump in zip(c["atoms"], c["shares"], c["jumps"], strict=True):
        part = n.clip(whole - float(jump), 0.0, float(share))
        within, inside = within + part, (part > 0) & (part < float(share))
        atom = n.where(inside, n(float(code)), atom)
    part = (whole - within) / c["rest"]
    turn = n.remainder(part + (c["start"] - c["low"]) / c["period"], n(1.0)) * c["period"]
    if c["step"] > 0:
        # Rounding may reach a step from either side: a billionth of it is given to the next.
        turn = n.floor(turn / c["step"] + 1e-9) * c["step"]
        turn = n.where(turn >= c["period"] * (1 - 1e-9), n(0.0), turn)
    angle = c["low"] + turn
    angle = n.where(angle >= c["low"] + c["period"], n(c["low"]), angle)
    return n.where(n.isnan(atom), angle, atom)


def _scores(n: Arrays, c: Column, x: Any) -> tuple[Any, Any]:
    y, bend = (x, n.zeros_like(x)) if c["ends"] is None else _encode_ends(n, c["ends"], x, x)
    z, slope = each_marginal(n, c["spline"], y[:, None], True)
    return z[:, 0], slope[:, 0] + bend


def _normal(n: Arrays, c: Column, x: Any) -> tuple[Any, Any]:
    z, slope = _scores(n, c, x)
    low, high = c["bounds"]
    return n.where(x <= low, n(-math.inf), n.where(x >= high, n(math.inf), z)), slope


def _at(n: Arrays, c: Column, name: str, place: Any) -> Any:
    """An entry of a table of a mixture, by its place."""
    return n.take(n(c[name]), place.astype(n.int32), axis=0)


def _atom(n: Arrays, c: Column, x: Any) -> tuple[Any, Any, Any]:
    """How many atoms lie below, the first that does not, and whether x is this one."""
    count = n.count(x[:, None] > n(c["atoms"]))
    place = n.minimum(count, n(len(c["atoms"]) - 1.0))
    return count, place, _at(n, c, "atoms", place) == x


def _encode_mixture(n: Arrays, c: Column, x: Any, noise: Any) -> tuple[Any, Any]:
    z, slope = _scores(n, c, x)
    inside, rest = n.clip(z, -FURTHEST, FURTHEST), c["rest"]
    count, place, on_atom = _atom(n, c, x)
    before, after = _at(n, c, "before", count), _at(n, c, "after", count)
    y = probit(n, before + rest * ndtr(n, inside), after + rest * ndtr(n, -inside))
    free = n.where(z < 0, before, after)
    free = (free <= 0) & (z != inside)
    term = n.where(free, slope, math.log(rest) + log_normal(n, z) - log_normal(n, y) + slope)
    y = n.where(free, y + (z - inside), y)
    width = _at(n, c, "shares", place)
    sides = _at(n, c, "below", place) + noise * width, _at(n, c, "above", place) + (1 - noise) * width
    jump = probit(n, *sides)
    return n.where(on_atom, jump, y), n.where(on_atom, n.log(width) - log_normal(n, jump), term)


def _decode_mixture(n: Arrays, c: Column, y: Any) -> Any:
    count = n.count(y[:, None] >= n(c["stops"]))
    place = n.minimum(count, n(len(c["atoms"]) - 1.0))
    on_atom = (y >= _at(n, c, "starts", place)) & (y < _at(n, c, "stops", place))
    lower = n.clip((ndtr(n, y) - _at(n, c, "before", count)) / c["rest"], 1e-300, 1.0)
    upper = n.clip((ndtr(n, -y) - _at(n, c, "after", count)) / c["rest"], 1e-300, 1.0)
    z = n.where(n.abs(y) > FURTHEST, y, probit(n, lower, upper))
    x = each_marginal(n, c["spline"], z[:, None], False)[0][:, 0]
    x = n.clip(x if c["ends"] is None else _decode_ends(n, c["ends"], x), *c["bounds"])
    return n.where(on_atom, _at(n, c, "atoms", place), x)


def _encode_rounded_mixture(n: Arrays, c: Column, x: Any, noise: Any) -> tuple[Any, Any]:
    cells, rest, (least, most) = c["cells"], c["rest"], c["bounds"]
    _, place, on_atom = _atom(n, c, x)
    middle = n.where(on_atom, x, n.clip(_nearest(n, cells, x), cells["least"], cells["most"]))
    first = n.where(on_atom, place, n.count(middle[:, None] > n(c["atoms"])))
    low, high = _ends(n, cells, middle)
    low = n.where(~on_atom & (middle <= cells["least"]), n(least), low)
    high = n.where(~on_atom & (middle >= cells["most"]), n(most), high)
    sides = []
    for end, at in ((low, first), (high, first + n.where(on_atom, n(1.0), n(0.0)))):
        z = n.clip(_normal(n, c, end)[0], -FURTHEST, FURTHEST)
        z = n.where(end <= least, n(-math.inf), n.where(end >= most, n(math.inf), z))
        sides.append((_at(n, c, "before", at) + rest * ndtr(n, z), _at(n, c, "after", at) + rest * ndtr(n, -z)))
    (below, above), (below_end, above_end) = sides
    y = probit(n, below + noise * (below_end - below), above_end + (1 - noise) * (above - above_end))
    width = n.where(below < above_end, below_end - below, above - above_end)
    term = n.log(width) - log_normal(n, y)
    z, room = _normal(n, c, x)[0], 0.25 * cells["step"]
    smooth, slope = _encode_mixture(n, c, n.clip(x, least + room, most - room), noise)
    log_length = n.log(_lengths(n, cells, x))
    far = ~on_atom & (~(n.abs(z) < FURTHEST_CELL) | (slope + log_length < LOG_SHORTEST))
    y, term = n.where(far, smooth, y), n.where(far, slope + log_length, term)
    term = term if cells["discrete"] else n.where(on_atom, term, term - log_length)
    exact, slope = _encode_mixture(n, c, x, noise)
    beside = ~on_atom & _exact(n, cells, x)
    return n.where(beside, exact, y), n.where(beside, slope, term)


def _steps(n: Arrays, cells: Column, x: Any) -> Any:
    """The step of a grid at x, which grows at powers of ten where figures are significant."""
    if not cells["figures"]:
        return n.like(x, cells["step"])
    decade = n.floor(n.log10(n.abs(x) / cells["step"]) + DECADE_EDGE) - (cells["figures"] - 1)
    return cells["step"] * n(10.0) ** n.where(n.isfinite(decade), n.maximum(decade, n(0.0)), n(0.0))


def _nearest(n: Arrays, cells: Column, x: Any) -> Any:
    step = _steps(n, cells, x)
    return cells["offset"] + n.round((x - cells["offset"]) / step) * step


def _ends(n: Arrays, cells: Column, middle: Any) -> tuple[Any, Any]:
    if not cells["figures"]:
        return middle - 0.5 * cells["step"], middle + 0.5 * cells["step"]
    away, toward = _steps(n, cells, middle), _steps(n, cells, middle * (1 - 1e-7))
    below, above = n.where(middle > 0, toward, away), n.where(middle > 0, away, toward)
    return middle - 0.5 * below, middle + 0.5 * above


def _lengths(n: Arrays, cells: Column, x: Any) -> Any:
    low, high = _ends(n, cells, _nearest(n, cells, x)) if cells["figures"] else (n.zeros_like(x), _steps(n, cells, x))
    return high - low


def _cell(n: Arrays, cells: Column, codes: Any, low: float, high: float) -> tuple[Any, Any]:
    middle = n.clip(_nearest(n, cells, codes), cells["least"], cells["most"])
    ends = _ends(n, cells, middle)
    return n.where(middle <= cells["least"], n(low), ends[0]), n.where(middle >= cells["most"], n(high), ends[1])


def _exact(n: Arrays, cells: Column, x: Any) -> Any:
    """Which values lie beside the grid, and were not rounded."""
    if not cells["exact_beside"]:
        return x != x
    step = _steps(n, cells, x)
    single = x.astype(n.float32).astype(n.dtype) == x
    bits = n.where(single, n(2.0**-23), n(16 * 2.0**-52))
    rounding = n.minimum(ROUNDING + bits * n.abs(x) / step, n(MOST_ROUNDING))
    return n.abs(x - _nearest(n, cells, x)) > rounding * step


ENCODE = {
    "identity": lambda n, c, codes, noise: (codes, n.zeros_like(codes)),
    "logarithm": lambda n, c, codes, noise: (n.log(codes), -n.log(codes)),
    "cells": _encode_cells,
    "steps": _encode_steps,
    "end_logarithms": _encode_ends,
    "tails": _encode_tails,
    "circle": _encode_circle,
    "mixture": _encode_mixture,
}
DECODE = {
    "identity": lambda n, c, y: n.clip(y, *c["support"]),
    "logarithm": lambda n, c, y: n.exp(n.clip(y, -LARGEST_LOG, LARGEST_LOG)),
    "cells": _decode_cells,
    "steps": _decode_steps,
    "end_logarithms": _decode_ends,
    "tails": _decode_tails,
    "circle": _decode_circle,
    "mixture": _decode_mixture,
}
