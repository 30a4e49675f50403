"""The conditionals q(x[d] | x[before d]) of flows whose bijection has one order of the features.

In a layer that is triangular in this order, y[d] is a monotone function of y'[d] alone once the features before d are
given, where y' is what comes into the layer; and y[before d] and y'[before d] are functions of each other. So K such
layers, masked or inverse autoregressive, couplings or maps of single features, are together

    x[d] = u_K(... u_1(z[d]; before) ...; before).

As z[d] is independent of z[before d], x[d] given x[before d] is the law of z[d] pushed through K maps of one number.
Where all of them are affine and the base is standard normal, it is normal, whatever K. One run of the flow, from z to x
or from x to z, gives the parameters of all its maps: this is one pass from z for inverse layers, and from x for masked
ones; in the other directions it takes D steps, and is as exact.

A layer that mixes features (LU, a permutation), or a reversed order, breaks this: x[d] given x[before d] is then an
integral.
"""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from pushforward.bijections.base import Bijection
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.elementwise import Elementwise
from pushforward.distributions import Base, StandardNormal
from pushforward.flow import Flow


class NoConditionals(Exception):
    """A density has no conditionals in one order; the message says why, as the end of a sentence."""


class FlowConditionals:
    """A flow whose bijection has one order of the features, as a teacher or a student with conditionals.

    Arguments:
        flow: the flow.

    Attributes:
        autoregressive_order: the features from first to last.

    Raises:
        NoConditionals: the bijection has no order, or the features of the base depend on each other.

    Cost: `conditionals` takes one inverse of the flow, `rsample_with_conditionals` one forward; masked autoregressive
    layers run twice in the latter, inverse ones in the former.

    Example:
        >>> import pushforward as pf
        >>> student = FlowConditionals(pf.iaf(3, layers=4, order="same"))
        >>> x, law = student.rsample_with_conditionals((5,))
        >>> law, student.autoregressive_order
        (Normal(loc: torch.Size([5, 3]), scale: torch.Size([5, 3])), (0, 1, 2))
    """

    def __init__(self, flow: Flow):
        order = flow.bijection.order()
        if order is None:
            raise NoConditionals(_why_no_order(flow.bijection))
        if not flow.base.independent:
            raise NoConditionals(f"the features of its base, {type(flow.base).__name__}, are not independent")
        self.flow = flow
        self.autoregressive_order = tuple(order)

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
        _, maps = self.flow.bijection.inverse_with_maps(x, context)
        return _law(self.flow.base, maps, x)

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draws x, (*shape, *batch, D), and the laws of all x[d] given x[before d]."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        batch = () if context is None else tuple(context.shape[:-1])
        x, maps = self.flow.bijection.forward_with_maps(self.flow.base.rsample(shape + batch), context)
        return x, _law(self.flow.base, maps, x)


class TransformedConditionals(Distribution):
    """The laws of x[d] given x[before d] where x[d] is z[d] of a base, transformed by maps of one number.

    Arguments:
        base: a density of independent features.
        maps: from z to x, given the features before each.
        batch_shape: (*batch, D).
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own spelling)
    has_rsample = True

    def __init__(self, base: Base, maps: list[ConditionalMap], batch_shape: torch.Size):
        self.base = base
        self.maps = maps
        super().__init__(batch_shape, validate_args=False)

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Differentiable draws, (*sample_shape, *batch, D), each feature given those before it of the one x."""
        return self.rsample_with_log_prob(sample_shape)[0]

    def rsample_with_log_prob(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Differentiable draws and their log-densities in nats, both (*sample_shape, *batch, D)."""
        value = self.base.rsample((*sample_shape, *self.batch_shape[:-1]))
        log_prob = self._log_prob_of_base(value)
        for one in self.maps:
            value, log_derivative = one.each_forward(value)
            log_prob = log_prob - log_derivative
        return value, log_prob

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-densities in nats of values, both (*sample_shape, *batch, D)."""
        total = torch.zeros((), dtype=value.dtype, device=value.device)
        for one in reversed(self.maps):
            value, log_derivative = one.each_inverse(value)
            total = total + log_derivative
        return self._log_prob_of_base(value) + total

    def _log_prob_of_base(self, z: Tensor) -> Tensor:
        return self.base.log_prob_of_each(z, range(self.base.features))


def gaussians_behind(one: Distribution, other: Distribution) -> tuple[Normal, Normal] | None:
    """Two normal laws whose KL divergence is that of the two laws given, if there are such laws.

    They are the laws themselves if both are normal. If both are normal laws transformed by the same maps of single
    features, maps that are not trained, they are these normal laws: KL is invariant under a map of both its arguments.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.gaussianized(pf.maf(2, order="same"), torch.randn(100, 2).exp())
        >>> law = FlowConditionals(flow).conditionals(torch.ones(5, 2))
        >>> pair = gaussians_behind(law, law)
        >>> type(law).__name__, type(pair[0]).__name__
        ('TransformedConditionals', 'Normal')
    """
    first, second = _normal_and_maps(one), _normal_and_maps(other)
    if first is None or second is None or len(first[1]) != len(second[1]):
        return None
    if not all(_are_same(a, b) for a, b in zip(first[1], second[1], strict=True)):
        return None
    return first[0], second[0]


def _normal_and_maps(law: Distribution) -> tuple[Normal, list[ConditionalMap]] | None:
    """A normal law, and the maps that take it to the law given."""
    if isinstance(law, Normal):
        return law, []
    if isinstance(law, TransformedConditionals) and isinstance(law.base, StandardNormal):
        affine = list(takewhile(lambda one: one.affine, law.maps))
        return _normal(law.base, affine, law.batch_shape), law.maps[len(affine) :]
    return None


def _law(base: Base, maps: list[ConditionalMap], x: Tensor) -> Distribution:
    if isinstance(base, StandardNormal) and all(one.affine for one in maps):
        return _normal(base, maps, x.shape)
    return TransformedConditionals(base, maps, x.shape)


def _normal(base: Base, affine_maps: list[ConditionalMap], batch_shape: torch.Size) -> Normal:
    """The law of standard normal numbers transformed by affine maps."""
    # The location is the image of z = 0, and the slope is the same everywhere.
    location = base.empty(*batch_shape).zero_()
    log_scale = torch.zeros_like(location)
    for one in affine_maps:
        location, log_derivative = one.each_forward(location)
        log_scale = log_scale + log_derivative
    return Normal(location, log_scale.exp(), validate_args=False)


def _are_same(one: ConditionalMap, other: ConditionalMap) -> bool:
    """Whether both are the same map of single features, and stay so in training."""
    if not (isinstance(one, Elementwise) and isinstance(other, Elementwise) and type(one) is type(other)):
        return False
    if any(parameter.requires_grad for parameter in (*one.parameters(), *other.parameters())):
        return False
    numbers, others = one.state_dict(), other.state_dict()
    return numbers.keys() == others.keys() and all(torch.equal(value, others[key]) for key, value in numbers.items())


def _why_no_order(bijection: Bijection) -> str:
    """What in a bijection without an order of the features leaves it without one."""
    parts = [part for part in bijection.modules() if isinstance(part, Bijection)]
    # Parts come after what they are part of: all parts of the last one without an order have orders.
    last = [part for part in parts if part.order() is None][-1]
    orders = [order for part in last.modules() if isinstance(part, Bijection) and (order := _only_order(part))]
    differing = [order for order in orders if order != orders[0]]
    if not differing:
        return f"its layer {type(last).__name__} does not keep to one order of the features"
    return (
        f"its layers do not follow one order of the features: one goes {_in_words(orders[0])}, another "
        f"{_in_words(differing[0])} (order='same' gives all layers one order)"
    )


def _only_order(bijection: Bijection) -> list[int] | None:
    """The order of a bijection that does not keep all orders."""
    return bijection.order() if int(bijection.dependencies().sum()) > bijection.features else None


def _in_words(order: list[int]) -> str:
    shown = ", ".join(map(str, order[:4]))
    return shown if len(order) <= 4 else f"{shown}, ..."
