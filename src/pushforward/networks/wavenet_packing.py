"""The weights of a WaveNet in the memory layout of its compiled kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pushforward.kernels.wavenet import padded


def packed(
    input: nn.Linear, gates: Sequence[nn.Linear], residuals: Sequence[nn.Linear], head: Sequence[nn.Linear]
) -> Tensor:
    """Return all weights in one tensor, in the order of `Network` in kernels/csrc/wavenet.h.

    Arguments:
        input: Maps a sample's features to channels.
        gates: The convolution of each layer, as one linear map of all its taps.
        residuals: The residual connection of each layer but the last.
        head: The layers after the convolutions, from skip connections to parameters.
    """
    channels = input.out_features
    width = padded(channels)
    parts = _columns(input, width)
    no_residual = input.weight.new_zeros(channels + 1, width)
    for layer, gate in enumerate(gates):
        # Each half, before the tanh and before the sigmoid, is padded by itself.
        halves = [_columns(gate, width, half) for half in range(2)]
        parts += [torch.cat(pair, -1) for pair in zip(*halves, strict=True)]
        parts += _columns(residuals[layer], width) if layer < len(residuals) else [no_residual]
    for layer_of_head in head:
        parts += _columns(layer_of_head, padded(layer_of_head.out_features))
    return torch.cat([part.detach().reshape(-1) for part in parts])


def _columns(layer: nn.Linear, rows: int, half: int | None = None) -> list[Tensor]:
    """Bias and columns of a linear layer, or of half of its outputs, padded with zeros: (rows,) and (inputs, rows)."""
    weight: Tensor = layer.weight
    bias: Tensor = layer.bias
    if half is not None:
        weight, bias = weight.chunk(2)[half], bias.chunk(2)[half]
    missing = rows - len(bias)
    return [pad(bias, (0, missing)), pad(weight.t(), (0, missing))]
