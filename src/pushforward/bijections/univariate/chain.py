"""Univariate maps one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pushforward.bijections.base import Cost
from pushforward.bijections.univariate.base import Univariate


@dataclass(frozen=True)
class Chain(Univariate):
    """Several families as one: z → the first → ... → the last → x, with the parameters of all side by side.

    A spline bends within its box and keeps to it; followed by `Affine` it can also move and stretch the box.

    Arguments:
        families: at least one.

    Raises:
        ValueError: no family.

    Cost: that of all families together.

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
        """Refuse an empty chain."""
        if not self.families:
            raise ValueError("A chain of univariate maps needs at least one.")

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """Those of all families."""
        return sum(family.parameter_count for family in self.families)

    @property
    def cost(self) -> Cost:  # type: ignore[override]
        """Whatever is not one pass."""
        dear = [[c for c in costs if c != "1 pass"] for costs in zip(*(f.cost for f in self.families), strict=True)]
        return Cost(*(" + ".join(costs) or "1 pass" for costs in dear))

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Family by family, log-derivatives added up."""
        return self._through(z, parameters, backwards=False)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Family by family from the last, log-derivatives added up."""
        return self._through(x, parameters, backwards=True)

    def _through(self, value: Tensor, parameters: Tensor, backwards: bool) -> tuple[Tensor, Tensor]:
        parts = parameters.split([family.parameter_count for family in self.families], -1)
        pairs = list(zip(self.families, parts, strict=True))
        total = None
        for family, own in reversed(pairs) if backwards else pairs:
            value, log_derivative = family.inverse(value, own) if backwards else family.forward(value, own)
            total = log_derivative if total is None else total + log_derivative
        assert total is not None
        return value, total
