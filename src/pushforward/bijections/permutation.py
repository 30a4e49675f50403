"""Permutation of the features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection


class Permutation(Bijection):
    """The features in another order, x[i] = z[order[i]], log_det = 0.

    Arguments:
        order: (D,) integers, each of 0 .. D-1 once.

    Raises:
        ValueError: order is not a permutation.

    Cost: 1 pass in both directions.

    Example:
        >>> Permutation([2, 0, 1])(torch.tensor([10.0, 11.0, 12.0]))[0]
        tensor([12., 10., 11.])
    """

    source: Tensor
    inverse_source: Tensor

    def __init__(self, order: Tensor | Sequence[int]):
        super().__init__()
        order = torch.as_tensor(order, dtype=torch.long)
        if order.dim() != 1 or not torch.equal(order.sort().values, torch.arange(order.numel())):
            raise ValueError(f"order must hold each of 0 .. D-1 once, got {order.tolist()}.")
        self.features = order.numel()
        self.register_buffer("source", order.clone())
        self.register_buffer("inverse_source", order.argsort())

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x[i] = z[order[i]]."""
        self.check_event(z)
        return z.index_select(-1, self.source), z.new_zeros(z.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z[order[i]] = x[i]."""
        self.check_event(x)
        return x.index_select(-1, self.inverse_source), x.new_zeros(x.shape[:-1])
