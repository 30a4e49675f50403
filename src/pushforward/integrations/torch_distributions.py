"""A flow's map as a `torch.distributions` transform, and its base as a distribution."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform, constraints

from pushforward.bijections.base import Bijection
from pushforward.distributions import Base
from pushforward.errors import InputError
from pushforward.flow import Flow, check_context
from pushforward.integrations.requirement import required_flow
from pushforward.support.broadcasting import broadcast_shapes
from pushforward.support.modules import check_tensor, explain_tensors


class FlowTransform(Transform):
    """x = f(z; context) as a transform of torch: called it is `forward`, and `.inv` is `inverse`.

    log_abs_det_jacobian(z, x) = log|det ∂x/∂z|, in the graph of the parameters. Right after a call it is what that
    call computed, so that a density takes one evaluation.

    Arguments:
        bijection: f.
        context: (*batch, C), or None for an unconditional map.
        cache_size: 1 lets the transform remember its last pair (z, x), as other transforms of torch do, default 0.

    Raises:
        InputError: in every method: a value that is not a tensor, or has another precision or device than the map.

    Cost: that of the bijection, in each direction.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, bijection: Bijection, context: Tensor | None = None, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.bijection = bijection
        self.context = context
        # The pair of the last call, and its log_det until it is asked for.
        self._last: tuple[weakref.ref, weakref.ref, Tensor] | None = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_last": None}

    def _call(self, z: Tensor) -> Tensor:
        x, log_det = self._mapped(self.bijection, z=z)
        self._last = weakref.ref(z), weakref.ref(x), log_det
        return x

    def _inverse(self, x: Tensor) -> Tensor:
        z, log_det = self._mapped(self.bijection.inverse, x=x)
        self._last = weakref.ref(z), weakref.ref(x), -log_det
        return z

    def log_abs_det_jacobian(self, z: Tensor, x: Tensor) -> Tensor:  # type: ignore[override]
        """log|det ∂x/∂z|, (*batch), of z and x, (*batch, D)."""
        last, self._last = self._last, None
        if last is not None and last[0]() is z and last[1]() is x:
            return last[2]
        if self.bijection.cost.inverse == "1 pass":
            return -self._mapped(self.bijection.inverse, x=x)[1]
        return self._mapped(self.bijection, z=z)[1]

    def _mapped(self, direction: Callable[..., tuple[Tensor, Tensor]], **point: Tensor) -> tuple[Tensor, Tensor]:
        """What one direction makes of z or of x, or one sentence on why it cannot."""
        ((name, value),) = point.items()
        check_tensor(value, name)
        try:
            return direction(value, self.context)
        except (RuntimeError, TypeError) as error:
            explain_tensors(error, self.bijection, **point, context=self.context)
            raise

    def with_cache(self, cache_size: int = 1) -> "FlowTransform":
        """The same transform with another size of the cache."""
        return self if cache_size == self._cache_size else FlowTransform(self.bijection, self.context, cache_size)

    def forward_shape(self, shape: Any) -> torch.Size:
        """The shape of x by that of z."""
        batch = () if self.context is None else self.context.shape[:-1]
        return torch.Size((*broadcast_shapes(torch.Size(shape[:-1]), torch.Size(batch)), self.bijection.features))

    def inverse_shape(self, shape: Any) -> torch.Size:
        """The shape of z by that of x."""
        return self.forward_shape(shape)


def as_transform(flow: Flow, context: Tensor | None = None) -> FlowTransform:
    """The map x = f(z; context) of a flow as a `torch.distributions.Transform`.

    `TransformedDistribution(base_of(flow), as_transform(flow))` has the flow's density, and any other base will do. The
    gradient reaches the flow's parameters, which the transform does not list: an optimizer takes them from the flow.

    Arguments:
        flow: the flow.
        context: (*batch, C), which stays fixed, or None for an unconditional flow.

    Raises:
        InputError: something else than a flow, or a context that is missing, of another shape, or given to an
            unconditional flow.

    Cost: transform(z) one forward of the bijection, transform.inv(x) one inverse; log_abs_det_jacobian is then known.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.nsf(features=2)
        >>> density = torch.distributions.TransformedDistribution(base_of(flow), as_transform(flow))
        >>> x = density.rsample((5,))
        >>> torch.allclose(density.log_prob(x), flow.log_prob(x), atol=1e-5)
        True
    """
    flow = required_flow(flow, "as_transform")
    check_context(context, flow.context_features)
    return FlowTransform(flow.bijection, context)


def base_of(flow: Flow, batch_shape: tuple[int, ...] = ()) -> "BaseDistribution":
    """The base density of a flow as a `torch.distributions.Distribution`.

    Arguments:
        flow: the flow.
        batch_shape: of independent copies, default none.

    Raises:
        InputError: something else than a flow.

    Example:
        >>> import pushforward as pf
        >>> base_of(pf.maf(features=3)).sample((7,)).shape
        torch.Size([7, 3])
    """
    return BaseDistribution(required_flow(flow, "base_of").base, batch_shape)


class BaseDistribution(Distribution):
    """A base density, p(z), as a distribution of torch.

    Arguments:
        base: the density over D features.
        batch_shape: of independent copies, default none.
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, base: Base, batch_shape: tuple[int, ...] = ()):
        self.base = base
        super().__init__(torch.Size(batch_shape), torch.Size([base.features]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, (*batch), of value, (*batch, D)."""
        check_tensor(value, "value")
        if value.dim() == 0 or value.shape[-1] != self.base.features:
            raise InputError(f"Expected values of shape (..., {self.base.features}), got {tuple(value.shape)}.")
        log_prob = self.base.log_prob(value)
        return log_prob.expand(broadcast_shapes(log_prob.shape, self.batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Differentiable draws, (*sample_shape, *batch_shape, D)."""
        return self.base.rsample((*sample_shape, *self.batch_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> "BaseDistribution":
        """The same density with a larger batch shape."""
        return BaseDistribution(self.base, tuple(batch_shape))
