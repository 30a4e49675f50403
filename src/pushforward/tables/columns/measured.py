"""What the kinds of measured numbers share: the step to which they were rounded."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field

from pushforward.support.wording import percent
from pushforward.tables.columns.base import Column, Share
from pushforward.tables.columns.declarations import check_declared, check_digits, check_reach, check_step
from pushforward.tables.columns.figures import MOST_FIGURES, Figures, figures_step
from pushforward.tables.columns.grids import ROUNDING, Grid
from pushforward.tables.columns.recording import written_step
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class Measured(Column):
    """A measured number.

    A value that was rounded stands for its cell, the numbers within half a step of it: its density is the mean density
    over the cell, P(cell) / step, and draws are on the grid. A value beside the grid counts as the cell in which it
    lies.

    Attributes:
        step: to which values were rounded, 0 for none; inferred if None, where it matters (see `recorded_grid`).
        offset: one of the values, from which the others are multiples of the step away.
        figures: to how many significant figures values were rounded, with steps that grow from `step` on; inferred if
            step is None, and None for a step of one length.
        rows_on_grid: the share of the rows that are on the grid or atoms, inferred; None for all.
        exact_beside: whether values beside the grid were not rounded, so that each has a density of its own, and draws
            are not on the grid; inferred, where less than half of the rows were rounded. None for no.
        written_step: of which all values are multiples, where it is too fine to matter to the density; None for none.
    """

    step: Annotated[float, Field(ge=0)] | None = None
    offset: float = 0.0
    figures: Annotated[int, Field(ge=1, le=MOST_FIGURES)] | None = None
    rows_on_grid: Share | None = None
    exact_beside: bool | None = None
    written_step: Annotated[float, Field(gt=0)] | None = None

    @property
    def cells(self) -> Grid | Figures | None:
        """The grid, if there is a step to which all were rounded."""
        return None if self.exact_beside else self.recorded

    @property
    def recorded(self) -> Grid | Figures | None:
        """The grid, if there is a step."""
        if not self.step:
            return None
        return Grid(self.step, self.offset) if self.figures is None else Figures(self.step, self.figures)

    @property
    def partly_recorded(self) -> bool:
        """Whether values beside the grid were not rounded."""
        return bool(self.exact_beside)

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
        """Find the step, or only the offset of a declared one, and the share of the rows on the grid."""
        update: dict[str, Any] = {}
        if self.step is None:
            update = self._found_step(values)
        elif self.step and not self.offset and self.figures is None:
            apart = np.mod(values.observed[0], self.step)
            places = (values.observed - apart) / self.step
            if np.abs(places - np.round(places)).max() < ROUNDING:
                # A remainder next to 0 or to the step itself is rounding.
                clear = min(apart, self.step - apart) > ROUNDING * self.step
                update = {"offset": float(apart) if clear else 0.0}
        found = self.model_copy(update=update)
        if found.recorded is None:
            return found
        different, counts = values.tally.different, values.tally.counts
        beside = ~found.recorded.has(different) & ~np.isin(different, found.atom_codes or values.tally.atoms)
        share = 1 - counts[beside].sum() / counts.sum()
        return found.model_copy(update={"rows_on_grid": float(share) if 0 < share < 1 else None})

    def _found_step(self, values: Values) -> dict[str, Any]:
        """The step and what belongs to it, of values of which nobody declared it."""
        tally, figures = values.tally, values.tally.figures
        if self.figures is not None and (figures is None or figures.figures != self.figures):
            figures = Figures(figures_step(tally.rest[0], self.figures), self.figures)
        if figures is not None:
            matters = self.figures is not None or tally.figures_matter
            steps = {"step": figures.step} if matters else {"step": 0.0, "written_step": figures.step}
            return {**steps, "figures": figures.figures}
        some = tally.cells_of_some
        if some is not None:
            return {"step": some.step, "offset": some.offset, "exact_beside": True}
        if tally.cells is None:
            return {"step": 0.0, "written_step": written_step(*tally.rest)}
        return {"step": tally.cells.step, "offset": tally.cells.offset}

    def rounding(self) -> str:
        """The step for a description, after a comma, if there is one."""
        if not self.step:
            return ""
        figures = "figure" if self.figures == 1 else "figures"
        what = f"{self.step:g}" if self.figures is None else f"{self.figures} significant {figures}"
        share = "" if self.rows_on_grid is None else f" ({percent(self.rows_on_grid)} of the rows)"
        return f", recorded to {what}{share}{', the others in full' if self.exact_beside else ''}"

    def as_written(self, codes: np.ndarray) -> np.ndarray:
        """The nearest multiples of the step in which values were written, if it is known, within the bounds."""
        if self.written_step is None:
            return codes
        written = Grid(self.written_step, 0.0) if self.figures is None else Figures(self.written_step, self.figures)
        nearest = written.nearest(codes)
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
