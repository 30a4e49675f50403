"""The lattice that the values of a column are on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pushforward.training.copies.decimals import shares_of_decimals
from pushforward.training.copies.grid import Grid

# Values are on a lattice if so many of their small distances are whole multiples of the least, up to this error.
SHARE_ON_LATTICE, OFF_LATTICE, LARGEST_MULTIPLE = 0.9, 0.05, 100
# Or if nearly all are whole multiples of a power of ten.
SHARE_OF_DECIMALS = 0.99
# Distances are measured on a grid of this many bits; a few of its steps are rounding.
BITS_OF_DISTANCES, ROUNDING_STEPS = 32, 3


class Lattice(NamedTuple):
    """Equally spaced numbers, to which the values of a column were rounded.

    Attributes:
        step: between two of them.
        places: how many of them lie in the middle half of the different values.
    """

    step: float
    places: float


def lattice_of(column: np.ndarray) -> Lattice | None:
    """The lattice of numbers, (n,), NaN where one is missing; None where they are on none.

    Example:
        >>> x = np.random.default_rng(0).normal(size=1000)
        >>> round(lattice_of(np.round(x, 1)).step, 9), lattice_of(x)
        (0.1, None)
    """
    present = column[~np.isnan(column)][:, None]
    grid = Grid(present, BITS_OF_DISTANCES)
    values = np.unique(grid.cells(present, [0])[0])
    quarter = len(values) // 4
    gaps = np.diff(values[quarter : len(values) - quarter])
    gaps = gaps[gaps >= ROUNDING_STEPS]
    if not len(gaps):
        return Lattice(np.inf, 1.0)
    multiples = gaps / gaps.min()
    small = multiples[multiples < LARGEST_MULTIPLE]
    if np.mean(np.abs(small - np.rint(small)) < OFF_LATTICE) > SHARE_ON_LATTICE:
        return Lattice(float(gaps.min()) * grid.steps[0], float(multiples.sum() + 1))
    # No two numbers of many decimals may be neighbors.
    shares = shares_of_decimals(present[:, 0], 2.0**-BITS_OF_DISTANCES)
    step = next((step for step, share in shares.items() if share > SHARE_OF_DECIMALS), None)
    return None if step is None else Lattice(step, float(gaps.sum()) * grid.steps[0] / step + 1)
