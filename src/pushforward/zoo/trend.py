"""The linear trend of rows, by which a conditional flow goes on beyond the range of their contexts."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections.context_trend import ContextTrend, latents_of
from pushforward.distributions import Base, StandardNormal
from pushforward.support.far_ends import far_ends
from pushforward.zoo.linear_regression import regression_with_residuals

# Of more columns of a context the covariance takes too long; of tables of more numbers some rows are enough.
MOST_CONTEXTS, MOST_NUMBERS = 500, 2**22
# Points of another base than the normal one.
POINTS = 16
# The smallest share of the identity in the covariance of contexts: no direction is a hundred times as far as it looks.
LEAST_SHARE = 1e-4


@torch.no_grad()
def trend_of(
    base: Base,
    x: Tensor,
    context: Tensor,
    trends: Collection[int],
    weights: Tensor | None = None,
    predictions: Collection[int] = (),
) -> ContextTrend | None:
    """The trend of the rows of a training; None of too many columns of a context.

    Rows far from all others in a feature, which would decide a slope by themselves, have no part in it.

    Arguments:
        base: of the flow.
        x: (N, D) rows.
        context: (N, C), standardized.
        trends: the features whose location follows a trend.
        weights: (N,) or None.
        predictions: numbers of the context that are functions of the others. They answer as at the end of the range, so
            that there is no trend along them.
    """
    if context.shape[1] > MOST_CONTEXTS:
        return None
    some = slice(None, None, 1 + len(x) * (context.shape[1] + x.shape[1]) // MOST_NUMBERS)
    features, along = sorted(trends), [place for place in range(context.shape[1]) if place not in predictions]
    rows, given = x[some].double(), context[some][:, along].double()
    weights = None if weights is None else weights[some]
    latents = latents_of(x.shape[1]) if isinstance(base, StandardNormal) else base.even_points(POINTS)
    found = ContextTrend(x.shape[1], context.shape[1], len(latents)).to(x)
    found.latents.copy_(latents)
    places = torch.tensor(along, dtype=torch.int64)
    found.precision.zero_()[places[:, None], places] = _precision(given, weights).to(x)
    usual = _usual_rows(rows[:, features])
    if features and int(usual.sum()) > 1:
        weights = None if weights is None else weights[usual]
        slope, _, residuals, least = regression_with_residuals(rows[usual][:, features], given[usual], weights)
        found.slope[torch.tensor(features)[:, None], places] = slope.to(x)
        found.noise[features] = (residuals.square().sum(0) + least.square()).sqrt().to(x)
    return found


def _precision(context: Tensor, weights: Tensor | None) -> Tensor:
    """The inverse of the covariance of contexts, (C, C), as if some rows more were uncorrelated."""
    count, size = context.shape
    share = torch.full_like(context[:, 0], 1 / count) if weights is None else (weights / weights.sum()).double()
    deviations = (context - share @ context) * share.sqrt()[:, None]
    of_identity = max(size / (size + count), LEAST_SHARE)
    return torch.linalg.inv(torch.lerp(deviations.t() @ deviations, torch.eye(size).to(context), of_identity))


def _usual_rows(x: Tensor) -> Tensor:
    """Which rows, (N, D), are not far from all others in any feature."""
    usual = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for column in x.t():
        values = np.unique(column.cpu().numpy())
        below, above = far_ends(values)
        usual &= (column >= values[below]) & (column <= values[len(values) - 1 - above])
    return usual
