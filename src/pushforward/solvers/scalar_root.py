"""Roots of increasing functions of one number, many at once, with gradients to whatever the function is made of."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop

from pushforward.solvers.solutions import RootReport, with_gradients

# Newton doubles the digits at every step and bisection adds one bit: bisection alone needs as many steps as a float64
# bracket has bits between its ends.
MAXIMUM_STEPS = 200
# A bracket may miss its root by this many roundings of its size.
ROUNDINGS = 64

Function = Callable[[Tensor], tuple[Tensor, Tensor]]


def monotone_root(function: Function, lower: Tensor, upper: Tensor) -> Tensor:
    """Solve function(a) = 0 for every entry of a, where function increases strictly from lower to upper.

    Newton's method, kept inside the bracket by bisection, until a step changes no float any more. The root has exact
    first and second derivatives by everything that `function` closes over: see `with_gradients`.

    Arguments:
        function: gives value and slope, ∂value/∂a, at a; entry by entry, each of the shape of a.
        lower: lower end of the bracket, where value is at most 0, up to rounding.
        upper: upper end of the bracket, where value is at least 0, up to rounding; of the shape of `lower`.

    Returns:
        a, of the shape of lower. An entry whose bracket is not finite is NaN.

    Raises:
        SolverError: an entry did not converge: the function does not increase or is not finite there, or has no root in
            the bracket. The message names the first one, its bracket and its residual.

    Cost: about 5 to 10 evaluations, and two more where gradients are enabled.

    Example:
        >>> target = torch.tensor([8.0, 27.0], requires_grad=True)
        >>> root = monotone_root(lambda a: (a**3 - target, 3 * a**2), torch.ones(2), torch.full((2,), 9.0))
        >>> root
        tensor([2., 3.], grad_fn=<AddBackward0>)
        >>> torch.autograd.grad(root.sum(), target)[0]  # 1 / (3 a²)
        tensor([0.0833, 0.0370])
    """
    root, report = find_root(function, lower, upper)
    if torch.compiler.is_compiling():
        torch._assert_async(
            report.converged.all(), "a root was not found: is the function increasing and finite there?"
        )
    else:
        report.check(
            "roots were not found, the first in",
            lambda first: (
                f" in the bracket [{float(lower[first]):.6g}, {float(upper[first]):.6g}]; is the function increasing "
                "and finite there?"
            ),
        )
    return with_gradients(root, function, _divided_by)


def _divided_by(slope: Tensor) -> Callable[[Tensor], Tensor]:
    slope = slope.detach()
    return lambda value: value / slope


@torch.no_grad()
def find_root(function: Function, lower: Tensor, upper: Tensor) -> tuple[Tensor, RootReport]:
    """Search as `monotone_root` does, without gradients, and report instead of raising.

    Arguments:
        function: gives value and slope.
        lower: lower end of the bracket.
        upper: upper end of the bracket.

    Returns:
        The best a found, and how the search went for each entry.
    """
    lower, upper = torch.broadcast_tensors(lower.detach(), upper.detach())
    scale = torch.maximum(lower.abs(), upper.abs())
    rounding = ROUNDINGS * torch.finfo(lower.dtype).eps * scale
    known = lower.isfinite() & upper.isfinite()
    zero = torch.zeros_like(lower)
    # Rounding can move the ends of an exact bracket past the root.
    low, high = torch.where(known, lower - rounding, zero), torch.where(known, upper + rounding, zero)
    a = low + (high - low) / 2
    value, slope = function(a)
    start = torch.zeros_like(known)
    search = _Search(
        a, low, high, high - low, value, slope, ~known, torch.ones_like(lower, dtype=torch.long), start, start
    )
    search = (_compiled if torch.compiler.is_compiling() else _searched)(function, search)
    a, low, high, value, slope = search.a, search.low, search.high, search.value, search.slope
    # The last step, of a few floats at most.
    newton = a - value / slope
    a = torch.where((newton >= low) & (newton <= high), newton, a)
    value, slope = function(a)
    # A root lies between two values of opposite sign, or within rounding of an end of the bracket.
    enclosed = (search.seen_below & search.seen_above) | (value.abs() <= rounding * slope)
    converged = (search.done & enclosed & value.isfinite() & (slope > 0)) | ~known
    return torch.where(known, a, torch.nan), RootReport(converged, search.steps, value)


class _Search(NamedTuple):
    """How far a search has come, entry by entry: where it is, its bracket, its last step, and what was seen."""

    a: Tensor
    low: Tensor
    high: Tensor
    last_step: Tensor
    value: Tensor
    slope: Tensor
    done: Tensor
    steps: Tensor
    seen_below: Tensor
    seen_above: Tensor


def _searched(function: Function, search: _Search) -> _Search:
    """The search at its end, or after the most steps."""
    for _ in range(MAXIMUM_STEPS):
        search, following = _narrowed(search)
        if bool(search.done.all()):
            break
        search = _moved(function, search, following)
    return search


def _compiled(function: Function, search: _Search) -> _Search:
    """The same as one operation of a graph, since a loop of Python whose end depends on values would break it."""

    def unfinished(count: Tensor, *found: Tensor) -> Tensor:
        return (count < MAXIMUM_STEPS) & ~_Search(*found).done.all()

    def step(count: Tensor, *found: Tensor) -> tuple[Tensor, ...]:
        return count + 1, *_moved(function, *_narrowed(_Search(*found)))

    count = torch.zeros((), dtype=torch.long, device=search.a.device)
    # What the loop is given may not be one tensor twice.
    _, *found = while_loop(unfinished, step, (count, *(part.clone() for part in search)))
    return _Search(*found)


def _narrowed(search: _Search) -> tuple[_Search, Tensor]:
    """The search in a smaller bracket, which entries are done, and where the others look next."""
    a, low, high, last_step, value, slope, done, steps, seen_below, seen_above = search
    below, above = value < 0, value > 0
    low, high = torch.where(below, a, low), torch.where(above, a, high)
    newton, middle = a - value / slope, low + (high - low) / 2
    # Bisect where Newton would leave the bracket, or converges too slowly.
    trusted = (newton > low) & (newton < high) & ((newton - a).abs() < last_step.abs() / 2)
    trusted = trusted | (value == 0)
    following = torch.where(trusted, newton, middle)
    following = torch.where(value == 0, a, following)
    # No float is nearer, or only a few are. The criterion is the step in a: the function may have any units.
    settled = (following == a) | (middle <= low) | (middle >= high)
    settled = settled | (value.abs() <= 4 * torch.finfo(a.dtype).eps * a.abs() * slope)
    done = done | settled
    return _Search(
        a, low, high, last_step, value, slope, done, steps, seen_below | below, seen_above | above
    ), following


def _moved(function: Function, search: _Search, following: Tensor) -> _Search:
    """The search with the entries that are not done where they look next."""
    a, low, high, last_step, value, slope, done, steps, seen_below, seen_above = search
    last_step = torch.where(done, last_step, following - a)
    a = torch.where(done, a, following)
    next_value, next_slope = function(a)
    value, slope = torch.where(done, value, next_value), torch.where(done, slope, next_slope)
    return _Search(a, low, high, last_step, value, slope, done, steps + (~done).long(), seen_below, seen_above)
