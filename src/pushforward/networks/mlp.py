"""The multilayer perceptron as a conditioner."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


class MLP(nn.Module):
    """Parameters for every output from all inputs and a context.

    h1 = W1 x + V context + b1, hk = Wk a(hk-1) + bk; the last hk is reshaped to (outputs, parameter_count). The context
    enters by a product of its own, so that one context row serves a whole batch by broadcasting.

    Arguments:
        inputs: number of input features; 0 is allowed (the parameters are then a function of the context alone).
        outputs: number of features that need parameters.
        parameter_count: parameters for each of them.
        hidden: widths of the hidden layers.
        context: C, number of context features, default 0.
        activation: a name of `ACTIVATIONS`, default "relu".
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        parameter_count: int,
        hidden: Sequence[int] = (128, 128),
        context: int = 0,
        activation: str = "relu",
    ):
        super().__init__()
        self.shape = (parameter_count, outputs)
        self.context_features = context
        widths = [*hidden, outputs * parameter_count]
        # A product with no inputs is the bias alone.
        self.first = nn.Linear(inputs, widths[0]) if inputs else Bias(widths[0])
        self.context = nn.Linear(context, widths[0], bias=False) if context else None
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters, (*batch, outputs, parameter_count), from x, (*batch, inputs), and context, (*batch, C)."""
        hidden = self.first(x)
        if self.context is not None:
            hidden = hidden + self.context(checked_context(context, self.context_features))
        for layer in self.layers:
            hidden = layer(self.activation(hidden))
        return as_parameters(hidden, self.shape)


class Bias(nn.Module):
    """A learned vector in place of a product with no inputs."""

    def __init__(self, outputs: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The bias, for every row of x, (*batch, 0)."""
        return self.bias.expand(*x.shape[:-1], -1)


def as_parameters(flat: Tensor, shape: tuple[int, int]) -> Tensor:
    """View (*batch, P · D) as (*batch, D, P), for shape = (P, D).

    The network's rows are parameter by parameter, so that each parameter of all features is contiguous.
    """
    return flat.unflatten(-1, shape).transpose(-1, -2)


def checked_context(context: Tensor | None, context_features: int) -> Tensor:
    """Return the context, or say which shape was expected."""
    if context is None:
        raise ValueError(f"This map is conditional: it needs a context of shape (..., {context_features}).")
    if context.dim() == 0 or context.shape[-1] != context_features:
        raise ValueError(f"Expected a context of shape (..., {context_features}), got {tuple(context.shape)}.")
    return context
