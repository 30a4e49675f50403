"""log p(x) as a sum of one conditional log-density for each feature, where a flow's layers have one order."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.bijections import ActNorm, Autoregressive, Compose, ElementwiseAffine, Inverse, Rescaling, Standardized
from pushforward.bijections.base import Bijection
from pushforward.bijections.marginal import MarginalSpline
from pushforward.bijections.tails import TailTransform
from pushforward.errors import InputError
from pushforward.flow import Flow


def order_of(bijection: Bijection) -> list[int] | None:
    """The order in which z[d] is a function of x[d] and the features before it alone, from first to last.

    Returns:
        The order; 0 .. D-1 where each z[d] is a function of x[d] alone; None where layers mix features, or run in
        different orders.

    Example:
        >>> import pushforward as pf
        >>> order_of(pf.maf(features=2, layers=3, order="same").bijection), order_of(pf.maf(features=2).bijection)
        ([0, 1], None)
    """
    orders = _orders(bijection)
    if None in orders or len({tuple(order) for order in orders if order is not None}) > 1:
        return None
    return next((order for order in orders if order is not None), list(range(bijection.features)))


def log_prob_of_each(flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
    """The terms of the chain rule, log p(x) = Σ log p(x[d] | x before d, context).

    log p(x[d] | x before d) = log p(z[d] | z before d) + log ∂z[d]/∂x[d], since the Jacobian is triangular.

    Arguments:
        flow: with layers of one order, see `order_of`.
        x: (*batch, D).
        context: (*batch, C).

    Returns:
        (*batch, D), in nats: features in their own places.

    Raises:
        InputError: the flow's layers have no order in common.

    Cost: as log_prob; twice as much where layers are inverse autoregressive.

    Example:
        >>> import pushforward as pf
        >>> flow, x = pf.maf(features=3, order="same"), torch.randn(5, 3)
        >>> torch.allclose(log_prob_of_each(flow, x).sum(-1), flow.log_prob(x), atol=1e-5)
        True
    """
    order = order_of(flow.bijection)
    if order is None:
        raise InputError(
            "This flow's layers mix features or run in different orders, so that its log-density is no sum over "
            'features; an autoregressive flow with order="same" is one.'
        )
    z, log_slopes = _each_inverse(flow.bijection, x, context)
    return flow.base.log_prob_of_each(z, order) + log_slopes


def _orders(bijection: Bijection) -> list[list[int] | None]:
    """The orders of the layers that have one, None for each that has none and is no map of single features."""
    if isinstance(bijection, Compose):
        return [order for part in bijection for order in _orders(part)]
    if isinstance(bijection, Standardized):
        return _orders(bijection.bijection) + _orders(bijection.data)
    if isinstance(bijection, Inverse):
        return _orders(bijection.bijection) if isinstance(bijection.bijection, Autoregressive) else [None]
    if isinstance(bijection, Autoregressive):
        return [bijection.order]
    single = ElementwiseAffine | Rescaling | ActNorm | MarginalSpline | TailTransform
    return [] if isinstance(bijection, single) or bijection.features == 1 else [None]


def _each_inverse(bijection: Bijection, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """z, and log ∂z[d]/∂x[d] of each feature, (*batch, D)."""
    if isinstance(bijection, Compose):
        total = torch.zeros_like(x)
        for part in reversed(list(bijection)):
            x, log_slopes = _each_inverse(part, x, context)
            total = total + log_slopes
        return x, total
    if isinstance(bijection, Standardized):
        y, of_data = _each_inverse(bijection.data, x, None)
        y = y.to(bijection.inner_dtype(y.dtype))
        z, log_slopes = _each_inverse(bijection.bijection, y, bijection.standardized_context(context, y.dtype))
        return z, log_slopes + of_data.to(log_slopes.dtype)
    if isinstance(bijection, Autoregressive):
        return bijection.univariate.inverse(x, bijection.conditioner(x, context))
    if isinstance(bijection, Inverse) and isinstance(bijection.bijection, Autoregressive):
        z, _ = bijection.inverse(x, context)
        return z, -_each_inverse(bijection.bijection, z, context)[1]
    if isinstance(bijection, MarginalSpline | TailTransform):
        return bijection.each_inverse(x)
    z, log_det = bijection.inverse(x, context)
    if isinstance(bijection, ElementwiseAffine):
        return z, -bijection.scale.log().to(z.dtype).expand(z.shape)
    if isinstance(bijection, Rescaling | ActNorm):
        return z, -bijection.log_scale.expand(z.shape)
    return z, log_det[..., None]  # a single feature
