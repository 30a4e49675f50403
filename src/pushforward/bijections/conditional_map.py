"""A map as each single feature sees it, once the features before it are given."""

from typing import NamedTuple, Protocol

from torch import Tensor


class ConditionalMap(Protocol):
    """x[d] as a monotone function of z[d] alone, for every d at once.

    Attributes:
        affine: whether x[d] is known to be a + b · z[d].
    """

    @property
    def affine(self) -> bool:
        """Whether x[d] is known to be a + b · z[d]."""
        ...

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and log|∂x[d]/∂z[d]|, both (..., *batch, D), of any z, (..., *batch, D)."""
        ...

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log|∂z[d]/∂x[d]|, both (..., *batch, D), of any x, (..., *batch, D)."""
        ...


class InverseMap(NamedTuple):
    """A conditional map with its two directions swapped."""

    map: ConditionalMap

    @property
    def affine(self) -> bool:
        """That of the map."""
        return self.map.affine

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The map's inverse."""
        return self.map.each_inverse(z)

    def each_inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The map itself."""
        return self.map.each_forward(x)
