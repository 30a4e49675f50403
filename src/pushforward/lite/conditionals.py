"""p(any columns | any others) by one network that is told which columns are known: the chain rule in their order."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy

from pushforward.lite.arrays import Arrays
from pushforward.lite.columns import Column
from pushforward.lite.families import soft_bound, spline
from pushforward.lite.maps import circular_marginal, each_marginal, within_range
from pushforward.lite.mixed_columns import LOG_SHORTEST
from pushforward.lite.networks import ACTIVATIONS
from pushforward.lite.special import log_normal, ndtr, probit
from pushforward.lite.trends import Truncated, conditional_moments, log_between, predicted

# As of `pushforward.table_models.arbitrary_conditional_flow`.
BOUND, LOG_SCALE_BOUND, FURTHEST_INPUT, MOST_CORRELATED, FURTHEST_END = 5.0, math.log(1e3), 6.0, 64, 40.0
INFINITE_END, NARROW, ROUNDING = 1e4, 0.02, 1e-5


class Values(NamedTuple):
    """The values of one column, all (n,).

    Attributes:
        interval: ends in y, and the term of a density.
        low: scores, or those of the lower ends.
        high: the same, or those of the upper ends.
        term: what adds to log p of the scores.
        mass: whether a value has a probability.
        score: the middle in probability.
        beside: what a network is shown beside it.
        present: whether there is a value.
    """

    interval: tuple[Any, Any, Any]
    low: Any
    high: Any
    term: Any
    mass: Any
    score: Any
    beside: list[Any]
    present: Any


class Conditionals:
    """The conditionals of a flow, `pushforward.table_models.ArbitraryConditionalFlow`, of columns.

    Arguments:
        flow: what `pushforward.lite.reading.conditionals` gives.
        columns: of its features.
    """

    def __init__(self, flow: dict[str, Any], columns: list[Column]) -> None:
        self.flow, self.columns, self.features = flow, columns, len(columns)
        self.family = {"bins": flow["bins"], "bound": BOUND, "tails": "identity"}
        self.of_angles = {"bins": flow["bins"], "bound": math.pi, "tails": "circular"}
        self.fixed = [self._fixed(d) for d in range(self.features)]

    def noise(self, rows: int, seed: int | None = None) -> Any:
        """Return what draws are made of, (rows, D): normal numbers, and angles."""
        random = numpy.random.default_rng(seed)
        angles = random.uniform(-math.pi, math.pi, (rows, self.features))
        return numpy.where([own.circular for own in self.columns], angles, random.standard_normal(angles.shape))

    def log_prob(self, n: Arrays, codes: Any, known: Any) -> Any:
        """Return log p(other present values | known present values), (n,), of codes, (n, D), NaN for missing ones."""
        values, total = [self._values(n, codes[:, d], d) for d in range(self.features)], n.zeros_like(codes[:, 0])
        known = known & ~n.isnan(codes)
        for d, own in enumerate(values):
            asked = own.present & ~known[:, d]
            if n.concrete and not asked.any():
                continue
            line = self._parameters(n, values, known, d)
            beyond, found = self._beyond(n, values, known, d, line), self._log_prob(n, line, own, d)
            if beyond is not None:
                found = n.where(beyond[0], beyond[1].log_prob(own.interval), found)
            total = total + n.where(asked, found, n(0.0))
            known = known | (asked[:, None] & n.xp.asarray(numpy.arange(self.features) == d))
        return total

    def fill(self, n: Arrays, codes: Any, latents: Any) -> Any:
        """Return codes, (n, D), with missing values drawn from latents, (n, D): normal numbers, or angles."""
        each = [codes[:, d] for d in range(self.features)]
        values = [self._values(n, one, d) for d, one in enumerate(each)]
        for d in range(self.features):
            if n.concrete and not n.isnan(each[d]).any():
                continue
            each[d] = n.where(values[d].present, each[d], self._codes(n, values, latents[:, d], d))
            values[d] = self._values(n, each[d], d)
        return n.concat([one[:, None] for one in each], axis=-1)

    def quantile(self, n: Arrays, codes: Any, d: int, level: float) -> Any:
        """Return the code, (n,), below which a share of p(column | other present values) lies."""
        codes = n.where(n.xp.asarray(numpy.arange(self.features) == d), n(math.nan), codes)
        values = [self._values(n, codes[:, k], k) for k in range(self.features)]
        latent = n((2 * level - 1) * math.pi) if self.columns[d].circular else probit(n, n(level), n(1 - level))
        return self._codes(n, values, latent + n.zeros_like(codes[:, 0]), d)

    def _codes(self, n: Arrays, values: list[Values], latent: Any, d: int) -> Any:
        """The codes of latent numbers of a column given the present values of the others."""
        known = n.concat([own.present[:, None] for own in values], axis=-1)
        line = self._parameters(n, values, known, d)
        y, beyond = self._of_score(n, self._to_score(n, line, latent, d), d), self._beyond(n, values, known, d, line)
        if beyond is not None:
            y = n.where(beyond[0], beyond[1].quantile(ndtr(n, latent)), y)
        return self.columns[d].of_line(n, y)

    def _values(self, n: Arrays, codes: Any, d: int) -> Values:
        column, present = self.columns[d], ~n.isnan(codes)
        interval = low, high, term = column.intervals(n, n.where(present, codes, column.decode(n, n.zeros_like(codes))))
        scores, points, slope = [], [], n.zeros_like(low)
        middle = n(self.flow["marginal"]["x_knots"][d, self.flow["marginal"]["x_knots"].shape[1] // 2])
        for end in (low, high):
            inside = n.where(n.isfinite(end), end, middle)
            score, slope = (part[:, 0] for part in self.fixed[d](n, inside[:, None], True))
            scores.append(n.where(n.isfinite(end), score, end))
            points.append(inside if column.circular else scores[-1])
        # Of a step too short for the difference of two scores the probability is its length times the density in it.
        mass, log_length = high > low, n.log(n.where(high > low, high - low, n(1.0)))
        short = mass & (log_length + slope < LOG_SHORTEST)
        mass, term = mass & ~short, term + n.where(short, log_length, n(0.0))
        half = 0.5 * (ndtr(n, points[0]) + ndtr(n, points[1]))
        shown = n.where(points[1] > points[0], probit(n, half, 1 - half), points[0])
        shown = n.zeros_like(shown) if column.circular else n.clip(shown, -FURTHEST_END, FURTHEST_END)
        beside = column.beside(n, n.where(present, codes, n(0.0)), 0.5 * (points[0] + points[1]))
        high = n.where(short, scores[0], scores[1])
        return Values(interval, scores[0], high, n.where(mass, term, term + slope), mass, shown, beside, present)

    def _fixed(self, d: int) -> Any:
        """The fixed map of a column from scores to y, a function of arrays, values, (n, 1), and the direction."""
        if not self.columns[d].circular:
            part, function, place = self.flow["marginal"], each_marginal, d
        elif self.flow["circle"] is None:
            return lambda n, value, inverse: (value, n.zeros_like(value))
        else:
            part, function, place = self.flow["circle"], circular_marginal, self.flow["circular"].index(d)
        own = {name: value[place : place + 1] for name, value in part.items() if value is not None and name != "kind"}
        return lambda n, value, inverse: function(n, {"low": None, **own}, value, inverse)

    def _of_score(self, n: Arrays, score: Any, d: int) -> Any:
        return self.fixed[d](n, score[:, None], False)[0][:, 0]

    def _parameters(self, n: Arrays, values: list[Values], known: Any, d: int) -> tuple[Any, Any, Any]:
        """What a network gives of a column, (n, P), and mean and log-deviation of the Gaussian, (n,)."""
        flow = self.flow
        scores = n.concat([own.score[:, None] for own in values], axis=-1)
        beside = [part[:, None] for own in values for part in own.beside]
        if flow["center"] is not None:
            units = zip(flow["center"], flow["spread"], strict=True)
            beside = [(part - shift) / scale for part, (shift, scale) in zip(beside, units, strict=True)]
        limits = flow["range"]
        scores = n.clip(scores, limits["low"], limits["high"]) if flow["trend"] is not None and limits else scores
        if self.features > MOST_CORRELATED:
            distance = n.where(known, scores, n(0.0))
            mean, deviation = n.zeros_like(scores), n.ones_like(scores)
        else:
            mean, deviation, distance, _ = conditional_moments(n, flow["covariance"], scores, known)
        each = [n.where(known, scores, n(0.0)), mean, distance]
        each = each if limits is None else [within_range(n, limits, part) for part in each]
        owner = [k for k, own in enumerate(values) for _ in own.beside]
        shown = [n.where(known[:, k, None], part, n(0.0)) for k, part in zip(owner, beside, strict=True)]
        parts = [each[0], *shown, each[1], n.log(deviation), each[2]]
        inputs = [*(n.clip(part, -FURTHEST_INPUT, FURTHEST_INPUT) for part in parts), n.where(known, n(1.0), n(0.0))]
        hidden = n.matmul(n.concat(inputs, axis=-1), n(flow["first"][0].T)) + n(flow["first"][1])
        silu = ACTIVATIONS["silu"]
        for one, other in flow["pairs"]:
            inner = silu(n, n.matmul(silu(n, hidden), n(one[0].T)) + n(one[1]))
            hidden = hidden + n.matmul(inner, n(other[0].T)) + n(other[1])
        count = 3 * flow["bins"] + 1
        weight, bias = (part[d * count : (d + 1) * count] for part in flow["last"])
        return n.matmul(silu(n, hidden), n(weight.T)) + n(bias), mean[:, d], n.log(deviation[:, d])

    def _map(self, n: Arrays, line: tuple[Any, Any, Any], value: Any, d: int, inverse: bool) -> tuple[Any, Any]:
        """Scores from latents or back, (n,), and the log-derivative of that."""
        p, mean, log_deviation = line
        if self.columns[d].circular:
            # A rotation, then a circular spline.
            turned = value - p[:, 0] if inverse else value
            found, term = spline(n, self.of_angles, turned[:, None], p[:, None, 1:], inverse)
            return (found[:, 0] if inverse else found[:, 0] + p[:, 0]), term[:, 0]
        log_scale = log_deviation + soft_bound(n, p[:, 1], LOG_SCALE_BOUND)
        shift, own = mean + n.exp(log_deviation) * p[:, 0], p[:, None, 2 : 1 + 3 * self.flow["bins"]]
        if inverse:
            found, term = spline(n, self.family, ((value - shift) * n.exp(-log_scale))[:, None], own, True)
            return found[:, 0], term[:, 0] - log_scale
        found, term = spline(n, self.family, value[:, None], own, False)
        return shift + n.exp(log_scale) * found[:, 0], term[:, 0] + log_scale

    def _to_score(self, n: Arrays, line: tuple[Any, Any, Any], latent: Any, d: int) -> Any:
        return self._map(n, line, latent, d, False)[0]

    def _log_density(self, n: Arrays, line: tuple[Any, Any, Any], score: Any, d: int) -> Any:
        z, log_slope = self._map(n, line, score, d, True)
        return log_slope - math.log(2 * math.pi) if self.columns[d].circular else log_slope + log_normal(n, z)

    def _log_prob(self, n: Arrays, line: tuple[Any, Any, Any], own: Values, d: int) -> Any:
        """log p of the values of a column, by their densities or their probabilities."""
        density = self._log_density(n, line, n.where(own.mass, n(0.0), own.low), d)
        if n.concrete and not own.mass.any():
            return density + own.term
        low, high = n.where(own.mass, own.low, n(-1.0)), n.where(own.mass, own.high, n(1.0))
        width = high - low
        narrow = width < NARROW
        middle = n.where(narrow, 0.5 * (low + high), n(0.0))
        of_narrow = self._log_density(n, line, middle, d) + n.log(n.where(narrow, width, n(1.0)))
        ends = []
        for end, apart in ((low, -1.0), (high, 1.0)):
            inside = n.clip(n.where(narrow, n(apart), end), -FURTHEST_END, FURTHEST_END)
            ends.append(n.where(n.isfinite(end), self._map(n, line, inside, d, True)[0], n(apart * INFINITE_END)))
        of_wide = log_between(n, ends[0], ends[1], 1e-6)
        if self.columns[d].circular:
            of_wide = n.log((ends[1] - ends[0]) / (2 * math.pi))
        return n.where(own.mass, n.where(narrow, of_narrow, of_wide), density) + own.term

    def _beyond(
        self, n: Arrays, values: list[Values], known: Any, d: int, line: tuple[Any, Any, Any]
    ) -> tuple[Any, Truncated] | None:
        """Which rows have a known value beyond its range, (n,), and what a trend says of the column there."""
        trend, limits = self.flow["trend"], self.flow["range"]
        if trend is None or limits is None or not trend["rows"][d]:
            return None
        scores, middles = [], []
        for own in values:
            low, high, _ = own.interval
            low, high = n.where(n.isfinite(low), low, high), n.where(n.isfinite(high), high, low)
            middles.append((0.5 * (low + high))[:, None])
            scores.append(own.score[:, None])
        known, every = known & n.xp.asarray(trend["rows"] > 0), n.concat(scores, axis=-1)
        room = {name: ROUNDING * numpy.maximum(numpy.abs(end), 1) for name, end in limits.items()}
        low, high = n(limits["low"] - room["low"]), n(limits["high"] + room["high"])
        rows = n.any(((every < low) | (every > high)) & known, axis=-1)
        if n.concrete and not rows.any():
            return None
        mean, deviation = predicted(n, trend, n.concat(middles, axis=-1), known, d)
        ends = [self._of_score(n, self._to_score(n, line, n.like(mean, z), d), d) for z in (-1.0, 1.0)]
        deviation = n.maximum(deviation, 0.5 * (ends[1] - ends[0]))
        return rows, Truncated(n, mean, deviation, self.columns[d].bounds)
