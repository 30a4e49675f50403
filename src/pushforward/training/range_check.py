"""Whether data lie in the box in which a flow's splines bend, and contexts within the range that it knows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pushforward.bijections import Bijection, Compose, RationalQuadraticSpline, Standardized
from pushforward.bijections.context_range import ContextRange
from pushforward.flow import Density, Flow
from pushforward.support.modules import device_of
from pushforward.training.rows import Rows

# A standard normal has six rows in ten million outside ±5: a share above this is more than a few outliers.
LARGEST_SHARE = 0.01
# Rows whose contexts are compared with the range at a time.
ROWS_AT_A_TIME = 2**16


def warn_of_tails(flow: Density, x: Tensor, context: Tensor | None, column_name: Callable[[int], str]) -> None:
    """Warn with a RuntimeWarning if many rows lie outside the box of the splines that data meet first.

    Outside its box a spline is a straight line: such rows are modeled hardly better than by a Gaussian.

    Arguments:
        flow: the flow to be trained; without splines there is no warning.
        x: some rows, (n, D).
        context: their context, (n, C), or None.
        column_name: gives the name of a column of x in messages.
    """
    if not isinstance(flow, Flow):  # a density of the user's own
        return
    training = flow.training
    flow.eval()  # so that no layer initializes itself on these rows
    with torch.no_grad():
        values, bound = _meet(flow.bijection, x, context)
    flow.train(training)
    if bound is None or not len(x):
        return
    share = (values.abs() > bound).double().mean(0)
    worst = int(share.argmax())
    if float(share[worst]) > LARGEST_SHARE:
        warnings.warn(
            f"{float(share[worst]):.1%} of {column_name(worst)} lies outside the box of the splines (±{bound:g} in "
            "their units), where they are straight lines; use a larger bound, or scale the data with "
            "pushforward.standardized.",
            RuntimeWarning,
            stacklevel=3,
        )


@contextmanager
def contexts_compared(flow: Density, rows: Rows | None) -> Iterator[None]:
    """Compare the contexts of a training with the range of those that a flow knows, once and not at every step.

    If none lies beyond it, a flow in training mode does not ask again inside the block.

    Arguments:
        flow: the flow to be trained.
        rows: all rows to train on; None if they are streamed, and each batch is compared.
    """
    modules = list(flow.modules()) if isinstance(flow, nn.Module) else []
    ranges = [module for module in modules if isinstance(module, ContextRange)]
    # What lies beyond the range of one flow of a mixture may lie within that of another.
    if _are_one(ranges) and rows is not None and rows.context is not None:
        contexts = (context.to(device_of(flow)) for _, context, *_ in rows.chunks(ROWS_AT_A_TIME))
        known = not any(bool(flow.beyond_range(context).any()) for context in contexts)
        for one in ranges:
            one.holds_training = known
    try:
        yield
    finally:
        for one in ranges:
            one.holds_training = False


def _are_one(ranges: Sequence[ContextRange]) -> bool:
    """Whether there are ranges, and all are the same."""
    ends = [torch.stack([one.low, one.high]) for one in ranges]
    return bool(ends) and all(torch.equal(one, ends[0]) for one in ends)


def _meet(bijection: Bijection, x: Tensor, context: Tensor | None) -> tuple[Tensor, float | None]:
    """The input of the first spline layer from x to z, and its bound; z and None if there is no spline."""
    if isinstance(bijection, Compose):
        for part in reversed(list(bijection)):
            x, bound = _meet(part, x, context)
            if bound is not None:
                return x, bound
        return x, None
    if isinstance(bijection, Standardized):
        return _meet(bijection.bijection, *bijection.standardize(x, context)[:2])
    spline = getattr(bijection, "univariate", None)
    if isinstance(spline, RationalQuadraticSpline) and spline.tails != "circular":
        return x, spline.bound
    return bijection.inverse(x, context)[0], None
