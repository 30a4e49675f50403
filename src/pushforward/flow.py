"""Densities, and flows: a base density pushed forward through a bijection."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from pushforward.bijections.base import Bijection
from pushforward.distributions import Base
from pushforward.errors import InputError
from pushforward.support.arguments import draws_shape
from pushforward.support.broadcasting import broadcast_shapes
from pushforward.support.modules import check_tensor, explain_tensors


class Density(Protocol):
    """What every density offers: a flow, and the densities of tables that are built on one."""

    @property
    def allows_gaps(self) -> bool:
        """Whether values may be missing, NaN; log_prob is then that of the values that are present."""

    @property
    def context_allows_gaps(self) -> bool:
        """Whether values of the context may be missing, NaN, about which the density then knows what to say."""

    @property
    def features(self) -> int:
        """D, the length of what `log_prob` takes."""

    @property
    def context_features(self) -> int:
        """C, the length of a context, 0 for an unconditional density."""

    @property
    def config(self) -> dict[str, Any] | None:
        """What the density is, as plain JSON: enough to tell two densities apart, or None where nobody needs to."""

    def log_prob(self, x: Tensor, /, context: Tensor | None = None) -> Tensor:
        """log p(x | context) in nats, (*batch), of x, (*batch, D), given the context, (*batch, C)."""

    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws, (*shape, *batch, D), without gradients: of each row of the context as many as the shape holds."""

    def beyond_range(self, context: Tensor, /) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training; none if that is unknown."""

    def double(self) -> Self:
        """Evaluate in float64 from now on."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """The weights by their names."""


class PointDensity(Density, Protocol):
    """What a density of points on the line offers to that of a table's codes: a flow, or a mixture of flows."""

    @property
    def parts(self) -> "list[tuple[float, Flow]]":
        """The weights and flows of which the density is a mixture."""

    def order(self) -> list[int] | None:
        """The order of the features in which the density is a product of conditionals, None if there is none."""

    def log_prob_of_each(self, x: Tensor, /, context: Tensor | None = None) -> Tensor:
        """The terms of the chain rule in that order, (*batch, D)."""

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, a row for each, from the global random state."""

    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, (rows, D), that `sample` makes of noise."""


class Flow(nn.Module):
    """The density of x = f(z), z from the base: log p(x) = log p(z) - log|det ∂f/∂z|.

    Arguments:
        bijection: f, from latent z to data x.
        base: the density of z, over as many features.
        config: how to build this flow again, set by the named architectures; without it a flow cannot be saved with
            `pushforward.save`.

    Attributes:
        features: D.
        context_features: C, 0 for an unconditional flow.
        allows_gaps: False: no value may be missing.
        context_allows_gaps: False: neither may one of the context.

    Raises:
        ValueError: base and bijection differ in their number of features.
        InputError: in every method: a value that is not a tensor, has a shape that does not fit, or has another
            precision or device than the flow; a context that is missing, or given to an unconditional flow.

    Cost: `log_prob` and `to_latent` cost one inverse of the bijection, `sample` and `to_data` one forward.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.maf(features=2, context=1)
        >>> flow.log_prob(torch.zeros(10, 2), context=torch.ones(1)).shape
        torch.Size([10])
        >>> flow.sample((5,), context=torch.ones(3, 1)).shape
        torch.Size([5, 3, 2])
    """

    allows_gaps: Literal[False] = False
    context_allows_gaps: Literal[False] = False

    def __init__(self, bijection: Bijection, base: Base, config: dict[str, Any] | None = None):
        super().__init__()
        if bijection.features != base.features:
            raise ValueError(f"The bijection has {bijection.features} features, the base {base.features}.")
        self.bijection = bijection
        self.base = base
        self.config = config

    @property
    def features(self) -> int:
        """D, the length of an event."""
        return self.bijection.features

    @property
    def context_features(self) -> int:
        """C, the length of a context, 0 for an unconditional flow."""
        return self.bijection.context_features

    @property
    def parts(self) -> "list[tuple[float, Flow]]":
        """The weights and flows of which the density is a mixture: itself alone."""
        return [(1.0, self)]

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision and on the device of the base."""
        return self.base.reference

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of data.

        Arguments:
            x: (*batch, D).
            context: (*batch, C), broadcast against the batch of x.

        Returns:
            log p(x | context) in nats, (*batch).
        """
        z, log_det = self._inverse(x, context)
        return self.base.log_prob(z) + log_det

    def sample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draw data, without gradients.

        Arguments:
            shape: how many draws; with a context, how many for each of its rows.
            context: (*batch, C).

        Returns:
            x, (*shape, *batch, D).
        """
        return self.sample_with_log_prob(shape, context)[0]

    def rsample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draw data, differentiable in the parameters and the context; arguments as for `sample`."""
        return self.rsample_with_log_prob(shape, context)[0]

    @torch.no_grad()
    def sample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw data together with its log-density, in one pass and without gradients.

        Returns:
            x, (*shape, *batch, D), and log p(x | context) in nats, (*shape, *batch).
        """
        return self.rsample_with_log_prob(shape, context)

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw data together with its log-density, in one pass, differentiable in parameters and context.

        Returns:
            x, (*shape, *batch, D), and log p(x | context) in nats, (*shape, *batch).
        """
        self._check_context(context)
        batch = () if context is None else tuple(context.shape[:-1])
        z = self.base.rsample(draws_shape(shape) + batch)
        x, log_det = self._forward(z, context)
        return x, self.base.log_prob(z) - log_det

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The latent features z = f⁻¹(x), (*batch, D), of x, (*batch, D)."""
        return self._inverse(x, context)[0]

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The data x = f(z), (*batch, D), of z, (*batch, D)."""
        check_tensor(z, "z")
        self._check_context(context)
        return self._forward(z, context)[0]

    def order(self) -> list[int] | None:
        """The order of the features in which the density is a product of conditionals, None if there is none."""
        return self.bijection.order()

    def log_prob_of_each(self, x: Tensor, context: Tensor | None = None, order: list[int] | None = None) -> Tensor:
        """The terms of the chain rule, log p(x[d] | x before d, context) in nats, (*batch, D), which sum to log_prob.

        They are log p(z[d] | z before d) + log|∂z[d]/∂x[d]|, since the Jacobian is triangular in an order of the
        features, default `order()`; where layers mix features or run in different orders, an InputError says so.
        """
        order = self.order() if order is None else order
        if order is None:
            raise InputError(
                "The layers of this flow mix features or run in different orders, so that its log-density is not a sum "
                'of one term for each feature; that of an autoregressive flow with order="same" is.'
            )
        z, log_derivatives = self.bijection.each_inverse(x, context)
        return self.base.log_prob_of_each(z, order) + log_derivatives

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, D), from the global random state."""
        return self.base.sample((rows,))

    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, (rows, D), that `sample` makes of noise, (rows, D)."""
        return self.to_data(noise, context)

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range of those in training.

        None does if that is not known: a flow knows it that was made by `pushforward.standardized` or
        `pushforward.gaussianized`.
        """
        return self.bijection.beyond_range(context)

    def distribution(self, context: Tensor | None = None) -> "FlowDistribution":
        """The density as a `torch.distributions.Distribution`.

        Arguments:
            context: (*batch, C), which gives the distribution its batch shape.
        """
        self._check_context(context)
        return FlowDistribution(self, context)

    def _forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        try:
            return self.bijection(z, context)
        except (RuntimeError, TypeError) as error:
            explain_tensors(error, self, z=z, context=context)
            raise

    def _inverse(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        check_tensor(x, "x")
        self._check_context(context)
        try:
            return self.bijection.inverse(x, context)
        except (RuntimeError, TypeError) as error:
            explain_tensors(error, self, x=x, context=context)
            raise

    def _check_context(self, context: Tensor | None) -> None:
        check_context(context, self.context_features)


def check_context(context: Tensor | None, expected: int) -> None:
    """Refuse a context that is not what a flow takes.

    Arguments:
        context: what is given, or None.
        expected: C, 0 for an unconditional flow.

    Raises:
        InputError: a context that is missing, has another shape, or is given to an unconditional flow.
    """
    if context is None:
        if expected:
            raise InputError(f"This flow is conditional: it needs a context of shape (..., {expected}).")
        return
    if not expected:
        raise InputError("This flow takes no context: build it with context=C to make it conditional.")
    check_tensor(context, "context")
    if context.dim() == 0 or context.shape[-1] != expected:
        raise InputError(f"Expected a context of shape (..., {expected}), got {tuple(context.shape)}.")


class FlowDistribution(Distribution):
    """A flow at a given context, as a `torch.distributions.Distribution`.

    Arguments:
        flow: the flow.
        context: (*batch, C) or None.
        batch_shape: default the batch of the context.
    """

    arg_constraints: dict = {}  # noqa: RUF012 (torch's own spelling)
    has_rsample = True

    def __init__(self, flow: Flow, context: Tensor | None = None, batch_shape: torch.Size | None = None):
        self.flow = flow
        self.context = context
        if batch_shape is None:
            batch_shape = torch.Size() if context is None else context.shape[:-1]
        super().__init__(batch_shape, torch.Size([flow.features]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All real vectors."""
        return constraints.real_vector

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, (*sample_shape, *batch_shape), of value, (*sample_shape, *batch_shape, D)."""
        check_tensor(value, "value")
        if value.dim() == 0:
            return self.flow.log_prob(value, self.context)  # which says what is wrong
        batch = broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self.flow.log_prob(value.expand(*batch, -1), self.context)

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Differentiable draws, (*sample_shape, *batch_shape, D)."""
        shape = tuple(sample_shape)
        if self.context is None:
            return self.flow.rsample(shape + tuple(self.batch_shape))
        return self.flow.rsample(shape, self.context)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: Any = None
    ) -> "FlowDistribution":
        """The same distribution with a larger batch shape."""
        context = None if self.context is None else self.context.expand(*batch_shape, -1)
        return FlowDistribution(self.flow, context, torch.Size(batch_shape))
