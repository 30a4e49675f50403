"""The linear regression in closed form that a conditional flow starts from."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.bijections import Autoregressive, Standardized
from pushforward.flow import Flow
from pushforward.zoo.layers import set_linear

# Ridges that are tried, for each row and in units of a context's variance.
RIDGES = tuple(10.0 ** (power / 2) for power in range(-20, 9))
# A residual deviation is at least this share of the deviation of its target.
LEAST_DEVIATION = 1e-4
# The fewest of N rows that must be left when the parameters of a fit are counted.
LEAST_LEFT = 0.02


@torch.no_grad()
def linear_regression(y: Tensor, context: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """y = weight · context + bias + normal noise, by ridge regression; generalized cross-validation chooses the ridge.

    For each target by itself GCV(λ) = (1/N) Σ r² / (1 - p/N)², with r the residuals of the rows and p the trace of the
    matrix that takes targets to predictions. Its smallest value is also the variance of the noise, which is thus that
    on fresh rows and not that of the rows of the fit.

    Arguments:
        y: (N, K) targets.
        context: (N, C), in comparable units.
        weights: (N,) or None.

    Returns:
        Weight, (K, C), bias, (K,), and covariance of the noise, (K, K), float64.

    Source: Golub, Heath and Wahba 1979, doi:10.1080/00401706.1979.10489751.

    Example:
        >>> context = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        >>> weight, bias, covariance = linear_regression(context @ torch.tensor([[2.0], [-1.0]]) + 3, context)
        >>> weight.round(decimals=2), bias.round(decimals=2)
        (tensor([[ 2., -1.]], dtype=torch.float64), tensor([3.], dtype=torch.float64))
    """
    weight, bias, residuals, least = regression_with_residuals(y, context, weights)
    return weight, bias, residuals.t() @ residuals + least.square().diag()


def regression_with_residuals(
    y: Tensor, context: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same regression with its residuals, inflated to those of fresh rows, in place of a covariance.

    Arguments: as for `linear_regression`.

    Returns:
        Weight, bias, residuals, (N, K), whose squares sum to a variance, and the least deviation, (K,), to add to it.
    """
    y, context = y.double(), context.double()
    share = torch.full_like(y[:, 0], 1 / len(y)) if weights is None else (weights / weights.sum()).double()
    mean, middle = share @ context, share @ y
    rows, targets = ((part - center) * share.sqrt()[:, None] for part, center in ((context, mean), (y, middle)))
    # What so many rows of unequal weight are worth.
    count = float(1 / share.square().sum())
    variance, directions = torch.linalg.eigh(rows.t() @ rows)
    variance = variance.clamp_min(0)
    along = directions.t() @ (rows.t() @ targets)
    ridges = torch.tensor(RIDGES).to(variance)[:, None] * variance.mean().clamp_min(torch.finfo(variance.dtype).tiny)
    # Each (ridges, C): the inverse of variance + ridge, and the share of a direction that is kept.
    inverse = 1 / (variance + ridges)
    left = 1 - (1 + (variance * inverse).sum(1)) / count
    explained = (2 * inverse - variance * inverse.square()) @ along.square()
    unexplained = (targets.square().sum(0) - explained).clamp_min(0)
    criterion = unexplained / left.clamp_min(LEAST_LEFT)[:, None].square()
    criterion[left < LEAST_LEFT] = torch.inf
    # Without one that leaves rows, the largest.
    best = torch.where(criterion.isfinite().any(0), criterion.argmin(0), len(RIDGES) - 1)
    weight = (directions @ (inverse[best].t() * along)).t()
    residuals = targets - rows @ weight.t()
    least = LEAST_DEVIATION * targets.square().sum(0).sqrt()
    return weight, middle - weight @ mean, residuals / left[best].clamp_min(LEAST_LEFT), least


@torch.no_grad()
def regress(flow: Flow, x: Tensor, context: Tensor, weights: Tensor | None = None) -> None:
    """Let the linear layer next to the data of a flow in the units of data be the linear regression of rows.

    Arguments:
        flow: what `pushforward.gaussianized` made of layers of which the last is one of `linear_layer`.
        x: (N, K) rows.
        context: (N, C).
        weights: (N,) or None.
    """
    units = flow.bijection
    assert isinstance(units, Standardized)
    layer = [module for module in units.bijection.modules() if isinstance(module, Autoregressive)][-1]
    y, features, _ = units.standardize(x.double(), context.double())
    assert features is not None
    seen = units.features_of_context
    if seen is not None:
        # The ridge is for conditions in their own units: directions of small variance are not enlarged.
        features = seen.uncentered(units.in_units(context.double()))
    weight, bias, covariance = linear_regression(y, features, weights)
    set_linear(layer, *((weight, bias) if seen is None else seen.of_uncentered(weight, bias)), covariance)
