"""Which units of a masked network depend on which, laid out for the compiled kernels."""

import itertools

import torch
from torch import nn

from pushforward.kernels.autoregressive import ACTIVATIONS, MOST_LAYERS, MaskedStructure

# A block of degrees has at least this many units and parameters, to fill the tiles of the kernels.
UNITS_OF_BLOCK = 16


def structure_of(
    order: list[int],
    units: list[list[int]],
    parameter_count: int,
    skips: list[int | None],
    context: int,
    activation: nn.Module,
) -> MaskedStructure | None:
    """The structure of a network with the attributes that `MADE` has under these names, or None for other activations.

    `numbers` of it are the order; for each layer, from x to the parameters, the layer whose values before their
    activation are added, or -1; for each of them, and the context, how many units have a degree below 0, 1 .. D; the
    output of each parameter, feature by feature in order; and 0, 1, 2 ...
    """
    kind = ACTIVATIONS.get(type(activation))
    if kind is None or len(units) > MOST_LAYERS - 3:
        return None
    features = len(order)
    # The input at place p has degree p + 1.
    of_degree = [[0] + [1] * (features - 1), *units, [parameter_count] * features]
    starts = [[0, *itertools.accumulate(counts)] for counts in of_degree]
    widest = max(context, features, *(sum(counts) for counts in units))
    skipped = tuple(-1 if skip is None else skip for skip in skips)
    added = [-1, *(-1 if skip < 0 else skip + 1 for skip in skipped)]
    outputs = [feature * parameter_count + k for feature in order for k in range(parameter_count)]
    numbers = [*order, *added, *itertools.chain(*starts), *[context] * (features + 1), *outputs, *range(widest)]
    densest = min([parameter_count, *(sum(counts) / features for counts in units)])
    block = min(features, -(-UNITS_OF_BLOCK // max(1, round(densest))))
    multiplications = sum(
        sum(count * source[p + 1] for p, count in enumerate(target))
        for source, target in zip(starts, of_degree[1:], strict=False)
    )
    return MaskedStructure(
        torch.tensor(numbers),
        block,
        multiplications,
        parameter_count,
        len(units),
        skipped,
        order == sorted(order),
        kind,
        context > 0,
    )
