"""Autoregressive layers in their sequential direction: each hidden unit computed once, as the features fill in.

Feature p of x needs the parameters that the conditioner computes from the features before it. Running the whole
conditioner for each feature would take D passes. But hidden units are sorted by degree: those of degree p depend only
on the first p features, so they can be computed as soon as these are known, and never again. All steps together are
the arithmetic of one pass.

Features are taken in blocks. What earlier blocks contribute to the units of a block is one large product; only what
the block contributes to itself is computed step by step, in products as small as the block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.kernels.eligibility import derivatives_wanted
from pushforward.networks.made import MADE, MaskedLinear
from pushforward.networks.masked_product import masked_linear
from pushforward.networks.matmul import matmul
from pushforward.networks.mlp import batch_of, unit_by_unit

Map = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

IN_PLACE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.ELU: functional.elu_,
    nn.SiLU: partial(functional.silu, inplace=True),
    nn.GELU: torch.ops.aten.gelu_,
    nn.Tanh: torch.tanh_,
}


def solve_sequentially(
    univariate: Map, conditioner: MADE, z: Tensor, context: Tensor | None = None, block: int | None = None
) -> tuple[Tensor, Tensor]:
    """Solve x[d] = univariate(z[d]; conditioner(x[before d], context)), one feature after the other.

    Arguments:
        univariate: the map of one feature, from z and its parameters to x and log ∂x/∂z.
        conditioner: a masked network, residual or not, whose hidden units are sorted by degree. It runs without
            dropout, in training mode too: a random map has no inverse.
        z: (*batch, D).
        context: (*batch, C), broadcast against the batch of z.
        block: how many features share a large product, default about √D: it changes the speed, not the result.

    Returns:
        x, (*batch, D), and log|det ∂x/∂z|, (*batch), both differentiable to any order where gradients are enabled.

    Cost: D steps that are together the arithmetic of one pass; their gradient that of one backward pass.

    Example:
        >>> from pushforward.bijections import Affine
        >>> made = MADE(features=5, parameter_count=2)
        >>> x, log_det = solve_sequentially(Affine().forward, made, torch.zeros(3, 5))
        >>> torch.allclose(Affine().inverse(x, made(x))[0], torch.zeros(3, 5), atol=1e-5)
        True
    """
    features = conditioner.features
    batch = batch_of(z, context, conditioner.context_features)
    z = z.expand(*batch, features)
    recorded = derivatives_wanted() or torch.compiler.is_compiling()
    # Feature by feature in memory, so that each step reads and writes whole rows.
    order = torch.tensor(conditioner.order, device=z.device)
    rows = z.reshape(math.prod(batch), features).index_select(1, order).t().contiguous()
    network = _Network.of(conditioner, context, batch, order)
    # Writing in place is faster, but can be neither differentiated nor compiled.
    fill = _fill_recorded if recorded else _fill_in_place
    edges = [*range(0, features, block or max(6, round(features**0.5))), features]
    x, log_det = fill(network, univariate, rows, edges)
    # Copies, which may take part in later differentiation; tensors filled in inference mode may not.
    return x.index_select(0, order.argsort()).t().reshape(z.shape), log_det.clone().reshape(batch)


@dataclass
class _Term:
    """A term of a layer, target += weight · source, whose rows and columns are sorted by degree.

    Attributes:
        weight: (rows of the target, rows of the source), as the conditioner holds it.
        source: the layer it reads: 0 is x.
        target: the layer it adds to: the last is the parameters.
        row_order: the rows of the weight in the order of degrees; None if they are sorted already.
        column_order: the same of its columns.
    """

    weight: Tensor
    source: int
    target: int
    row_order: Tensor | None
    column_order: Tensor | None

    def recorded(self, starts: list[list[int]], edges: list[int]) -> _RecordedTerm:
        """The same with its weight sorted and cut into blocks at once, so that autograd sums its gradients once."""
        weight = self.weight if self.row_order is None else self.weight.index_select(0, self.row_order)
        weight = weight if self.column_order is None else weight.index_select(1, self.column_order)
        ends = [starts[self.target][edge] for edge in edges]
        parts = weight.split([bottom - top for top, bottom in itertools.pairwise(ends)])
        return _RecordedTerm(weight, self.source, self.target, None, None, dict(zip(edges, parts, strict=False)))

    def rows(self, low: int, top: int, bottom: int, right: int) -> Tensor:
        """The rows of a block of the sorted weight, up to a column; only these are sorted."""
        if self.row_order is None:
            rows = self.weight[top:bottom]
        else:
            rows = self.weight.index_select(0, self.row_order[top:bottom])
        columns = None if self.column_order is None else self.column_order[:right]
        return rows[:, :right] if columns is None else rows.index_select(1, columns)

    def of_block(self, network: _Network, low: int, high: int) -> tuple[Tensor, list[Tensor]]:
        """The weights from all degrees below `low`, and those from degrees low .. high - 1, degree by degree."""
        of_target, of_source = network.starts[self.target], network.starts[self.source]
        top, bottom, right = of_target[low], of_target[high], of_source[high]
        rows = self.rows(low, top, bottom, right)
        before, own = rows.tensor_split([of_source[low]], 1)
        # All weights from earlier degrees are alive: the mask matters only within the block. Units of degree p + 1
        # depend on feature p, and on all units of their own degree.
        degrees = network.degrees[self.target][top:bottom, None]
        known = network.degrees[self.source][of_source[low] : right]
        own = own * (degrees > known if self.source == 0 else degrees >= known)
        return before, own.split(network.units[self.target][low:high])


@dataclass
class _RecordedTerm(_Term):
    """A term with its blocks of rows, by the first degree of each."""

    parts: dict[int, Tensor]

    def rows(self, low: int, top: int, bottom: int, right: int) -> Tensor:
        """The rows of a block of the sorted weight, up to a column."""
        return self.parts[low][:, :right]


@dataclass
class _Network:
    """A conditioner whose layers, x, the hidden ones and the parameters, have rows that are sorted by degree.

    Attributes:
        terms: for each layer but x, what is added to it.
        offsets: for each layer but x, its bias and what the context adds: (rows, 1 or N).
        units: for each layer, how many of its rows have degree 0, 1 .. D-1.
        starts: for each layer, the first row of each degree, and the end.
        degrees: for each layer, the degree of each row.
        skips: for each layer, which earlier one is added to it, before its activation; or None.
        activation: of the hidden layers.
    """

    terms: Sequence[Sequence[_Term]]
    offsets: list[Tensor]
    units: list[list[int]]
    starts: list[list[int]]
    degrees: list[Tensor]
    skips: list[int | None]
    activation: nn.Module

    @classmethod
    def of(cls, made: MADE, context: Tensor | None, batch: torch.Size, order: Tensor) -> _Network:
        """Sort a conditioner's weights, for contexts that broadcast against a batch."""
        last = len(made.layers)
        parameters = torch.arange(made.parameter_count, device=order.device)
        outputs = (order[:, None] * made.parameter_count + parameters).flatten()

        def term(layer: MaskedLinear, source: int, target: int) -> _Term:
            # Degrees say which weights are alive, except for those that an adjacency masks.
            weight = layer.weight if made.adjacency is None else layer.weight * layer.mask
            return _Term(weight, source, target, outputs if target == last else None, order if source == 0 else None)

        terms = [
            [term(layer, k, k + 1)] if isinstance(layer, MaskedLinear) else [] for k, layer in enumerate(made.layers)
        ]
        if made.direct is not None:
            terms[-1].append(term(made.direct, 0, last))
        offsets: list[Tensor] = [layer.bias[:, None] for layer in made.layers]  # type: ignore[index]
        for k, layer in ((0, made.context), (last - 1, made.direct_context)):
            if layer is not None:
                offsets[k] = offsets[k] + unit_by_unit(layer(context), batch)
        offsets[-1] = offsets[-1].index_select(0, outputs)
        each = torch.arange(made.features, device=order.device)
        degrees = [each, *(d.to(order.device) for d in made.degrees[1:]), each.repeat_interleave(made.parameter_count)]
        units = [[1] * made.features, *made.units, [made.parameter_count] * made.features]
        starts = [[0, *itertools.accumulate(counts)] for counts in units]
        skips = [None, *(None if skip is None else skip + 1 for skip in made.skips)]
        return cls(terms, offsets, units, starts, degrees, skips, made.activation)

    def targets(self) -> Iterator[tuple[int, Tensor, Sequence[_Term], int | None, bool]]:
        """Each layer but x in turn: its index, offset, terms, skip, and whether it is hidden."""
        for k, (offset, terms) in enumerate(zip(self.offsets, self.terms, strict=True), start=1):
            yield k, offset, terms, self.skips[k], k < len(self.units) - 1


def _fill_recorded(network: _Network, univariate: Map, z: Tensor, edges: list[int]) -> tuple[Tensor, Tensor]:
    """Fill x, (D, N), from z, (D, N), with operations that autograd records."""
    count, starts = z.shape[1], network.starts
    layers = len(starts)
    network.terms = [[term.recorded(starts, edges) for term in terms] for terms in network.terms]
    z_rows, log_derivatives = z.unbind(0), []
    # The known rows of each layer: finished blocks in one piece, the rows of the current block one by one.
    finished = [z.new_empty(0, count) for _ in range(layers - 1)]
    for low, high in itertools.pairwise(edges):
        current: list[list[Tensor]] = [[] for _ in range(layers)]
        unactivated: list[list[Tensor]] = [[] for _ in range(layers)]  # the hidden layers before their activation
        block = []
        for k, offset, terms, _, _ in network.targets():
            rows = offset[starts[k][low] : starts[k][high]]
            weights = []
            for term in terms:
                before, own = term.of_block(network, low, high)
                rows = rows + masked_linear(finished[term.source], before)
                weights.append((own, current[term.source]))
            block.append((rows.expand(-1, count).split(network.units[k][low:high]), weights))
        for step in range(high - low):
            for (rows, weights), (k, _, _, skip, hidden) in zip(block, network.targets(), strict=True):
                value = rows[step]
                for own, source in weights:
                    if source:
                        known = torch.cat(source)
                        value = torch.addmm(value, own[step][:, : len(known)], known)
                if skip is not None:
                    value = value + unactivated[skip][step]
                unactivated[k].append(value)
                current[k].append(network.activation(value) if hidden else value)
            value, log_derivative = univariate(z_rows[low + step], value.t())
            current[0].append(value[None])
            log_derivatives.append(log_derivative)
        finished = [torch.cat([done, *rows]) for done, rows in zip(finished, current[:-1], strict=True)]
    return finished[0], torch.stack(log_derivatives).sum(0)


@torch.inference_mode()
def _fill_in_place(network: _Network, univariate: Map, z: Tensor, edges: list[int]) -> tuple[Tensor, Tensor]:
    """Fill x, (D, N), from z, (D, N), writing the rows of each layer in place."""
    (features, count), starts = z.shape, network.starts
    # Rows that are not computed yet are multiplied by masked weights: they must be finite.
    unactivated, layers = [z.new_zeros(features, count)], [z.new_zeros(features, count)]
    in_place = IN_PLACE.get(type(network.activation))
    for k, _, _, _, hidden in network.targets():
        unactivated.append(z.new_empty(starts[k][-1], count))
        overwrite = in_place is not None and k not in network.skips
        layers.append(unactivated[k] if not hidden or overwrite else torch.zeros_like(unactivated[k]))
    unactivated_rows, rows = (
        [layer.split(units) for layer, units in zip(kind, network.units, strict=True)] for kind in (unactivated, layers)
    )
    x_rows, z_rows, log_derivatives = layers[0].unbind(0), z.unbind(0), []
    parameters = unactivated[-1].view(features, network.units[-1][0], count).transpose(1, 2).unbind(0)
    for low, high in itertools.pairwise(edges):
        block = []
        for k, offset, terms, skip, hidden in network.targets():
            within = slice(starts[k][low], starts[k][high])
            unactivated[k][within] = offset[within]
            weights = []
            for term in terms:
                before, own = term.of_block(network, low, high)
                source, of_source = layers[term.source], starts[term.source]
                unactivated[k][within].add_(matmul(before, source[: of_source[low]]))
                weights.append((own, source[of_source[low] : of_source[high]]))
            skipped = None if skip is None else unactivated_rows[skip][low:high]
            activated = rows[k][low:high] if hidden else None
            block.append((unactivated_rows[k][low:high], weights, skipped, activated, layers[k] is unactivated[k]))
        for step in range(high - low):
            for values, weights, skipped, activated, overwrite in block:
                row = values[step]
                for own, source in weights:
                    row.addmm_(own[step], source)
                if skipped is not None:
                    row.add_(skipped[step])
                if activated is None:
                    continue
                if overwrite:
                    in_place(row)  # type: ignore[misc]
                else:
                    activated[step].copy_(network.activation(row))
            value, log_derivative = univariate(z_rows[low + step], parameters[low + step])
            x_rows[low + step].copy_(value)
            log_derivatives.append(log_derivative)
    return layers[0], torch.stack(log_derivatives).sum(0)
