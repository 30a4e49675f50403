"""Networks that supply the parameters of maps, all at once or unit by unit as features become known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.special import erf

ACTIVATIONS: dict[str, Callable[[Arrays, Any], Any]] = {
    "relu": lambda n, h: n.maximum(h, n(0.0)),
    "elu": lambda n, h: n.where(h > 0, h, n.expm1(n.minimum(h, n(0.0)))),
    "silu": lambda n, h: h * n.exp(-n.softplus(-h)),
    "gelu": lambda n, h: 0.5 * h * (1 + erf(n, h * 0.5**0.5)),
    "tanh": lambda n, h: n.tanh(h),
}


def parameters(n: Arrays, net: dict[str, Any], x: Any, context: Any) -> Any:
    """Return the parameters of all outputs, (n, outputs, P), or (1, outputs, P) where nothing is to be seen."""
    activate = ACTIVATIONS[net["activation"]]
    found: list[Any] = []
    value, last = x, len(net["layers"]) - 1
    for k, layer in enumerate(net["layers"]):
        hidden = n(layer["bias"])[None, :]
        hidden = _added(n, hidden, layer["weight"], value)
        hidden = _added(n, hidden, net["context"], context) if k == 0 else hidden
        if k == last:
            hidden = _added(n, _added(n, hidden, net["direct"], x), net["direct_context"], context)
        hidden = hidden if layer["skip"] is None else hidden + found[layer["skip"]]
        found.append(hidden)
        value = activate(n, hidden)
    return n.reshape(found[-1], (-1, len(net["layers"][-1]["bias"]) // net["count"], net["count"]))


def sequence(
    n: Arrays, net: dict[str, Any], order: list[int], start: Any, context: Any, mapped: Callable[[int, Any], Any]
) -> None:
    """Compute each unit once, when the features that it sees are known.

    Units of degree p see the first p features of an order.

    Arguments:
        n: arrays.
        net: a network with the `degrees` of its hidden layers, each sorted.
        order: of the features.
        start: (n, 1) zeros.
        context: (n, C) or None.
        mapped: is given a feature and its parameters, (n, P), and gives the feature, (n, 1).
    """
    activate, count, last = ACTIVATIONS[net["activation"]], net["count"], len(net["layers"]) - 1
    x: list[Any] = []
    raw: list[dict[int, Any]] = [{} for _ in range(last)]
    active: list[list[Any]] = [[] for _ in range(last)]
    of_context = [_added(n, None, net[name], context) for name in ("context", "direct_context")]
    for place, feature in enumerate(order):
        before = list(order[:place])
        for k, layer in enumerate(net["layers"]):
            own = numpy.arange(feature * count, (feature + 1) * count)
            rows = own if k == last else numpy.flatnonzero(net["degrees"][k] == place)
            if not len(rows):
                continue
            value = n(layer["bias"][rows])[None, :] + start
            if layer["weight"] is not None:
                sources = x if k == 0 else active[k - 1]
                known = before if k == 0 else numpy.flatnonzero(net["degrees"][k - 1] <= place)
                value = _product(n, value, layer["weight"][rows][:, known], sources)
            if k == last and net["direct"] is not None:
                value = _product(n, value, net["direct"][rows][:, before], x)
            for at, term in ((0, of_context[0]), (last, of_context[1])):
                value = value if term is None or k != at else value + n.columns(term, rows)
            if k == last:
                x.append(mapped(feature, value))
                continue
            value = value if layer["skip"] is None else value + raw[layer["skip"]][place]
            raw[k][place] = value
            active[k].append(activate(n, value))


def _added(n: Arrays, value: Any, weight: Any, source: Any) -> Any:
    if weight is None:
        return value
    product = n.matmul(source, n(weight.T))
    return product if value is None else value + product


def _product(n: Arrays, value: Any, weight: Any, sources: list[Any]) -> Any:
    return value + n.matmul(n.concat(sources, axis=-1), n(weight.T)) if sources else value
