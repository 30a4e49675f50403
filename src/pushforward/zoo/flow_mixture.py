"""A mixture of flows over the same features, given the same context."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pushforward.bijections.ordering import closure, triangular_order
from pushforward.distributions import Base, StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.solvers.scalar_root import find_root
from pushforward.support.arguments import draws_shape
from pushforward.support.broadcasting import broadcast_shapes
from pushforward.zoo.registry import build, register
from pushforward.zoo.scalar_map import ScalarMap

# Log-probabilities below this are moved to it: float64 has no normal quantile beyond.
LEAST_LOG = -700.0


class FlowMixture(nn.Module):
    """p(x | context) = Σ w_k p_k(x | context), a density by the protocol of `Density`.

    Over one feature, where each flow increases with a standard normal z, the mixture is such a map itself: with
    F = Σ w_k Φ(z_k(x)), z = Φ⁻¹(F(x)), and x is the root of F(x) = Φ(z) between the smallest and the largest of the
    flows' x.

    Arguments:
        flows: over the same features, given the same context.
        weights: (K,) above 0, scaled to sum to one; default equal.

    Attributes:
        flows: K of them.
        log_weights: (K,), float64.
        base: the density of z, over as many features.

    Raises:
        ValueError: no flow, or flows of other features or contexts than the first one.
        InputError: `to_latent` and `to_data` of more than one feature, or of other flows, which a mixture has not.

    Cost: log_prob and to_latent one of each flow; sample one of one flow for each draw; to_data some ten of each flow.

    Example:
        >>> import pushforward as pf
        >>> mixture = FlowMixture([pf.nsf(features=1), pf.nsf(features=1)], [0.3, 0.7])
        >>> x = torch.randn(5, 1)
        >>> torch.allclose(mixture.to_data(mixture.to_latent(x)), x, atol=1e-4)
        True
    """

    allows_gaps: Literal[False] = False
    context_allows_gaps: Literal[False] = False
    log_weights: Tensor

    def __init__(self, flows: Sequence[Flow], weights: Sequence[float] | Tensor | None = None) -> None:
        super().__init__()
        if not flows:
            raise ValueError("A mixture needs at least one flow.")
        sizes = {(flow.features, flow.context_features) for flow in flows}
        if len(sizes) > 1:
            raise ValueError(f"All flows of a mixture have the same features and context features, got {sizes}.")
        self.flows: Any = nn.ModuleList(flows)
        given = torch.ones(len(flows)) if weights is None else torch.as_tensor(weights)
        self.register_buffer("log_weights", given.double().log() - given.double().sum().log())

    @property
    def features(self) -> int:
        """D, the length of an event."""
        return self.flows[0].features

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return self.flows[0].context_features

    @property
    def base(self) -> Base:
        """The density of z."""
        return self.flows[0].base

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision and on the device of the base."""
        return self.base.reference

    @property
    def config(self) -> dict[str, Any] | None:
        """How to build this mixture again; None if that of a flow is not known."""
        configs = [flow.config for flow in self.flows]
        return None if None in configs else {"architecture": "flow_mixture", "flows": configs}

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x | context) in nats, (*batch), of x, (*batch, D), given the context, (*batch, C)."""
        each = _stack([flow.log_prob(x, context) for flow in self.flows]).movedim(0, -1)
        return (each + self.log_weights.to(each)).logsumexp(-1)

    def order(self) -> list[int] | None:
        """The order of the features in which every flow is a product of conditionals, None if there is none."""
        return triangular_order(closure(*(flow.bijection.dependencies() for flow in self.flows)))

    def log_prob_of_each(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The terms of the chain rule, (*batch, D): the features before x[d] determine the weights of the flows.

        Raises:
            InputError: the flows have no order of the features in common.
        """
        order = self.order()
        if order is None:
            raise InputError("The flows of this mixture mix features, or have no order of the features in common.")
        each = _stack([flow.log_prob_of_each(x, context, order) for flow in self.flows])
        joint = each[..., order].cumsum(-1) + self.log_weights.to(each).view(-1, *[1] * x.dim())
        log_prob = joint.logsumexp(0)
        terms = torch.cat([log_prob[..., :1], log_prob.diff(dim=-1)], -1)
        return torch.empty_like(terms).index_copy(-1, torch.tensor(order, device=terms.device), terms)

    @torch.no_grad()
    def sample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws, (*shape, *batch, D), each of a flow that is drawn by the weights."""
        batch = torch.Size(draws_shape(shape) + (() if context is None else tuple(context.shape[:-1])))
        count = batch.numel()
        which = torch.multinomial(self.log_weights.exp(), max(1, count), replacement=True)[:count]
        given = None if context is None else context.expand(*batch, -1).reshape(count, context.shape[-1])

        def drawn(flow: Flow, rows: Tensor) -> Tensor:
            return flow.sample((len(rows),)) if given is None else flow.sample((), given[rows])

        return self._of_each(drawn, which).reshape(*batch, self.features)

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, 1 + K D): which flow, and the noise of each."""
        each = [flow.noise(rows).double() for flow in self.flows]
        return torch.cat([torch.rand(rows, 1, dtype=torch.float64, device=each[0].device), *each], 1)

    @torch.no_grad()
    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, (rows, D), that noise, (rows, 1 + K D), makes."""
        ends = self.log_weights.exp().cumsum(0)[:-1].to(noise)
        which = torch.searchsorted(ends, noise[:, 0].contiguous(), right=True)
        each = noise[:, 1:].unflatten(1, (len(self.flows), -1))

        def drawn(flow: Flow, rows: Tensor) -> Tensor:
            own = each[rows, which[rows]].to(flow.reference)
            return flow.draws_of(own, None if context is None else context[rows])

        return self._of_each(drawn, which)

    @torch.no_grad()
    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """z = Φ⁻¹(F(x | context)), (*batch, 1), of x, (*batch, 1)."""
        return _latent_and_slope(self._maps(context), x, self.log_weights)[0].to(self.reference)

    @torch.no_grad()
    def to_data(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The x of which F(x | context) = Φ(z), (*batch, 1), of z, (*batch, 1)."""
        maps = self._maps(context)
        batch = broadcast_shapes(z.shape[:-1], () if context is None else context.shape[:-1])
        z = z.expand(*batch, 1)
        ends = torch.stack([one.forward(z) for one in maps])
        if len(maps) == 1:
            return ends[0]

        def function(x: Tensor) -> tuple[Tensor, Tensor]:
            found, slope = _latent_and_slope(maps, x, self.log_weights)
            return (found - z).to(x), slope.to(x)

        return find_root(function, ends.amin(0), ends.amax(0))[0]

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training of every flow."""
        return torch.stack([flow.beyond_range(context) for flow in self.flows]).all(0)

    @property
    def parts(self) -> list[tuple[float, Flow]]:
        """The weights of the flows, and the flows."""
        return list(zip(self.log_weights.exp().tolist(), self.flows, strict=True))

    def _of_each(self, drawn: Callable[[Flow, Tensor], Tensor], which: Tensor) -> Tensor:
        """Rows, (n, D), each made by the flow that `which`, (n,), says, of the places of the rows."""
        places = [(which == number).nonzero()[:, 0] for number in range(len(self.flows))]
        made = [drawn(flow, rows) for flow, rows in zip(self.flows, places, strict=True) if len(rows)]
        if not made:
            return self.reference.new_empty(0, self.features)
        return torch.cat(made)[torch.cat(places).argsort()]

    def _maps(self, context: Tensor | None) -> list[ScalarMap]:
        if self.features > 1:
            raise InputError("A mixture of flows over several features is not a map of latent features.")
        if not all(isinstance(flow.base, StandardNormal) for flow in self.flows):
            raise InputError("A mixture with parts whose base is not normal is not a map of latent features.")
        return [ScalarMap(flow, context) for flow in self.flows]


def _stack(values: list[Tensor]) -> Tensor:
    """Values of each flow, (K, ...), in the widest of their precisions."""
    widest = functools.reduce(torch.promote_types, (value.dtype for value in values))
    return torch.stack([value.to(widest) for value in values])


def _latent_and_slope(maps: Sequence[ScalarMap], x: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """z = Φ⁻¹(Σ w_k Φ(z_k)) and ∂z/∂x, float64, both (..., 1), of x, (..., 1)."""
    each = [one.inverse(x) for one in maps]
    z, terms = (torch.cat(parts, -1).double() for parts in zip(*each, strict=True))
    # From the smaller of the two tails, which has the digits.
    below, above = (
        (torch.special.log_ndtr(end) + log_weights).logsumexp(-1, keepdim=True).clamp_min(LEAST_LOG) for end in (z, -z)
    )
    found = torch.where(below < above, torch.special.ndtri(below.exp()), -torch.special.ndtri(above.exp()))
    log_density = (terms - 0.5 * z.square() + log_weights).logsumexp(-1, keepdim=True)
    return found, (log_density + 0.5 * found.square()).exp()


@register("flow_mixture")
def _build_flow_mixture(flows: list[dict[str, Any]]) -> FlowMixture:
    return FlowMixture([build(config) for config in flows])
