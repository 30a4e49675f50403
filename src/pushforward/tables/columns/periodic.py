"""A number on a circle."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from pushforward.support.wording import percent
from pushforward.tables.arrow import pa
from pushforward.tables.columns.atoms import atoms_of, list_atoms
from pushforward.tables.columns.base import PSEUDO_ROWS, Column, Share
from pushforward.tables.columns.circles import circle_of
from pushforward.tables.columns.declarations import check_declared, check_digits, check_step
from pushforward.tables.columns.grids import ROUNDING, grid_of
from pushforward.tables.columns.recording import grid_of_rows, is_tied
from pushforward.tables.columns.shown_points import points_on_circle
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.tables.columns.maps.base import Map

# The circle is cut open in the emptiest of so many sectors.
SECTORS = 36


class Periodic(Column):
    """An angle, an hour of the day: a number on a circle.

    Attributes:
        period: the length of one turn.
        low: where values begin: they lie in [low, low + period).
        step: the distance between neighbors, where values are multiples of one; inferred if None, 0 for none.
        rows_on_grid: the share of the rows that are such multiples or atoms, inferred; None for all. A value beside
            them counts as the nearest.
        start: where the circle is cut open, the place with the fewest rows; inferred.
        atoms: values that more rows have than their neighbors predict; inferred if None.
        shares: of the atoms, inferred.
    """

    kind: Literal["periodic"] = "periodic"
    period: Annotated[float, Field(gt=0)]
    low: float = 0.0
    step: Annotated[float, Field(ge=0)] | None = None
    rows_on_grid: Share | None = None
    start: float | None = None
    atoms: Annotated[list[float], Field(max_length=100)] | None = None
    shares: list[Share] | None = None

    @property
    def has_probabilities(self) -> bool:
        """Whether there are a step or atoms."""
        return bool(self.step or self.atoms)

    @property
    def discrete(self) -> bool:
        """Whether there is a step."""
        return bool(self.step)

    @property
    def circular(self) -> bool:
        """True."""
        return True

    @property
    def plain_condition(self) -> bool:
        """False."""
        return False

    @property
    def explainable(self) -> bool:
        """False."""
        return False

    def describe(self) -> str:
        """The kind, its period, its step and its atoms."""
        atoms = [list_atoms([f"{atom:g}" for atom in self.atoms], self.shares)] if self.atoms and self.shares else []
        share = "" if self.rows_on_grid is None else f" ({percent(self.rows_on_grid)} of the rows)"
        step = [f"steps of {self.step:g}{share}"] if self.step else []
        return ", ".join([f"periodic, {self.period:g} from {self.low:g}", *step, *atoms])

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers in a column named like an angle that fill a circle."""
        circle = circle_of(values)
        return None if circle is None else cls(low=circle[0], period=circle[1]).complete(values)

    def check_declared(self, values: Values) -> None:
        """Refuse periods and steps that are too long or too short for the values, and numbers that are too large."""
        check_declared(values.what, {"period": self.period, "low": self.low, "step": self.step})
        check_step(values.what, self.step, self.period)
        check_digits(values.what, self.step, max(abs(self.low), abs(self.low + self.period)))
        largest = float(np.abs([*values.observed, self.low]).max())
        check_digits(values.what, self.period, largest, "period")

    def complete(self, values: Values) -> Self:
        """Find the step, the atoms, and where to cut the circle open."""
        observed, period = self._turned(values.observed), self.period
        different, counts = np.unique(observed, return_counts=True)
        atoms = atoms_of(different, counts) if self.atoms is None else sorted(self.atoms)
        step, share = self._step(different, counts, atoms) if self.step is None else (self.step, None)
        rows = np.array([np.count_nonzero(observed == atom) for atom in atoms])
        shares = ((rows + PSEUDO_ROWS) / (len(observed) + PSEUDO_ROWS * (len(atoms) + 1))).tolist()
        observed = observed[~np.isin(observed, atoms)]
        start = self.start
        if start is None:
            angle = np.mod(observed - self.low, period)
            counts = np.bincount(np.minimum((angle / period * SECTORS).astype(int), SECTORS - 1), minlength=SECTORS)
            smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
            start = self.low + (int(smooth.argmin()) + 0.5) * period / SECTORS
            if step:
                start = self.low + np.floor((start - self.low) / step) * step
        found = {"step": step, "rows_on_grid": share, "start": float(start), "atoms": atoms, "shares": shares}
        return self.model_copy(update=found)

    @property
    def arrow_type(self) -> Any:
        """64-bit integers if all values are whole numbers."""
        whole = bool(self.step) and float(self.step or 0.5).is_integer() and self.low.is_integer()
        return pa.int64() if whole else pa.float64()

    def encode(self, values: Values) -> np.ndarray:
        """The numbers in [low, low + period) at the same place of the circle."""
        codes = self._turned(values.numbers)
        if self.step:
            nearest = self.low + np.round((codes - self.low) / self.step) * self.step
            on_atom = np.isin(codes, self.atoms or [])
            if self.rows_on_grid is None:
                off = (np.abs(codes - nearest) > 1e-6 * self.step) & ~on_atom
                values.refuse(off, f"which is not a multiple of {self.step:g}")
            nearest = np.where(on_atom, codes, nearest)
            codes = np.where(nearest >= self.low + self.period * (1 - 1e-9), self.low, nearest)
        return codes

    @property
    def atom_codes(self) -> list[float]:
        """The atoms."""
        return self.atoms or []

    @property
    def lattice(self) -> tuple[float, float]:
        """The step, if there is one, from the beginning of a turn."""
        return self.step or 1, self.low

    @property
    def support(self) -> tuple[float, float]:
        """One turn."""
        return self.low, self.low + self.period

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """One turn in equal steps, or in those of the column; of a narrow sector half of the points lie within it."""
        if asked is not None:
            return asked
        if self.step:
            return self.low + np.arange(0, self.period - 0.5 * self.step, self.step)
        return points_on_circle(self.low, self.period, spread)

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "circle"

    @property
    def map(self) -> type["Map"]:
        """The circle, cut open."""
        from pushforward.tables.columns.maps.circle import Circle

        return Circle

    @property
    def input_width(self) -> int:
        """2: cosine and sine."""
        return 2

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Cosine and sine of the middle of a value's interval."""
        import torch

        angle = 0.5 * (low + high)
        return torch.stack([angle.cos(), angle.sin()], 1)

    @property
    def context_units(self) -> tuple[bool, ...]:
        """Two coordinates."""
        return False, False

    def context_inputs(self, codes: "Tensor") -> "Tensor":
        """Cosine and sine."""
        import torch

        angle = (codes - self.low) * (2 * np.pi / self.period)
        return torch.stack([angle.cos(), angle.sin()], 1)

    def _turned(self, numbers: np.ndarray) -> np.ndarray:
        """The numbers in [low, low + period) at the same place of the circle."""
        codes: np.ndarray = self.low + np.mod(numbers - self.low, self.period)
        # A tiny negative number modulo the period is the period itself.
        codes[codes >= self.low + self.period] = self.low
        return codes

    def _step(self, different: np.ndarray, counts: np.ndarray, atoms: list[float]) -> tuple[float, float | None]:
        """The step of whole numbers, and of others if they were rounded; 0 if a turn is not a number of steps.

        Beside it the share of the rows that have it, None for all.
        """
        whole = bool((different == np.floor(different)).all())
        found = None
        if len(different) > 1 and is_tied(counts):
            found = grid_of_rows(different, counts)
        grid = grid_of(different) if len(different) > 1 and found is None and whole else found and found.grid
        if grid is None:
            return 0.0, None
        # One of the first value's multiples must be the beginning of the circle.
        places = np.array([self.period, grid.offset - self.low]) / grid.step
        on_grid = np.abs(places - np.round(places)).max() < ROUNDING * max(places)
        if not on_grid:
            return float(whole and float(self.period).is_integer()), None
        share = 1.0 if found is None else counts[found.on | np.isin(different, atoms)].sum() / counts.sum()
        return grid.step, float(share) if share < 1 else None
