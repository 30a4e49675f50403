"""MADE: a masked network whose output d sees only the inputs that come before d."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.kernels import autoregressive
from pushforward.kernels.eligibility import is_float32_on_cpu
from pushforward.kernels.layer import Weights
from pushforward.networks.conditioner import Conditioner
from pushforward.networks.dependencies import by_adjacency, by_order, checked_adjacency
from pushforward.networks.masked_product import blocks_of, masked_linear, reach_of
from pushforward.networks.mlp import Bias, Fits, as_parameters, batch_of, unit_by_unit, weights_of
from pushforward.networks.structure import structure_of


class MADE(nn.Module):
    """Parameters for every feature from the features before it in `order`, and a context.

    Each input has a degree, its place 1 .. D in the order; each hidden unit has a degree m and sees inputs of degree at
    most m; the outputs of the feature of degree d see hidden units of degree at most d - 1. The degrees of hidden
    units are **sorted**, so that every mask is block-triangular, and **spread evenly** over all that are of use
    (0 .. D-1 with a context, which is all that degree 0 can see; 1 .. D-1 without).

    With an adjacency, each feature sees only the features that it may depend on, and each hidden unit has a set of
    inputs in place of a degree.

    Hidden layers too narrow to hold every degree, or every set, are supplemented by a masked product straight from
    inputs and context to outputs (the direct connections of the paper), so that **no allowed dependency is ever lost**.
    These start at 0: nothing bounds a product without hidden units, and layer upon layer of random ones would let
    values grow beyond any float.

    Arguments:
        features: D; D = 1 is allowed.
        parameter_count: P, parameters for each feature.
        conditioner: hidden layers, activation, residual pairs and dropout. The numerical inverses,
            `pushforward.solvers`, always run without dropout: a random map has no inverse.
        context: C, number of context features, default 0.
        order: (D,) the features from first to last, default 0 .. D-1.
        adjacency: (D, D), adjacency[i][j] True where feature i may depend on feature j; it may have no cycle. Default:
            each feature may depend on all features before it in `order`.

    Attributes:
        adjacency: (D, D) as given, its diagonal False, or None.
        order: the features from first to last; with an adjacency, a topological order.
        degrees: the degree of each unit, layer by layer: inputs, hidden layers.
        units: how many units of degree 0 .. D-1 each hidden layer has.
        skips: for each layer of weights, which earlier layer's output is added to its own, or None.
        structure: all of this as the compiled kernels read it; None where they cannot, as with an adjacency.

    Raises:
        ValueError: order is not a permutation, adjacency is not (D, D) or has a cycle, or both are given.

    Source: Germain, Gregor, Murray and Larochelle 2015, arXiv:1502.03509; sets of inputs: Wehenkel and Louppe 2021,
    Graphical normalizing flows, arXiv:2006.02548.

    Example:
        >>> made = MADE(features=3, parameter_count=2, conditioner=Conditioner(hidden=(4,)))
        >>> made(torch.zeros(10, 3)).shape
        torch.Size([10, 3, 2])
        >>> [d.tolist() for d in made.degrees]
        [[1, 2, 3], [1, 1, 2, 2]]
    """

    adjacency: Tensor | None
    numbers: Tensor | None

    def __init__(
        self,
        features: int,
        parameter_count: int,
        conditioner: Conditioner = Conditioner(),
        context: int = 0,
        order: Sequence[int] | None = None,
        adjacency: Tensor | Sequence[Sequence[bool]] | None = None,
    ):
        super().__init__()
        self.features = features
        self.parameter_count = parameter_count
        self.context_features = context
        self.residual = conditioner.residual
        self.skips = conditioner.skips
        self.dropout = conditioner.dropout
        _announce(features, conditioner.hidden, parameter_count)
        allowed = None if adjacency is None else checked_adjacency(adjacency, features)
        self.register_buffer("adjacency", None if allowed is None else torch.from_numpy(allowed), persistent=False)
        if allowed is None:
            seen = by_order(list(range(features)) if order is None else list(order), conditioner.hidden, context)
        elif order is None:
            seen = by_adjacency(allowed, conditioner.hidden, context)
        else:
            raise ValueError("Give an order or an adjacency, not both; an adjacency has its own order.")
        self.order, self.degrees = seen.order, [torch.from_numpy(degrees) for degrees in seen.degrees]
        self.units = [torch.bincount(degrees, minlength=features).tolist() for degrees in self.degrees[1:]]
        self.activation = conditioner.activate()
        self.structure = None
        if self.adjacency is None:
            self.structure = structure_of(self.order, self.units, parameter_count, self.skips, context, self.activation)
        # On the device of the weights, for kernels there.
        numbers = None if self.structure is None else self.structure.numbers.int()
        self.register_buffer("numbers", numbers, persistent=False)
        masks = [torch.from_numpy(mask) for mask in seen.masks]
        masks[-1] = masks[-1].repeat_interleave(parameter_count, 0)
        # With one feature no input is alive, and the first layer is its bias.
        self.layers = nn.ModuleList(MaskedLinear(mask) if mask.any() else Bias(len(mask)) for mask in masks)
        self.context = nn.Linear(context, len(masks[0]), bias=False) if context else None
        outputs = parameter_count * features
        direct = None if seen.direct is None else torch.from_numpy(seen.direct).repeat_interleave(parameter_count, 0)
        self.direct = None if direct is None else MaskedLinear(direct, False)
        self.direct_context = nn.Linear(context, outputs, bias=False) if direct is not None and context else None
        for connection in (self.direct, self.direct_context):
            if connection is not None:
                nn.init.zeros_(connection.weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters, (*batch, D, P), from x, (*batch, D), and context, (*batch, C)."""
        batch, dtype = batch_of(x, context, self.context_features), x.dtype
        # From here on the values of a unit for all rows are contiguous: see `masked_product`.
        x = unit_by_unit(x, batch)
        first, *rest = self.layers
        hidden = first(x)
        if self.context is not None:
            hidden = hidden + unit_by_unit(self.context(context), batch)
        outputs = [hidden]
        # The gradient of a rectifier needs only its result, so it may overwrite what no skip reads.
        overwrite = isinstance(self.activation, nn.ReLU) and isinstance(first, MaskedLinear) and not self.residual
        activate = torch.relu_ if overwrite else self.activation
        for layer, skip in zip(rest, self.skips[1:], strict=True):
            activated = activate(hidden)
            if self.dropout and self.training:
                activated = functional.dropout(activated, self.dropout)
            hidden = layer(activated)
            if skip is not None:
                hidden = hidden + outputs[skip]
            outputs.append(hidden)
        if self.direct is not None:
            hidden = hidden + self.direct(x)
        if self.direct_context is not None:
            hidden = hidden + unit_by_unit(self.direct_context(context), batch)
        # Under autocast only the network is rounded, not the maps that it parametrizes.
        return as_parameters(hidden.to(dtype), batch, self.features)

    @property
    def sees_inputs(self) -> bool:
        """Whether there is more than one feature; otherwise the parameters are a function of the context alone."""
        return not isinstance(self.layers[0], Bias)

    def as_dense(self, fits: Fits = is_float32_on_cpu) -> list[Weights] | None:
        """The weights for the kernels of whole layers, or None where they cannot compute this network."""
        if self.direct is not None:
            return None
        return weights_of(self.layers, self.context, self.skips, self.activation, fits)

    def as_sorted(self, fits: Fits = is_float32_on_cpu) -> autoregressive.SortedNetwork | None:
        """The network for the kernel of autoregressive layers, or None where it cannot compute this network."""
        if self.structure is None:
            return None
        weights: list[Any] = []
        for linear in self.layers:
            # Attribute access of a module takes as long as a small product.
            own = linear._parameters
            weights += own.get("bias"), own.get("weight")
        weights += [linear and linear.weight for linear in (self.context, self.direct, self.direct_context)]
        for weight in weights:
            if weight is not None and not (fits(weight) and weight.is_contiguous()):
                return None
        return autoregressive.SortedNetwork(self.structure, weights, self.numbers)

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let all parameters be 0 whatever the input, until training: a layer then starts near the identity."""
        for layer in (self.layers[-1], self.direct, self.direct_context):
            for parameter in layer.parameters() if layer is not None else ():
                parameter.zero_()


class MaskedLinear(nn.Module):
    """A linear layer with some weights held at zero, (mask · weight) h + bias.

    Each row starts uniform within ±1/√(its number of live inputs), so that units with few inputs vary as much as the
    others.

    Arguments:
        mask: (outputs, inputs), True where a weight is alive.
        bias: whether to add a bias, default True.

    Cost: of a large mask only the blocks that are alive, about half of the product.
    """

    mask: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, mask: Tensor, bias: bool = True):
        super().__init__()
        outputs, inputs = mask.shape
        # Built from the configuration at loading, so it is not part of the saved state. Multiplying by numbers is
        # faster than by booleans, which are converted each time.
        self.register_buffer("mask", mask.to(torch.get_default_dtype()), persistent=False)
        self.blocks = blocks_of(mask)
        for name, part in (("rows", mask), ("columns", mask.t())):
            self.register_buffer(name, reach_of(part), persistent=False)
        stretches = (self.rows, self.columns)
        self.contiguous = all(int((ends - begins).sum()) == int(mask.sum()) for begins, ends in map(torch.t, stretches))
        reach = mask.sum(1, keepdim=True).clamp_min(1).rsqrt()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-1, 1) * reach * mask)
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-1, 1) * reach[:, 0]) if bias else None

    def forward(self, h: Tensor) -> Tensor:
        """(mask · weight) h + bias, (outputs, n), from h, (inputs, n)."""
        return masked_linear(h, self.weight, self.mask, self.bias, self.blocks)

    def extra_repr(self) -> str:
        """Show the sizes and the share of weights that are alive."""
        outputs, inputs = self.mask.shape
        return f"{inputs} → {outputs}, alive: {self.mask.mean().item():.0%}"


def _announce(features: int, hidden: Sequence[int], parameter_count: int) -> None:
    """Say to torch how large masks will be, before numpy makes them.

    Who reads the file of a stranger counts what torch makes, and refuses a network far larger than the file.
    """
    widths = [features, *hidden, features * parameter_count]
    pairs = [*itertools.pairwise(widths), *((width, features) for width in hidden)]
    if min(hidden, default=0) < features - 1:
        pairs.append((features, features * parameter_count))
    for before, after in pairs:
        # Expanded tensors of one number take no memory.
        torch.broadcast_tensors(torch.empty(()).expand(after, 1), torch.empty(()).expand(1, before))
