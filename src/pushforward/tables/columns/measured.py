"""What the kinds of measured numbers share: the step to which they were rounded."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field

from pushforward.tables.columns.base import Column
from pushforward.tables.columns.declarations import check_declared, check_digits, check_reach, check_step
from pushforward.tables.columns.recording import ROUNDING, Grid, written_step
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class Measured(Column):
    """A measured number.

    A value that was rounded stands for its cell, the numbers within half a step of it: its density is the mean density
    over the cell, P(cell) / step, and draws are on the grid.

    Attributes:
        step: to which values were rounded, 0 for none; inferred if None, where it matters (see `recorded_grid`).
        offset: one of the values, from which the others are multiples of the step away.
        written_step: of which all values are multiples, where it is too fine to matter to the density; None for none.
    """

    step: Annotated[float, Field(ge=0)] | None = None
    offset: float = 0.0
    written_step: Annotated[float, Field(gt=0)] | None = None

    @property
    def cells(self) -> Grid | None:
        """The grid, if there is a step."""
        return Grid(self.step, self.offset) if self.step else None

    def check_declared(self, values: Values) -> None:
        """Refuse bounds, steps and offsets that are too large, and steps too long or too short for the values."""
        low, high = (end if math.isfinite(end) else None for end in self.bounds)
        check_declared(values.what, {"low": low, "high": high, "step": self.step, "offset": self.offset})
        rest = values.observed[~np.isin(values.observed, self.atom_codes or values.tally.atoms)]
        check_reach(values.what, {"low": low, "high": high}, rest)
        if self.step and len(rest):
            check_step(values.what, self.step, float(np.ptp(rest)))
            check_digits(values.what, self.step, float(np.abs([*rest, self.offset]).max()))

    def with_step(self, values: Values) -> Self:
        """Find the step, or only the offset of a declared one."""
        if self.step is None:
            if values.tally.cells is None:
                return self.model_copy(update={"step": 0.0, "written_step": written_step(values.tally.rest[0])})
            return self.model_copy(update={"step": values.tally.cells.step, "offset": values.tally.cells.offset})
        if self.step and not self.offset:
            apart = np.mod(values.observed[0], self.step)
            places = (values.observed - apart) / self.step
            if np.abs(places - np.round(places)).max() < ROUNDING:
                # A remainder next to 0 or to the step itself is rounding.
                clear = min(apart, self.step - apart) > ROUNDING * self.step
                return self.model_copy(update={"offset": float(apart) if clear else 0.0})
        return self

    def rounding(self) -> str:
        """The step for a description, after a comma, if there is one."""
        return f", recorded to {self.step:g}" if self.step else ""

    def as_written(self, codes: np.ndarray) -> np.ndarray:
        """The nearest multiples of the step in which values were written, if it is known, within the bounds."""
        if self.written_step is None:
            return codes
        nearest = Grid(self.written_step, 0.0).nearest(codes)
        low, high = self.bounds
        # Nobody wrote a bound itself: it would be an atom.
        inside = (low < nearest) & (nearest < high) & ~np.isin(codes, self.atom_codes)
        return np.where(inside, nearest, codes)

    def decode(self, codes: np.ndarray) -> Any:
        """The numbers, on the grid if there is one, or atoms."""
        if self.cells is not None:
            codes = np.where(np.isin(codes, self.atom_codes), codes, self.cells.nearest(codes))
        return super().decode(codes)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The points of a number, or the values of the grid nearest to them."""
        points = super().grid(spread, asked)
        return points if self.cells is None else np.unique(self.cells.nearest(points))

    @property
    def exact_map(self) -> Callable[[Sequence[Any]], "Map"]:
        """Makes the map of numbers that were not rounded."""
        return super().map

    @property
    def map(self) -> Callable[[Sequence[Any]], "Map"]:
        """That of numbers that were not rounded, at a point of the cell if they were."""
        if not self.step:
            return self.exact_map
        from pushforward.tables.columns.maps.rounded import rounded

        return rounded(self.exact_map)
