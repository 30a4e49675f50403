"""A univariate family together with parameters: one increasing map for each feature."""

from typing import NamedTuple

from torch import Tensor

from pushforward.bijections.univariate.base import Univariate


class Parametrized(NamedTuple):
    """x[d] = univariate(z[d]; parameters[d]), computed in the precision of the parameters.

    Attributes:
        univariate: the family.
        parameters: (*batch, D, P).
    """

    univariate: Univariate
    parameters: Tensor

    @property
    def affine(self) -> bool:
        """That of the family."""
        return self.univariate.affine

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and log ∂x/∂z of each feature, both (..., *batch, D), of z, (..., *batch, D)."""
        return self.univariate.forward(z.to(self.parameters.dtype), self._parameters_for(z))

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log ∂z/∂x of each feature, both (..., *batch, D), of x, (..., *batch, D)."""
        return self.univariate.inverse(x.to(self.parameters.dtype), self._parameters_for(x))

    def _parameters_for(self, value: Tensor) -> Tensor:
        # Values may have dimensions before the batch; not every family broadcasts its parameters to them.
        return self.parameters.expand(*value.shape, -1)
