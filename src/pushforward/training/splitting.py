"""Which rows are trained on, and which are held out."""

from __future__ import annotations

import math

import numpy as np
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


def split_groups(
    groups: np.ndarray, fraction: float, seed: int, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Draw the rows that `fit` holds out, with all rows of a group on one side.

    Groups come in the order that `split_rows` gives their first rows, and are held out until the share is reached as
    nearly as their sizes allow. A group larger than the share is always trained on.

    Arguments:
        groups: (rows,) whole numbers, equal for rows of one group.
        fraction: As in `split_rows`.
        seed: As in `split_rows`.
        weights: As in `split_rows`.

    >>> training, held_out = split_groups(np.arange(40) // 2, fraction=0.1, seed=0)
    >>> sorted(set((held_out // 2).tolist()) & set((training // 2).tolist())), len(held_out)
    ([], 4)
    """
    training, held_out = split_rows(len(groups), fraction, seed, weights)
    # As they were drawn: the held-out rows come in the order of memory.
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    order = order[torch.isin(order, torch.cat([training, held_out]))]
    counted = order.sort().values
    _, first, labels = np.unique(groups[counted.numpy()], return_index=True, return_inverse=True)
    if len(first) == len(counted):
        return training, held_out
    size = torch.ones(len(counted), dtype=torch.float64) if weights is None else weights[counted].double()
    sizes = torch.zeros(len(first), dtype=torch.float64).index_add(0, torch.from_numpy(labels), size)
    place = torch.empty(len(groups), dtype=torch.long)
    place[order] = torch.arange(len(order))
    in_turn = place[counted[torch.from_numpy(first)]].argsort()
    target = fraction * float(sizes.sum())
    in_turn = in_turn[sizes[in_turn] <= target * (1 + 1e-9)]
    if not len(in_turn):
        raise InputError("No group is small enough to be held out; more and smaller groups are needed.")
    reached = sizes[in_turn].cumsum(0)
    chosen = in_turn[: 1 + int((reached - target).abs().argmin())]
    held = torch.isin(torch.from_numpy(labels), chosen)
    return order[~held[torch.searchsorted(counted, order)]], counted[held]


def split_last(rows: int, fraction: float, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Hold out the last rows, as of a time series; arguments as for `split_rows`.

    >>> split_last(10, 0.2)
    (tensor([0, 1, 2, 3, 4, 5, 6, 7]), tensor([8, 9]))
    """
    counted = torch.arange(rows) if weights is None else weights.nonzero()[:, 0]
    if len(counted) < 2:
        raise InputError(f"{len(counted)} row(s) can be split; at least 2 are needed.")
    held_out = min(max(round(len(counted) * fraction), 1), len(counted) - 1)
    return counted[:-held_out], counted[-held_out:]


def split_table(
    matrix: Tensor,
    fraction: float,
    seed: int,
    weights: Tensor | None = None,
    *,
    copies: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    last: bool = False,
) -> tuple[Tensor, Tensor]:
    """Draw the rows to hold out: copies, or groups, on one side, and rows that are far from all others in training.

    A held-out row of the last kind, perhaps a mistake, would decide by itself which weights are best. Of held-out rows
    that are copies of each other only the first is kept, so that held-out rows are independent; its copies are in
    neither part, also where rows are held out by groups or at the end.

    Arguments:
        matrix: The rows, (n, columns); NaN where a value is missing.
        fraction: As in `split_rows`.
        seed: As in `split_rows`.
        weights: As in `split_rows`.
        copies: (n,) as `copies_of` gives them; None where there are none.
        groups: (n,) of rows that stand together; default none but the copies.
        last: Whether the last rows are held out, and not a random share of them.

    >>> matrix = torch.arange(10.0)[:, None]
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([1, 4, 7])
    >>> matrix[1] = 1e12
    >>> split_table(matrix, 0.3, seed=0)[1]
    tensor([4, 7])
    """
    together = copies if groups is None else groups
    if last:
        training, held_out = split_last(len(matrix), fraction, weights)
    elif together is not None:
        training, held_out = split_groups(together, fraction, seed, weights)
    else:
        training, held_out = split_rows(len(matrix), fraction, seed, weights)
    if copies is not None:
        held_out = held_out[torch.from_numpy(np.sort(np.unique(copies[held_out.numpy()], return_index=True)[1]))]
        # Groups, and the last rows, may have copies on the other side.
        apart = torch.from_numpy(~np.isin(copies[training.numpy()], copies[held_out.numpy()]))
        training = training[apart] if bool(apart.any()) else training
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
