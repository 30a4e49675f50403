"""Numbers with atoms."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pushforward.errors import InputError
from pushforward.support.wording import percent, shortest
from pushforward.tables.arrow import pa
from pushforward.tables.columns.atoms import list_atoms, remark_of_marks
from pushforward.tables.columns.base import Column, Share, check_order, ends
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.detection import LARGEST_INTEGER, abrupt_ends, bounds_of
from pushforward.tables.columns.figures import Figures
from pushforward.tables.columns.grids import Grid
from pushforward.tables.columns.marginal import Marginal, mixture_of
from pushforward.tables.columns.measured import Measured
from pushforward.tables.columns.outermost import far_from
from pushforward.tables.columns.recording import spread
from pushforward.tables.columns.values import Values
from pushforward.tables.columns.whole_steps import common_step, on_step_of_nearly_all

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.tables.columns.maps.base import Map

# Declared atoms need so many different values beside them.
LEAST_VALUES_BESIDE = 4


class Mixed(Measured):
    """Numbers with atoms: single values that more rows have than their neighbors predict, such as 0.

    Attributes:
        atoms: the values; inferred if None.
        low: a lower bound of the other values, or None.
        high: an upper bound of the other values, or None.
        whole: whether all are whole numbers, each of which has a probability; inferred if None.
        shares: of the atoms, inferred.
        marginal: the distribution of the other values, inferred.
    """

    kind: Literal["mixed"] = "mixed"
    atoms: Annotated[list[float], Field(min_length=1, max_length=100)] | None = None
    low: float | None = None
    high: float | None = None
    whole: bool | None = None
    shares: list[Share] | None = None
    marginal: Marginal | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Mixed":
        if self.atoms is not None and sorted(set(self.atoms)) != self.atoms:
            raise ValueError("atoms must increase")
        if self.shares is not None and (len(self.shares) != len(self.atoms or ()) or sum(self.shares) >= 1):
            raise ValueError("there must be one share for each atom, less than 1 together")
        check_order(self.low, self.high)
        return self

    @property
    def discrete(self) -> bool:
        """Whether the values are whole numbers."""
        return bool(self.whole)

    @property
    def has_probabilities(self) -> bool:
        """True: the atoms have."""
        return True

    @property
    def explainable(self) -> bool:
        """False."""
        return False

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(**self.reading, heavy=False)

    def as_context(self) -> Column:
        """The same without bounds, whole or not: it may take values that were not seen."""
        return self.model_copy(update={"low": None, "high": None, "whole": False})

    def describe(self) -> str:
        """The kind, its atoms, and the step of the other values."""
        if self.atoms is None or self.shares is None:
            return "mixed"
        # Zero has no sign for people.
        atoms = list_atoms([f"{atom + 0.0:g}" for atom in self.atoms], self.shares)
        return f"mixed, {atoms}{self._of_whole() if self.whole else self.rounding()}"

    def _of_whole(self) -> str:
        """That values are whole numbers, and their step if some lie beside it."""
        share = (
            "" if self.rows_on_grid is None else f", steps of {self.step:g} ({percent(self.rows_on_grid)} of the rows)"
        )
        return ", whole numbers" + share

    @property
    def remark(self) -> str | None:
        """That an atom far from all other values is likely a mark of missing values."""
        far = self.far_codes
        return super().remark or (remark_of_marks([shortest(atom) for atom in far]) if far else None)

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers with atoms."""
        if not values.tally.atoms:
            return None
        different, counts = values.tally.rest
        grid, _ = _grid_of_whole(values)
        if grid is None:
            low, high = bounds_of(different, counts, values.tally.cells.step if values.tally.cells else 0.0)
        else:
            # As for whole numbers without atoms.
            low, high = (0.0 if different[0] >= 0 else None), None
            if values.tally.far_counts:
                first, last = abrupt_ends(different, counts, grid.step)
                low = low if first is None else first + 0.5 * grid.step
                high = None if last is None else last - 0.5 * grid.step
        # Values that were clipped pile up at the ends; a mark far away is not an end, and 0 is one however far away.
        atoms = np.array(values.tally.atoms)
        near = atoms[~far_from(atoms, different) | (atoms == 0)].tolist()
        if near and near[0] < different[0]:
            low = near[0] if low is None else max(near[0], low)
        if near and near[-1] > different[-1]:
            high = near[-1] if high is None else min(near[-1], high)
        return cls(atoms=values.tally.atoms, low=low, high=high).complete(values)

    def complete(self, values: Values) -> Self:
        """Find the atoms and their shares, the step, and the distribution of the other values."""
        atoms = self.atoms or values.tally.atoms
        if not atoms:
            raise InputError(
                f"{values.what} is declared as mixed, and none of its values is frequent enough to be an atom; name "
                "its atoms in the schema."
            )
        different, counts = values.tally.different, values.tally.counts
        others = ~np.isin(different, atoms)
        if others.sum() < LEAST_VALUES_BESIDE:
            raise InputError(
                f"{values.what} has fewer than {LEAST_VALUES_BESIDE} different values beside its atoms; declare "
                "it as a category."
            )
        whole, on = (Grid(1.0, 0.0) if self.whole else None), None
        if self.whole is None:
            whole, on = _grid_of_whole(values)
        column = self.model_copy(update={"atoms": [float(atom) for atom in atoms]}).with_step(values)
        if whole is not None and not self.step:
            share = None if on is None else float(1 - counts[others][~on].sum() / counts.sum())
            steps = {"step": whole.step, "offset": whole.offset, "figures": None, "rows_on_grid": share}
            column = column.model_copy(update={**steps, "exact_beside": None})
        column = column.model_copy(update={"whole": whole is not None})
        column._refuse_outside(values)
        lengths: float | np.ndarray = column.step or 0.0
        if isinstance(column.recorded, Figures):
            lengths = column.recorded.widths(different[others])
        rest = spread(different[others], counts[others], lengths)
        rows = np.array([np.count_nonzero(values.observed == atom) for atom in atoms])
        shares, marginal = mixture_of(rest, rows, column.bounds)
        return column.model_copy(update={"shares": shares, "marginal": marginal})

    @property
    def arrow_type(self) -> Any:
        """64-bit integers if all values are whole numbers."""
        return pa.int64() if self.whole else pa.float64()

    def encode(self, values: Values) -> np.ndarray:
        """The numbers."""
        beside = self._refuse_outside(values)
        if self.whole:
            broken = beside & (values.numbers != np.floor(values.numbers)) & ~np.isnan(values.numbers)
            values.refuse(broken, "which is not a whole number")
        return values.numbers

    def _refuse_outside(self, values: Values) -> np.ndarray:
        """Refuse numbers beyond the bounds, or mark them as unseen; returns which are no atoms, (n,)."""
        beside: np.ndarray = ~np.isin(values.numbers, self.atoms or [])
        for outside, side, bound in (
            (values.numbers < self.bounds[0], "below", self.low),
            (values.numbers > self.bounds[1], "above", self.high),
        ):
            values.refuse(outside & beside, f"{side} its bound {bound}")
        return beside

    @property
    def far_codes(self) -> list[float]:
        """The atoms far from all other values."""
        if not self.atoms or self.marginal is None:
            return []
        atoms = np.array(self.atoms)
        return list(atoms[far_from(atoms, self.marginal.ends(self.bounds))].tolist())

    @property
    def atom_codes(self) -> list[float]:
        """The atoms."""
        return self.atoms or []

    @property
    def lattice(self) -> tuple[float, float]:
        """The step and the offset of whole numbers."""
        return self.step or 1, self.offset

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of the values beside the atoms; of whole numbers, the outer ends of their cells."""
        low, high = ends(self.low, self.high)
        beyond = 0.5 * (self.step or 1.0) if self.whole else 0.0
        return low - beyond, high + beyond

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The points of a number, and the atoms."""
        return np.unique([*super().grid(spread, asked), *(self.atoms or ())])

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "mixture"

    @property
    def map(self) -> Callable[[Sequence[Any]], "Map"]:
        """A mixture of the atoms and the other values."""
        from pushforward.tables.columns.maps.mixture import Mixture

        return Mixture

    @property
    def input_width(self) -> int:
        """1: whether the value is an atom."""
        return 1

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Whether a value is an atom."""
        return (codes[:, None] == codes.new_tensor(self.atoms or ())).any(1, keepdim=True).to(low.dtype)

    @property
    def context_units(self) -> tuple[bool, ...]:
        """The number, and whether it is an atom."""
        return True, False

    def context_inputs(self, codes: "Tensor") -> "Tensor":
        """The number, and 1 for an atom."""
        import torch

        return torch.cat([codes[:, None], self.network_inputs(codes, codes, codes)], 1)


def _grid_of_whole(values: Values) -> tuple[Grid | None, np.ndarray | None]:
    """The grid of the values beside the atoms, if all values are whole numbers, and these are not too large.

    And which of them lie on it, if only nearly all do.
    """
    different, counts = values.tally.rest
    if np.abs(different).max() > LARGEST_INTEGER or not (values.observed == np.floor(values.observed)).all():
        return None, None
    on = on_step_of_nearly_all(different, counts)
    step, first = common_step(different[on])
    return Grid(float(step), float(first % step)), None if on.all() else on
