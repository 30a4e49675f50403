"""Samples of a posterior: rows in the order of their Markov chains, with weights, log-densities and bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import nearest, quoted
from pushforward.support.wording import counted

# A correlation matrix with a smaller eigenvalue belongs to columns that are linear functions of each other.
LEAST_EIGENVALUE = 1e-11
FEWEST_ROWS = 100
LEAVE_OUT = "choose the others with --columns (columns= in Python)"
# Squares of larger values and of smaller differences leave the range of float64.
LARGEST_VALUE, LEAST_SPREAD = 1e100, 1e-100
# The blocks of one Markov chain that are dealt out to the fit and to the estimates, at least.
BLOCKS = 20


@dataclass(frozen=True, eq=False)
class Chain:
    """Samples of a density, which may be correlated and weighted.

    Attributes:
        names: of the parameters.
        x: (n, D) float64, the rows of each Markov chain in their order.
        weights: (n,) above 0.
        log_posterior: (n,) logarithm of the density of the samples up to its normalizer, in nats; None if unknown.
        low: (D,) lower bounds, -inf for none.
        high: (D,) upper bounds, inf for none.
        walks: (n,) the number of the Markov chain of each row, ascending.
        independent: whether rows are independent of each other, as those of nested samplers, and in no order.
        notes: what is to be known about them, in sentences.
        doubts: why less is known from them than from so many rows, in sentences.
        density_of: the parameters whose log-posterior the source has, where these are others and it is not known.
    """

    names: list[str]
    x: np.ndarray
    weights: np.ndarray
    log_posterior: np.ndarray | None
    low: np.ndarray
    high: np.ndarray
    walks: np.ndarray
    independent: bool = False
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    density_of: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def only(self, columns: Sequence[str]) -> Chain:
        """The marginal density of some parameters, whose log-density is not known unless they are all.

        Raises:
            InputError: one of them is not among the parameters.
        """
        for name in columns:
            if name not in self.names:
                raise InputError(f"The chain has no parameter {quoted(name)}; {nearest(name, self.names)}")
        if list(columns) == self.names:
            return self
        places = [self.names.index(name) for name in columns]
        known = self.log_posterior if set(columns) == set(self.names) else None
        of = self.density_of if known is self.log_posterior else tuple(self.names)
        return dataclasses.replace(
            self, names=list(columns), x=self.x[:, places], log_posterior=known, low=self.low[places],
            high=self.high[places], density_of=of,
        )  # fmt: skip

    def within(self, bounds: Mapping[str, tuple[float | None, float | None]]) -> Chain:
        """The chain with bounds of some parameters, (low, high), None for none.

        Raises:
            InputError: no such parameter, bounds that are not two ascending numbers, or a value beyond them.
        """
        low, high = self.low.copy(), self.high.copy()
        for name, ends in bounds.items():
            if name not in self.names:
                raise InputError(
                    f"The chain has no parameter {quoted(name)} to have bounds; {nearest(name, self.names)}"
                )
            place = self.names.index(name)
            low[place], high[place] = _ends(name, ends)
            outside = (self.x[:, place] < low[place]) | (self.x[:, place] > high[place])
            if outside.any():
                raise InputError(
                    f"The parameter {quoted(name)} has {counted(int(outside.sum()), 'value')} beyond its bounds, "
                    f"{low[place]:g} and {high[place]:g}, such as {self.x[outside.argmax(), place]:g}."
                )
        return dataclasses.replace(self, low=low, high=high)

    def rows(self, kept: np.ndarray) -> Chain:
        """Some of the rows, (n,) booleans or places."""
        known = None if self.log_posterior is None else self.log_posterior[kept]
        return dataclasses.replace(
            self, x=self.x[kept], weights=self.weights[kept], log_posterior=known, walks=self.walks[kept]
        )

    def check_density(self) -> None:
        """Refuse rows that have no density of all parameters: too few, constants, and linear functions of others.

        Raises:
            InputError: the parameter is named.
        """
        if len(self) < FEWEST_ROWS:
            raise InputError(f"The chain has {counted(len(self), 'row')}; at least {FEWEST_ROWS} are needed.")
        self.check_columns("the chain")

    def check_columns(self, where: str) -> None:
        """Refuse constants, linear functions of others, fewer rows than parameters, and numbers without squares.

        Raises:
            InputError: the parameter is named, and where it is so.
        """
        spread = np.ptp(self.x, axis=0)
        if (spread == 0).any():
            name = self.names[int((spread == 0).argmax())]
            raise InputError(f"The parameter {quoted(name)} is constant in {where}; {LEAVE_OUT}.")
        largest = np.abs(self.x).max(axis=0)
        if (beyond := (largest > LARGEST_VALUE) | (spread < LEAST_SPREAD)).any():
            place = int(beyond.argmax())
            what = (
                f"values as large as {largest[place]:.2g}"
                if largest[place] > LARGEST_VALUE
                else (f"values that differ by {spread[place]:.2g} at most")
            )
            raise InputError(
                f"The parameter {quoted(self.names[place])} has {what}, of which float64 has no squares; give it in "
                "other units."
            )
        values, vectors = np.linalg.eigh(np.atleast_2d(np.corrcoef(self.x, rowvar=False)))
        if values[0] < LEAST_EIGENVALUE:
            distinct = len(np.unique(self.x, axis=0))
            if distinct <= len(self.names):
                raise InputError(
                    f"There are {counted(distinct, 'different row')} for {counted(len(self.names), 'parameter')} in "
                    f"{where}; a density of these needs more: give more rows, or "
                    "choose fewer parameters with --columns (columns= in Python)."
                )
            name = self.names[int(np.abs(vectors[:, 0]).argmax())]
            raise InputError(
                f"The parameter {quoted(name)} is a linear function of the others, so that they have no density "
                f"together; {LEAVE_OUT}."
            )

    def halves(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The places of the rows for a fit and of those for an estimate, by whole Markov chains or long blocks.

        Rows that are near each other in a chain are much alike: dealt out row by row they would be on both sides.
        """
        units = self._units(seed)
        first = units % 2 == 0
        return np.flatnonzero(first), np.flatnonzero(~first)

    def training_parts(self, rows: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Of the rows of a fit the places to train on and those, one block in five, that decide when it ends."""
        units = self._units(seed)[rows] // 2
        held_out = units % 5 == 2
        return rows[~held_out], rows[held_out]

    def _units(self, seed: int) -> np.ndarray:
        """The number of the block of each row."""
        if self.independent:
            return np.random.default_rng(seed).permutation(len(self)) * BLOCKS // len(self)
        _, sizes = np.unique(self.walks, return_counts=True)
        parts = -(-BLOCKS // len(sizes))
        each = [np.arange(size) * parts // size for size in sizes]
        return np.concatenate([number * parts + own for number, own in enumerate(each)])


def _ends(name: str, ends: Any) -> tuple[float, float]:
    """The bounds of a parameter, infinite for none.

    Raises:
        InputError: they are not two numbers, of which the first is below the second.
    """
    try:
        low, high = (float(side if end is None else end) for end, side in zip(ends, (-np.inf, np.inf), strict=True))
    except (TypeError, ValueError):
        raise InputError(
            f"The bounds of the parameter {quoted(name)} are two numbers, (low, high), None for none, not {ends!r}."
        ) from None
    if not low < high:
        raise InputError(
            f"The lower bound of the parameter {quoted(name)}, {low:g}, is not below the upper one, {high:g}."
        )
    return low, high
