"""The conditionals q(x[d] | x[before d]) of flows whose layers all follow one order of the features.

A layer of a masked autoregressive flow moves feature d by y[d] = u(y'[d]; parameters(y[before d])), where y' is what
comes into it, and a layer of an inverse autoregressive flow by y[d] = u(y'[d]; parameters(y'[before d])). In one
order y[before d] and y'[before d] are functions of each other: for both kinds, and for any mixture of them, the layer
is an increasing map of y'[d] alone once the features before d are known. So is a stack of K such layers,

    x[d] = u_K(... u_1(z[d]; before) ...; before),

and as z[d] is independent of z[before d], x[d] given x[before d] is the base's z[d] pushed through K univariate maps.
Where all of them are affine and the base is normal, it is normal, whatever K. Running the stack once, from z to x or
from x to z, gives the parameters of all its maps: one pass for inverse layers from z, and for masked layers from x; the
other ways round take D steps, and are as exact.

A layer that mixes features (LU, a permutation, a reversed order) breaks this: x[d] given x[before d] is an integral
then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from pushforward.bijections import (
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    Bijection,
    Compose,
    ElementwiseAffine,
    Inverse,
    Rescaling,
    Standardized,
    Univariate,
)
from pushforward.distributions import Base, Logistic, StandardNormal, Uniform
from pushforward.flow import Flow


class NoConditionals(Exception):
    """A density has no conditionals in one order; the message says why, as the end of a sentence."""


class FlowConditionals:
    """A flow whose layers follow one order, as a teacher or a student with conditionals.

    Arguments:
        flow: the flow.

    Attributes:
        autoregressive_order: the features from first to last.

    Raises:
        NoConditionals: the flow has none.

    Cost: `conditionals` one inverse of the flow, `rsample_with_conditionals` one forward; masked autoregressive layers
    run twice in the latter, inverse ones in the former.

    Example:
        >>> import pushforward as pf
        >>> student = FlowConditionals(pf.iaf(3, layers=4, order="same"))
        >>> x, law = student.rsample_with_conditionals((5,))
        >>> law, student.autoregressive_order
        (Normal(loc: torch.Size([5, 3]), scale: torch.Size([5, 3])), (0, 1, 2))
    """

    def __init__(self, flow: Flow):
        orders = _orders(flow.bijection)
        if len(set(orders)) > 1:
            raise NoConditionals(
                "its layers do not follow one order of the features (order='same' makes them): one goes "
                f"{_in_words(orders[0])}, another {_in_words(next(o for o in orders if o != orders[0]))}"
            )
        if not isinstance(flow.base, StandardNormal | Logistic | Uniform):
            raise NoConditionals(f"its base, {type(flow.base).__name__}, is not one fixed density for all features")
        self.flow = flow
        self.autoregressive_order = orders[0] if orders else tuple(range(flow.features))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """That of the flow."""
        return self.flow.log_prob(x, context)

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """That of the flow."""
        return self.flow.rsample_with_log_prob(shape, context)

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """The laws of all x[d] given x[before d], of batch shape (*batch, D), of x, (*batch, D)."""
        stack: list[_Moved] = []
        _to_latent(self.flow.bijection, x, context, stack)
        return _law(self.flow.base, stack[::-1], x)

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draws x, (*shape, *batch, D), and the laws of all x[d] given x[before d]."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        batch = () if context is None else tuple(context.shape[:-1])
        stack: list[_Moved] = []
        x = _to_data(self.flow.bijection, self.flow.base.rsample(shape + batch), context, stack)
        return x, _law(self.flow.base, stack, x)


class StackedConditionals(Distribution):
    """The laws of x[d] given x[before d] where x[d] is a base's z[d] moved by several univariate maps.

    Arguments:
        base: independent features of one density each.
        stack: the maps from z to x, with their parameters.
        batch_shape: (*batch, D).
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own spelling)
    has_rsample = True

    def __init__(self, base: Base, stack: list[_Moved], batch_shape: torch.Size):
        self.base = base
        self.stack = stack
        self._of_one = copy.copy(base)
        self._of_one.features = 1
        super().__init__(batch_shape, validate_args=False)

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Differentiable draws, (*sample_shape, *batch, D), each feature given those before it of the one x."""
        return self.rsample_with_log_prob(sample_shape)[0]

    def rsample_with_log_prob(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Differentiable draws and their log-densities in nats, both (*sample_shape, *batch, D)."""
        value = self.base.rsample((*sample_shape, *self.batch_shape[:-1]))
        log_prob = self._of_one.log_prob(value.unsqueeze(-1))
        for moved in self.stack:
            value, log_derivative = moved.forward(value)
            log_prob = log_prob - log_derivative
        return value, log_prob

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densities in nats of values, both (*sample_shape, *batch, D)."""
        total = torch.zeros((), dtype=value.dtype, device=value.device)
        for moved in reversed(self.stack):
            value, log_derivative = moved.inverse(value)
            total = total + log_derivative
        return self._of_one.log_prob(value.unsqueeze(-1)) + total


class _Moved(NamedTuple):
    """One layer as each feature sees it: an increasing map with known parameters, (*batch, D, P)."""

    univariate: Univariate
    parameters: Tensor
    inverted: bool = False

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        move = self.univariate.inverse if self.inverted else self.univariate.forward
        return move(z, self._parameters_for(z))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        move = self.univariate.forward if self.inverted else self.univariate.inverse
        return move(x, self._parameters_for(x))

    def _parameters_for(self, value: Tensor) -> Tensor:
        # Draws of each feature come on top of the batch; not every family broadcasts its parameters to them.
        return self.parameters.expand(*value.shape, -1)


@dataclass(frozen=True)
class _ShiftAndScale(Univariate):
    """x = shift + exp(log_scale) · z, log_scale without a bound."""

    parameter_count = 2

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = parameters.unbind(-1)
        return shift + log_scale.exp() * z, log_scale.expand_as(z)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = parameters.unbind(-1)
        return (x - shift) * (-log_scale).exp(), (-log_scale).expand_as(x)


# Layers that move each feature by fixed numbers, and what those are: shift and log scale.
ELEMENTWISE: dict[type[Bijection], Callable[[Any], tuple[Tensor, Tensor]]] = {
    ElementwiseAffine: lambda layer: (layer.shift, layer.scale.log()),
    ActNorm: lambda layer: (layer.shift, layer.log_scale),
    Rescaling: lambda layer: (torch.zeros_like(layer.log_scale), layer.log_scale),
}


def _law(base: Base, stack: list[_Moved], x: Tensor) -> Distribution:
    if isinstance(base, StandardNormal) and all(
        isinstance(moved.univariate, Additive | Affine | _ShiftAndScale) for moved in stack
    ):
        # Of affine maps, where z = 0 goes is the location, and the slope is the same everywhere.
        location, log_scale = torch.zeros_like(x), torch.zeros_like(x)
        for moved in stack:
            location, log_derivative = moved.forward(location)
            log_scale = log_scale + log_derivative
        return Normal(location, log_scale.exp(), validate_args=False)
    return StackedConditionals(base, stack, x.shape)


def _to_data(bijection: Bijection, z: Tensor, context: Tensor | None, stack: list[_Moved]) -> Tensor:
    """x of z, and the layers on the way from z to x, appended to the stack."""
    if isinstance(bijection, Compose):
        for part in bijection:
            z = _to_data(part, z, context, stack)
        return z
    if isinstance(bijection, Standardized):
        inner = bijection.standardized_context(context, z.dtype)
        return _to_data(bijection.data, _to_data(bijection.bijection, z, inner, stack), context, stack)
    if isinstance(bijection, Inverse) and not isinstance(bijection.bijection, Autoregressive):
        turned: list[_Moved] = []
        x = _to_latent(bijection.bijection, z, context, turned)
        stack += [moved._replace(inverted=not moved.inverted) for moved in turned]
        return x
    if isinstance(bijection, Autoregressive):
        x, _ = bijection(z, context)
        moved = _Moved(bijection.univariate, bijection.conditioner(x, context))
    elif isinstance(bijection, Inverse):
        layer: Any = bijection.bijection
        moved = _Moved(layer.univariate, layer.conditioner(z, context), inverted=True)
        x, _ = moved.forward(z)
    else:
        moved = _Moved(_ShiftAndScale(), torch.stack(ELEMENTWISE[type(bijection)](bijection), -1))
        x, _ = moved.forward(z)
    stack.append(moved)
    return x


def _to_latent(bijection: Bijection, x: Tensor, context: Tensor | None, stack: list[_Moved]) -> Tensor:
    """z of x, and the layers on the way from x to z, appended to the stack; each as a map from z to x."""
    if isinstance(bijection, Compose):
        for part in reversed(list(bijection)):
            x = _to_latent(part, x, context, stack)
        return x
    if isinstance(bijection, Standardized):
        y = _to_latent(bijection.data, x, context, stack)
        dtype = bijection.inner_dtype(y.dtype)
        return _to_latent(bijection.bijection, y.to(dtype), bijection.standardized_context(context, dtype), stack)
    if isinstance(bijection, Inverse) and not isinstance(bijection.bijection, Autoregressive):
        turned: list[_Moved] = []
        z = _to_data(bijection.bijection, x, context, turned)
        stack += [moved._replace(inverted=not moved.inverted) for moved in turned]
        return z
    if isinstance(bijection, Autoregressive):
        moved = _Moved(bijection.univariate, bijection.conditioner(x, context))
        z, _ = moved.inverse(x)
    elif isinstance(bijection, Inverse):
        z, _ = bijection.inverse(x, context)
        layer: Any = bijection.bijection
        moved = _Moved(layer.univariate, layer.conditioner(z, context), inverted=True)
    else:
        moved = _Moved(_ShiftAndScale(), torch.stack(ELEMENTWISE[type(bijection)](bijection), -1))
        z, _ = moved.inverse(x)
    stack.append(moved)
    return z


def _orders(bijection: Bijection) -> list[tuple[int, ...]]:
    """The orders of all autoregressive layers inside; refuses layers that leave no conditionals."""
    if isinstance(bijection, Compose):
        return [order for part in bijection for order in _orders(part)]
    if isinstance(bijection, Standardized):
        return [*_orders(bijection.bijection), *_orders(bijection.data)]
    if isinstance(bijection, Inverse):
        return _orders(bijection.bijection)
    if isinstance(bijection, Autoregressive):
        return [tuple(bijection.order)]
    if type(bijection) in ELEMENTWISE:
        return []
    raise NoConditionals(f"its layer {type(bijection).__name__} does not keep to one order of the features")


def _in_words(order: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, order[:4]))
    return shown if len(order) <= 4 else f"{shown}, ..."
