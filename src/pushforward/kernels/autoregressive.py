"""Autoregressive layers with a masked network, in both directions, each in one call: chunk by chunk of rows.

A few rows at a time go through the whole layer, so that all of its units stay in the processor's cache and only the
result is written to memory. Hidden units are sorted by degree: products stop at the last column that is alive, and the
sequential direction takes no more arithmetic than the other one.
"""

from collections.abc import Callable, Sequence
from ctypes import byref, c_void_p
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.kernels import Native, native
from pushforward.kernels.structures import AutoregressiveCall
from pushforward.kernels.threads import thread_count
from pushforward.kernels.univariate import compiled

MOST_LAYERS = 64
# For fewer multiplications it takes longer to wake a second thread than to compute.
FEWEST_FOR_THREADS = 2**17
ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 0, nn.ELU: 1, nn.SiLU: 2, nn.GELU: 3, nn.Tanh: 4}


class MaskedStructure(NamedTuple):
    """What the kernel must know of a masked network besides its weights; all of it is known at construction.

    Attributes:
        numbers: (n,) of int64, which units depend on which, as `pushforward.networks.structure` lays it out.
        block: how many degrees share a product with all degrees before them.
        multiplications: that one row takes.
        parameter_count: P, of each feature.
        hidden: number of hidden layers.
        skips: for each layer of weights, which hidden layer before its activation is added, or -1.
        ascending: whether features come in their order.
        activation: one of the numbers of `ACTIVATIONS`.
        reads_context: whether it has a context.
    """

    numbers: Tensor
    block: int
    multiplications: int
    parameter_count: int
    hidden: int
    skips: tuple[int, ...]
    ascending: bool
    activation: int
    reads_context: bool


class SortedNetwork(NamedTuple):
    """A masked network whose units are sorted by degree.

    Attributes:
        structure: which units depend on which.
        weights: bias and weight of each layer in turn, then the weights of the context to the first layer, of the
            features and of the context to the parameters; contiguous, or None for those that are missing.
        numbers: those of the structure in int32, on the device of the weights.
    """

    structure: MaskedStructure
    weights: Sequence[Tensor | None]
    numbers: Tensor | None = None


def functions_of(library: Native) -> tuple[Callable[..., None], Callable[..., None]]:
    """The kernels in float32 and in float64."""
    return (
        library.function("autoregressive", AutoregressiveCall),
        library.function("autoregressive_float64", AutoregressiveCall),
    )


if native is not None:
    _autoregressive, _autoregressive_float64 = functions_of(native)


def autoregressive(
    network: SortedNetwork, univariate: object, value: Tensor, context: Tensor | None, inverse: bool
) -> tuple[Tensor, Tensor]:
    """x[d] = univariate(z[d]; network(x[before d], context)), solved for x or, with `inverse`, for z.

    Arguments:
        network: the conditioner, of the dtype of the value.
        univariate: a family of maps that `may_run_compiled` accepts.
        value: z, or x, (*batch, D).
        context: (..., C), to be broadcast to the batch, or None.
        inverse: the direction.

    Returns:
        x, or z, (*batch, D), feature by feature in memory, and log_det, (*batch).
    """
    structure, weights, _ = network
    *batch, features = value.shape
    rows = value.reshape(-1, features)
    count = len(rows)
    contexts: Tensor | None = None
    strides: tuple[int, ...] = (0, 0)
    if structure.reads_context and context is not None:
        contexts = context.expand(*batch, -1).reshape(-1, context.shape[-1])
        strides = contexts.stride()
    mapped, log_det = rows.new_empty(features, count), rows.new_empty(count)
    pointers = [None if weight is None else weight.data_ptr() for weight in weights]
    call = AutoregressiveCall(
        compiled(univariate),
        structure.activation,
        inverse,
        thread_count() if count * structure.multiplications >= FEWEST_FOR_THREADS else 1,
        structure.hidden,
        count,
        features,
        structure.parameter_count,
        structure.block,
        structure.numbers.data_ptr(),
        (c_void_p * len(pointers))(*pointers),
        rows.data_ptr(),
        *rows.stride(),
        None if contexts is None else contexts.data_ptr(),
        *strides,
        mapped.data_ptr(),
        log_det.data_ptr(),
    )
    kernel = _autoregressive if value.dtype is torch.float32 else _autoregressive_float64
    kernel(byref(call))
    return mapped.t().reshape(value.shape), log_det.reshape(batch)
