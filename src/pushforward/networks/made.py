"""MADE: a masked network whose output d sees only the inputs that come before d."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.kernels import autoregressive, eligibility, layer
from pushforward.networks.masked_product import blocks_of, masked_linear, reach_of
from pushforward.networks.mlp import (
    ACTIVATIONS,
    Bias,
    as_parameters,
    batch_of,
    checked_dropout,
    skips_of,
    unit_by_unit,
    weights_of,
)
from pushforward.networks.structure import Structure


class MADE(nn.Module):
    """Parameters for every feature from the features before it in `order`, and a context.

    Each input has a degree, its place 1 .. D in the order; each hidden unit has a degree m and sees inputs of degree at
    most m; the outputs of the feature of degree d see hidden units of degree at most d - 1. The degrees of hidden
    units are **sorted**, so that every mask is a staircase, and **spread evenly** over all that are of use
    (0 .. D-1 with a context, which is all that degree 0 can see; 1 .. D-1 without).

    Hidden layers narrower than that cannot hold every degree; then a masked product straight from inputs and context to
    outputs is added (the direct connections of the paper), so that **no allowed dependency is ever lost**.

    Arguments:
        features: D; D = 1 is allowed.
        parameter_count: P, parameters for each feature.
        hidden: widths of the hidden layers, default (128, 128).
        context: C, number of context features, default 0.
        order: (D,) the features from first to last, default 0 .. D-1.
        activation: a name of `ACTIVATIONS`, default "relu".
        residual: after the first hidden layer, take the others in pairs and add to each pair's output what came into
            it, default False.
        dropout: the share of hidden activations that are set to zero in training mode, default 0, when all conditions
            are known. The numerical inverses, `pushforward.solvers`, always run without it: a map that is drawn anew
            at each call has no inverse.

    Attributes:
        degrees: the degree of each unit, layer by layer: inputs, hidden layers.
        units: how many units of degree 0 .. D-1 each hidden layer has.
        skips: for each layer of weights, which earlier layer's output is added to its own, or None.
        structure: all of this as the compiled kernels read it.

    Raises:
        ValueError: order is no permutation, residual without an odd number of hidden layers of one width, or dropout
            not in [0, 1).

    Source: Germain, Gregor, Murray and Larochelle 2015, arXiv:1502.03509.

    Example:
        >>> made = MADE(features=3, parameter_count=2, hidden=(4,))
        >>> made(torch.zeros(10, 3)).shape
        torch.Size([10, 3, 2])
        >>> [d.tolist() for d in made.degrees]
        [[1, 2, 3], [1, 1, 2, 2]]
    """

    def __init__(
        self,
        features: int,
        parameter_count: int,
        hidden: Sequence[int] = (128, 128),
        context: int = 0,
        order: Sequence[int] | None = None,
        activation: str = "relu",
        residual: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.features = features
        self.parameter_count = parameter_count
        self.context_features = context
        self.order = list(range(features)) if order is None else list(order)
        if sorted(self.order) != list(range(features)):
            raise ValueError(f"order must hold each of 0 .. {features - 1} once, got {self.order}.")
        self.residual = residual
        self.skips = skips_of(hidden, residual)
        self.dropout = checked_dropout(dropout)
        place = torch.tensor(self.order).argsort() + 1
        lowest = 0 if context or features == 1 else 1
        self.degrees = [place, *(spread_degrees(width, lowest, features - 1) for width in hidden)]

        self.units = [torch.bincount(degrees, minlength=features).tolist() for degrees in self.degrees[1:]]
        self.structure = Structure.of(self.order, self.units, parameter_count, self.skips, context)
        masks = [after[:, None] >= before for before, after in itertools.pairwise(self.degrees)]
        masks.append((place[:, None] > self.degrees[-1]).repeat_interleave(parameter_count, 0))
        # With one feature no input is alive: what is left of the first product is its bias.
        self.layers = nn.ModuleList(MaskedLinear(mask) if mask.any() else Bias(len(mask)) for mask in masks)
        self.activation = ACTIVATIONS[activation]()
        self.context = nn.Linear(context, len(masks[0]), bias=False) if context else None

        every_degree = set(range(lowest, features))
        narrow = any(set(degrees.tolist()) != every_degree for degrees in self.degrees[1:])
        straight = (place[:, None] > place).repeat_interleave(parameter_count, 0)
        self.direct = MaskedLinear(straight, False) if narrow else None
        self.direct_context = nn.Linear(context, parameter_count * features, bias=False) if narrow and context else None

    def forward(self, x: Tensor, context: Tensor | None = None, dropout: bool = True) -> Tensor:
        """Parameters, (*batch, D, P), from x, (*batch, D), and context, (*batch, C); without dropout if it is False."""
        batch = batch_of(x, context, self.context_features)
        # From here on a unit's values for all rows lie side by side: see `staircase`.
        x = unit_by_unit(x, batch)
        first, *rest = self.layers
        hidden = first(x)
        if self.context is not None:
            hidden = hidden + unit_by_unit(self.context(context), batch)
        outputs = [hidden]
        # A rectifier's gradient needs its result alone, so it may overwrite what no skip reads.
        overwrite = isinstance(self.activation, nn.ReLU) and isinstance(first, MaskedLinear) and not self.residual
        activate = torch.relu_ if overwrite else self.activation
        for layer, skip in zip(rest, self.skips[1:], strict=True):
            activated = activate(hidden)
            if self.dropout and self.training and dropout:
                activated = functional.dropout(activated, self.dropout)
            hidden = layer(activated)
            if skip is not None:
                hidden = hidden + outputs[skip]
            outputs.append(hidden)
        if self.direct is not None:
            hidden = hidden + self.direct(x)
        if self.direct_context is not None:
            hidden = hidden + unit_by_unit(self.direct_context(context), batch)
        return as_parameters(hidden, batch, self.features)

    def as_dense(self) -> list[layer.Weights] | None:
        """The weights for the kernels of whole layers, or None where they cannot compute this network."""
        return weights_of(self, self.layers) if self.direct is None else None

    def as_sorted(self) -> autoregressive.SortedNetwork | None:
        """The network for the kernel of autoregressive layers, or None where it cannot compute this network."""
        activation = autoregressive.ACTIVATIONS.get(type(self.activation))
        if activation is None or len(self.layers) > autoregressive.MOST_LAYERS - 2:
            return None
        weights: list[Any] = []
        for linear in self.layers:
            # Attribute access of a module takes as long as a small product.
            own = linear._parameters
            weights += own.get("bias"), own.get("weight")
        weights += [linear and linear.weight for linear in (self.context, self.direct, self.direct_context)]
        for weight in weights:
            if weight is not None and not (eligibility.is_float32_on_cpu(weight) and weight.is_contiguous()):
                return None
        return autoregressive.SortedNetwork(
            weights,
            *self.structure,
            self.parameter_count,
            len(self.units),
            activation,
            self.context is not None,
        )

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let all parameters be 0 whatever the input, until training: a layer then starts near the identity."""
        for layer in (self.layers[-1], self.direct, self.direct_context):
            for parameter in layer.parameters() if layer is not None else ():
                parameter.zero_()


class MaskedLinear(nn.Module):
    """A product with some weights held at zero, (mask · weight) h + bias.

    Each row starts uniform within ±1/√(its number of live inputs), so that units that see few inputs are as lively as
    the others.

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
        # Made again from the configuration at loading, so it is not part of the saved state. Multiplying by numbers is
        # quicker than by booleans, which are turned into numbers each time.
        self.register_buffer("mask", mask.to(torch.get_default_dtype()), persistent=False)
        self.blocks = blocks_of(mask)
        for name, part in (("rows", mask), ("columns", mask.t())):
            self.register_buffer(name, reach_of(part), persistent=False)
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
