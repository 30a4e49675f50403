"""Whole layers, network and univariate maps, with their gradients, on a GPU: one launch forward and three backward.

A program takes some rows through the whole layer. What it computes of them on the way, the hidden units before their
rectifier and the parameters, it writes to memory row by row: these numbers come back from the cache, and the gradients
need them.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function

from pushforward.kernels.eligibility import derivatives_wanted, gradients_by_torch, takes_gradients
from pushforward.kernels.gpu.network import dot, product, rectified
from pushforward.kernels.gpu.univariate import gradients_of_values, map_values
from pushforward.kernels.layer import Layer, Weights
from pushforward.kernels.univariate import SHAPES, Shape

# So many programs, two for each processor of a large GPU, keep it busy.
PROGRAMS = 264


class Tile(NamedTuple):
    """What a program takes at a time.

    Attributes:
        rows: how many rows it takes through the layer; 16 are the least that a product of tiles takes.
        units: of these rows.
        inputs: of these units.
        values: that are mapped by a family.
        warps: the program's, of 32 threads each.
    """

    rows: int
    units: int
    inputs: int
    values: int
    warps: int


# The fastest of those tried on an H100: of many rows in float32, and of others.
LARGE, SMALL = Tile(32, 128, 32, 256, 8), Tile(16, 64, 32, 128, 4)
MANY = 4096
# Of the gradients of weights.
UNITS, ROWS, WARPS = 64, 32, 4


class Sizes(NamedTuple):
    """The sizes of a layer; the compiler knows those from the shape on.

    Attributes:
        features: D.
        parameters: P, of each feature.
        widths: of the layers, from what the network reads to the parameters.
        shape: of the family.
        width: a power of 2, at least the number of bins.
        slopes: a power of 2, at least the number of slopes.
        skips: for each layer of weights, whether the result of two layers before is added; and False.
        masked: for each layer of weights, what they are masked by, as `network` numbers it.
    """

    features: int
    parameters: int
    widths: tuple[int, ...]
    shape: Shape
    width: int
    slopes: int
    skips: tuple[bool, ...]
    masked: tuple[int, ...]

    @classmethod
    def of(cls, layer: Layer, features: int) -> "Sizes":
        """Those of a layer with this many features."""
        shape, network = SHAPES[type(layer.univariate)](layer.univariate), layer.network
        widths = (network[0].weight.shape[1], *[linear.bias.shape[0] for linear in network])
        return cls(
            features,
            widths[-1] // features,
            widths,
            shape,
            power_of_2(shape.bins),
            power_of_2(shape.bins + 1),
            (*[linear.skip for linear in network], False),
            tuple([0 if linear.mask is None else 1 if linear.contiguous else 2 for linear in network]),
        )


def parts_of(whole: int, size: int) -> int:
    """How many parts of a size cover the whole; triton's own function takes thirty times as long."""
    return -(-whole // size)


def tile_of(value: Tensor) -> Tile:
    """A large tile where its programs still keep a GPU busy; a register file holds half as many float64 numbers."""
    return LARGE if value.dtype is torch.float32 and value.shape[0] >= MANY else SMALL


def power_of_2(least: int) -> int:
    """The smallest power of 2 that is at least 2 and at least this number."""
    return max(2, 1 << (least - 1).bit_length())


def whole_layer_on_gpu(
    network: Sequence[Weights],
    univariate: object,
    inverse: bool,
    value: Tensor,
    known: Tensor | None,
    added: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """univariate(value; network(known)), mapped or, with `inverse`, solved for the latent value.

    Arguments and returns as those of `pushforward.kernels.layer.whole_layer`.
    """
    layer = Layer(network, univariate, inverse)
    if derivatives_wanted():
        weights = [part for linear in network for part in linear[:2]]
        return _WholeLayer.apply(layer, value, known, added, *weights)
    # Without an entry in the graph of derivatives, which takes as long as the launch.
    return _mapped(layer, Sizes.of(layer, value.shape[1]), value, known, added)[1:]


class _WholeLayer(Function):
    @staticmethod
    def forward(
        ctx: Any, layer: Layer, value: Tensor, known: Tensor | None, added: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(value, known, added, *weights)
        ctx.layer, ctx.sizes = layer, Sizes.of(layer, value.shape[1])
        ctx.results, mapped, log_det = _mapped(layer, ctx.sizes, value, known, added)
        return mapped, log_det

    @staticmethod
    def backward(ctx: Any, of_mapped: Tensor, of_log_det: Tensor) -> tuple:
        layer, sizes = ctx.layer, ctx.sizes
        if not takes_gradients(of_mapped, of_log_det):
            wanted = ctx.needs_input_grad[1:]
            return None, *gradients_by_torch(layer.in_torch, ctx.saved_tensors, wanted, (of_mapped, of_log_det))
        value, known, added, *weights = ctx.saved_tensors
        count, features = value.shape
        read = value if known is None else known
        of_results = torch.empty_like(ctx.results)
        of_value = value.new_empty(count, features)
        of_read = of_value if known is None else value.new_empty(read.shape)
        own, masks, reaches, _ = _network(layer.network, of_columns=True)
        of_log_det, tile = of_log_det.expand(count), tile_of(value)
        _gradients[(parts_of(count, tile.rows),)](
            value, *value.stride(), of_mapped, *of_mapped.stride(), of_log_det, of_log_det.stride(0),
            own, masks, reaches, ctx.results, of_results, of_value, of_read, count,
            *sizes, layer.inverse, known is None, *tile[:-1], num_warps=tile.warps,
        )  # fmt: skip
        of_added = None
        if added is not None and ctx.needs_input_grad[3]:
            of_added = of_results[: count * sizes.widths[1]].view(count, -1).t()
            of_added = of_added if added.shape[1] == count else of_added.sum(1, keepdim=True)
        of_weights: list[Tensor | None] = [None] * len(weights)
        if any(ctx.needs_input_grad[4:]):
            of_weights = _gradients_of_weights(sizes, read, masks, ctx.results, of_results)
        return None, of_value, None if known is None else of_read, of_added, *of_weights


def _mapped(
    layer: Layer, sizes: Sizes, value: Tensor, known: Tensor | None, added: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The results of all layers of weights, (n, units) each, one after the other; the mapped value; log_det."""
    count = value.shape[0]
    results = value.new_empty(count * sum(sizes.widths[1:]))
    mapped, log_det = value.new_empty(value.shape), value.new_empty(count)
    read, tile = value if known is None else known, tile_of(value)
    with torch.cuda.device_of(value):
        _forward[(parts_of(count, tile.rows),)](
            value, *value.stride(), read, *read.stride(), *strided(added, value),
            *_network(layer.network), results, mapped, log_det, count,
            *sizes, layer.inverse, added is not None, *tile[:-1], num_warps=tile.warps,
        )  # fmt: skip
    return results, mapped, log_det


def strided(added: Tensor | None, value: Tensor) -> tuple[Tensor, int, int]:
    """A tensor, (units, n or 1), with its strides from row to row and unit to unit; without one, value in its place."""
    if added is None:
        return value, 0, 0
    return added, added.stride(1) if added.shape[1] > 1 else 0, added.stride(0)


def _network(network: Sequence[Weights], of_columns: bool = False) -> tuple:
    """Weights, masks, reaches and biases, each a tuple; weights stand in the place of masks that are missing."""
    own, biases = tuple([linear.weight.contiguous() for linear in network]), tuple([linear.bias for linear in network])
    masks, reaches = [], []
    for weight, linear in zip(own, network, strict=True):
        reach = linear.columns if of_columns else linear.rows
        masks.append(weight if linear.mask is None else linear.mask)
        reaches.append(weight if reach is None else reach)
    return own, tuple(masks), tuple(reaches), biases


def _gradients_of_weights(
    sizes: Sizes, read: Tensor, masks: tuple, results: Tensor, of_results: Tensor
) -> list[Tensor | None]:
    """Those of weight and bias of each layer in turn, in one launch, and one more where rows are summed in parts."""
    count, pairs = read.shape[0], list(itertools.pairwise(sizes.widths))
    tiles = sum([parts_of(units, UNITS) * parts_of(inputs, UNITS) for inputs, units in pairs])
    parts = min(max(1, PROGRAMS // tiles), parts_of(count, ROWS))
    numbers = sum([units * (inputs + 1) for inputs, units in pairs])
    found = read.new_empty(parts, numbers)
    _weights[(tiles, parts)](
        read, *read.stride(), masks, results, of_results, found, numbers,
        parts_of(count, parts), count, *sizes, UNITS, ROWS, num_warps=WARPS,
    )  # fmt: skip
    summed = found[0] if parts == 1 else found.sum(0)
    shapes = [shape for inputs, units in pairs for shape in ((units, inputs), (units,))]
    split = summed.split([shape[0] * (shape[1] if len(shape) == 2 else 1) for shape in shapes])
    return [part.view(shape) for part, shape in zip(split, shapes, strict=True)]


@triton.jit
def _forward(
    value, value_row, value_feature, read, read_row, read_column, added, added_row, added_unit,
    weights, masks, reaches, biases, results, mapped, log_det, count,
    features, parameters, widths,
    SHAPE: tl.constexpr, WIDTH: tl.constexpr, SLOPES: tl.constexpr, SKIPS: tl.constexpr, MASKED: tl.constexpr,
    INVERSE: tl.constexpr, ADDED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    first_row = tl.program_id(0).to(tl.int64) * BM
    row = first_row + tl.arange(0, BM)
    present = row < count
    # The results of this layer of weights, and of one and two before.
    own, before, two_before = results, results, results
    for k in tl.static_range(len(weights)):
        inputs, units = widths[k], widths[k + 1]
        for first in range(0, units, BN):
            unit = first + tl.arange(0, BN)
            h = tl.zeros([BM, BN], value.dtype.element_ty)
            if k == 0:
                h = product(
                    h, row, present, read, read_row, read_column, weights[k], masks[k], inputs, 1,
                    reaches[k], unit, units, inputs, False, MASKED[k], BK,
                )  # fmt: skip
            else:
                h = product(
                    h, row, present, before, inputs, 1, weights[k], masks[k], inputs, 1,
                    reaches[k], unit, units, inputs, True, MASKED[k], BK,
                )  # fmt: skip
            inside = present[:, None] & (unit < units)[None, :]
            h += tl.load(biases[k] + unit, unit < units, other=0.0)[None, :]
            if (k == 0) and ADDED:
                h += tl.load(added + row[:, None] * added_row + unit[None, :] * added_unit, inside, other=0.0)
            place = row[:, None] * units + unit[None, :]
            if SKIPS[k]:
                h += tl.load(two_before + place, inside, other=0.0)
            tl.store(own + place, h, inside)
        tl.debug_barrier()
        two_before, before, own = before, own, own + units * tl.cast(count, tl.int64)
    # Some features of all rows at a time.
    ACROSS: tl.constexpr = BV // BM
    total = tl.zeros([BM], value.dtype.element_ty)
    for first in range(0, features, ACROSS):
        each = tl.arange(0, BM * ACROSS)
        at, feature = first_row + each // ACROSS, first + each % ACROSS
        valid = (at < count) & (feature < features)
        place = at * features + feature
        given = tl.load(value + at * value_row + feature * value_feature, valid, other=0.0)
        found, log_derivative = map_values(given, before + place * parameters, valid, INVERSE, SHAPE, WIDTH)
        tl.store(mapped + place, found, valid)
        total += tl.sum(tl.reshape(tl.where(valid, log_derivative, 0.0), [BM, ACROSS]), 1)
    tl.store(log_det + row, total, present)


@triton.jit
def _gradients(
    value, value_row, value_feature, of_mapped, mapped_row, mapped_feature, of_log_det, log_det_row,
    weights, masks, reaches, results, of_results, of_value, of_read, count,
    features, parameters, widths,
    SHAPE: tl.constexpr, WIDTH: tl.constexpr, SLOPES: tl.constexpr, SKIPS: tl.constexpr, MASKED: tl.constexpr,
    INVERSE: tl.constexpr, READS_VALUE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    LAST: tl.constexpr = len(weights) - 1
    # From the first result to those of this layer of weights.
    offset, wide_count = tl.cast(0, tl.int64), tl.cast(count, tl.int64)
    for k in tl.static_range(LAST):
        offset += widths[k + 1] * wide_count
    first_row = tl.program_id(0).to(tl.int64) * BM
    row = first_row + tl.arange(0, BM)
    present = row < count
    # Value by value: feature by feature within a row.
    for first in range(0, BM * features, BV):
        each = first + tl.arange(0, BV)
        at, feature = first_row + each // features, each % features
        valid = (each < BM * features) & (at < count)
        place = at * features + feature
        given = tl.load(value + at * value_row + feature * value_feature, valid, other=0.0)
        of_given = gradients_of_values(
            given, results + offset + place * parameters, of_results + offset + place * parameters, valid,
            tl.load(of_mapped + at * mapped_row + feature * mapped_feature, valid, other=0.0),
            tl.load(of_log_det + at * log_det_row, valid, other=0.0),
            INVERSE, SHAPE, WIDTH, SLOPES,
        )  # fmt: skip
        tl.store(of_value + place, of_given, valid)
    tl.debug_barrier()
    for k in tl.static_range(LAST, -1, -1):
        inputs, units = widths[k], widths[k + 1]
        before = offset - inputs * wide_count
        for first in range(0, inputs, BN):
            column = first + tl.arange(0, BN)
            of_h = tl.zeros([BM, BN], value.dtype.element_ty)
            of_h = product(
                of_h, row, present, of_results + offset, units, 1, weights[k], masks[k], 1, inputs,
                reaches[k], column, inputs, units, False, MASKED[k], BK,
            )  # fmt: skip
            inside = present[:, None] & (column < inputs)[None, :]
            place = row[:, None] * inputs + column[None, :]
            if k > 0:
                h = tl.load(results + before + place, inside, other=0.0)
                of_h = tl.where(h > 0, of_h, 0.0)
                if SKIPS[k + 1]:
                    of_h += tl.load(of_results + offset + units * wide_count + place, inside, other=0.0)
                tl.store(of_results + before + place, of_h, inside)
            elif READS_VALUE:
                of_h += tl.load(of_value + place, inside, other=0.0)
                tl.store(of_value + place, of_h, inside)
            else:
                tl.store(of_read + place, of_h, inside)
        tl.debug_barrier()
        offset = before


@triton.jit
def _weights(
    read, read_row, read_column, masks, results, of_results, found, numbers, rows_of_part, count,
    features, parameters, widths,
    SHAPE: tl.constexpr, WIDTH: tl.constexpr, SLOPES: tl.constexpr, SKIPS: tl.constexpr, MASKED: tl.constexpr,
    BN: tl.constexpr, BR: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    part = tl.program_id(1)
    begin = part.to(tl.int64) * rows_of_part
    end = tl.minimum(begin + rows_of_part, count)
    target = found + part.to(tl.int64) * numbers
    before = 0
    offset, wide_count = tl.cast(0, tl.int64), tl.cast(count, tl.int64)
    before_results, own_results = results, of_results
    for k in tl.static_range(len(masks)):
        inputs, units = widths[k], widths[k + 1]
        across = (inputs + BN - 1) // BN
        own = tile - before
        tiles = (units + BN - 1) // BN * across
        if (own >= 0) & (own < tiles):
            unit = own // across * BN + tl.arange(0, BN)
            column = own % across * BN + tl.arange(0, BN)
            inside = (unit < units)[:, None] & (column < inputs)[None, :]
            of_weight = tl.zeros([BN, BN], read.dtype.element_ty)
            of_bias = tl.zeros([BN], read.dtype.element_ty)
            place = unit[:, None] * inputs + column[None, :]
            last = end
            if MASKED[k]:
                mask = tl.load(masks[k] + place, inside, other=0.0)
                # A tile in which nothing is alive needs no products; the first of each row sums the bias too.
                if (tl.max(mask) == 0) & (own % across > 0):
                    last = begin
            for start in range(begin, last, BR):
                row = start + tl.arange(0, BR)
                of_unit = tl.load(
                    own_results + row[None, :] * units + unit[:, None],
                    (row < end)[None, :] & (unit < units)[:, None],
                    other=0.0,
                )
                known = (row < end)[:, None] & (column < inputs)[None, :]
                if k == 0:
                    h = tl.load(read + row[:, None] * read_row + column[None, :] * read_column, known, other=0.0)
                else:
                    h = rectified(tl.load(before_results + row[:, None] * inputs + column[None, :], known, other=0.0))
                of_weight = dot(of_unit, h, of_weight)
                of_bias += tl.sum(of_unit, 1)
            if MASKED[k]:
                of_weight *= mask
            tl.store(target + place, of_weight, inside)
            if own % across == 0:
                tl.store(target + units * inputs + unit, of_bias, unit < units)
        before += tiles
        before_results, own_results = results + offset, own_results + units * wide_count
        offset += units * wide_count
        target += units * (inputs + 1)
