"""Which units of a masked network see which: by an order of the features, or by an adjacency of them.

In numpy, since those who read a model file without torch need it too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

import numpy as np


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
    degrees: list[np.ndarray]
    masks: list[np.ndarray]
    direct: np.ndarray | None


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
    place = np.argsort(order) + 1
    lowest = 0 if context or features == 1 else 1
    degrees = [place, *(spread_degrees(width, lowest, features - 1) for width in hidden)]
    masks = [after[:, None] >= before for before, after in itertools.pairwise(degrees)]
    masks.append(place[:, None] > degrees[-1])
    every_degree = set(range(lowest, features))
    narrow = any(set(degrees.tolist()) != every_degree for degrees in degrees[1:])
    return Dependencies(order, degrees, masks, place[:, None] > place if narrow else None)


def by_adjacency(adjacency: np.ndarray, hidden: Sequence[int], context: int) -> Dependencies:
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
    place = np.argsort(order) + 1
    sets = np.unique(adjacency, axis=0)
    if not context and sets.any():
        sets = sets[sets.any(1)]  # without inputs and context a unit is a constant
    of_set = (sets * place).max(1)
    by_degree = np.argsort(of_set, kind="stable")
    sets, of_set = sets[by_degree], of_set[by_degree]
    chosen = [spread_degrees(width, 0, len(sets) - 1) for width in hidden]
    seen = [np.eye(len(order), dtype=bool), *(sets[units] for units in chosen)]
    masks = [_contain(after, before) for before, after in itertools.pairwise(seen)]
    masks.append(_contain(adjacency, seen[-1]))
    narrow = any(len(np.unique(units)) < len(sets) for units in chosen)
    return Dependencies(order, [place, *(of_set[units] for units in chosen)], masks, adjacency if narrow else None)


def checked_adjacency(adjacency: Iterable[Iterable[Any]], features: int) -> np.ndarray:
    """The adjacency as a boolean matrix whose diagonal is False.

    Arguments:
        adjacency: adjacency[i][j] is True where feature i may depend on feature j; the diagonal does not count.
        features: D.

    Raises:
        ValueError: it is not (D, D).
    """
    rows = [[bool(entry) for entry in row] for row in adjacency]
    if [len(row) for row in rows] != [features] * features:
        raise ValueError(
            f"adjacency must be a {features} × {features} matrix, one row for each feature; got {len(rows)} rows of "
            f"{', '.join(sorted({str(len(row)) for row in rows})) or 'no'} entries."
        )
    found: np.ndarray = np.array(rows, bool).reshape(features, features) & ~np.eye(features, dtype=bool)
    return found


def acyclic_order(adjacency: np.ndarray) -> list[int]:
    """The features in an order in which each depends on features before it alone.

    Arguments:
        adjacency: (D, D), True where feature i may depend on feature j.

    Raises:
        ValueError: the adjacency has a cycle; the message names one.

    Example:
        >>> acyclic_order(np.array([[False, False, True], [True, False, False], [False, False, False]]))
        [2, 0, 1]
    """
    parents = {feature: np.flatnonzero(row).tolist() for feature, row in enumerate(adjacency)}
    try:
        return list(TopologicalSorter(parents).static_order())
    except CycleError as error:
        links = [f"feature {i} depends on {j}" for j, i in itertools.pairwise(error.args[1])]
        raise ValueError(
            f"adjacency has a cycle: {', '.join(reversed(links))}; remove one of these dependencies."
        ) from None


def _contain(sets: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Which sets, (n, D), contain which parts, (m, D): (n, m)."""
    found: np.ndarray = (~sets).astype(np.float32) @ parts.astype(np.float32).T == 0
    return found


def spread_degrees(width: int, lowest: int, highest: int) -> np.ndarray:
    """Sorted degrees for `width` hidden units, spread evenly over lowest .. highest.

    Each degree occurs equally often, give or take one; when there are fewer units than degrees, they stand at equal
    distances, the last at `highest`, where the most inputs are seen.

    Example:
        >>> spread_degrees(5, 1, 3).tolist(), spread_degrees(3, 0, 8).tolist(), spread_degrees(1, 1, 4).tolist()
        ([1, 1, 2, 2, 3], [0, 4, 8], [4])
    """
    degrees = highest - lowest + 1
    if width >= degrees:
        return lowest + np.arange(width) * degrees // width
    if width == 1:
        return np.array([highest])
    found: np.ndarray = highest - np.round(single_steps(highest - lowest, 0, width)).astype(np.int64)
    return found


def single_steps(start: float, end: float, count: int) -> np.ndarray:
    """Numbers at equal distances, (count,) float32, rounded as `torch.linspace` rounds them.

    Degrees must be those of every version that wrote a model file.
    """
    # Each number is rounded once, as by a fused multiplication and addition.
    step, place = float(np.float32((end - start) / max(count - 1, 1))), np.arange(count)
    found = np.where(place < count // 2, start + step * place, end - step * (count - 1 - place))
    single: np.ndarray = (found if count > 1 else np.array([start])).astype(np.float32)
    return single
