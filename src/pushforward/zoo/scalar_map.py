"""The map of a flow over one feature, given rows of a context, for many values of each row."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.flow import Flow


class ScalarMap:
    """x = f(z | context) for any number of z of each row: the networks see the context once.

    Arguments:
        flow: over one feature.
        context: (n, C), or None.

    Example:
        >>> import pushforward as pf
        >>> flow, context = pf.nsf(features=1, context=2), torch.randn(5, 2)
        >>> found = ScalarMap(flow, context).forward(torch.zeros(7, 5, 1))
        >>> torch.allclose(found[3], flow.to_data(torch.zeros(5, 1), context), atol=1e-5)
        True
    """

    def __init__(self, flow: Flow, context: Tensor | None) -> None:
        batch = () if context is None else context.shape[:-1]
        start = flow.reference.new_zeros(*batch, 1)
        self.maps = flow.bijection.forward_with_maps(start, context)[1]

    def forward(self, z: Tensor) -> Tensor:
        """x, (..., n, 1), of z, (..., n, 1)."""
        for one in self.maps:
            z = one.each_forward(z)[0]
        return z

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log ∂z/∂x, both (..., n, 1), of x, (..., n, 1)."""
        total = torch.zeros_like(x)
        for one in reversed(self.maps):
            x, term = one.each_inverse(x)
            total = total + term
        return x, total
