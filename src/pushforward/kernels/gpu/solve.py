"""Autoregressive layers solved feature by feature on a GPU, in one launch.

A program takes some rows through all features. Hidden units are sorted by degree: those of degree p depend on the first
p features, so they are computed when these are known, and never again. All steps together are the arithmetic of one
pass. What is known of the rows lies in memory, from where the cache gives it back.

Features are taken in blocks, as in the solution of triangular systems: what the units of a block receive from all that
was known before the block is one product of large tiles, and a step within it adds only what the block itself found.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from pushforward.kernels.autoregressive import SortedNetwork
from pushforward.kernels.gpu.layer import parts_of, power_of_2, strided
from pushforward.kernels.gpu.network import dot
from pushforward.kernels.gpu.univariate import map_values
from pushforward.kernels.univariate import SHAPES

ROWS = 16
INPUTS = 32
# Of the layer that has most, this many units make a block, and one tile of its product with what was known before.
UNITS_OF_BLOCK = TILE = 64
# Products of so few units are sums in registers: the least tile of a tensor core would be nearly empty.
FEW = 4
WARPS = 4


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
    if not structure.ascending:
        # What reads features reads them from first to last.
        own[0] = own[0] if pairs[1] is None else own[0].index_select(1, numbers[:features])
        direct = None if direct is None else direct.index_select(1, numbers[:features])
    after = [z.new_empty(count, bias.shape[0]) for bias in biases[:-1]]
    kept = tuple([k in structure.skips for k in range(structure.hidden)])
    before = [torch.empty_like(layer) if keep else layer for keep, layer in zip(kept, after, strict=True)]
    x, in_order = z.new_empty(count, features), z.new_empty(count, features)
    widths = (features, *[layer.shape[1] for layer in after])
    widest = max([parts_of(width, features) for width in widths])
    block = max(1, min(features, UNITS_OF_BLOCK // widest))
    parameters, log_det = z.new_empty(count, block * structure.parameter_count), z.new_empty(count)
    shape = SHAPES[type(univariate)](univariate)
    with torch.cuda.device_of(z):
        _solve[(parts_of(count, ROWS),)](
            z, *z.stride(), numbers, tuple(own), tuple(biases), z if direct is None else direct,
            *strided(added, z), *strided(added_to_parameters, z), (*before, z), (*after, z), in_order, parameters, x,
            log_det, count, widths, block, structure.parameter_count,
            shape, power_of_2(shape.bins), structure.skips, kept, structure.activation, direct is not None,
            added is not None, added_to_parameters is not None,
            ROWS, _tile(widest), _tile(structure.parameter_count), TILE, INPUTS, num_warps=WARPS,
        )  # fmt: skip
    return x, log_det


def _tile(units: int) -> int:
    """How many units a step takes at a time, for this many."""
    return power_of_2(units) if units <= FEW else 16 if units <= 16 else 32


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
def add_step(
    h, row, present, source, width, start, known, weight, columns, unit, WHOLE: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of the BK numbers from `start` of each row with weights of some units.

    Only numbers before `known` count; with WHOLE, all do.
    """
    k = start + tl.arange(0, BK)
    counts = (k < known) | WHOLE
    value = tl.load(source + row[:, None] * width + k[None, :], present[:, None] & counts[None, :], other=0.0)
    if h.shape[1] < 16:  # the least that a product of tiles takes
        # Weights of one unit at a time, for each row once more: so nothing but sums moves from thread to thread.
        for j in tl.static_range(h.shape[1]):
            own = tl.arange(0, h.shape[1]) == j
            place = tl.sum(tl.where(own, unit, 0)) * columns + k[None, :] + tl.zeros([row.shape[0], 1], tl.int32)
            w = tl.load(weight + place, counts[None, :], other=0.0)
            h += tl.where(own[None, :], tl.sum(value * w, 1)[:, None], 0.0)
        return h
    else:
        w = tl.load(weight + unit[None, :] * columns + k[:, None], counts[:, None], other=0.0)
        return dot(value, w, h)


@triton.jit
def add_product(
    h, row, present, source, width, begin, known, weight, columns, unit, BLOCK: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add the product of the numbers from `begin` to `known` of each row with the weights of some units.

    With BLOCK there are many of them, and memory is read ahead.
    """
    if BLOCK:
        whole = begin + (known - begin) // BK * BK
        for start in range(begin, whole, BK):
            h = add_step(h, row, present, source, width, start, known, weight, columns, unit, True, BK)
        begin = whole
    for start in tl.range(begin, known, BK, num_stages=1):
        h = add_step(h, row, present, source, width, start, known, weight, columns, unit, False, BK)
    return h


@triton.jit
def units_below(starts, k: tl.constexpr, degree, features):
    """How many units before layer k have a smaller degree; before layer 0 are the inputs."""
    return tl.load(starts + k * (features + 1) + degree)


@triton.jit
def known_before(starts, k: tl.constexpr, place, features):
    """How many units before layer k are known once the features before a place are."""
    if k == 0:
        return place
    else:
        return units_below(starts, k, place, features)


@triton.jit
def known_at(starts, k: tl.constexpr, place, features):
    """How many of them are known to the units of layer k that depend on all features before this place."""
    if k == 0:
        return place
    else:
        return units_below(starts, k, place + 1, features)


@triton.jit
def add_known(
    h, row, present, k: tl.constexpr, begin, known, widths, weights, after, in_order, unit,
    BLOCK: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add what some units of layer k receive from those before it, from one up to another."""
    if k == 0:
        return add_product(h, row, present, in_order, widths[0], begin, known, weights[0], widths[0], unit, BLOCK, BK)
    else:
        return add_product(
            h, row, present, after[k - 1], widths[k], begin, known, weights[k], widths[k], unit, BLOCK, BK
        )


@triton.jit
def _begin_block(
    row, present, start, stop, block, numbers, starts, weights, biases, direct, added, added_row, added_unit,
    late, late_row, late_unit, after, in_order, parameters, widths, parameter_count,
    HIDDEN: tl.constexpr, DIRECT: tl.constexpr, ADDED: tl.constexpr, LATE: tl.constexpr,
    BM: tl.constexpr, BW: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Store what all units of a block receive from the units before it, and what is added to them."""
    features = widths[0]
    for k in tl.static_range(HIDDEN):
        end = units_below(starts, k + 1, stop, features)
        for first in range(units_below(starts, k + 1, start, features), end, BW):
            unit = first + tl.arange(0, BW)
            inside = unit < end
            both = present[:, None] & inside[None, :]
            h = tl.zeros([BM, BW], in_order.dtype.element_ty)
            known = known_before(starts, k, start, features)
            safe = tl.minimum(unit, end - 1)
            h = add_known(h, row, present, k, 0, known, widths, weights, after, in_order, safe, True, BK)
            h += tl.load(biases[k] + unit, inside, other=0.0)[None, :]
            if (k == 0) and ADDED:
                h += tl.load(added + row[:, None] * added_row + unit[None, :] * added_unit, both, other=0.0)
            tl.store(after[k] + row[:, None] * widths[k + 1] + unit[None, :], h, both)
    for first in range(0, (stop - start) * parameter_count, BW):
        own = first + tl.arange(0, BW)
        inside = own < (stop - start) * parameter_count
        both = present[:, None] & inside[None, :]
        feature = tl.load(numbers + start + own // parameter_count, inside, other=0)
        unit = feature * parameter_count + own % parameter_count
        h = tl.zeros([BM, BW], in_order.dtype.element_ty)
        known = known_before(starts, HIDDEN, start, features)
        h = add_known(h, row, present, HIDDEN, 0, known, widths, weights, after, in_order, unit, True, BK)
        if DIRECT:
            h = add_product(h, row, present, in_order, features, 0, start, direct, features, unit, True, BK)
        h += tl.load(biases[HIDDEN] + unit, inside, other=0.0)[None, :]
        if (HIDDEN == 0) and ADDED:
            h += tl.load(added + row[:, None] * added_row + unit[None, :] * added_unit, both, other=0.0)
        if LATE:
            h += tl.load(late + row[:, None] * late_row + unit[None, :] * late_unit, both, other=0.0)
        tl.store(parameters + row[:, None] * (block * parameter_count) + own[None, :], h, both)


@triton.jit
def _complete_units(
    row, present, start, place, numbers, starts, weights, before, after, in_order, widths,
    HIDDEN: tl.constexpr, SKIPS: tl.constexpr, KEPT: tl.constexpr, ACTIVATION: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Add what the block itself has found to the hidden units that depend on all features before a place."""
    features = widths[0]
    for k in tl.static_range(HIDDEN):
        begin = units_below(starts, k + 1, place, features)
        end = units_below(starts, k + 1, place + 1, features)
        for first in range(begin, end, BN):
            unit = first + tl.arange(0, BN)
            inside = unit < end
            both = present[:, None] & inside[None, :]
            at = row[:, None] * widths[k + 1] + unit[None, :]
            h = tl.load(after[k] + at, both, other=0.0)
            h = add_known(
                h, row, present, k, known_before(starts, k, start, features), known_at(starts, k, place, features),
                widths, weights, after, in_order, tl.minimum(unit, end - 1), False, BK,
            )  # fmt: skip
            if SKIPS[k] >= 0:
                h += tl.load(before[SKIPS[k]] + at, both, other=0.0)
            if KEPT[k]:
                tl.store(before[k] + at, h, both)
            tl.store(after[k] + at, activated(h, ACTIVATION), both)
        tl.debug_barrier()


@triton.jit
def _complete_parameters(
    row, present, start, place, feature, numbers, starts, weights, direct, after, in_order, own_parameters, widths,
    parameter_count, HIDDEN: tl.constexpr, DIRECT: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """The same of the parameters of the feature at a place."""
    features = widths[0]
    for first in range(0, parameter_count, BP):
        own = first + tl.arange(0, BP)
        inside = own < parameter_count
        both = present[:, None] & inside[None, :]
        unit = feature * parameter_count + tl.minimum(own, parameter_count - 1)
        h = tl.load(own_parameters[:, None] + own[None, :], both, other=0.0)
        h = add_known(
            h, row, present, HIDDEN, known_before(starts, HIDDEN, start, features),
            known_at(starts, HIDDEN, place, features), widths, weights, after, in_order, unit,
            False, BK,
        )  # fmt: skip
        if DIRECT:
            h = add_product(
                h, row, present, in_order, features, start, place, direct, features, unit, False, BK
            )  # fmt: skip
        tl.store(own_parameters[:, None] + own[None, :], h, both)
    tl.debug_barrier()


@triton.jit
def _solve(
    z, z_row, z_feature, numbers, weights, biases, direct, added, added_row, added_unit, late, late_row, late_unit,
    before, after, in_order, parameters, x, log_det, count, widths, block, parameter_count,
    SHAPE: tl.constexpr, WIDTH: tl.constexpr, SKIPS: tl.constexpr, KEPT: tl.constexpr, ACTIVATION: tl.constexpr,
    DIRECT: tl.constexpr, ADDED: tl.constexpr, LATE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BP: tl.constexpr, BW: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    HIDDEN: tl.constexpr = len(weights) - 1
    features = widths[0]
    row = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    present = row < count
    # For each layer, from the inputs on, how many units have a degree below 0, 1 .. D.
    starts = numbers + features + HIDDEN + 2
    total = tl.zeros([BM], z.dtype.element_ty)
    for start in range(0, features, block):
        stop = tl.minimum(start + block, features)
        _begin_block(
            row, present, start, stop, block, numbers, starts, weights, biases, direct, added, added_row, added_unit,
            late, late_row, late_unit, after, in_order, parameters, widths, parameter_count,
            HIDDEN, DIRECT, ADDED, LATE, BM, BW, BK,
        )  # fmt: skip
        tl.debug_barrier()
        for place in range(start, stop):
            _complete_units(
                row, present, start, place, numbers, starts, weights, before, after, in_order, widths,
                HIDDEN, SKIPS, KEPT, ACTIVATION, BN, BK,
            )  # fmt: skip
            feature = tl.load(numbers + place)
            own_parameters = parameters + row * (block * parameter_count) + (place - start) * parameter_count
            _complete_parameters(
                row, present, start, place, feature, numbers, starts, weights, direct, after, in_order, own_parameters,
                widths, parameter_count, HIDDEN, DIRECT, BP, BK,
            )  # fmt: skip
            value = tl.load(z + row * z_row + feature * z_feature, present, other=0.0)
            mapped, log_derivative = map_values(value, own_parameters, present, False, SHAPE, WIDTH)
            total += log_derivative
            tl.store(in_order + row * features + place, mapped, present)
            tl.store(x + row * features + feature, mapped, present)
            tl.debug_barrier()
    tl.store(log_det + row, total, present)
