"""Parameters of a whole layer, the same for every row or a function of its context."""

from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.networks.conditioner import Conditioner
from pushforward.networks.mlp import MLP, checked_context


class Amortized(nn.Module):
    """parameters(context) = start + network(context), or start alone for a layer without context.

    Arguments:
        start: (P,) the values to begin with; they are trained.
        context: C, number of context features, default 0.
        hidden: widths of the network's hidden layers, default (64,).

    Example:
        >>> import torch
        >>> Amortized(torch.zeros(5), context=2)(torch.ones(7, 2)).shape
        torch.Size([7, 5])
    """

    def __init__(self, start: Tensor, context: int = 0, hidden: Sequence[int] = (64,)):
        super().__init__()
        self.start = nn.Parameter(start.clone())
        self.context_features = context
        self.network = MLP(0, 1, len(start), Conditioner(tuple(hidden), "tanh"), context) if context else None

    def forward(self, context: Tensor | None = None) -> Tensor:
        """The parameters, (P,), or (*batch, P) for a context, (*batch, C)."""
        if self.network is None:
            return self.start
        context = checked_context(context, self.context_features)
        nothing = context.new_empty(*context.shape[:-1], 0)
        return self.start + self.network(nothing, context)[..., 0, :]
