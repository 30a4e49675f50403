"""The arrays of one namespace in one precision: numpy, jax.numpy, or any that follows the array API standard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.support.arguments import check_seed, is_whole

# Names of numpy before version 2 and the standard.
OLDER = {"concat": "concatenate", "asinh": "arcsinh", "atan": "arctan", "cumulative_sum": "cumsum"}
# Steps to a root, at most.
MOST_STEPS = 200


class Arrays:
    """What every map computes with: the functions of a namespace by their names, and its own few beside them.

    Called with an array of numpy it gives that as a constant of the namespace in its precision.

    Arguments:
        xp: the namespace.
        dtype: its float32 or float64.

    Example:
        >>> n = Arrays(numpy, numpy.float64)
        >>> n.softplus(n([0.0])), n.flat(n([[1.0, 2.0]]))
        (array([0.69314718]), array([1., 2.]))
    """

    def __init__(self, xp: Any, dtype: Any) -> None:
        self.xp, self.dtype = xp, dtype
        # Whether values are there to be looked at, which those of a compiler are not.
        self.concrete = xp is numpy
        self.eps = float(xp.finfo(dtype).eps)

    def __call__(self, array: Any) -> Any:
        """Return a constant of the namespace."""
        return self.xp.asarray(array, dtype=self.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.xp, name if hasattr(self.xp, name) else OLDER.get(name, name))

    def like(self, value: Any, number: float) -> Any:
        """Return a number in the shape of a value."""
        return self.xp.full_like(value, number)

    def columns(self, value: Any, places: Any) -> Any:
        """Return some columns, (n, k), of (n, D)."""
        return self.xp.take(value, self.xp.asarray(numpy.asarray(places, numpy.int64)), axis=-1)

    def flat(self, value: Any) -> Any:
        """Return all numbers in one dimension."""
        return self.xp.reshape(value, (-1,))

    def count(self, condition: Any) -> Any:
        """Return how many entries of the last dimension hold."""
        return self.xp.sum(self.xp.where(condition, self(1.0), self(0.0)), axis=-1)

    def pick(self, table: Any, mask: Any) -> Any:
        """Return the entry of the last dimension where a mask holds, which it does at one place."""
        return self.xp.sum(self.xp.where(mask, table, self(0.0)), axis=-1)

    def clip(self, value: Any, low: Any, high: Any) -> Any:
        """Return the nearest value between two ends; NaN stays."""
        return self.xp.minimum(self.xp.maximum(value, self(low)), self(high))

    def softplus(self, value: Any) -> Any:
        """Return log(1 + exp(value))."""
        return self.xp.logaddexp(value, self(0.0))

    def logsumexp(self, value: Any, axis: int = -1, keepdims: bool = False) -> Any:
        """Return log Σ exp over a dimension."""
        largest = self.xp.max(value, axis=axis, keepdims=True)
        largest = self.xp.where(self.xp.isfinite(largest), largest, self(0.0))
        total = self.xp.log(self.xp.sum(self.xp.exp(value - largest), axis=axis, keepdims=True)) + largest
        return total if keepdims else self.xp.squeeze(total, axis=axis)

    def log_softmax(self, value: Any, axis: int = -1) -> Any:
        """Return the logarithms of weights that sum to 1."""
        return value - self.logsumexp(value, axis, keepdims=True)

    def root(self, function: Callable[[Any], tuple[Any, Any]], low: Any, high: Any) -> Any:
        """Return where an increasing function is 0, by Newton's method within a bracket, else by bisection.

        The last step is one of Newton from the root, so that derivatives are those of the root whatever the way to it.

        Arguments:
            function: gives value and slope at a.
            low: where the value is at most 0.
            high: where it is at least 0.
        """
        xp = self.xp
        room = 64 * self.eps * xp.maximum(xp.abs(low), xp.abs(high))
        low, high = low - room, high + room
        first, last, a = low, high, low + (high - low) / 2

        def step(state: Any) -> tuple[Any, Any]:
            a, low, high, before = state
            value, slope = function(a)
            low, high = xp.where(value < 0, a, low), xp.where(value > 0, a, high)
            newton, middle = a - value / slope, low + (high - low) / 2
            trusted = (newton > low) & (newton < high) & (xp.abs(newton - a) < xp.abs(before) / 2)
            after = xp.where(value == 0, a, xp.where(trusted, newton, middle))
            settled = (after == a) | (middle <= low) | (middle >= high)
            settled = settled | (xp.abs(value) <= 4 * self.eps * xp.abs(a) * slope) | ~xp.isfinite(high - low)
            # What is settled stays, and does not begin again.
            return (xp.where(settled, a, after), low, high, xp.where(settled, before, after - a)), settled

        a, polishings = self._repeated(step, (a, low, high, high - low))
        for _ in range(polishings):
            value, slope = function(a)
            newton = a - value / slope
            a = xp.where((newton >= first) & (newton <= last), newton, a)
        return a

    def _repeated(self, step: Callable[[Any], tuple[Any, Any]], state: Any) -> tuple[Any, int]:
        """Where steps lead that are repeated until all is settled, and how many steps give it all derivatives."""
        if hasattr(self.xp, "repeated"):  # a graph has loops of its own
            return self.xp.repeated(step, state, MOST_STEPS)[0], 1
        state, settled = step(state)
        if getattr(self.xp, "__name__", "") == "jax.numpy":
            import jax

            if any(isinstance(leaf, jax.core.Tracer) for leaf in (*state, settled)):
                # Derivatives of the second order need a second step.
                return _repeated_by_jax(step, state, settled), 2
        for _ in range(MOST_STEPS):
            if bool(self.xp.all(settled)):
                break
            state, settled = step(state)
        return state[0], 1


def _repeated_by_jax(step: Callable[[Any], tuple[Any, Any]], state: Any, settled: Any) -> Any:
    """The same as a loop that is compiled once, whose steps have no derivatives of their own."""
    import jax

    step, hidden = jax.closure_convert(step, state)
    state, hidden = jax.lax.stop_gradient((state, hidden))

    def following(loop: Any) -> Any:
        count, state, _ = loop
        return count + 1, *step(state, *hidden)

    def unsettled(loop: Any) -> Any:
        return (loop[0] < MOST_STEPS) & ~jax.numpy.all(loop[2])

    return jax.lax.while_loop(unsettled, following, (0, state, settled))[1][0]


def check_numbers(values: Any, xp: Any, what: str) -> None:
    """Refuse what numpy makes no array of numbers of."""
    if xp is numpy:
        try:
            numbers = numpy.asarray(values).dtype.kind in "biuf"
        except (TypeError, ValueError):  # of rows of several lengths
            numbers = False
        if not numbers:
            kind = type(values).__name__
            raise InputError(f"Expected an array of numbers as {what}, got {kind} of something else.")


def check_levels(levels: Any, xp: Any) -> None:
    """Refuse levels of quantiles that are no shares, where their values are there to be looked at."""
    check_numbers(levels, xp, "levels")
    if xp is numpy and not numpy.all((numpy.asarray(levels) >= 0) & (numpy.asarray(levels) <= 1)):
        raise InputError("The levels of quantiles are numbers from 0 to 1; one of them is not.")


def arrays_of(rows: Any, xp: Any) -> Arrays:
    """Return the arrays of a namespace in the precision of rows, float64 of whole numbers."""
    check_numbers(rows, xp, "rows")
    dtype = xp.asarray(rows).dtype
    return Arrays(xp, dtype if dtype in (xp.float32, xp.float64) else xp.asarray(0.0).dtype)


def check_draws(count: Any, seed: Any, needed: bool = False) -> None:
    """Refuse a number of draws, or a seed, that is none; None stands for no choice, unless a number is needed."""
    if (needed or count is not None) and not (is_whole(count) and count >= 0):
        raise InputError(f"The number of draws is a whole number of at least 0; it is {count!r}.")
    if seed is not None:
        check_seed(seed)
