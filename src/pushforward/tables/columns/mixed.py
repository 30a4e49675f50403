"""A continuous column in which many rows share single values."""

import itertools
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from pushforward.errors import InputError
from pushforward.tables.columns.base import PSEUDO_ROWS, STRICT, Column, Share, check_order, ends
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.detection import bounds_of
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.tables.columns.maps.base import Map

# An atom is a value with at least this share of the rows, and so many times more rows than any value that is none.
ATOM_SHARE, ATOM_ROWS, ATOM_RATIO, MOST_ATOMS = 0.05, 10, 10, 8
LEAST_ROWS_BESIDE_ATOMS = 20
LEAST_VALUES_BESIDE_ATOMS = 4


class Marginal(BaseModel):
    """The knots of a spline through quantiles, see `MarginalSpline`."""

    model_config = STRICT

    z: list[float]
    x: list[float]
    slopes: list[Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _increasing(self) -> "Marginal":
        if not len(self.z) == len(self.x) == len(self.slopes) >= 4:
            raise ValueError("a spline needs at least four knots, each with z, x and a slope")
        if any(right <= left for knots in (self.z, self.x) for left, right in itertools.pairwise(knots)):
            raise ValueError("knots must increase")
        return self


class Mixed(Column):
    """A continuous column with atoms: single values that many rows share, such as 0.

    Attributes:
        atoms: the values; inferred if None.
        low: a lower bound of the other values, or None.
        high: an upper bound of the other values, or None.
        shares: of the atoms, inferred.
        marginal: the distribution of the other values, inferred.
    """

    kind: Literal["mixed"] = "mixed"
    atoms: Annotated[list[float], Field(min_length=1, max_length=100)] | None = None
    low: float | None = None
    high: float | None = None
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
    def has_probabilities(self) -> bool:
        """True: the atoms have."""
        return True

    @property
    def explainable(self) -> bool:
        """False."""
        return False

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def describe(self) -> str:
        """The kind and its atoms."""
        if self.atoms is None or self.shares is None:
            return "mixed"
        atoms = ", ".join(f"{share:.0%} {atom:g}" for atom, share in zip(self.atoms, self.shares, strict=True))
        return f"mixed, {atoms}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Numbers with atoms."""
        atoms = _atoms(*values.distinct)
        if not atoms:
            return None
        low, high = bounds_of(values.observed[~np.isin(values.observed, atoms)], values.observed)
        return cls(atoms=atoms, low=low, high=high).complete(values)

    def complete(self, values: Values) -> Self:
        """Find the atoms and their shares, and the distribution of the other values."""
        observed = values.observed
        atoms = self.atoms or _atoms(*values.distinct)
        if not atoms:
            raise InputError(
                f"{values.what} is declared as mixed, and none of its values is frequent enough to be an atom; name "
                "its atoms in the schema."
            )
        rest = observed[~np.isin(observed, atoms)]
        if len(np.unique(rest)) < LEAST_VALUES_BESIDE_ATOMS:
            raise InputError(
                f"{values.what} has fewer than {LEAST_VALUES_BESIDE_ATOMS} different values beside its atoms; declare "
                "it as a category."
            )
        counts = np.array([np.count_nonzero(observed == atom) for atom in atoms]) + PSEUDO_ROWS
        shares = counts / (counts.sum() + len(rest))
        found = {"atoms": [float(atom) for atom in atoms], "shares": shares.tolist()}
        return self.model_copy(update={**found, "marginal": _marginal(rest, *self.bounds)})

    def encode(self, values: Values) -> np.ndarray:
        """The numbers."""
        values.refuse_outside(*self.bounds)
        return values.numbers

    def has_probability(self, codes: np.ndarray) -> np.ndarray:
        """The atoms."""
        return np.isin(codes, self.atoms or ())

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds."""
        return ends(self.low, self.high)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Equal steps, and the atoms."""
        return np.unique([*super().grid(spread, asked), *(self.atoms or ())])

    @property
    def map(self) -> type["Map"]:
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


def _atoms(different: np.ndarray, counts: np.ndarray) -> list[float]:
    """The values that so many rows share that they have a probability of their own, increasing."""
    rows = counts.sum()
    order = np.argsort(-counts, kind="stable")
    frequent = [place for place in order[: MOST_ATOMS + 1] if counts[place] >= max(ATOM_SHARE * rows, ATOM_ROWS)]
    if not frequent or len(frequent) > MOST_ATOMS:
        return []
    others = np.delete(counts, frequent)
    if others.sum() < LEAST_ROWS_BESIDE_ATOMS or len(others) < LEAST_ROWS_BESIDE_ATOMS // 2:
        return []
    if counts[frequent[-1]] < ATOM_RATIO * others.max():
        return []
    return sorted(float(different[place]) for place in frequent)


def _marginal(rest: np.ndarray, low: float, high: float) -> Marginal:
    """The spline through the quantiles of the values beside the atoms."""
    import torch

    from pushforward.bijections import MarginalSpline

    spline = MarginalSpline.from_data(torch.from_numpy(rest)[:, None], low=[low], high=[high])
    return Marginal(z=spline.z_knots[0].tolist(), x=spline.x_knots[0].tolist(), slopes=spline.slopes[0].tolist())
