"""Which units of a masked network see which: by an order of the features, or by an adjacency of them."""

import itertools
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import torch
from torch import Tensor


class Dependencies(NamedTuple):
    """The masks of a network whose output d sees only inputs that feature d may depend on.

    Attributes:
        order: the features from first to last; each depends on features before it alone.
        degrees: for each unit, layer by layer, inputs first: the place 1 .. D of the last feature that it sees, or 0.
            Within a hidden layer they are sorted.
        masks: for each layer of weights, (units, units before), True where a weight is alive. The last has a row for
            each feature.
        direct: (D, D) connections from inputs to outputs, which carry what hidden layers are too narrow to carry; None
            if they are wide enough.
    """

    order: list[int]
    degrees: list[Tensor]
    masks: list[Tensor]
    direct: Tensor | None


def by_order(order: list[int], hidden: Sequence[int], context: int) -> Dependencies:
    """Let each feature depend on all features before it in an order.

    Arguments:
        order: (D,) the features from first to last.
        hidden: widths of the hidden layers.
        context: C, number of context features, which units of degree 0 see.

    Raises:
        ValueError: order is not a permutation.
    """
    features = len(order)
    if sorted(order) != list(range(features)):
        raise ValueError(f"order must hold each of 0 .. {features - 1} once, got {order}.")
    place = torch.tensor(order).argsort() + 1
    lowest = 0 if context or features == 1 else 1
    degrees = [place, *(spread_degrees(width, lowest, features - 1) for width in hidden)]
    masks = [after[:, None] >= before for before, after in itertools.pairwise(degrees)]
    masks.append(place[:, None] > degrees[-1])
    every_degree = set(range(lowest, features))
    narrow = any(set(degrees.tolist()) != every_degree for degrees in degrees[1:])
    return Dependencies(order, degrees, masks, place[:, None] > place if narrow else None)


def by_adjacency(adjacency: Tensor, hidden: Sequence[int], context: int) -> Dependencies:
    """Let each feature depend directly on the features that an adjacency allows, and on no others.

    A hidden unit has a set of inputs that it may see, one of the rows of the adjacency. It sees units before it whose
    sets are parts of its own.

    Arguments:
        adjacency: (D, D) from `checked_adjacency`.
        hidden: widths of the hidden layers.
        context: C, number of context features, which units with an empty set see.

    Raises:
        ValueError: the adjacency has a cycle.
    """
    order = acyclic_order(adjacency)
    place = torch.tensor(order).argsort() + 1
    sets = adjacency.unique(dim=0)
    if not context and bool(sets.any()):
        sets = sets[sets.any(1)]  # without inputs and context a unit is a constant
    of_set = (sets * place).amax(1)
    by_degree = of_set.argsort(stable=True)
    sets, of_set = sets[by_degree], of_set[by_degree]
    chosen = [spread_degrees(width, 0, len(sets) - 1) for width in hidden]
    seen = [torch.eye(len(order), dtype=torch.bool), *(sets[units] for units in chosen)]
    masks = [_contain(after, before) for before, after in itertools.pairwise(seen)]
    masks.append(_contain(adjacency, seen[-1]))
    narrow = any(len(units.unique()) < len(sets) for units in chosen)
    return Dependencies(order, [place, *(of_set[units] for units in chosen)], masks, adjacency if narrow else None)


def checked_adjacency(adjacency: Tensor | Sequence[Sequence[bool]], features: int) -> Tensor:
    """The adjacency as a boolean matrix whose diagonal is False.

    Arguments:
        adjacency: adjacency[i][j] is True where feature i may depend on feature j; the diagonal does not count.
        features: D.

    Raises:
        ValueError: it is not (D, D).
    """
    rows = [list(row) for row in adjacency]
    if [len(row) for row in rows] != [features] * features:
        raise ValueError(
            f"adjacency must be a {features} × {features} matrix, one row for each feature; got {len(rows)} rows of "
            f"{', '.join(sorted({str(len(row)) for row in rows})) or 'no'} entries."
        )
    return torch.tensor(rows, dtype=torch.bool).view(features, features) & ~torch.eye(features, dtype=torch.bool)


def acyclic_order(adjacency: Tensor) -> list[int]:
    """The features in an order in which each depends on features before it alone.

    Arguments:
        adjacency: (D, D), True where feature i may depend on feature j.

    Raises:
        ValueError: the adjacency has a cycle; the message names one.

    Example:
        >>> acyclic_order(torch.tensor([[False, False, True], [True, False, False], [False, False, False]]))
        [2, 0, 1]
    """
    parents = {feature: row.nonzero()[:, 0].tolist() for feature, row in enumerate(adjacency)}
    try:
        return list(TopologicalSorter(parents).static_order())
    except CycleError as error:
        links = [f"feature {i} depends on {j}" for j, i in itertools.pairwise(error.args[1])]
        raise ValueError(
            f"adjacency has a cycle: {', '.join(reversed(links))}; remove one of these dependencies."
        ) from None


def _contain(sets: Tensor, parts: Tensor) -> Tensor:
    """Which sets, (n, D), contain which parts, (m, D): (n, m)."""
    return (~sets).float() @ parts.float().t() == 0


def spread_degrees(width: int, lowest: int, highest: int) -> Tensor:
    """Sorted degrees for `width` hidden units, spread evenly over lowest .. highest.

    Each degree occurs equally often, give or take one; when there are fewer units than degrees, they stand at equal
    distances, the last at `highest`, where the most inputs are seen.

    Example:
        >>> spread_degrees(5, 1, 3).tolist(), spread_degrees(3, 0, 8).tolist(), spread_degrees(1, 1, 4).tolist()
        ([1, 1, 2, 2, 3], [0, 4, 8], [4])
    """
    degrees = highest - lowest + 1
    if width >= degrees:
        return lowest + torch.arange(width) * degrees // width
    return (
        (highest - torch.linspace(highest - lowest, 0, width).round().long()) if width > 1 else torch.tensor([highest])
    )
