"""A density that was read from a model file: a flow, or a mixture of flows."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.lite import bases
from pushforward.lite.arrays import Arrays, arrays_of, check_draws, check_levels, check_numbers
from pushforward.lite.maps import apply
from pushforward.lite.regressions import shown_more
from pushforward.lite.special import log_ndtr, log_normal, normal_quantile

# The logarithm of a probability of which float64 still has a normal quantile.
LEAST_LOG = -700.0


class Density:
    """p(x | context), of a flow or of a mixture of flows, in numpy or in any namespace like it.

    Computed in the precision of the rows, float64 for whole numbers. With `xp=jax.numpy` every method but `sample` and
    `noise` can be compiled by `jax.jit` and differentiated.

    Arguments:
        description: what `pushforward.lite.reading.density` gives.

    Attributes:
        features: D.
        context_features: C, 0 for none.

    Raises:
        InputError: in every method: rows or contexts of another width; a context that is missing, or not asked for;
            latents and quantiles of a density that has none.
    """

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.features: int = description["features"]
        self.context_features: int = description["context_features"]
        self.flows = description.get("flows", [description])
        self.weights = description.get("weights", numpy.ones(1))
        self.regressions = description.get("regressions", [])

    def log_prob(self, rows: Any, context: Any = None, *, xp: Any = numpy) -> Any:
        """Return log p(x | context) in nats, (*batch).

        Arguments:
            rows: (*batch, D).
            context: (*batch, C), which broadcasts against the batch of the rows.
            xp: the namespace, default numpy.
        """
        n, x, given, batch = self._inputs(rows, context, xp)
        with numpy.errstate(all="ignore"):
            each = [self._log_prob(n, flow, x, given) for flow in self.flows]
            if len(each) == 1:
                return _shaped(n, each[0], batch)
            joint = n.concat([one[:, None] + math.log(w) for one, w in zip(each, self.weights, strict=True)], axis=-1)
            return _shaped(n, n.logsumexp(joint), batch)

    def to_latent(self, rows: Any, context: Any = None, *, xp: Any = numpy) -> Any:
        """Return z = f⁻¹(x), (*batch, D), of rows, (*batch, D); of a mixture over one feature Φ⁻¹(F(x))."""
        n, x, given, batch = self._inputs(rows, context, xp)
        with numpy.errstate(all="ignore"):
            if len(self.flows) == 1:
                z = apply(n, self.flows[0]["bijection"], x, given, True)[0]
            else:
                self._check_one_feature(normal=True)
                z = self._score(n, x, given)[0]
        return _shaped(n, z, (*batch, self.features))

    def to_data(self, latents: Any, context: Any = None, *, xp: Any = numpy) -> Any:
        """Return x = f(z), (*batch, D), of latents, (*batch, D); of a mixture over one feature that of F(x) = Φ(z)."""
        n, z, given, batch = self._inputs(latents, context, xp)
        with numpy.errstate(all="ignore"):
            if len(self.flows) > 1:
                self._check_one_feature(normal=True)
            x = self._solve(n, [z] * len(self.flows), given, lambda x: self._excess(n, x, z, given))
        return _shaped(n, x, (*batch, self.features))

    def quantile(self, levels: Any, context: Any = None, *, xp: Any = numpy) -> Any:
        """Return the x below which a share of a density of one feature lies.

        Arguments:
            levels: (*batch), from 0 to 1. Others are refused by numpy, and have the quantile NaN in other namespaces,
                whose graphs cannot refuse a value.
            context: (*batch, C), which broadcasts against the batch of the levels.
            xp: the namespace, default numpy.

        Returns:
            x, (*batch).
        """
        self._check_one_feature(normal=False)
        check_levels(levels, xp)
        n, level, given, batch = self._inputs(xp.asarray(levels)[..., None], context, xp)
        with numpy.errstate(all="ignore"):
            within = (level >= 0) & (level <= 1)
            level = n.where(within, level, n(0.5))
            starts = [bases.quantile(n, flow["base"], level[:, 0])[:, None] for flow in self.flows]
            x = self._solve(n, starts, given, lambda x: self._level_excess(n, x, level, given))
            x = n.where(within, x, n(math.nan))
        return _shaped(n, x[:, 0], batch)

    def sample(self, count: int, context: Any = None, *, seed: int | None = None) -> Any:
        """Draw rows, (count, *batch, D) float64: of each row of the context, (*batch, C), so many.

        Arguments:
            count: how many.
            context: (*batch, C), for a conditional density.
            seed: makes the draws repeat; default new ones.
        """
        check_draws(count, seed, needed=True)
        batch = () if context is None else numpy.shape(context)[:-1]
        noise = self.noise(count * math.prod(batch), seed)
        given = None if context is None else numpy.broadcast_to(context, (count, *numpy.shape(context)))
        given = None if given is None else given.reshape(len(noise), -1)
        return self.draws_of(noise, given).reshape(count, *batch, self.features)

    def noise(self, rows: int, seed: int | None = None) -> Any:
        """Return what draws are made of, (rows, 1 + K D): what chooses one of K flows, and a latent of each."""
        random = numpy.random.default_rng(seed)
        each = [bases.draw(flow["base"], self.features, rows, random) for flow in self.flows]
        return numpy.concatenate([random.uniform(size=(rows, 1)), *each], 1)

    def draws_of(self, noise: Any, context: Any = None, *, xp: Any = numpy) -> Any:
        """Return the draws, (rows, D), that noise, (rows, 1 + K D), makes."""
        n = arrays_of(noise, xp)
        noise, ends = n(noise), numpy.cumsum(self.weights)[:-1]
        _, _, given, _ = self._inputs(noise[:, 1 : 1 + self.features], context, xp)
        with numpy.errstate(all="ignore"):
            which, size = n.count(noise[:, :1] >= n(ends)[None, :]), self.features
            found = n.zeros_like(noise[:, :size])
            for k, flow in enumerate(self.flows):
                z = noise[:, 1 + k * size : 1 + (k + 1) * size]
                found = n.where(which[:, None] == k, apply(n, flow["bijection"], z, given, False)[0], found)
        return found

    def _log_prob(self, n: Arrays, flow: dict[str, Any], x: Any, given: Any) -> Any:
        z, log_det = apply(n, flow["bijection"], x, given, True)
        return bases.log_prob(n, flow["base"], z) + log_det

    def _solve(self, n: Arrays, latents: list[Any], given: Any, function: Any) -> Any:
        """The x of a density, between those of its flows."""
        ends = [apply(n, flow["bijection"], z, given, False)[0] for flow, z in zip(self.flows, latents, strict=True)]
        if len(ends) == 1:
            return ends[0]
        ends = n.concat(ends, axis=-1)
        return n.root(function, n.min(ends, axis=-1, keepdims=True), n.max(ends, axis=-1, keepdims=True))

    def _score(self, n: Arrays, x: Any, given: Any) -> tuple[Any, Any]:
        """z = Φ⁻¹(Σ w_k Φ(z_k)) and ∂z/∂x, (n, 1), from the smaller of the two tails, which has the digits."""
        each = [apply(n, flow["bijection"], x, given, True) for flow in self.flows]
        z, log_det = (n.concat(parts, axis=-1) for parts in ([z for z, _ in each], [d[:, None] for _, d in each]))
        log_weights = n(numpy.log(self.weights))
        sides = [n.logsumexp(log_ndtr(n, end) + log_weights, keepdims=True) for end in (z, -z)]
        found = normal_quantile(n, *(n.maximum(side, n(LEAST_LOG)) for side in sides))
        log_density = n.logsumexp(log_det + log_normal(n, z) + log_weights, keepdims=True)
        return found, n.exp(log_density - log_normal(n, found))

    def _excess(self, n: Arrays, x: Any, z: Any, given: Any) -> tuple[Any, Any]:
        found, slope = self._score(n, x, given)
        return found - z, slope

    def _level_excess(self, n: Arrays, x: Any, level: Any, given: Any) -> tuple[Any, Any]:
        below = above = slope = n.zeros_like(x)
        for weight, flow in zip(self.weights, self.flows, strict=True):
            z, log_det = apply(n, flow["bijection"], x, given, True)
            sides = bases.distribution_function(n, flow["base"], z[:, 0])
            below, above = below + weight * sides[0][:, None], above + weight * sides[1][:, None]
            slope = slope + weight * n.exp(bases.log_prob(n, flow["base"], z) + log_det)[:, None]
        return n.where(level < 0.5, below - level, (1 - level) - above), n.maximum(slope, n(n.eps**4))

    def _check_one_feature(self, normal: bool) -> None:
        if self.features > 1:
            what = "A mixture of flows" if normal else "A density"
            raise InputError(f"{what} over {self.features} features has no {'latents' if normal else 'quantiles'}.")
        if normal and any(flow["base"]["kind"] != "normal" for flow in self.flows):
            raise InputError("A mixture with parts whose base is not normal is not a map of latent features.")

    def _inputs(self, rows: Any, context: Any, xp: Any) -> tuple[Arrays, Any, Any, tuple[int, ...]]:
        """Arrays of a namespace: rows, (n, D), the context, (n or 1, C), and the shape of the batch."""
        n = arrays_of(rows, xp)
        if context is not None:
            check_numbers(context, xp, "a context")
        x, given = n(rows), None if context is None else n(context)
        wrong = "Expected {} of {} numbers, got the shape {}."
        if x.ndim == 0 or x.shape[-1] != self.features:
            raise InputError(wrong.format("rows", self.features, tuple(x.shape)))
        batch, width = x.shape[:-1], self.context_features
        if given is None and width:
            raise InputError(f"This density is conditional: it needs a context of {width} numbers for each row.")
        if given is not None and not width:
            raise InputError("This density takes no context.")
        if given is None:
            return n, x if x.ndim == 2 else n.reshape(x, (-1, self.features)), None, batch
        if given.ndim == 0 or given.shape[-1] != width:
            raise InputError(wrong.format("contexts", width, tuple(given.shape)))
        if (x.ndim, given.ndim) != (2, 2) and given.ndim > 1:
            batch = _broadcast(batch, given.shape[:-1])
            x, given = (n.broadcast_to(part, (*batch, part.shape[-1])) for part in (x, given))
        elif n.concrete and x.ndim == given.ndim == 2:
            batch = _broadcast(batch, given.shape[:-1])
        x, given = n.reshape(x, (-1, self.features)), n.reshape(given, (-1, width))
        # One row of the two stands for as many as the other has.
        batch = given.shape[:1] if batch == (1,) else batch
        return n, x + n.zeros_like(given[:, :1]), shown_more(n, self.regressions, given), batch


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return numpy.broadcast_shapes(one, other)
    except ValueError:
        raise InputError(f"Rows and context do not broadcast: there are {one} and {other} of them.") from None


def _shaped(n: Arrays, values: Any, shape: tuple[int, ...]) -> Any:
    return values if values.ndim == len(shape) and values.ndim < 3 else n.reshape(values, shape)
