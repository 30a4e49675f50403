"""Autoregressive layers with a masked network, in both directions, each in one call: chunk by chunk of rows.

Few rows at a time go through the whole layer, so that all of its units stay in the processor's cache and nothing but
the result is written to memory. Hidden units are sorted by degree: products stop at the last column that is alive, and
going against the grain costs no more than going with it.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward.kernels import native
from pushforward.kernels.eligibility import is_plain
from pushforward.kernels.spline import MOST_BINS

if TYPE_CHECKING:
    from pushforward.networks.made import MADE

MOST_LAYERS = 64
# Fewer multiplications are not worth waking a second thread.
FEWEST_FOR_THREADS = 2**17
# A block of degrees has at least so many units and parameters, so that its products are as wide as the kernels go.
UNITS_OF_BLOCK = 16
ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 0, nn.ELU: 1, nn.SiLU: 2, nn.GELU: 3, nn.Tanh: 4}


# What the kernels must know of a univariate map: 0 additive, 1 affine or 2 spline, and then the numbers of a
# `SplineShape`, in which an affine map's bound stands for that of the box. By exact type, since a subclass may do
# something else.
FAMILIES: dict[type, Callable[[Any], tuple[float, ...]]] = {}


class Structure(NamedTuple):
    """What the kernels must know of a masked network besides its weights, which is all known at construction.

    Attributes:
        numbers: (n,) the order; for each layer, from x to the parameters, which one's values before their activation
            are added, or -1; for each of them, and the context, how many units have a degree below 0, 1 .. D; which
            output each parameter is, feature by feature in order; and 0, 1, 2 ...
        block: how many degrees share a product with what was there before them.
        multiplications: that one row takes.
    """

    numbers: Tensor
    block: int
    multiplications: int

    @classmethod
    def of(
        cls, order: list[int], units: list[list[int]], parameter_count: int, skips: list[int | None], context: int
    ) -> Structure:
        """Of a network with the attributes that `MADE` has under these names."""
        features = len(order)
        # The input at place p has degree p + 1.
        of_degree = [[0] + [1] * (features - 1), *units, [parameter_count] * features]
        starts = [[0, *itertools.accumulate(counts)] for counts in of_degree]
        widest = max(context, features, *(sum(counts) for counts in units))
        seen = [-1, *(-1 if skip is None else skip + 1 for skip in skips)]
        places = [feature * parameter_count + k for feature in order for k in range(parameter_count)]
        numbers = [*order, *seen, *itertools.chain(*starts), *[context] * (features + 1), *places, *range(widest)]
        densest = min([parameter_count, *(sum(counts) / features for counts in units)])
        block = min(features, -(-UNITS_OF_BLOCK // max(1, round(densest))))
        multiplications = sum(
            sum(count * source[p + 1] for p, count in enumerate(target))
            for source, target in zip(starts, of_degree[1:], strict=False)
        )
        return cls(torch.tensor(numbers), block, multiplications)


ARGUMENTS = "lllippiiiiffffilpllpllppi"
if native is not None:
    _autoregressive = native.function("autoregressive", ARGUMENTS)


def weights_for_kernel(
    made: MADE, univariate: object, value: Tensor, context: Tensor | None
) -> list[Tensor | None] | None:
    """The weights of a layer as the kernels take them, or None where they do not take this layer.

    They want float32 on a processor, a known network and family, and that no transformation of torch looks on.
    """
    known = made.structure is not None and type(made.activation) in ACTIVATIONS
    if native is None or not known or not may_run_compiled(univariate, value):
        return None
    layers = list(made.layers)
    weights: list[Any] = []
    for layer in layers:
        # By attributes each would take as long as a small product.
        of = layer._parameters
        weights += of.get("bias"), of.get("weight")
    weights += [layer and layer.weight for layer in (made.context, made.direct, made.direct_context)]
    plain = all(weight is None or (is_plain_tensor(weight) and weight.is_contiguous()) for weight in weights)
    fits = len(layers) <= MOST_LAYERS - 2 and (context is None or is_plain_tensor(context))
    return weights if plain and fits else None


def may_run_compiled(univariate: object, value: Tensor) -> bool:
    """Whether kernels know a family, and may map such values now."""
    return (
        type(univariate) in FAMILIES
        and getattr(univariate, "bins", 0) <= MOST_BINS
        and is_plain_tensor(value)
        and not torch.is_autocast_enabled("cpu")
        and is_plain()
    )


def is_plain_tensor(tensor: Tensor) -> bool:
    """Whether a tensor is float32 on a processor, and no subclass."""
    return tensor.dtype is torch.float32 and tensor.is_cpu and type(tensor) in (Tensor, nn.Parameter)


def autoregressive(
    made: MADE,
    weights: list[Tensor | None],
    univariate: object,
    value: Tensor,
    context: Tensor | None,
    inverse: bool,
) -> tuple[Tensor, Tensor]:
    """x[d] = univariate(z[d]; made(x[before d], context)), solved for x, or `inverse`, for z.

    Arguments:
        made: the conditioner.
        weights: its weights from `weights_for_kernel`.
        univariate: the family of maps.
        value: z, or x, (*batch, D).
        context: (..., C), to be broadcast to the batch, or None.
        inverse: the direction.

    Returns:
        x, or z, (*batch, D), feature by feature in memory, and log_det, (*batch).
    """
    *batch, features = value.shape
    rows = value.reshape(-1, features)
    count, structure = len(rows), made.structure
    of_context: tuple[int | None, ...] = (None, 0, 0)
    if made.context is not None and context is not None:
        contexts = context.expand(*batch, -1).reshape(-1, context.shape[-1])
        of_context = contexts.data_ptr(), *contexts.stride()
    to, log_det = rows.new_empty(features, count), rows.new_empty(count)
    pointers = [None if weight is None else weight.data_ptr() for weight in weights]
    _autoregressive(
        count,
        features,
        made.parameter_count,
        len(made.units),
        structure.numbers.data_ptr(),
        (ctypes.c_void_p * len(pointers))(*pointers),
        ACTIVATIONS[type(made.activation)],
        *FAMILIES[type(univariate)](univariate),
        inverse,
        structure.block,
        rows.data_ptr(),
        *rows.stride(),
        *of_context,
        to.data_ptr(),
        log_det.data_ptr(),
        torch.get_num_threads() if count * structure.multiplications >= FEWEST_FOR_THREADS else 1,
    )
    return to.t().reshape(value.shape), log_det.reshape(batch)
