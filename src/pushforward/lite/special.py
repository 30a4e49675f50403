"""Functions of the normal distribution that numpy lacks, by rational approximations to double precision.

Sources: erf and erfc, Cody 1969, doi:10.1090/S0025-5718-1969-0247736-4; the normal quantile, Wichura 1988, AS 241,
doi:10.2307/2347330.
"""

from __future__ import annotations

import math
from typing import Any

from pushforward.lite.arrays import Arrays

# Coefficients of numerators and denominators, the highest power first.
ERF = [1.85777706184603153e-1, 3.16112374387056560, 113.864154151050156, 377.485237685302021, 3209.37758913846947]
ERF_BELOW = [1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062]
ERFCX = [
    2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295, 298.635138197400131,
    881.952221241769090, 1712.04761263407058, 2051.07837782607147, 1230.33935479799725,
]  # fmt: skip
ERFCX_BELOW = [
    1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019, 3290.79923573345963,
    4362.61909014324716, 3439.36767414372164, 1230.33935480374942,
]  # fmt: skip
FAR = [
    1.63153871373020978e-2, 0.305326634961232344, 0.360344899949804439, 0.125781726111229246, 1.60837851487422766e-2,
    6.58749161529837803e-4,
]  # fmt: skip
FAR_BELOW = [
    1.0, 2.56852019228982242, 1.87295284992346725, 0.527905102951428412, 6.05183413124413191e-2, 2.33520497626869185e-3,
]  # fmt: skip
CENTER = [
    2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
    1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080,
]  # fmt: skip
CENTER_BELOW = [
    5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867, 5394.1960214247511077,
    687.18700749205790830, 42.313330701600911252, 1.0,
]  # fmt: skip
TAIL = [
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 0.241780725177450611770, 1.27045825245236838258,
    3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734,
]  # fmt: skip
TAIL_BELOW = [
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 0.148103976427480074590,
    0.689767334985100004550, 1.67638483018380384940, 2.05319162663775882187, 1.0,
]  # fmt: skip
END = [
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
    0.296560571828504891230, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720,
]  # fmt: skip
END_BELOW = [
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
    1.48753612908506148525e-2, 0.136929880922735805310, 0.599832206555887937690, 1.0,
]  # fmt: skip
# Where each pair of polynomials ends.
NEAR, MIDDLE, CENTRAL, TAIL_END, FURTHEST = 0.46875, 4.0, 0.425, 5.0, 27.0


def _ratio(x: Any, above: list[float], below: list[float]) -> Any:
    top, bottom = above[0], below[0]
    for a, b in zip(above[1:], below[1:], strict=True):
        top, bottom = top * x + a, bottom * x + b
    return top / bottom


def erf(n: Arrays, x: Any) -> Any:
    """Return the error function."""
    near = n.clip(x, -NEAR, NEAR)
    far = n.sign(x) * (1 - n.exp(-x * x) * erfcx(n, n.abs(x)))
    return n.where(n.abs(x) <= NEAR, near * _ratio(near * near, ERF, ERF_BELOW), far)


def erfcx(n: Arrays, x: Any) -> Any:
    """Return exp(x²) erfc(x) of x ≥ 0."""
    near, middle = n.clip(x, 0.0, NEAR), n.clip(x, NEAR, MIDDLE)
    far = n.maximum(x, n(MIDDLE))
    inverse = 1 / (far * far)
    of_near = n.exp(near * near) * (1 - near * _ratio(near * near, ERF, ERF_BELOW))
    of_far = (1 / math.sqrt(math.pi) - inverse * _ratio(inverse, FAR, FAR_BELOW)) / far
    of_middle = _ratio(middle, ERFCX, ERFCX_BELOW)
    return n.where(x <= NEAR, of_near, n.where(x <= MIDDLE, of_middle, of_far))


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
    least = n.where(smaller > 0, smaller, n(1.0))
    distance = n.where(smaller > 0, _distance(n, n.log(least), 0.5 - smaller), n(math.inf))
    return n.where(below < above, -distance, distance)


def normal_quantile(n: Arrays, log_below: Any, log_above: Any) -> Any:
    """Return Φ⁻¹(p) of log p and log(1 - p), however far out."""
    smaller = n.minimum(n.minimum(log_below, log_above), n(-math.log(2)))
    distance = _distance(n, smaller, 0.5 - n.exp(smaller))
    # Newton's method on log Φ, for what lies beyond the approximation and for its derivatives.
    for _ in range(3):
        log_p = log_ndtr(n, -distance)
        distance = distance + (log_p - smaller) * n.exp(log_p - log_normal(n, distance))
    return n.where(log_below < log_above, -distance, distance)


def _distance(n: Arrays, log_p: Any, from_middle: Any) -> Any:
    """How far below 0 the normal distribution has a probability of at most a half; it is from_middle below a half."""
    root = n.sqrt(n.maximum(-log_p, n(math.log(2))))
    central, tail, end = n.minimum(from_middle, n(CENTRAL)), n.minimum(root, n(TAIL_END)), n.clip(root, 5.0, FURTHEST)
    of_center = central * _ratio(CENTRAL**2 - central * central, CENTER, CENTER_BELOW)
    of_tail = n.where(root <= TAIL_END, _ratio(tail - 1.6, TAIL, TAIL_BELOW), _ratio(end - 5, END, END_BELOW))
    # Far beyond, from the first terms of the tail.
    twice = 2 * n.maximum(-log_p, n(FURTHEST**2))
    beyond = n.sqrt(twice - n.log(2 * math.pi * twice))
    of_tail = n.where(root <= FURTHEST, of_tail, beyond)
    return n.where(from_middle <= CENTRAL, of_center, of_tail)
