"""Univariate families: strictly increasing maps of one number, whose parameters a conditioner supplies.

A family works in every conditioner × univariate layer (`Coupling`, `Autoregressive`) at once. It holds no weights:
its parameters arrive as a tensor (*batch, D, P), P numbers for each feature.
"""

import math
from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.bijections.base import Cost

# The least derivative of the families that are flexible within a box.
SMALLEST_SLOPE = 1e-3
# A parameter of 0 gives slope 1.
SLOPE_SHIFT = math.log(math.expm1(1 - SMALLEST_SLOPE))


class Univariate:
    """A family of increasing maps x = f(z; parameters) of one number.

    Attributes:
        parameter_count: P, how many parameters one feature needs. All of them 0 must give a map near the identity.
        cost: what each direction costs for all features at once, default one pass.
        affine: whether every map of the family is affine in z, default False.
    """

    parameter_count: int
    cost: Cost = Cost()
    affine: ClassVar[bool] = False

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Map latent to data.

        Arguments:
            z: (*batch, D).
            parameters: (*batch, D, P).

        Returns:
            x and log ∂x/∂z, both (*batch, D).
        """
        raise NotImplementedError

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Arguments:
            x: (*batch, D).
            parameters: (*batch, D, P).

        Returns:
            z and log ∂z/∂x, both (*batch, D).
        """
        raise NotImplementedError


UNIVARIATES: dict[str, type[Univariate]] = {}
Family = TypeVar("Family", bound=type[Univariate])


def univariate(name: str) -> Callable[[Family], Family]:
    """Register a family under a name, by which the zoo, model files, the command line and the tests know it.

    The family is a frozen dataclass whose fields, all with defaults, are its options: numbers, booleans or strings,
    which a model file keeps as JSON.

    Arguments:
        name: of the family, as in `pushforward.autoregressive(features, univariate=name)`.

    Raises:
        ValueError: another family has this name.

    Example:
        >>> from pushforward.bijections import Affine
        >>> UNIVARIATES["affine"] is Affine
        True
    """

    def register(family: Family) -> Family:
        if name in UNIVARIATES:
            raise ValueError(f"There is already a univariate family {name!r}, {UNIVARIATES[name].__name__}.")
        UNIVARIATES[name] = family
        return family

    return register


def soft_bound(value: Tensor, bound: float) -> Tensor:
    """Squeeze the real line into (-bound, bound): 2/π · bound · arctan(π/2 · value / bound).

    The slope is 1 at 0 and falls like 1/value², never to 0, so a value far out still has a gradient. It acts on
    each number by itself: nothing depends on the rest of the batch.

    Example:
        >>> soft_bound(torch.tensor([0.0, 1.0, 7.0, 1e9]), 7.0)
        tensor([0.0000, 0.9837, 4.4737, 7.0000])
    """
    slope = math.pi / 2 / bound
    return torch.atan(value * slope) * (1 / slope)


def positive_slope(parameter: Tensor) -> Tensor:
    """A derivative from any number, 1 at 0 and above `SMALLEST_SLOPE`.

    Example:
        >>> positive_slope(torch.tensor([-1e9, 0.0, 1e3]))
        tensor([1.0000e-03, 1.0000e+00, 1.0005e+03])
    """
    return SMALLEST_SLOPE + softplus(parameter + SLOPE_SHIFT)
