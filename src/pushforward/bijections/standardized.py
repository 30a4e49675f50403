"""A map in standardised units, put into the units of the data."""

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.elementwise import ElementwiseAffine


class Standardized(Bijection):
    """x = shift + scale · f(z; (context - context_shift) / context_scale).

    log_det includes Σ log scale, so that densities are in the data's own units. In place of shift and scale, `data` may
    be any map from standardised to data's units, such as `MarginalSpline`.

    `data` and `context` may be float64 about a float32 map: x then comes and goes in float64, and only the standardised
    value is rounded, so that a column like 1013.25 ± 0.01 loses nothing.

    Arguments:
        bijection: f, the map in standardised units.
        data: shift and scale of x, or another map into the data's units.
        context: shift and scale of the context, or None when f takes none.

    Cost: that of f.
    """

    def __init__(self, bijection: Bijection, data: Bijection, context: ElementwiseAffine | None = None):
        super().__init__()
        self.features = bijection.features
        self.context_features = bijection.context_features
        self.bijection = bijection
        self.data = data
        self.context = context

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map by f, then into the data's units."""
        y, log_det = self.bijection(z, self.standardized_context(context, z.dtype))
        x, constant = self.data(y)
        return x, log_det + constant.to(log_det.dtype)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardise, then map by the inverse of f."""
        y, context, constant = self.standardize(x, context)
        z, log_det = self.bijection.inverse(y, context)
        return z, log_det + constant.to(log_det.dtype)

    def standardize(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """x and the context in standardised units and in the precision of f, as f's inverse is given them.

        Returns:
            (x - shift) / scale, the context likewise, and log|det| of the former, (*batch).
        """
        y, constant = self.data.inverse(x)
        dtype = self.inner_dtype(y.dtype)
        return y.to(dtype), self.standardized_context(context, dtype), constant

    @property
    def cost(self) -> Cost:
        """The cost of f."""
        return self.bijection.cost

    def standardized_context(self, context: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """The context as f is given it, (*batch, C)."""
        if self.context is None or context is None:
            return context
        return self.context.inverse(context)[0].to(dtype)

    def inner_dtype(self, default: torch.dtype) -> torch.dtype:
        """The precision of f."""
        return next((p.dtype for p in self.bijection.parameters()), default)
