"""Atoms and the distribution of the values beside them, as kinds of columns keep them."""

import itertools
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, model_validator

from pushforward.tables.columns.base import PSEUDO_ROWS
from pushforward.tables.columns.piled_ends import PiledEnds, piled_ends
from pushforward.tables.columns.reading import STRICT


class Marginal(BaseModel):
    """The knots of a spline through quantiles, see `MarginalSpline`.

    Attributes:
        z: their normal scores.
        x: their values, or where values pile up at a bound those of the logarithms, see `EndLogarithms`.
        slopes: of x in z.
        piled: the bounds at which values pile up; None for none.
    """

    model_config = STRICT

    z: list[float]
    x: list[float]
    slopes: list[Annotated[float, Field(gt=0)]]
    piled: PiledEnds | None = None

    @model_validator(mode="after")
    def _increasing(self) -> "Marginal":
        if not len(self.z) == len(self.x) == len(self.slopes) >= 4:
            raise ValueError("a spline needs at least four knots, each with z, x and a slope")
        if any(right <= left for knots in (self.z, self.x) for left, right in itertools.pairwise(knots)):
            raise ValueError("knots must increase")
        return self

    def ends(self, bounds: tuple[float, float]) -> np.ndarray:
        """Return the smallest and the largest of the values that it was laid through, (2,)."""
        # The first and the last knot lie beyond the data.
        ends = self.x[1], self.x[-2]
        return np.array([self.piled.value(x, *bounds) for x in ends] if self.piled else ends)


def mixture_of(
    rest: np.ndarray, rows_of_atoms: np.ndarray, bounds: tuple[float, float]
) -> tuple[list[float], Marginal]:
    """Return the shares of atoms, and the spline through the quantiles of the values beside them.

    Arguments:
        rest: (n,) the values beside the atoms, spread over their cells if they were rounded.
        rows_of_atoms: (m,) how many rows each atom has.
        bounds: of the values beside the atoms, infinite for none.
    """
    import torch

    from pushforward.bijections import MarginalSpline
    from pushforward.tables.columns.maps.end_logarithms import EndLogarithms

    counts = rows_of_atoms + PSEUDO_ROWS
    low, high = bounds
    # A cell may reach beyond a bound.
    rest = np.where(rest < low, 2 * low - rest, np.where(rest > high, 2 * high - rest, rest))
    values, piled = torch.from_numpy(rest)[:, None], piled_ends(rest, low, high)
    if piled:
        values = EndLogarithms([OfEnds(bounds, piled)]).encode(values, values)[0]
        low, high = piled.bounds_of_logarithms(low, high)
    spline = MarginalSpline.from_data(values, low=[low], high=[high])
    knots: dict[str, Any] = {"z": spline.z_knots, "x": spline.x_knots, "slopes": spline.slopes}
    shares: list[float] = (counts / (counts.sum() + len(rest))).tolist()
    return shares, Marginal(**{name: values[0].tolist() for name, values in knots.items()}, piled=piled or None)


class OfEnds(NamedTuple):
    """Ends of an interval, and at which of them values pile up, as `EndLogarithms` takes them."""

    bounds: tuple[float, float]
    piled: PiledEnds
