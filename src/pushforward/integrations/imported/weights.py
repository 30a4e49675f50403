"""Weights of a network of another library, placed in one of ours that computes the same."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections import ActNorm
from pushforward.errors import InputError
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP

# The weight, (outputs, inputs), zero where it is masked, and the bias, (outputs), of one layer after the other; the
# first takes the features and then the context.
Weights = Sequence[tuple[Tensor, Tensor]]


def widths_for(seen: Sequence[Tensor], adjacency: Tensor, context: int) -> tuple[int, ...]:
    """Hidden widths at which our masked network has a unit for each of another's.

    Ours gives each set of inputs equally many units.

    Arguments:
        seen: for each hidden layer, which features each unit may see, (units, D).
        adjacency: (D, D), which features each feature may depend on.
        context: C.
    """
    sets = {tuple(row) for row in adjacency.tolist()}
    if not context and len(sets) > 1:
        sets.discard((False,) * len(adjacency))
    return tuple(len(sets) * int(units.unique(dim=0, return_counts=True)[1].max()) for units in seen)


@torch.no_grad()
def fill_masked(network: MADE, weights: Weights, masks: Sequence[Tensor]) -> None:
    """Let a masked network compute what another one does.

    Arguments:
        network: ours, of the widths that `widths_for` gives.
        weights: of the other.
        masks: of its layers, True where a weight is alive, over features alone.
    """
    for parameter in network.parameters():
        parameter.zero_()
    layers: list[Any] = list(network.layers)
    ours = seen_by([layer.mask > 0 for layer in layers[:-1]])
    theirs = seen_by(masks[:-1])
    places = [_placed(mine, other) for mine, other in zip(ours, theirs, strict=True)]
    rows = [*places, torch.arange(len(weights[-1][1]))]
    columns = [torch.arange(network.features), *places]
    for layer, (weight, bias), row, column in zip(layers, weights, rows, columns, strict=True):
        layer.weight[row[:, None], column] = weight[:, : len(column)].to(layer.weight)
        layer.bias[row] = bias.to(layer.bias)
    if network.context is not None:
        network.context.weight[rows[0]] = weights[0][0][:, network.features :].to(network.context.weight)


@torch.no_grad()
def fill_dense(network: MLP, weights: Weights) -> None:
    """Let a network of a coupling layer compute what another one, of the same widths, does."""
    inputs = weights[0][0].shape[1] - network.context_features
    for layer, (weight, bias) in zip([network.first, *network.layers], weights, strict=True):
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(weight[:, : layer.in_features])
        layer.bias.copy_(bias)
    if network.context is not None:
        network.context.weight.copy_(weights[0][0][:, inputs:])


@torch.no_grad()
def fill_affine(layer: ActNorm, shift: Tensor, log_scale: Tensor) -> None:
    """Let an affine layer be x = shift + exp(log_scale) · z, whatever its first batch."""
    layer.shift.copy_(shift)
    layer.log_scale.copy_(log_scale)
    layer.initialized.fill_(True)


def seen_by(masks: Sequence[Tensor]) -> list[Tensor]:
    """Which features the units of each layer see, (units, D), by the masks of the layers."""
    seen: list[Tensor] = []
    for mask in masks:
        seen.append(mask.bool() if not seen else (mask.float() @ seen[-1].float()) > 0)
    return seen


def _placed(ours: Tensor, theirs: Tensor) -> Tensor:
    """For each unit of theirs one of ours, each once, that sees the same features."""
    free: dict[tuple[bool, ...], list[int]] = {}
    for unit, row in enumerate(ours.tolist()):
        free.setdefault(tuple(row), []).append(unit)
    places = [free.get(tuple(row), []) for row in theirs.tolist()]
    if not all(places):
        raise InputError("The flow has hidden layers too narrow for what its features depend on.")
    return torch.tensor([place.pop(0) for place in places])
