"""Gaussian flows in closed form: what a fit starts from, and is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from pushforward.bijections import Autoregressive, Compose, Standardized
from pushforward.flow import Flow
from pushforward.zoo.covariance import WITHIN, shrunk_covariance
from pushforward.zoo.layers import LOG_SCALE_BOUND, set_linear
from pushforward.zoo.linear_regression import regress
from pushforward.zoo.registry import build
from pushforward.zoo.units import in_units_of, inner_context, straight

# The config of a Gaussian without its numbers of features: one affine layer whose networks have no hidden layer.
GAUSSIAN: dict[str, Any] = {"architecture": "autoregressive", "univariate": "affine", "layers": 1, "hidden": []}
GAUSSIAN["log_scale_bound"] = LOG_SCALE_BOUND
# What people call the Gaussian in the units of a flow, and the one in the units of the data.
IN_UNITS, OF_COLUMNS = "a Gaussian of the columns made normal", "a Gaussian of the encoded columns"
# Of more columns the covariance takes too long.
MOST_COLUMNS = 3000


@torch.no_grad()
def gaussian_like(flow: Flow, x: Tensor, context: Tensor | None = None, weights: Tensor | None = None) -> Flow:
    """The Gaussian of rows in the units of a flow that `gaussianized` or `standardized` made, as a flow.

    Without a context its covariance is shrunk; given a context it is the linear regression in closed form.

    Arguments:
        flow: says the units; its fixed maps are copied.
        x: (N, D) rows.
        context: (N, C) or None.
        weights: (N,) or None.
    """
    assert isinstance(flow.bijection, Standardized)
    inner = build({**GAUSSIAN, "features": flow.features, "context": inner_context(flow)})
    found = in_units_of(inner, flow)
    if context is not None:
        regress(found, x, context, weights)
        return found
    y = flow.bijection.standardize(x)[0]
    _set_gaussian(inner, *shrunk_covariance(y, weights, WITHIN))
    return found


@torch.no_grad()
def gaussian_of(
    x: Tensor,
    context: Tensor | None = None,
    weights: Tensor | None = None,
    normal: Collection[int] = (),
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> Flow:
    """The Gaussian of maximum likelihood, in the units of data, as a flow; shrunk where rows are too few for one.

    Given a context it is the linear regression in closed form. Beyond the data by more than a deviation its tails are
    heavier: what is far from all rows is improbable, no more. Those of normal features, which lie behind maps with such
    tails of their own, are not.
    """
    sizes = {"features": x.shape[1], "context": 0 if context is None else context.shape[1]}
    inner = build({**GAUSSIAN, **sizes})
    found = straight(inner, x, context, weights, normal=normal, flags=flags, trends=trends, predictions=predictions)
    if context is not None:
        regress(found, x, context, weights)
        return found
    assert isinstance(found.bijection, Standardized)
    rows = found.bijection.standardize(x)[0].double()
    mean, covariance = shrunk_covariance(rows, weights)
    if len(rows) > rows.shape[1]:
        share = torch.full_like(rows[:, 0], 1 / len(rows)) if weights is None else (weights / weights.sum()).double()
        deviations = (rows - share @ rows) * share.sqrt()[:, None]
        covariance = deviations.t() @ deviations
    _set_gaussian(inner, mean, covariance)
    return found


def best_gaussian(
    flow: Flow,
    x: Tensor,
    context: Tensor | None,
    weights: Tensor | None,
    held_out: Callable[[Flow], float],
    *,
    bounded: bool,
    normal: Collection[int] = (),
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> tuple[Flow | None, float, str]:
    """The Gaussian with the highest held-out value: in the units of a flow, or in those of the data.

    Arguments:
        flow: as in `gaussian_like`.
        x: (N, D) rows.
        context: (N, C) or None.
        weights: (N,) or None.
        held_out: the value of a flow.
        bounded: whether x has bounds, which a Gaussian in its own units would pass.
        normal: features of x that are nearly normal already; default none.
        flags: numbers of the context that are not standardized, default none.
        trends: features of x that follow a linear trend beyond the range of the context, as `straight` takes them.
        predictions: numbers of the context that are functions of the others; default none.

    Returns:
        The Gaussian, or None where there is none, its value, and what people call it.
    """
    best: tuple[Flow | None, float, str] = (None, -math.inf, "")
    if x.shape[1] + (0 if context is None else context.shape[1]) > MOST_COLUMNS:
        return best
    makers: dict[str, Callable[[], Flow]] = {IN_UNITS: lambda: gaussian_like(flow, x, context, weights)}
    if not bounded:
        of_context = normal, flags, trends, predictions
        makers[OF_COLUMNS] = lambda: _with_range_of(flow, gaussian_of(x, context, weights, *of_context))
    for name, make in makers.items():
        try:
            gaussian = make()
        except torch.linalg.LinAlgError:
            continue
        value = held_out(gaussian)
        if value > best[1]:
            best = gaussian, value, name
    return best


def _with_range_of(other: Flow, flow: Flow) -> Flow:
    """The flow with the context range of another in the same units of context, which held-out rows may have widened."""
    assert isinstance(other.bijection, Standardized) and isinstance(flow.bijection, Standardized)
    if flow.bijection.context_range is not None and other.bijection.context_range is not None:
        flow.bijection.context_range.load_state_dict(other.bijection.context_range.state_dict())
    return flow


def _set_gaussian(flow: Flow, mean: Tensor, covariance: Tensor) -> None:
    """Let the one layer of a flow be the Gaussian of this mean and covariance."""
    assert isinstance(flow.bijection, Compose)
    layer = flow.bijection.bijections[0]
    assert isinstance(layer, Autoregressive)
    set_linear(layer, mean.new_zeros(flow.features, flow.context_features), mean, covariance)
