"""Flows as transforms of Pyro, whose parameters guides and models find by themselves."""

from torch import Tensor
from torch.distributions import constraints

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.requirement import required_flow, requires
from pushforward.integrations.torch_distributions import FlowTransform, as_transform

with requires("pyro", "pyro"):
    from pyro.distributions import ConditionalTransformModule, TransformModule


class PyroTransform(TransformModule):
    """The map x = f(z) of an unconditional flow as a `pyro.distributions.TransformModule`.

    Arguments:
        flow: the flow.
        cache_size: 1 (default, as of Pyro's own transforms) lets the transform remember its last pair (z, x), so that
            the score of a draw needs no inverse; 0 does not.

    Raises:
        InputError: the flow is conditional, or something else than a flow.

    Cost: that of the flow's bijection, in each direction. A guide draws and scores its own draws, which is one forward:
    flows of one pass from z to x are quick there, such as `pushforward.iaf`.

    Example:
        >>> import pushforward as pf
        >>> from pyro.infer.autoguide import AutoNormalizingFlow
        >>> def guide_of(model):
        ...     return AutoNormalizingFlow(model, lambda size: PyroTransform(pf.iaf(features=size)))
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, flow: Flow, cache_size: int = 1):
        flow = required_flow(flow, "PyroTransform")
        if flow.context_features:
            raise InputError(
                f"This flow needs a context of shape (..., {flow.context_features}): use PyroConditionalTransform."
            )
        super().__init__(cache_size=cache_size)
        self.flow = flow
        self._transform = as_transform(flow)

    def _call(self, z: Tensor) -> Tensor:
        return self._transform._call(z)

    def _inverse(self, x: Tensor) -> Tensor:
        return self._transform._inverse(x)

    def log_abs_det_jacobian(self, z: Tensor, x: Tensor) -> Tensor:
        """log|det ∂x/∂z|, (*batch), of z and x, (*batch, D)."""
        return self._transform.log_abs_det_jacobian(z, x)

    def with_cache(self, cache_size: int = 1) -> "PyroTransform":
        """The same transform with another size of the cache."""
        return self if cache_size == self._cache_size else PyroTransform(self.flow, cache_size)


class PyroConditionalTransform(ConditionalTransformModule):
    """The map x = f(z; context) of a flow as a `pyro.distributions.ConditionalTransformModule`.

    Arguments:
        flow: the flow, conditional.

    Raises:
        InputError: the flow takes no context, or is something else than a flow.

    Example:
        >>> import torch, pyro.distributions as dist, pushforward as pf
        >>> base = dist.Normal(torch.zeros(2), 1.0).to_event(1)
        >>> flow = PyroConditionalTransform(pf.nsf(features=2, context=3))
        >>> density = dist.ConditionalTransformedDistribution(base, [flow])
        >>> density.condition(torch.zeros(5, 3)).log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, flow: Flow):
        flow = required_flow(flow, "PyroConditionalTransform")
        if not flow.context_features:
            raise InputError("This flow takes no context: use PyroTransform.")
        super().__init__()
        self.flow = flow

    def condition(self, context: Tensor) -> FlowTransform:
        """The transform at a context, (*batch, C)."""
        return as_transform(self.flow, context)
