"""The multilayer perceptron as a conditioner."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.kernels.eligibility import is_float32_on_cpu
from pushforward.kernels.layer import Weights
from pushforward.networks.conditioner import Conditioner
from pushforward.networks.masked_product import masked_linear
from pushforward.support.broadcasting import broadcast_shapes

# Whether kernels take a tensor.
Fits = Callable[[Tensor], bool]


class MLP(nn.Module):
    """Parameters for every output from all inputs and a context.

    h1 = W1 x + V context + b1, hk = Wk a(hk-1) + bk; the last hk is seen as (outputs, parameter_count). The context
    enters by a product of its own, so that one context row serves a whole batch by broadcasting.

    Arguments:
        inputs: number of input features; 0 is allowed (the parameters are then a function of the context alone).
        outputs: number of features that need parameters.
        parameter_count: parameters for each of them.
        conditioner: hidden layers, activation, residual pairs and dropout.
        context: C, number of context features, default 0.

    Example:
        >>> mlp = MLP(inputs=2, outputs=3, parameter_count=4, conditioner=Conditioner(hidden=(16, 16)))
        >>> mlp(torch.zeros(10, 2)).shape
        torch.Size([10, 3, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        parameter_count: int,
        conditioner: Conditioner = Conditioner(),
        context: int = 0,
    ):
        super().__init__()
        self.outputs = outputs
        self.context_features = context
        self.skips = conditioner.skips
        self.dropout = conditioner.dropout
        widths = [*conditioner.hidden, outputs * parameter_count]
        # A linear layer without inputs is its bias.
        self.first = Linear(inputs, widths[0]) if inputs else Bias(widths[0])
        self.context = nn.Linear(context, widths[0], bias=False) if context else None
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(widths))
        self.activation = conditioner.activate()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters, (*batch, outputs, parameter_count), from x, (*batch, inputs), and context, (*batch, C)."""
        batch = batch_of(x, context, self.context_features)
        hidden = self.first(unit_by_unit(x, batch))
        if self.context is not None:
            hidden = hidden + unit_by_unit(self.context(context), batch)
        into_pair = hidden
        for layer, skip in zip(self.layers, self.skips[1:], strict=True):
            activated = self.activation(hidden)
            if self.dropout and self.training:
                activated = functional.dropout(activated, self.dropout)
            hidden = layer(activated)
            if skip is not None:
                into_pair = hidden = hidden + into_pair
        # Under autocast only the network is rounded, not the maps that it parametrizes.
        return as_parameters(hidden.to(x.dtype), batch, self.outputs)

    @property
    def sees_inputs(self) -> bool:
        """Whether there are inputs; otherwise the parameters are a function of the context alone."""
        return not isinstance(self.first, Bias)

    def as_dense(self, fits: Fits = is_float32_on_cpu) -> list[Weights] | None:
        """The weights for the kernels of whole layers, or None where they cannot compute this network."""
        return weights_of([self.first, *self.layers], self.context, self.skips, self.activation, fits)

    def as_sorted(self, fits: Fits = is_float32_on_cpu) -> None:
        """None: the kernel of autoregressive layers only computes masked networks."""

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let all parameters be 0 whatever the input, until training: a layer then starts near the identity."""
        for parameter in (self.layers[-1] if self.layers else self.first).parameters():
            parameter.zero_()
        if self.context is not None and not self.layers:
            self.context.weight.zero_()


def weights_of(
    layers: Iterable[nn.Module],
    context: nn.Linear | None,
    skips: Sequence[int | None],
    activation: nn.Module,
    fits: Fits = is_float32_on_cpu,
) -> list[Weights] | None:
    """The weights of linear layers, with rectifiers between them, for the kernels of whole layers.

    Arguments:
        layers: one after the other; a `Bias` has no inputs, and the first layer then reads the context, if any.
        context: what adds the context to the result of the first layer, or None.
        skips: for each of them, which earlier layer's output is added to its own, or None.
        activation: between them.
        fits: whether the kernels take a tensor, default those for processors in float32.

    Returns:
        None where the kernels cannot compute the network: another activation, or weights that they do not take.
    """
    if type(activation) is not nn.ReLU:
        return None
    found = []
    for linear, skip in zip(layers, skips, strict=True):
        # Attribute access of a module takes as long as a small product.
        own, buffers = linear._parameters, linear._buffers
        bias, own_weight = own.get("bias"), own.get("weight")
        if bias is None or not fits(bias):
            return None
        weight = _weight_of_context(context, bias) if own_weight is None else own_weight
        if not fits(weight):
            return None
        masks = buffers.get("mask"), buffers.get("rows"), buffers.get("columns")
        found.append(Weights(weight, bias, *masks, masks[0] is not None and bool(linear.contiguous), skip is not None))
    return found


def _weight_of_context(context: nn.Linear | None, bias: Tensor) -> Tensor:
    return bias.new_empty(len(bias), 0) if context is None else context.weight


class Linear(nn.Linear):
    """weight h + bias, (outputs, n), from h, (inputs, n): the values of a unit for all rows are contiguous."""

    def forward(self, h: Tensor) -> Tensor:
        """weight h + bias."""
        return masked_linear(h, self.weight, None, self.bias)


class Bias(nn.Module):
    """A learned vector in place of a linear layer without inputs."""

    def __init__(self, outputs: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, h: Tensor) -> Tensor:
        """The bias, (outputs, n), for every column of h, (inputs, n)."""
        return self.bias[:, None].expand(-1, h.shape[1])


def batch_of(x: Tensor, context: Tensor | None, context_features: int) -> torch.Size:
    """The shape of the batch that x and context make together, or which context was expected."""
    if not context_features:
        return x.shape[:-1]
    batch, of_context = x.shape[:-1], checked_context(context, context_features).shape[:-1]
    return batch if batch == of_context else broadcast_shapes(batch, of_context)


def unit_by_unit(value: Tensor, batch: torch.Size) -> Tensor:
    """Lay (*batch, units) out unit by unit, (units, n); n = 1 if one row serves the whole batch."""
    units = value.shape[-1]
    if units and value.numel() == units:
        return value.reshape(1, units).t()
    return value.expand(*batch, units).reshape(math.prod(batch), units).t()


def as_parameters(flat: Tensor, batch: torch.Size, features: int) -> Tensor:
    """View (D · P, n), feature by feature, as (*batch, D, P)."""
    count = flat.shape[0] // features
    return flat.view(features, count, flat.shape[1]).permute(2, 0, 1).reshape(*batch, features, count)


def checked_context(context: Tensor | None, context_features: int) -> Tensor:
    """Return the context, or say which shape was expected."""
    if context is None:
        raise ValueError(f"This map is conditional: it needs a context of shape (..., {context_features}).")
    if context.dim() == 0 or context.shape[-1] != context_features:
        raise ValueError(f"Expected a context of shape (..., {context_features}), got {tuple(context.shape)}.")
    return context
