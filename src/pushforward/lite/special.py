"""Functions of the normal distribution that numpy lacks, to double precision."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.lite.arrays import Arrays

# The trapezoidal rule of ∫ exp(-t²) / (t² + x²) dt at midpoints this far apart, and where its correction is nothing.
STEP, LARGEST = 0.5, 6.0
SQUARES = (STEP * (numpy.arange(13) + 0.5)) ** 2
# Hastings 1955: a normal quantile to 4.5e-4, coefficients of a numerator and a denominator in √(-2 log p).
START = (2.515517, 0.802853, 0.010328), (1.0, 1.432788, 0.189269, 0.001308)


def erf(n: Arrays, x: Any) -> Any:
    """Return the error function, to an absolute precision."""
    return n.sign(x) * (1 - n.exp(-x * x) * erfcx(n, n.abs(x)))


def erfcx(n: Arrays, x: Any) -> Any:
    """Return exp(x²) erfc(x) of x ≥ 0.

    Source: Matta and Reichel 1971, doi:10.2307/2004928; no term is negative, and so no digits are lost.
    """
    x, near = n.minimum(x, n(n.eps**-2)), n.minimum(x, n(LARGEST))
    weights, squares = n(2 * STEP / math.pi * numpy.exp(-SQUARES)), n(SQUARES)
    correction = 2 * n.exp(near * near) / (1 + n.exp(2 * math.pi / STEP * near))
    return x * n.sum(weights / (squares + (x * x)[..., None]), axis=-1) + n.where(x < LARGEST, correction, n(0.0))


def ndtr(n: Arrays, z: Any) -> Any:
    """Return Φ(z)."""
    size = n.abs(z)
    # The square of what sixteenths leave over has all its digits.
    near = n.floor(n.minimum(size, n(64.0)) * 16) / 16
    square = n.exp(-0.5 * near * near) * n.exp(-0.5 * (size - near) * (size + near))
    tail = 0.5 * square * erfcx(n, math.sqrt(0.5) * size)
    return n.where(z < 0, tail, 1 - tail)


def log_ndtr(n: Arrays, z: Any) -> Any:
    """Return log Φ(z)."""
    below = n.minimum(z, n(0.0))
    far = n.log(0.5 * erfcx(n, -math.sqrt(0.5) * below)) - 0.5 * below * below
    return n.where(z < 0, far, n.log1p(-ndtr(n, -n.maximum(z, n(0.0)))))


def log_normal(n: Arrays, z: Any) -> Any:
    """Return log φ(z)."""
    return -0.5 * (z * z + math.log(2 * math.pi))


def probit(n: Arrays, below: Any, above: Any) -> Any:
    """Return Φ⁻¹(p) of p and 1 - p, from the smaller of the two, which has the digits; infinite at the ends."""
    smaller = n.minimum(below, above)
    distance = _distance(n, n.log(n.where(smaller > 0, smaller, n(0.5))))
    distance = n.where(smaller > 0, distance, n(math.inf))
    return n.where(below < above, -distance, distance)


def normal_quantile(n: Arrays, log_below: Any, log_above: Any) -> Any:
    """Return Φ⁻¹(p) of log p and log(1 - p), however far out."""
    distance = _distance(n, n.minimum(log_below, log_above))
    return n.where(log_below < log_above, -distance, distance)


def _distance(n: Arrays, log_p: Any) -> Any:
    """How far below 0 the normal distribution has a probability of at most a half."""
    log_p = n.minimum(log_p, n(-math.log(2)))
    root = n.sqrt(-2 * log_p)
    above, below = (sum(c * root**k for k, c in enumerate(coefficients)) for coefficients in START)
    distance = root - above / below
    # Halley's method on log Φ.
    for _ in range(2):
        found = log_ndtr(n, -distance)
        slope = n.exp(log_normal(n, distance) - found)
        distance = distance + 2 * (found - log_p) / (2 * slope + (found - log_p) * (slope - distance))
    return distance
