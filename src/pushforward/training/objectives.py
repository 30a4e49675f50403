"""What a training run minimizes: modules whose forward gives one loss per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pushforward.flow import Density


class MaximumLikelihood(nn.Module):
    """The negative log-likelihood of each row under a flow, in nats.

    A module, not a function, because precision and several processes are handled where a wrapped module is called.

    Arguments:
        flow: The density to train; reachable afterwards as `.flow`.
    """

    def __init__(self, flow: Density) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor, context: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Return -log p(x | context) in nats, times the weights: rows (batch, features) in, losses (batch,) out."""
        losses = -self.flow.log_prob(x, context)
        return losses if weights is None else losses * weights


def log_prob_of_still_weights(density: nn.Module, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Return log q(x | context), (batch,), whose gradient reaches the weights only through x.

    With x drawn from q this is the path gradient (sticking the landing), whose variance vanishes at the optimum.

    Source: Roeder, Wu and Duvenaud 2017, arXiv:1703.09194.
    """
    module = _LogProb(density)
    still = {name: tensor.detach() for name, tensor in module.state_dict(keep_vars=True).items()}
    return torch.func.functional_call(module, still, (x, context))


class _LogProb(nn.Module):
    """The method `log_prob` as a forward, which is what `functional_call` calls."""

    def __init__(self, density: nn.Module) -> None:
        super().__init__()
        self.density = density

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        log_prob: Tensor = self.density.log_prob(x, context)  # type: ignore[operator]
        return log_prob
