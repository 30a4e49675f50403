"""Univariate maps one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pushforward.bijections.base import Cost
from pushforward.bijections.univariate.base import Univariate


@dataclass(frozen=True)
class Chain(Univariate):
    """Several families as one: z → the first → ... → the last → x, with the parameters of all side by side.

    A spline bends within its box and maps the box to itself; followed by `Affine` it also moves and stretches the box.

    Arguments:
        families: at least one.

    Raises:
        ValueError: no family.

    Cost: the sum over all families.

    Example:
        >>> import torch
        >>> from pushforward.bijections import Affine, RationalQuadraticSpline
        >>> family = Chain([RationalQuadraticSpline(4), Affine()])
        >>> family.parameter_count
        13
        >>> family.forward(torch.tensor([0.5, 9.0]), torch.zeros(2, 13))[0]
        tensor([0.5000, 9.0000])
    """

    families: Sequence[Univariate]

    def __post_init__(self) -> None:
        """Check that there is a family."""
        if not self.families:
            raise ValueError("A chain of univariate maps needs at least one.")

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """The sum over all families."""
        return sum(family.parameter_count for family in self.families)

    @property
    def cost(self) -> Cost:  # type: ignore[override]
        """Everything that is not one pass."""
        costly = [[c for c in costs if c != "1 pass"] for costs in zip(*(f.cost for f in self.families), strict=True)]
        return Cost(*(" + ".join(costs) or "1 pass" for costs in costly))

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Family by family, log-derivatives added up."""
        return self._through(z, parameters, inverse=False)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Family by family from the last, log-derivatives added up."""
        return self._through(x, parameters, inverse=True)

    def _through(self, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        parts = parameters.split([family.parameter_count for family in self.families], -1)
        pairs = list(zip(self.families, parts, strict=True))
        total = None
        for family, own in reversed(pairs) if inverse else pairs:
            value, log_derivative = family.inverse(value, own) if inverse else family.forward(value, own)
            total = log_derivative if total is None else total + log_derivative
        assert total is not None
        return value, total
