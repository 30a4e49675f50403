"""Flows as flows of zuko, for what is written for them: pocoMC, lampe."""

from torch import Tensor

from pushforward.bijections.base import Bijection
from pushforward.distributions import Base
from pushforward.flow import Flow, check_context
from pushforward.integrations.requirement import required_flow, requires
from pushforward.integrations.torch_distributions import BaseDistribution, FlowTransform

with requires("zuko", "zuko"):
    from zuko import lazy


def as_zuko(flow: Flow) -> lazy.Flow:
    """The flow as a `zuko.flows.Flow`, which shares its weights.

    Called with a context, (*batch, C), or without one, it returns zuko's `NormalizingFlow`: log_prob, sample, rsample,
    rsample_and_log_prob, and `transform`, whose direction is zuko's, from data to latent.

    Arguments:
        flow: the flow.

    Raises:
        InputError: something else than a flow; when it is called, a context that is missing, of another shape, or given
            to an unconditional flow.

    Cost: that of the flow; sampling with its density takes one pass too.

    Source: zuko, Rozet et al. 2022.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = as_zuko(pf.nsf(features=2, context=3))
        >>> x, log_prob = flow(torch.zeros(3)).rsample_and_log_prob((5,))
        >>> z, log_det = flow(torch.zeros(3)).transform.call_and_ladj(x)
        >>> x.shape, log_prob.shape, z.shape
        (torch.Size([5, 2]), torch.Size([5]), torch.Size([5, 2]))
    """
    flow = required_flow(flow, "as_zuko")
    return lazy.Flow(_DataToLatent(flow.bijection), _ZukoBase(flow.base))


class _DataToLatent(lazy.LazyTransform):
    """z = f⁻¹(x; context)."""

    def __init__(self, bijection: Bijection):
        super().__init__()
        self.bijection = bijection

    def forward(self, c: Tensor | None = None) -> object:
        check_context(c, self.bijection.context_features)
        return FlowTransform(self.bijection, c).inv


class _ZukoBase(lazy.LazyDistribution):
    """p(z), whatever the context."""

    def __init__(self, base: Base):
        super().__init__()
        self.base = base

    def forward(self, c: Tensor | None = None) -> BaseDistribution:
        return BaseDistribution(self.base)
