"""Functions of a context that the flows of a mixture are shown: sums of trees, and kernels at points."""

from __future__ import annotations

from typing import Any

from pushforward.lite.arrays import Arrays

LEAST_SQUARE = 1e-12


def shown_more(n: Arrays, regressions: list[dict[str, Any]], context: Any) -> Any:
    """Return a context, (n, C), followed by what functions say of it, (n, C + M)."""
    if context is None or not regressions:
        return context
    found = [(_trees if one["kind"] == "trees" else _kernels)(n, one, context) for one in regressions]
    return n.concat([context, *(one[:, None] for one in found)], axis=-1)


def _trees(n: Arrays, trees: dict[str, Any], context: Any) -> Any:
    """start + Σ of what each tree says of asinh((c - shift) · scale), in single precision as the trees were grown."""
    u = n.asinh((context - n(trees["shift"])) * n(trees["scale"])).astype(n.float32)
    right, feature, number = (n.xp.asarray(trees[name]) for name in ("right", "feature", "number"))
    number = n.xp.asarray(number, dtype=n.float32)
    node = n.xp.asarray(trees["roots"])[None, :] + n.zeros_like(context[:, :1])
    count = trees["roots"].shape[0]

    def at(table: Any, node: Any) -> Any:
        return n.reshape(n.take(table, n.flat(node).astype(n.int32), axis=0), (-1, count))

    for _ in range(trees["depth"]):
        value = n.take_along_axis(u, at(feature, node).astype(n.int32), axis=1)
        step = at(right, node)
        # A leaf leads to itself.
        node = node + n.where(value <= at(number, node), n.minimum(step, n(1.0)), step)
    return float(trees["start"]) + n.sum(at(n(trees["number"]), node), axis=-1)


def _kernels(n: Arrays, one: dict[str, Any], context: Any) -> Any:
    """start + Σ weight k(u, point), u = (c within its range - shift) · scale."""
    start, amplitude, slope = (float(number) for number in one["numbers"])
    points = one["points"]
    a = (n.clip(context, one["low"], one["high"]) - n(one["shift"])) * n(one["scale"])
    product = n.matmul(a, n(points.T))
    squares = n.maximum(n.sum(a * a, axis=-1, keepdims=True) + n((points**2).sum(1)) - 2 * product, n(0.0))
    distance = n.sqrt(5 * squares + LEAST_SQUARE)
    kernels = amplitude * (1 + distance + 5 / 3 * squares) * n.exp(-distance) + slope * (1 + product)
    return start + n.sum(kernels * n(one["weights"]), axis=-1)
