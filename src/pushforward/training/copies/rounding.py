"""Columns some of whose numbers were rounded to fewer decimals than the others, as in a second file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from pushforward.training.copies.decimals import shares_of_decimals

# At least this share of the rows must have fewer decimals than the others.
LEAST_ROUNDED = 0.02
# Of numbers with one decimal more, one in ten has a 0 there anyway.
ZERO_BY_CHANCE = 0.1
# The smallest step, in spreads of a column.
FINEST_STEP = 2.0**-20


def steps_of_rounding(matrix: np.ndarray, numbers: Sequence[int]) -> dict[int, float]:
    """The powers of ten to which some, and not all, of the rows were rounded, by column.

    Arguments:
        matrix: (n, columns); NaN where a value is missing.
        numbers: the columns of numbers.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 1))
        >>> steps_of_rounding(np.concatenate([x, np.round(x, 2)]), [0])
        {0: 0.01}
        >>> steps_of_rounding(np.round(x, 2), [0])
        {}
    """
    found = {column: _step_of_rounding(matrix[:, column]) for column in numbers}
    return {column: step for column, step in found.items() if step is not None}


def _step_of_rounding(column: np.ndarray) -> float | None:
    """The largest power of ten of which too many numbers are multiples for chance, and not all, or None."""
    shares = list(shares_of_decimals(column, FINEST_STEP).items())
    for (step, share), (_, finer) in itertools.pairwise(shares[1:]):
        # Atoms, such as zeros, are multiples of the largest as well.
        atoms = shares[0][1]
        if share - atoms - ZERO_BY_CHANCE * (finer - atoms) > LEAST_ROUNDED:
            return step if share < 1 - LEAST_ROUNDED else None
    return None
