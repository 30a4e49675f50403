"""Densities of few choices, which few rows determine: what flows of few rows are mixed with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections import Standardized
from pushforward.bijections.cross_fitting import straight_features
from pushforward.flow import Flow
from pushforward.zoo.gaussian import IN_UNITS, OF_COLUMNS, gaussian_like, gaussian_of
from pushforward.zoo.kernel_density import bandwidth_by_likelihood, fit_kernel_density
from pushforward.zoo.normal_mixture import components_by_bic, fit_normal_mixture
from pushforward.zoo.recipe import knots_for
from pushforward.zoo.registry import build
from pushforward.zoo.units import gaussianized, in_units_of, straight

# Of more columns a mixture has too many numbers, and no kernel has neighbors.
MOST_COLUMNS = 100
Fit = Callable[[Tensor], Flow]


@dataclass(frozen=True, eq=False)
class SimpleDensity:
    """A kind of density, whose choices are made.

    Attributes:
        name: what people call it.
        fit: makes it of rows, (N, D).
    """

    name: str
    fit: Fit


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of the features of rows.

    Attributes:
        low: (D,) their lower bounds, -inf for none.
        high: (D,) their upper bounds, inf for none.
        normal: which are nearly normal already.
    """

    low: Sequence[float]
    high: Sequence[float]
    normal: Sequence[int] = ()

    @property
    def bounded(self) -> bool:
        """Whether there are bounds, which a density in the units of the features would pass."""
        return bool(np.isfinite([*self.low, *self.high]).any())

    def straight(self, y: Tensor) -> list[int]:
        """The features of rows that a spline would make no better."""
        return straight_features(y, knots_for(len(y)), **self._ends)

    def units(self, y: Tensor, straightened: Sequence[int] | None) -> Flow:
        """A flow in the units of rows: of their features that splines make normal, but for some, or of themselves."""
        inner = build({"architecture": "normal_mixture", "features": y.shape[1], "components": 1})
        if straightened is None:
            return straight(inner, y, normal=self.normal)
        return gaussianized(inner, y, None, knots_for(len(y)), **self._ends, straight=straightened)

    @property
    def _ends(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "normal": self.normal}


@torch.no_grad()
def simple_densities(
    y: Tensor, features: Features, together: np.ndarray | None = None, seed: int = 0
) -> list[SimpleDensity]:
    """A Gaussian, a mixture of Gaussians and a kernel estimate, each of the features and of their normal scores.

    The number of components, the bandwidth and the features that splines make normal are chosen once, on all rows.

    Arguments:
        y: (N, D) all rows.
        features: what is known of them.
        together: (N,) labels of rows that say nothing of each other's density, such as copies; default none.
        seed: of the mixtures.
    """
    found = []
    labels = None if together is None else torch.from_numpy(np.unique(together, return_inverse=True)[1])
    for name, straightened in _units_of(y, features).items():
        found.append(SimpleDensity(name.removeprefix("a "), _gaussian(features, straightened)))
        if y.shape[1] > MOST_COLUMNS:
            continue
        white, of = _in_units(features.units(y, straightened), y), name.removeprefix("a Gaussian ")
        try:
            components, bandwidth = components_by_bic(white, seed), bandwidth_by_likelihood(white, labels)
        except (ValueError, torch.linalg.LinAlgError):
            continue
        if components > 1:
            mixture = functools.partial(fit_normal_mixture, components=components, seed=seed)
            fit = _of_rows(features, straightened, mixture)
            found.append(SimpleDensity(f"mixture of {components} Gaussians {of}", fit))
        kernels = functools.partial(fit_kernel_density, bandwidth=bandwidth)
        found.append(SimpleDensity(f"kernel estimate {of}", _of_rows(features, straightened, kernels)))
    return found


def _units_of(y: Tensor, features: Features) -> dict[str, list[int] | None]:
    """The units that differ and are within bounds, with the features that splines would make no better."""
    straightened = features.straight(y)
    of_scores: dict[str, list[int] | None] = {IN_UNITS: straightened}
    if features.bounded:
        return of_scores
    curved = set(range(y.shape[1])) - {*features.normal, *straightened}
    return {**(of_scores if curved else {}), OF_COLUMNS: None}


def _gaussian(features: Features, straightened: list[int] | None) -> Fit:
    if straightened is None:
        return lambda y: gaussian_of(y, normal=features.normal)
    return lambda y: gaussian_like(features.units(y, straightened), y)


def _of_rows(features: Features, straightened: list[int] | None, fit: Fit) -> Fit:
    """Fit a density in units that are those of the same rows."""

    def made(y: Tensor) -> Flow:
        units = features.units(y, straightened)
        return in_units_of(fit(_in_units(units, y)), units)

    return made


def _in_units(units: Flow, y: Tensor) -> Tensor:
    assert isinstance(units.bijection, Standardized)
    return units.bijection.standardize(y)[0].double()
