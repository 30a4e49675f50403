"""Which rows are trained on, and which are held out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError

# Held-out rows farther out than this, in ranges of the training rows, are trained on instead.
RANGES_TO_BE_FAR = 10


def split_rows(rows: int, fraction: float, seed: int, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Draw the rows that `fit` holds out of its training.

    Arguments:
        rows: The number of rows, at least 2.
        fraction: The share to hold out, between 0 and 1; at least one row is held out, and at least one is not.
        seed: Seed of the draw.
        weights: Weights (rows,): the share is then one of their sum, and rows of weight 0 are in neither part.

    Returns:
        The indices of the training rows, in random order, and of the held-out rows, in order.

    >>> training, held_out = split_rows(10, fraction=0.3, seed=0)
    >>> len(training), len(held_out), sorted([*training.tolist(), *held_out.tolist()]) == list(range(10))
    (7, 3, True)
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation_fraction must be between 0 and 1; it is {fraction!r}.")
    if rows < 2:
        raise InputError(f"x has {rows} row(s); at least 2 are needed, one to train on and one to hold out.")
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    if weights is not None:
        order = order[weights[order] > 0]
        if len(order) < 2:
            raise InputError(f"{len(order)} row(s) have a weight above 0; at least 2 are needed.")
        rows, total = len(order), weights[order].cumsum(0)
        held_out = min(max(int((total <= fraction * total[-1]).sum()), 1), rows - 1)
    else:
        held_out = min(max(round(rows * fraction), 1), rows - 1)
    # Sorted, so that held-out rows are read in the order of memory.
    return order[held_out:], order[:held_out].sort().values


def split_table(matrix: Tensor, fraction: float, seed: int, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Draw the rows to hold out as `split_rows` does, but train on rows that are far from all others.

    A held-out row of this kind, perhaps a mistake, would decide by itself which weights are best.

    Arguments:
        matrix: The rows, (n, columns); NaN where a value is missing.
        fraction: As in `split_rows`.
        seed: As in `split_rows`.
        weights: As in `split_rows`.

    >>> matrix = torch.arange(10.0)[:, None]
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([1, 4, 7])
    >>> matrix[1] = 1e12
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([4, 7])
    """
    training, held_out = split_rows(len(matrix), fraction, seed, weights)
    far = far_from(matrix[held_out], matrix[training])
    if bool(far.all()):
        return training, held_out
    return torch.cat([training, held_out[far]]), held_out[~far]


def far_from(rows: Tensor, others: Tensor) -> Tensor:
    """Which rows have a number more than ten times the range of the others outside that range, (n,)."""
    low = others.nan_to_num(math.inf).amin(0)
    high = others.nan_to_num(-math.inf).amax(0)
    # Halved, because the difference of the largest numbers would overflow.
    reach = RANGES_TO_BE_FAR * (high / 2 - low / 2)
    return ((rows / 2 > high / 2 + reach) | (rows / 2 < low / 2 - reach)).any(1)
