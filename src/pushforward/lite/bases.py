"""Base densities of z: log-density, distribution function, quantiles and draws, by the kind of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.lite.arrays import Arrays
from pushforward.lite.special import log_normal, ndtr, probit

Base = dict[str, Any]


def log_prob(n: Arrays, base: Base, z: Any) -> Any:
    """Return the log-density, (n,), of z, (n, D)."""
    return LOG_PROBS[base["kind"]](n, base, z)


def _normal(n: Arrays, base: Base, z: Any) -> Any:
    return n.sum(log_normal(n, z), axis=-1)


def _logistic(n: Arrays, base: Base, z: Any) -> Any:
    distance = n.abs(z)
    return -n.sum(distance + 2 * n.log1p(n.exp(-distance)), axis=-1)


def _uniform(n: Arrays, base: Base, z: Any) -> Any:
    inside = (z >= base["low"]) & (z <= base["high"])
    # NaN is neither inside nor outside.
    outside = n.where(n.isnan(z), z, n(-math.inf))
    return n.sum(n.where(inside, n(-math.log(base["high"] - base["low"])), outside), axis=-1)


def _student_t(n: Arrays, base: Base, z: Any) -> Any:
    nu = base["degrees_of_freedom"]
    return n.sum(n(base["constant"]) - n((nu + 1) / 2) * n.log1p(z * z / n(nu)), axis=-1)


def _mixture(n: Arrays, base: Base, z: Any) -> Any:
    away = (z[:, None, :] - n(base["means"])) * n(numpy.exp(-base["log_scales"]))
    each = n.sum(log_normal(n, away), axis=-1) + n(base["log_weights"] - base["log_scales"].sum(1))
    return n.logsumexp(each)


def _normal_mixture(n: Arrays, base: Base, z: Any) -> Any:
    away = z[:, None, :] - n(base["means"])
    white = n.sum(n(numpy.linalg.inv(base["factors"]))[None] * away[:, :, None, :], axis=-1)
    log_scales = numpy.log(numpy.diagonal(base["factors"], axis1=1, axis2=2)).sum(1)
    return n.logsumexp(n.sum(log_normal(n, white), axis=-1) + n(base["log_weights"] - log_scales))


def _kernel_density(n: Arrays, base: Base, z: Any) -> Any:
    points, middle = base["points"], base["points"].mean(0)
    white = numpy.linalg.inv(base["factor"])
    rows, centers = n.matmul(z - n(middle), n(white.T)), (points - middle) @ white.T
    squares = n.sum(rows * rows, axis=-1, keepdims=True) + n((centers**2).sum(1)) - 2 * n.matmul(rows, n(centers.T))
    constant = numpy.log(numpy.diagonal(base["factor"])).sum() + 0.5 * points.shape[1] * math.log(2 * math.pi)
    return n.logsumexp(-0.5 * n.maximum(squares, n(0.0))) - float(constant + math.log(len(points)))


LOG_PROBS: dict[str, Callable[[Arrays, Base, Any], Any]] = {
    "normal": _normal,
    "logistic": _logistic,
    "uniform": _uniform,
    "student_t": _student_t,
    "mixture": _mixture,
    "normal_mixture": _normal_mixture,
    "kernel_density": _kernel_density,
}


def _parts(base: Base) -> tuple[Any, Any, Any]:
    """Weights, centers and deviations of the normal parts of a density of one feature."""
    if base["kind"] == "mixture":
        return numpy.exp(base["log_weights"]), base["means"][:, 0], numpy.exp(base["log_scales"][:, 0])
    if base["kind"] == "normal_mixture":
        return numpy.exp(base["log_weights"]), base["means"][:, 0], base["factors"][:, 0, 0]
    count = len(base["points"])
    return numpy.full(count, 1 / count), base["points"][:, 0], numpy.full(count, base["factor"][0, 0])


def distribution_function(n: Arrays, base: Base, z: Any) -> tuple[Any, Any]:
    """Return P(latent ≤ z) and P(latent > z), of z, (n,), of a density of one feature."""
    kind = base["kind"]
    if kind == "normal":
        return ndtr(n, z), ndtr(n, -z)
    if kind == "logistic":
        return n.exp(-n.softplus(-z)), n.exp(-n.softplus(z))
    if kind == "uniform":
        share = n.clip((z - base["low"]) / (base["high"] - base["low"]), 0.0, 1.0)
        return share, 1 - share
    if kind == "student_t":
        nu, special = base["degrees_of_freedom"], _scipy(n)
        return special.stdtr(nu, z), special.stdtr(nu, -z)
    weights, centers, scales = _parts(base)
    away = (z[:, None] - n(centers)) / n(scales)
    below, above = (n.sum(n(weights) * ndtr(n, side), axis=-1) for side in (away, -away))
    return below, above


def _scipy(n: Arrays) -> Any:
    """The functions of SciPy, for that of Student's t, which has no short formula."""
    if not n.concrete:
        raise InputError(
            "Quantiles of a base of Student's t are computed by numpy and SciPy alone, not in ONNX or by others."
        )
    try:
        from scipy import special
    except ImportError:
        raise InputError("Quantiles of a base of Student's t need SciPy: pip install scipy.") from None
    return special


def quantile(n: Arrays, base: Base, level: Any) -> Any:
    """Return the z below which a share of a density of one feature lies, of levels, (n,)."""
    kind = base["kind"]
    if kind == "normal":
        return probit(n, level, 1 - level)
    if kind == "logistic":
        return n.log(level) - n.log1p(-level)
    if kind == "uniform":
        return base["low"] + (base["high"] - base["low"]) * level
    if kind == "student_t":
        quantile_of = _scipy(n).stdtrit
        smaller = quantile_of(base["degrees_of_freedom"], numpy.minimum(level, 1 - level))
        return numpy.where(level < 0.5, smaller, -smaller)
    _, centers, scales = _parts(base)
    z = probit(n, level, 1 - level)[:, None]
    ends = n(centers) + n(scales) * z

    def excess(value: Any) -> tuple[Any, Any]:
        below, above = distribution_function(n, base, value)
        slope = n.exp(log_prob(n, base, value[:, None]))
        return n.where(level < 0.5, below - level, (1 - level) - above), n.maximum(slope, n(n.eps**4))

    return n.root(excess, n.min(ends, axis=-1), n.max(ends, axis=-1))


def draw(base: Base, features: int, rows: int, random: numpy.random.Generator) -> Any:
    """Draw latent rows, (n, D) float64."""
    kind, shape = base["kind"], (rows, features)
    if kind == "logistic":
        return random.logistic(size=shape)
    if kind == "uniform":
        return random.uniform(base["low"], base["high"], shape)
    if kind == "student_t":
        return random.standard_t(numpy.broadcast_to(base["degrees_of_freedom"], shape))
    noise = random.standard_normal(shape)
    if kind == "normal":
        return noise
    if kind == "kernel_density":
        return base["points"][random.integers(len(base["points"]), size=rows)] + noise @ base["factor"].T
    weights = numpy.exp(base["log_weights"])
    which = random.choice(len(weights), size=rows, p=weights / weights.sum())
    if kind == "mixture":
        return base["means"][which] + numpy.exp(base["log_scales"])[which] * noise
    return base["means"][which] + (base["factors"][which] @ noise[:, :, None])[:, :, 0]
