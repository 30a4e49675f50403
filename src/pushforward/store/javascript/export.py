"""A flow as JSON, which `flow.js` beside this file evaluates in a browser or in Node."""

from __future__ import annotations

import base64
import copy
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections import (
    LU,
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    Bijection,
    Compose,
    Coupling,
    ElementwiseAffine,
    Householder,
    Inverse,
    MarginalSpline,
    Permutation,
    Planar,
    Radial,
    RationalQuadraticSpline,
    RelativeAffine,
    Rescaling,
    Standardized,
    Univariate,
)
from pushforward.bijections.context_features import ContextFeatures
from pushforward.bijections.context_range import MARGIN
from pushforward.bijections.marginal import LONGEST_TAIL, NEAREST, ON_BOUND
from pushforward.bijections.univariate.base import SLOPE_SHIFT, SMALLEST_SLOPE
from pushforward.distributions import Base, GaussianMixture, Logistic, StandardNormal, StudentT, Uniform
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP
from pushforward.zoo.flow_mixture import FlowMixture

FORMAT, VERSION = "pushforward-flow", 1
# By the class of their module. GELU needs the error function, which JavaScript has not.
_ACTIVATIONS = {nn.ReLU: "relu", nn.ELU: "elu", nn.SiLU: "silu", nn.Tanh: "tanh"}


def evaluator() -> str:
    """The JavaScript that evaluates what `flow_as_json` returns: one file without dependencies."""
    return files("pushforward.store.javascript").joinpath("flow.js").read_text(encoding="utf-8")


def flow_as_json(flow: Flow | FlowMixture) -> dict[str, Any]:
    """Describe a flow, or a mixture of flows, with its weights, as plain JSON.

    The JavaScript of `evaluator()` computes forward, inverse, log_det and log-densities from it, in double precision.
    Arrays are base64 of float32 numbers, or of float64 where float32 would lose digits.

    Arguments:
        flow: conditional or not, in evaluation mode: dropout is left out.

    Raises:
        InputError: a layer, a univariate family, a network or a base that the description has no words for, by name.

    Example:
        >>> import pushforward as pf
        >>> described = flow_as_json(pf.realnvp(features=2, layers=2))
        >>> described["features"], [part["kind"] for part in described["bijection"]["parts"]]
        (2, ['coupling', 'affine', 'coupling', 'affine'])
    """
    head = {"format": FORMAT, "version": VERSION, "features": flow.features, "context_features": flow.context_features}
    if isinstance(flow, FlowMixture):
        parts = flow.parts
        return {**head, "weights": [weight for weight, _ in parts], "flows": [flow_as_json(part) for _, part in parts]}
    if not isinstance(flow, Flow):
        raise InputError(f"JavaScript cannot evaluate a {type(flow).__name__}: only flows and mixtures of flows.")
    with torch.no_grad():
        # Numbers that are derived from weights are so in double precision.
        double = copy.deepcopy(flow).double()
        return {**head, "base": _described(double.base, _BASES), "bijection": _bijection(double.bijection)}


def _described(part: Any, table: dict[type, Callable[[Any], dict[str, Any]]]) -> dict[str, Any]:
    # By the class itself: a subclass is another map.
    describe = table.get(type(part))
    if describe is None:
        raise InputError(
            f"JavaScript cannot evaluate a {type(part).__name__}; it knows {', '.join(one.__name__ for one in table)}."
        )
    return describe(part)


def _bijection(bijection: Bijection) -> dict[str, Any]:
    return _described(bijection, _BIJECTIONS)


def _array(values: Tensor | None) -> dict[str, Any] | None:
    """An array as base64 of little-endian numbers, of which float32 is enough where it holds them exactly."""
    if values is None:
        return None
    array = values.detach().cpu().double().numpy()
    single = array.astype("<f4")
    name, stored = ("f4", single) if bool((single == array).all()) else ("f8", array.astype("<f8"))
    return {"shape": list(array.shape), name: base64.b64encode(stored.tobytes()).decode("ascii")}


def _affine(shift: Tensor, scale: Tensor) -> dict[str, Any]:
    return {"kind": "affine", "shift": _array(shift), "scale": _array(scale)}


def _lu(layer: LU) -> dict[str, Any]:
    lower, upper, _ = layer.triangles()
    return {"kind": "lu", "lower": _array(lower), "upper": _array(upper), "shift": _array(layer.shift)}


def _householder(layer: Householder) -> dict[str, Any]:
    # The rows that the basis becomes are the columns of the matrix.
    basis = torch.eye(layer.features, dtype=layer.vectors.dtype, device=layer.vectors.device)
    return {"kind": "orthogonal", "matrix": _array(layer(basis)[0].t())}


def _marginal(spline: MarginalSpline) -> dict[str, Any]:
    names = ("z_knots", "x_knots", "slopes", "low", "high")
    constants = {"longest_tail": LONGEST_TAIL, "nearest": NEAREST, "on_bound": ON_BOUND}
    return {"kind": "marginal", **{name: _array(getattr(spline, name)) for name in names}, **constants}


def _autoregressive(layer: Autoregressive) -> dict[str, Any]:
    made = layer.conditioner
    if made.adjacency is not None:
        raise InputError("JavaScript cannot evaluate an Autoregressive layer with an adjacency, only with an order.")
    network = _network(made, list(made.layers), made.context, made.direct, made.direct_context)
    network["degrees"] = [degrees.tolist() for degrees in made.degrees[1:]]
    univariate = _described(layer.univariate, _UNIVARIATES)
    return {"kind": "autoregressive", "order": list(made.order), "univariate": univariate, "network": network}


def _coupling(layer: Coupling) -> dict[str, Any]:
    mlp = layer.conditioner
    return {
        "kind": "coupling",
        "identity": layer.identity.tolist(),
        "transformed": layer.transformed.tolist(),
        "univariate": _described(layer.univariate, _UNIVARIATES),
        "network": _network(mlp, [mlp.first, *mlp.layers], mlp.context),
    }


def _network(
    network: MADE | MLP,
    layers: list[Any],
    context: nn.Linear | None,
    direct: Any = None,
    direct_context: nn.Linear | None = None,
) -> dict[str, Any]:
    activation = _ACTIVATIONS.get(type(network.activation))
    if activation is None:
        raise InputError(
            f"JavaScript cannot evaluate the activation {type(network.activation).__name__}; "
            f"it knows {', '.join(_ACTIVATIONS.values())}."
        )
    outputs = len(layers[-1].bias)
    return {
        "parameter_count": outputs // (network.features if isinstance(network, MADE) else network.outputs),
        "activation": activation,
        "layers": [
            {"weight": _weight(layer), "bias": _array(layer.bias), "skip": skip}
            for layer, skip in zip(layers, network.skips, strict=True)
        ],
        "context": _weight(context),
        "direct": _weight(direct),
        "direct_context": _weight(direct_context),
    }


def _weight(layer: Any) -> dict[str, Any] | None:
    """The weights of a linear layer, 0 where they are masked; None where it has none."""
    weight = getattr(layer, "weight", None)
    mask = getattr(layer, "mask", None)
    return _array(weight if weight is None or mask is None else weight * mask.to(weight))


def _planar(layer: Planar) -> dict[str, Any]:
    _check_unconditional(layer)
    push, w, product, b = layer.weights(None)
    slope = None if layer.activation == "tanh" else layer.negative_slope
    numbers = {"product": product.item(), "b": b.item(), "negative_slope": slope}
    return {"kind": "planar", "push": _array(push), "w": _array(w), **numbers}


def _radial(layer: Radial) -> dict[str, Any]:
    _check_unconditional(layer)
    center, alpha, slope = layer.weights(None)
    return {"kind": "radial", "center": _array(center), "alpha": alpha.item(), "slope": slope.item()}


def _check_unconditional(layer: Planar | Radial) -> None:
    if layer.context_features:
        raise InputError(f"JavaScript cannot evaluate a {type(layer).__name__} layer with a context.")


def _standardized(layer: Standardized) -> dict[str, Any]:
    described = {"kind": "standardized", "part": _bijection(layer.bijection), "data": _bijection(layer.data)}
    if layer.context is None:
        return described
    found: dict[str, Any] = {"shift": _array(layer.context.shift), "scale": _array(layer.context.scale)}
    if layer.context_range is not None:
        ends = layer.context_range
        found["range"] = {"low": _array(ends.low), "high": _array(ends.high), "margin": MARGIN}
    if layer.features_of_context is not None:
        found["features"] = _context_features(layer.features_of_context)
    # How data go on beyond the range is left to Python: the JavaScript refuses such contexts.
    found["trend"] = layer.context_trend is not None
    return {**described, "context": found}


def _context_features(seen: ContextFeatures) -> dict[str, Any]:
    return {
        "numbers": seen.numbers,
        "flags": seen.flags,
        "scores": _marginal(seen.scores),
        "mean": _array(seen.mean),
        "weight": _array(seen.weight),
    }


def _spline(family: RationalQuadraticSpline) -> dict[str, Any]:
    constants = {"smallest_bin": family.smallest_bin, "smallest_slope": SMALLEST_SLOPE, "slope_shift": SLOPE_SHIFT}
    return {"kind": "spline", "bins": family.bins, "bound": family.bound, "tails": family.tails, **constants}


def _student_t(base: StudentT) -> dict[str, Any]:
    nu = base.log_degrees_of_freedom.exp()
    constant = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - 0.5 * (math.pi * nu).log()
    return {"kind": "student_t", "degrees_of_freedom": _array(nu), "constant": _array(constant)}


def _mixture(base: GaussianMixture) -> dict[str, Any]:
    weights = base.logits.log_softmax(0)
    arrays = {"log_weights": weights, "means": base.means, "log_scales": base.log_scales}
    return {"kind": "mixture", **{name: _array(values) for name, values in arrays.items()}}


_BIJECTIONS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Compose: lambda compose: {"kind": "compose", "parts": [_bijection(part) for part in compose]},
    Inverse: lambda inverse: {"kind": "inverse", "part": _bijection(inverse.bijection)},
    Standardized: _standardized,
    MarginalSpline: _marginal,
    ElementwiseAffine: lambda layer: _affine(layer.shift, layer.scale),
    Rescaling: lambda layer: _affine(torch.zeros_like(layer.log_scale), layer.log_scale.exp()),
    ActNorm: lambda layer: _affine(layer.shift, layer.log_scale.exp()),
    Permutation: lambda layer: {"kind": "permutation", "source": layer.source.tolist()},
    LU: _lu,
    Householder: _householder,
    Autoregressive: _autoregressive,
    Coupling: _coupling,
    Planar: _planar,
    Radial: _radial,
}
_UNIVARIATES: dict[type[Univariate], Callable[[Any], dict[str, Any]]] = {
    Additive: lambda family: {"kind": "additive"},
    Affine: lambda family: {"kind": "affine", "log_scale_bound": family.log_scale_bound},
    RelativeAffine: lambda family: {"kind": "relative_affine", "log_scale_bound": family.log_scale_bound},
    RationalQuadraticSpline: _spline,
}
_BASES: dict[type[Base], Callable[[Any], dict[str, Any]]] = {
    StandardNormal: lambda base: {"kind": "normal"},
    Logistic: lambda base: {"kind": "logistic"},
    Uniform: lambda base: {"kind": "uniform", "low": base.low, "high": base.high},
    StudentT: _student_t,
    GaussianMixture: _mixture,
}
