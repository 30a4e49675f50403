"""The weights that a config asks for, by their names and shapes: those of a file must be these."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pushforward.errors import InputError
from pushforward.networks.dependencies import by_adjacency, checked_adjacency, spread_degrees
from pushforward.store.options import COUNTS, FAMILIES, MOST_PARAMETERS

Config = dict[str, Any]
Shape = tuple[int, ...]
# Of the univariate maps of named architectures.
FAMILY_OF = {"maf": "affine", "iaf": "affine", "realnvp": "affine", "nice": "additive", "nsf": "spline"}
FAMILY_OF |= {"mixture_cdf": "logistic_mixture"}
# What a weight of such a name may hold is whole numbers, or a truth value.
WHOLE = ("initialized", "rows", "roots", "right", "feature")
# Of the network of the shares of clusters, and the parts of a mixture as a base.
HIDDEN_OF_SHARES, PARTS = 32, 8


def check_shapes(config: Config, found: Mapping[str, Any]) -> None:
    """Refuse weights of other names or shapes than a config asks for.

    A shape is computed when those before it are known to be in the file, so that no size in a config is larger than it.

    Arguments:
        config: of a flow, with all of its options.
        found: arrays by their names.

    Raises:
        InputError: a weight that is missing, one too many, or one of another shape.
    """
    left = set(found)
    for name, shape in _weights(config, found):
        own = tuple(found[name].shape) if name in found else None
        if own != shape:
            have = "is missing" if own is None else f"has shape {own}"
            raise InputError(f"The weight {name!r} {have}, the config asks for {shape}.")
        if found[name].dtype.kind != "f" and name.rpartition(".")[2] not in WHOLE:
            raise InputError(f"The weight {name!r} holds {found[name].dtype}, not real numbers.")
        left.discard(name)
    if left:
        raise InputError(f"The config asks for no weight {min(left)[:100]!r}.")


def family_of(config: Config) -> tuple[str, dict[str, Any], int]:
    """The univariate family of a flow, its options, and how many parameters a map of it has."""
    name = FAMILY_OF.get(config["architecture"]) or config["univariate"]
    own = {key: config.get(key, default) for key, (_, default) in FAMILIES[name].items()}
    count = COUNTS[name](own)
    if count > MOST_PARAMETERS:
        raise InputError(f"The univariate family has {count} parameters for each feature; {MOST_PARAMETERS} are most.")
    return name, own, count


def sizes_of(config: Config) -> tuple[int, int]:
    """The numbers of features and of context features of a flow."""
    if "flow" not in config:
        return config["features"], config.get("context", 0)
    features, size = sizes_of(config["flow"])
    if config.get("clusters", 1) > 1:
        return features, size - (config["clusters"] - 1 if config["labels"] else 0)
    return features, size if config["context_knots"] is None else (size + len(config["context_flags"])) // 2


Weights = Iterator[tuple[str, Shape]]


def _weights(config: Config, found: Collection[str]) -> Weights:
    if config["architecture"] == "arbitrary_conditional":
        yield from _of_conditionals(config)
    elif config["architecture"] == "flow_mixture":
        yield "log_weights", (len(config["flows"]),)
        for k, one in enumerate(config["flows"]):
            own = f"flows.{k}."
            yield from _at(own, _of_flow(one, {key.removeprefix(own) for key in found if key.startswith(own)}))
        for k, one in enumerate(config["regressions"]):
            yield from _at(f"regressions.{k}.", _of_regression(one))
    else:
        yield from _of_flow(config, found)


def _at(start: str, weights: Weights) -> Weights:
    return ((start + name, shape) for name, shape in weights)


def _of_flow(config: Config, found: Collection[str]) -> Weights:
    inner, at = config, "bijection."
    while "flow" in inner:
        yield from _at(at, _of_units(inner))
        inner, at = inner["flow"], f"{at}bijection."
    name, features = inner["architecture"], inner["features"]
    if name == "normal_mixture":
        parts = inner["components"]
        yield from (("base.log_weights", (parts,)), ("base.means", (parts, features)))
        yield "base.factors", (parts, features, features)
    elif name == "kernel_density":
        yield from (("base.points", (inner["points"], features)), ("base.factor", (features, features)))
    elif inner["base"] == "student_t":
        yield "base.log_degrees_of_freedom", (features,)
    elif inner["base"] == "mixture":
        yield "base.logits", (PARTS,)
        yield from ((f"base.{part}", (PARTS, features)) for part in ("means", "log_scales"))
    if name in ("normal_mixture", "kernel_density"):
        yield from ((f"{at}{part}", (features,)) for part in ("shift", "scale"))
    elif name in ("planar", "radial", "sylvester"):
        for layer in range(inner["layers"]):
            yield from _at(f"{at}bijections.{layer}.parameters_of.", _of_push(inner))
    else:
        yield from _of_layers(inner, f"{at}bijections.", found)


def _of_units(config: Config) -> Weights:
    (features, size), clusters = sizes_of(config), config.get("clusters", 1)
    if size < 0:
        raise InputError(f"The flow takes too few features of context for {clusters} labels.")
    if config["architecture"] == "standardized":
        yield from (("data.shift", (features,)), ("data.scale", (features,)))
    elif clusters == 1:
        yield from _at("data.", _of_spline(features, config["knots"], config["bounded"]))
    if clusters > 1:
        yield from _at("data.splines.", _of_spline(clusters * features, config["knots"], config["bounded"]))
        yield from ((f"data.{part}", (clusters, features)) for part in ("low", "high", "first", "last", "mean"))
        yield from (("data.root", (clusters, features, features)), ("log_shares", (clusters,)))
        if size:
            yield from _at("network.", _of_mlp(0, [HIDDEN_OF_SHARES], clusters, size))
    elif config["context_knots"] is not None:
        flags = config["context_flags"]
        if len(set(flags)) < len(flags) or any(flag >= size for flag in flags):
            raise InputError(f"The option context_flags must be different places below {size}.")
        numbers = size - len(flags)
        yield from _at("features_of_context.scores.", _of_spline(numbers, config["context_knots"], False))
        yield from _at("features_of_context.", iter([("mean", (2 * numbers,)), ("weight", (2 * numbers, 2 * numbers))]))
    if size:
        yield from (("context.shift", (size,)), ("context.scale", (size,)))
    if config["context_range"]:
        yield from (("context_range.low", (size,)), ("context_range.high", (size,)))
    if config["context_trend"] is not None and clusters == 1:
        yield from (("context_trend.slope", (features, size)), ("context_trend.noise", (features,)))
        yield "context_trend.precision", (size, size)
        yield "context_trend.latents", (config["context_trend"], features)


def _of_spline(features: int, knots: int, bounded: bool) -> Weights:
    yield from ((part, (features, knots)) for part in ("z_knots", "x_knots", "slopes"))
    if bounded:
        yield from (("low", (features,)), ("high", (features,)))


def _of_mlp(inputs: int, hidden: list[int], outputs: int, context: int) -> Weights:
    widths = [*hidden, outputs]
    yield "first.bias", (widths[0],)
    if inputs:
        yield "first.weight", (widths[0], inputs)
    if context:
        yield "context.weight", (widths[0], context)
    for k, (before, after) in enumerate(itertools.pairwise(widths)):
        yield from ((f"layers.{k}.bias", (after,)), (f"layers.{k}.weight", (after, before)))


def _of_push(config: Config) -> Weights:
    features, name = config["features"], config["architecture"]
    rank = min(features, 8) if config.get("rank") is None else config["rank"]
    if rank > features:
        raise InputError(f"sylvester: rank {rank} is more than the number of features, {features}.")
    size = {"planar": 2 * features + 1, "radial": features + 2, "sylvester": rank * (features + rank + 2)}[name]
    yield "start", (size,)
    if config["context"]:
        yield from _at("network.", _of_mlp(0, config["hidden"], size, config["context"]))


def _of_layers(config: Config, at: str, found: Collection[str]) -> Weights:
    """Those of coupling or autoregressive layers, and of those between them."""
    name, features = config["architecture"], config["features"]
    kind, places = config.get("kind", name), itertools.count()
    inverse = config.get("inverse", False) or kind == "inverse_autoregressive" or name == "iaf"
    count = family_of(config)[2]
    between = "actnorm" if config.get("actnorm") else config.get("linear", "none")
    if name == "nice":
        yield f"{at}{next(places)}.log_scale", (features,)
    for layer in range(config["layers"]):
        own = f"{at}{next(places)}.{'bijection.' if inverse else ''}conditioner."
        if kind == "coupling" or name in ("nice", "realnvp"):
            moved = (features + layer % 2) // 2 if features > 1 else 1
            yield from _at(own, _of_mlp(features - moved, config["hidden"], moved * count, config["context"]))
        else:
            yield from _of_masked(config, own, count, config["hidden"], layer, found)
        if between != "none":
            yield from _at(f"{at}{next(places)}.", _of_mixing(between, features))
    if config.get("regression"):
        same = {**config, "order": "same"}
        yield from _of_masked(same, f"{at}{next(places)}.conditioner.", 2, config["hidden"], 0, found)
        yield from _of_masked(same, f"{at}{next(places)}.conditioner.", 2, [], 0, found)


def _of_mixing(kind: str, features: int) -> Weights:
    if kind == "lu":
        yield from (("factors", (features, features)), ("shift", (features,)))
    elif kind == "householder":
        yield "vectors", (features, features)
    else:
        yield from (("shift", (features,)), ("log_scale", (features,)), ("initialized", ()))


def _of_masked(config: Config, at: str, count: int, hidden: list[int], layer: int, found: Collection[str]) -> Weights:
    """Those of a masked network, without the matrices whose every weight is masked."""
    features, context = config["features"], config["context"]
    order, adjacency = config.get("order", "alternating"), config.get("adjacency")
    if isinstance(order, list) and sorted(order) != list(range(features)):
        raise InputError(f"The option order must hold each of 0 .. {features - 1} once.")
    if adjacency is not None and order != "alternating":
        raise InputError("There may be an order or an adjacency, not both: an adjacency has an order of its own.")
    widths = [features, *hidden, features * count]
    for k, width in enumerate(widths[1:]):
        yield f"{at}layers.{k}.bias", (width,)
    pairs = enumerate(itertools.pairwise(widths))
    matrices = [(f"{at}layers.{k}.weight", (after, before)) for k, (before, after) in pairs]
    # First those that are there: the masks are no larger.
    yield from ((name, shape) for name, shape in matrices if name in found)
    if adjacency is not None:
        _, _, masks, direct = by_adjacency(checked_adjacency(adjacency, features), hidden, context)
        alive, narrow = [bool(mask.any()) for mask in masks], direct is not None
    else:
        lowest = 0 if context or features == 1 else 1
        degrees = [spread_degrees(width, lowest, features - 1) for width in hidden]
        ends = [(1, features), *((int(own.min()), int(own.max())) for own in degrees)]
        alive = [after[1] >= before[0] for before, after in itertools.pairwise(ends)]
        alive.append(features > ends[-1][0])
        narrow = any(width < features - lowest for width in hidden)
    yield from (matrix for matrix, kept in zip(matrices, alive, strict=True) if kept)
    if any(name in found and not kept for (name, _), kept in zip(matrices, alive, strict=True)):
        raise InputError("The config asks for a matrix of weights less, all of which would be masked.")
    if context:
        yield f"{at}context.weight", (widths[1], context)
    if narrow:
        yield f"{at}direct.weight", (features * count, features)
    if narrow and context:
        yield f"{at}direct_context.weight", (features * count, context)


def _of_conditionals(config: Config) -> Weights:
    features, hidden, circular = config["features"], config["hidden"], set(config["circular"])
    if len(config["widths"]) != features or any(feature >= features for feature in circular):
        raise InputError("There must be one width for each feature, and circular features must exist.")
    beside = sum(config["widths"])
    yield "covariance", (features, features)
    yield from _at("marginal.", _of_spline(features, config["knots"], config["bounded"]))
    if config["circle_knots"] and circular:
        yield from _at("circle.", _of_spline(len(circular), config["circle_knots"] + 1, False))
        yield from (("center", (beside,)), ("spread", (beside,)))
    if config["limited"]:
        yield from (("score_range.low", (features,)), ("score_range.high", (features,)))
    if config["trend"]:
        yield from ((f"trend.{part}", (features,)) for part in ("mean", "deviation", "rows"))
        yield "trend.correlation", (features, features)
    outputs = features * (3 * config["bins"] + 1)
    for name, inputs, width in (("first", beside + 5 * features, hidden), ("last", hidden, outputs)):
        yield from ((f"{name}.weight", (width, inputs)), (f"{name}.bias", (width,)))
    for k, place in itertools.product(range(config["blocks"]), (1, 3)):
        yield from ((f"pairs.{k}.{place}.weight", (hidden, hidden)), (f"pairs.{k}.{place}.bias", (hidden,)))


def _of_regression(sizes: Config) -> Weights:
    features = sizes["features"]
    yield from (("shift", (features,)), ("scale", (features,)))
    if sizes["kind"] == "kernels":
        points = sizes["points"]
        yield from (("low", (features,)), ("high", (features,)), ("points", (points, features)))
        yield from (("weights", (points,)), ("numbers", (3,)))
    else:
        yield from (("start", ()), ("roots", (sizes["trees"],)))
        yield from ((part, (sizes["nodes"],)) for part in ("right", "feature", "number"))
