"""What a training run minimises: modules whose forward gives one loss per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from pushforward.flow import Flow


class MaximumLikelihood(nn.Module):
    """The negative log-likelihood of each row under a flow, in nats.

    A module, not a function, because precision and several processes are handled where a wrapped module is called.

    Arguments:
        flow: The density to train; reachable afterwards as `.flow`.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor, context: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Return -log p(x | context) in nats, times the weights: rows (batch, features) in, losses (batch,) out."""
        losses = -self.flow.log_prob(x, context)
        return losses if weights is None else losses * weights
