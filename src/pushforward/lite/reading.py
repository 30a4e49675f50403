"""A model file as plain dictionaries of maps: its config says which, its numbers fill them.

A flow is {"features", "context_features", "base", "bijection"}, a mixture {"features", "context_features", "weights",
"flows", "regressions"}. `pushforward.lite.maps` evaluates them, and `pushforward.exports` writes them as JSON.
"""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.networks.dependencies import by_adjacency, by_order, checked_adjacency, single_steps
from pushforward.store.options import LOG_1000, NeedsPyTorch, complete
from pushforward.store.shapes import check_shapes, family_of

Config = dict[str, Any]
SMALLEST_DIAGONAL, SPREAD = 1e-3, 0.2


class Weights:
    """The numbers of a model file, by names that begin alike."""

    def __init__(self, arrays: dict[str, Any], start: str = "") -> None:
        self.arrays, self.start = arrays, start

    def at(self, name: str) -> Weights:
        """Return the numbers of a part."""
        return Weights(self.arrays, f"{self.start}{name}.")

    def get(self, name: str) -> Any:
        """Return an array in float64, or None where there is none."""
        found = self.arrays.get(self.start + name)
        return None if found is None else numpy.asarray(found, numpy.float64)

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise InputError(f"The model file is damaged: it has no numbers {self.start}{name}.")
        return found


def density(config: Config, weights: Weights) -> dict[str, Any]:
    """Describe a flow, or a mixture of flows.

    Raises:
        InputError: an architecture that is unknown here, by its name; options that cannot be; weights that are not
            those that the config asks for.
    """
    config = complete(config)
    check_shapes(config, weights.arrays)
    if config["architecture"] != "flow_mixture":
        return flow(config, weights)
    flows = [flow(one, weights.at(f"flows.{k}")) for k, one in enumerate(config["flows"])]
    more = [_regression(one, weights.at(f"regressions.{k}")) for k, one in enumerate(config.get("regressions", ()))]
    head = {"features": flows[0]["features"], "context_features": flows[0]["context_features"] - len(more)}
    if len({(one["features"], one["context_features"]) for one in flows}) > 1 or head["context_features"] < 0:
        raise InputError("The flows of a mixture have the same features and context features.")
    return {**head, "weights": numpy.exp(weights["log_weights"]), "flows": flows, "regressions": more}


def flow(config: Config, weights: Weights) -> dict[str, Any]:
    """Describe a flow."""
    return _flow(config, weights.at("bijection"), weights.at("base"))


def _flow(config: Config, of_map: Weights, of_base: Weights) -> dict[str, Any]:
    name = config.get("architecture")
    if name in ("standardized", "gaussianized"):
        return _in_units(config, of_map, of_base)
    if name in ("normal_mixture", "kernel_density"):
        head = {"features": config["features"], "context_features": 0}
        return {**head, "base": _base(name, of_base), "bijection": _affine(of_map)}
    if name not in LAYERS:
        known = sorted([*LAYERS, "standardized", "gaussianized", "flow_mixture"])
        raise NeedsPyTorch("model of the architecture", name, known)
    return {
        "features": config["features"],
        "context_features": config.get("context", 0),
        "base": _base(config.get("base", "normal"), of_base),
        "bijection": {"kind": "compose", "parts": LAYERS[name](config, of_map)},
    }


def conditionals(config: Config, w: Weights) -> dict[str, Any]:
    """Describe a flow of any features given any others, which `pushforward.lite.conditionals` evaluates."""
    config = complete(config)
    check_shapes(config, w.arrays)
    found: dict[str, Any] = {name: config[name] for name in ("features", "circular", "widths", "bins")}
    found |= {"marginal": _marginal(w.at("marginal")), "covariance": w["covariance"]}
    found["circle"] = None if w.get("circle.z_knots") is None else _marginal(w.at("circle"))
    found |= {name: w.get(name) for name in ("center", "spread")}
    found["range"] = {name: w.at("score_range")[name] for name in ("low", "high")} if config.get("limited") else None
    of_trend = ("mean", "deviation", "correlation", "rows")
    found["trend"] = {name: w.at("trend")[name] for name in of_trend} if config.get("trend") else None
    linear = {name: (w.at(name)["weight"], w.at(name)["bias"]) for name in ("first", "last")}
    pairs = [[w.at(f"pairs.{k}.{place}") for place in (1, 3)] for k in range(config["blocks"])]
    return {**found, **linear, "pairs": [[(one["weight"], one["bias"]) for one in pair] for pair in pairs]}


def _base(name: str, w: Weights) -> dict[str, Any]:
    if name == "uniform":
        return {"kind": name, "low": 0.0, "high": 1.0}
    if name == "student_t":
        nu = numpy.exp(w["log_degrees_of_freedom"])
        constant = [math.lgamma((v + 1) / 2) - math.lgamma(v / 2) - 0.5 * math.log(math.pi * v) for v in nu]
        return {"kind": name, "degrees_of_freedom": nu, "constant": numpy.array(constant)}
    if name == "mixture":
        logits = w["logits"]
        found = {"log_weights": logits - numpy.logaddexp.reduce(logits)}
        return {"kind": name, **found, "means": w["means"], "log_scales": w["log_scales"]}
    names = {"normal_mixture": ("log_weights", "means", "factors"), "kernel_density": ("points", "factor")}
    return {"kind": name, **{key: w[key] for key in names.get(name, ())}}


def _in_units(config: Config, units: Weights, of_base: Weights) -> dict[str, Any]:
    """Describe a flow behind maps into the units of the data."""
    of_flow = _flow(config["flow"], units.at("bijection"), of_base)
    clusters, size = config.get("clusters", 1), of_flow["context_features"]
    if clusters > 1:
        size -= clusters - 1 if config.get("labels") else 0
    elif config.get("context_knots") is not None:
        size = (size + len(config.get("context_flags", ()))) // 2
    context = _context(config, units, size) if size else None
    head = {"features": of_flow["features"], "context_features": size, "base": of_flow["base"]}
    part = {"part": of_flow["bijection"], "context": context}
    data = units.at("data")
    if clusters > 1:
        numbers = {name: data[name] for name in ("low", "high", "first", "last", "mean", "root")}
        net = _mlp(units.at("network"), "tanh", False, clusters) if size else None
        shares = {"log_shares": units["log_shares"], "network": net, "labels": bool(config.get("labels"))}
        bijection = {"kind": "clustered", **part, **numbers, **shares, "splines": _marginal(data.at("splines"))}
        return {**head, "bijection": bijection}
    of_data = _affine(data) if config["architecture"] == "standardized" else _marginal(data)
    return {**head, "bijection": {"kind": "standardized", **part, "data": of_data}}


def _context(config: Config, units: Weights, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {name: units.at("context")[name] for name in ("shift", "scale")}
    found |= {"range": None, "features": None, "trend": None}
    if config.get("context_range"):
        found["range"] = {name: units.at("context_range")[name] for name in ("low", "high")}
    if config.get("context_knots") is not None:
        seen, flags = units.at("features_of_context"), sorted(config.get("context_flags", ()))
        numbers = [place for place in range(size) if place not in flags]
        of_scores = {"scores": _marginal(seen.at("scores")), "mean": seen["mean"], "weight": seen["weight"]}
        found["features"] = {"numbers": numbers, "flags": flags, **of_scores}
    if config.get("context_trend") is not None:
        names = ("slope", "noise", "precision", "latents")
        found["trend"] = {name: units.at("context_trend")[name] for name in names}
    return found


def _marginal(w: Weights) -> dict[str, Any]:
    names = ("z_knots", "x_knots", "slopes")
    return {"kind": "marginal", **{name: w[name] for name in names}, "low": w.get("low"), "high": w.get("high")}


def _affine(w: Weights) -> dict[str, Any]:
    return {"kind": "affine", "shift": w["shift"], "scale": w["scale"]}


def _log_affine(w: Weights) -> dict[str, Any]:
    log_scale = w["log_scale"]
    shift = w.get("shift")
    shift = numpy.zeros_like(log_scale) if shift is None else shift
    return {"kind": "affine", "shift": shift, "scale": numpy.exp(log_scale)}


def _lu(w: Weights) -> dict[str, Any]:
    factors = w["factors"]
    diagonal = SMALLEST_DIAGONAL + numpy.logaddexp(
        numpy.diagonal(factors) + math.log(math.expm1(1 - SMALLEST_DIAGONAL)), 0
    )
    lower, upper = numpy.tril(factors, -1) + numpy.eye(len(factors)), numpy.triu(factors, 1) + numpy.diag(diagonal)
    inverse = numpy.linalg.inv(upper) @ numpy.linalg.inv(lower)
    numbers = {"matrix": lower @ upper, "inverse": inverse, "shift": w["shift"]}
    return {"kind": "linear", **numbers, "log_det": float(numpy.log(diagonal).sum())}


def _householder(w: Weights) -> dict[str, Any]:
    matrix = numpy.eye(w["vectors"].shape[1])
    for vector in w["vectors"]:
        largest = numpy.abs(vector).max()
        vector = vector / largest if largest > 0 else vector
        squared = vector @ vector
        matrix = matrix - (2 / squared * numpy.outer(matrix @ vector, vector) if squared > 0 else 0)
    return {"kind": "linear", "matrix": matrix, "inverse": matrix.T, "shift": numpy.zeros(len(matrix)), "log_det": 0.0}


def _layers(config: Config, w: Weights) -> list[dict[str, Any]]:
    """Describe coupling or autoregressive layers, and those between them."""
    name = config["architecture"]
    kind = config.get("kind", name)
    coupled = kind == "coupling" or name in ("nice", "realnvp")
    inverse = config.get("inverse", False) or kind == "inverse_autoregressive" or name == "iaf"
    family = _family(config)
    mixing = {"lu": _lu, "householder": _householder, "actnorm": _log_affine}
    between = mixing.get("actnorm" if config.get("actnorm") else config.get("linear", "none"))
    parts, place = [], 0

    def following() -> Weights:
        nonlocal place
        place += 1
        return w.at(f"bijections.{place - 1}")

    if name == "nice":
        parts.append(_log_affine(following()))
    for layer in range(config["layers"]):
        own = following()
        if coupled:
            parts.append(_coupling(config, own, family, layer))
        else:
            part = _autoregressive(config, own.at("bijection") if inverse else own, family, layer)
            parts.append({"kind": "inverse", "part": part} if inverse else part)
        if between is not None:
            parts.append(between(following()))
    if config.get("regression"):
        same = {**config, "order": "same"}
        parts.append(_autoregressive(same, following(), {"kind": "affine", "log_scale_bound": LOG_1000}, 0))
        last = {**same, "hidden": [], "activation": "relu", "residual": False}
        parts.append(_autoregressive(last, following(), {"kind": "affine", "log_scale_bound": 40.0}, 0))
    return parts


def _family(config: Config) -> dict[str, Any]:
    name, options, _ = family_of(config)
    found: dict[str, Any] = {"kind": name, **options}
    if name == "sum_of_squares":
        starts = numpy.zeros((found["polynomials"], found["degree"] + 1))
        starts[:, 0] = 1
        starts[:, 1:2] = SPREAD * single_steps(-1, 1, found["polynomials"]).astype(float)[:, None]
        found["starts"] = starts / found["polynomials"] ** 0.5
    if name == "monotone_network":
        found["nodes"], found["weights"] = (part / 2 for part in numpy.polynomial.legendre.leggauss(40))
    return found


def _coupling(config: Config, w: Weights, family: dict[str, Any], layer: int) -> dict[str, Any]:
    moved = [(place + layer) % 2 == 1 for place in range(config["features"])] if config["features"] > 1 else [True]
    places = {
        name: [d for d, own in enumerate(moved) if own == what]
        for name, what in (("identity", False), ("transformed", True))
    }
    net = _mlp(w.at("conditioner"), config["activation"], config.get("residual", False), 1)
    net["count"] = len(net["layers"][-1]["bias"]) // len(places["transformed"])
    return {"kind": "coupling", **places, "univariate": family, "network": net}


def _skips(hidden: int, residual: bool) -> list[int | None]:
    return [k - 2 if residual and k % 2 == 0 and 0 < k < hidden else None for k in range(hidden + 1)]


def _mlp(w: Weights, activation: str, residual: bool, count: int) -> dict[str, Any]:
    layers = [w.at("first")]
    while w.get(f"layers.{len(layers) - 1}.bias") is not None:
        layers.append(w.at(f"layers.{len(layers) - 1}"))
    skips = _skips(len(layers) - 1, residual)
    found = [
        {"weight": one.get("weight"), "bias": one["bias"], "skip": skip}
        for one, skip in zip(layers, skips, strict=True)
    ]
    net = {"count": count, "activation": activation, "layers": found, "context": w.get("context.weight")}
    return {**net, "direct": None, "direct_context": None, "degrees": []}


def _autoregressive(config: Config, w: Weights, family: dict[str, Any], layer: int) -> dict[str, Any]:
    features, hidden, net = config["features"], config["hidden"], w.at("conditioner")
    if config.get("adjacency") is not None:
        seen = by_adjacency(checked_adjacency(config["adjacency"], features), hidden, config["context"])
    else:
        order = _order(features, layer, config.get("order", "alternating"))
        seen = by_order(order, hidden, config.get("context", 0))
    order, (_, *degrees), masks, direct = seen
    biases = [net.at(f"layers.{k}") for k in range(len(masks))]
    count = len(biases[-1]["bias"]) // features
    masks[-1] = numpy.repeat(masks[-1], count, 0)
    skips = _skips(len(hidden), config.get("residual", False))
    layers = [
        {"weight": own["weight"] * mask if mask.any() else None, "bias": own["bias"], "skip": skip}
        for own, mask, skip in zip(biases, masks, skips, strict=True)
    ]
    straight = None if direct is None else net.at("direct")["weight"] * numpy.repeat(direct, count, 0)
    network = {"count": count, "activation": config["activation"], "layers": layers, "direct": straight}
    network |= {"context": net.get("context.weight"), "direct_context": net.get("direct_context.weight")}
    network["degrees"] = degrees
    return {"kind": "autoregressive", "order": order, "univariate": family, "network": network}


def _order(features: int, layer: int, order: Any) -> list[int]:
    if order == "same" or (order == "alternating" and layer % 2 == 0):
        return list(range(features))
    return list(range(features))[::-1] if order == "alternating" else [int(feature) for feature in order]


def _amortized(w: Weights) -> dict[str, Any]:
    start, own = w["parameters_of.start"], w.at("parameters_of.network")
    net = None if own.get("first.bias") is None else _mlp(own, "tanh", False, len(start))
    return {"start": start, "network": net}


def _pushes(config: Config, w: Weights) -> list[dict[str, Any]]:
    name, parts = config["architecture"], []
    more: dict[str, Any] = {}
    if name == "planar":
        more = {"negative_slope": 0.01 if config["activation"] == "leaky_relu" else None}
    if name == "sylvester":
        more = {"rank": min(config["features"], 8) if config.get("rank") is None else config["rank"]}
    for layer in range(config["layers"]):
        parts.append({"kind": name, **more, "parameters": _amortized(w.at(f"bijections.{layer}"))})
    return parts


def _regression(config: Config, w: Weights) -> dict[str, Any]:
    if config["kind"] == "kernels":
        names = ("shift", "scale", "low", "high", "points", "weights", "numbers")
        return {"kind": "kernels", **{name: w[name] for name in names}}
    names = ("shift", "scale", "start", "roots", "right", "feature", "number")
    return {"kind": "trees", **{name: w[name] for name in names}, "depth": config["depth"]}


LAYERS = {
    **dict.fromkeys(("autoregressive", "coupling", "iaf", "maf", "mixture_cdf", "nice", "nsf", "realnvp"), _layers),
    **dict.fromkeys(("planar", "radial", "sylvester"), _pushes),
}
