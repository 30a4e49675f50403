"""Autoregressive layers solved feature by feature on a GPU, in one launch.

A program takes some rows through all features. Hidden units are sorted by degree: those of degree p depend on the first
p features, so they are computed when these are known, and never again. All steps together are the arithmetic of one
pass. What is known of the rows lies in memory, from where the cache gives it back.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from pushforward.kernels.autoregressive import SortedNetwork
from pushforward.kernels.gpu.layer import ROWS, parts_of, power_of_2
from pushforward.kernels.gpu.network import PRECISION
from pushforward.kernels.gpu.univariate import map_values
from pushforward.kernels.univariate import SHAPES

INPUTS = 64


def solve_on_gpu(
    network: SortedNetwork, univariate: object, z: Tensor, added: Tensor | None, added_to_parameters: Tensor | None
) -> tuple[Tensor, Tensor]:
    """x[d] = univariate(z[d]; network(x[before d])), solved for x.

    Arguments:
        network: the conditioner, on the GPU.
        univariate: a family of maps that `may_run_on_gpu` accepts.
        z: (n, D), n at least 1.
        added: what the context adds to the first layer's result, (units, n or 1), or None.
        added_to_parameters: what it adds to the parameters, (D · P, n or 1), or None.

    Returns:
        x, (n, D), and log_det, (n,).
    """
    structure, weights, numbers = network
    count, features = z.shape
    *pairs, _, direct, _ = weights
    biases: list[Any] = pairs[::2]
    # A layer without inputs is its bias: nothing is read of its weights.
    own = [bias if weight is None else weight for bias, weight in zip(biases, pairs[1::2], strict=True)]
    hidden = structure.hidden
    # For each layer of weights, which hidden layer before its activation is added.
    skips = tuple(max(int(k) - 1, -1) for k in structure.numbers[features + 1 : features + hidden + 2].tolist())
    after = [z.new_empty(count, len(bias)) for bias in biases[:-1]]
    kept = tuple(k in skips for k in range(hidden))
    before = [torch.empty_like(layer) if keep else layer for keep, layer in zip(kept, after, strict=True)]
    x, in_order = z.new_empty(count, features), z.new_empty(count, features)
    parameters, log_det = z.new_empty(count, structure.parameter_count), z.new_empty(count)
    shape = SHAPES[type(univariate)](univariate)
    densest = max([structure.parameter_count, *(len(layer[0]) // features for layer in after)])
    with torch.cuda.device_of(z):
        _solve[(parts_of(count, ROWS),)](
            z, *z.stride(), numbers, tuple(own), tuple(biases), z if direct is None else direct,
            *_strided(added, z), *_strided(added_to_parameters, z),
            (*before, z), (*after, z), in_order, parameters, x, log_det, count, features, structure.parameter_count,
            shape, power_of_2(shape.bins), skips, kept, structure.activation, direct is not None,
            added is not None, added_to_parameters is not None, ROWS, 16 if densest <= 16 else 32, INPUTS,
        )  # fmt: skip
    return x, log_det


def _strided(added: Tensor | None, z: Tensor) -> tuple[Tensor, int, int]:
    """A tensor, (units, n or 1), with its strides from row to row and unit to unit; without one, z in its place."""
    if added is None:
        return z, 0, 0
    return added, added.stride(1) if added.shape[1] > 1 else 0, added.stride(0)


@triton.jit
def activated(h, ACTIVATION: tl.constexpr):
    """The activations of `pushforward.kernels.autoregressive`, by their number."""
    if ACTIVATION == 0:
        return tl.where(h < 0, 0.0, h)
    elif ACTIVATION == 1:
        return tl.where(h > 0, h, tl.exp(tl.where(h > 0, 0.0, h)) - 1.0)
    elif ACTIVATION == 2:
        e = tl.exp(-tl.abs(h))
        return h * (tl.where(h < 0, e, 1.0) / (1.0 + e))
    elif ACTIVATION == 3:
        return h * (0.5 * (1.0 + tl.math.erf(h * 0.7071067811865476)))
    else:
        e = tl.exp(-2.0 * tl.abs(h))
        size = (1.0 - e) / (1.0 + e)
        return tl.where(h < 0, -size, size)


@triton.jit
def add_product(
    h, row, present, source, width, known, weight, columns, unit, inside, order,
    ORDERED: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of the first `known` numbers of each row with the weights of some units.

    With ORDERED, the columns of the weights are features, and the source has them in their order.
    """
    for start in range(0, known, BK):
        k = start + tl.arange(0, BK)
        value = tl.load(source + row[:, None] * width + k[None, :], present[:, None] & (k < known)[None, :], other=0.0)
        column = k
        if ORDERED:
            column = tl.load(order + k, k < known, other=0).to(tl.int32)
        w = tl.load(
            weight + unit[None, :] * columns + column[:, None], inside[None, :] & (k < known)[:, None], other=0.0
        )
        h = tl.dot(value, w, h, input_precision=PRECISION, out_dtype=h.dtype)
    return h


@triton.jit
def _solve(
    z, z_row, z_feature, numbers, weights, biases, direct, added, added_row, added_unit, late, late_row, late_unit,
    before, after, in_order, parameters, x, log_det, count, features, parameter_count,
    SHAPE: tl.constexpr, WIDTH: tl.constexpr, SKIPS: tl.constexpr, KEPT: tl.constexpr, ACTIVATION: tl.constexpr,
    DIRECT: tl.constexpr, ADDED: tl.constexpr, LATE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    HIDDEN: tl.constexpr = len(weights) - 1
    row = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    present = row < count
    # How many units each layer has of a degree below 0, 1 .. D; the inputs come first.
    starts = numbers + features + HIDDEN + 2
    total = tl.zeros([BM], z.dtype.element_ty)
    for place in range(0, features):
        # The hidden units that depend on all features before this place.
        for k in tl.static_range(HIDDEN):
            of_layer = starts + (k + 1) * (features + 1) + place
            begin, end = tl.load(of_layer).to(tl.int32), tl.load(of_layer + 1).to(tl.int32)
            known = place
            columns = features
            if k > 0:
                known = tl.load(of_layer - features).to(tl.int32)
                columns = tl.load(starts + k * (features + 1) + features).to(tl.int32)
            units = tl.load(starts + (k + 1) * (features + 1) + features).to(tl.int32)
            for first in range(begin, end, BN):
                unit = first + tl.arange(0, BN)
                inside = unit < end
                both = present[:, None] & inside[None, :]
                h = tl.zeros([BM, BN], z.dtype.element_ty)
                if k == 0:
                    h = add_product(
                        h, row, present, in_order, features, known, weights[k], columns, unit, inside, numbers, True, BK
                    )
                else:
                    h = add_product(
                        h, row, present, after[k - 1], columns, known, weights[k], columns, unit, inside, numbers,
                        False, BK,
                    )  # fmt: skip
                h += tl.load(biases[k] + unit, inside, other=0.0)[None, :]
                if (k == 0) and ADDED:
                    h += tl.load(added + row[:, None] * added_row + unit[None, :] * added_unit, both, other=0.0)
                at = row[:, None] * units + unit[None, :]
                if SKIPS[k] >= 0:
                    h += tl.load(before[SKIPS[k]] + at, both, other=0.0)
                if KEPT[k]:
                    tl.store(before[k] + at, h, both)
                tl.store(after[k] + at, activated(h, ACTIVATION), both)
            tl.debug_barrier()
        feature = tl.load(numbers + place).to(tl.int32)
        for first in range(0, parameter_count, BN):
            own = first + tl.arange(0, BN)
            inside = own < parameter_count
            both = present[:, None] & inside[None, :]
            unit = feature * parameter_count + own
            h = tl.zeros([BM, BN], z.dtype.element_ty)
            if HIDDEN == 0:
                h = add_product(
                    h, row, present, in_order, features, place, weights[0], features, unit, inside, numbers, True, BK
                )
            else:
                known = tl.load(starts + HIDDEN * (features + 1) + place + 1).to(tl.int32)
                columns = tl.load(starts + HIDDEN * (features + 1) + features).to(tl.int32)
                h = add_product(
                    h, row, present, after[HIDDEN - 1], columns, known, weights[HIDDEN], columns, unit, inside, numbers,
                    False, BK,
                )  # fmt: skip
            if DIRECT:
                h = add_product(
                    h, row, present, in_order, features, place, direct, features, unit, inside, numbers, True, BK
                )
            h += tl.load(biases[HIDDEN] + unit, inside, other=0.0)[None, :]
            if (HIDDEN == 0) and ADDED:
                h += tl.load(added + row[:, None] * added_row + unit[None, :] * added_unit, both, other=0.0)
            if LATE:
                h += tl.load(late + row[:, None] * late_row + unit[None, :] * late_unit, both, other=0.0)
            tl.store(parameters + row[:, None] * parameter_count + own[None, :], h, both)
        tl.debug_barrier()
        value = tl.load(z + row * z_row + feature * z_feature, present, other=0.0)
        mapped, log_derivative = map_values(value, parameters + row * parameter_count, present, False, SHAPE, WIDTH)
        total += log_derivative
        tl.store(in_order + row * features + place, mapped, present)
        tl.store(x + row * features + feature, mapped, present)
        tl.debug_barrier()
    tl.store(log_det + row, total, present)
