"""Convolutions of 3 × 3 from few channels to many, or from many to few, as products of matrices.

Libraries of convolutions are made for many channels on both sides. A product of matrices takes the nine numbers around
a pixel for each of few channels, or gives nine for each, which are then added up where they belong.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Images of fewer pixels make products that are too small.
FEWEST_PIXELS = 128


def are_quicker(images: Tensor, first: nn.Conv2d, last: nn.Conv2d) -> bool:
    """Whether `widen` and `narrow` are quicker than the layers themselves: measured on processors, in float32."""
    return (
        images.is_cpu
        and len(images) > 0
        and images.dtype is first.weight.dtype is torch.float32
        and not torch.is_autocast_enabled("cpu")
        and images.shape[-2] * images.shape[-1] >= FEWEST_PIXELS
        and 9 * max(first.in_channels, last.out_channels) < first.out_channels
    )


def widen(layer: nn.Conv2d, images: Tensor, added: Tensor) -> Tensor:
    """layer(images) + added, (n, many, H, W), of images of few channels; what is added is one image, (many, H, W)."""
    count, _, height, width = images.shape
    assert layer.bias is not None
    weight = layer.weight.flatten(1).expand(count, -1, -1)
    around = functional.unfold(images, 3, padding=1)
    added = added.flatten(1) + layer.bias[:, None]
    return torch.baddbmm(added, weight, around).view(count, -1, height, width)


def narrow(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """layer(images), (n, few, H, W), of many channels."""
    count, channels, height, width = images.shape
    assert layer.bias is not None
    # What a pixel gives to the one above it comes from the weight below the middle, and so on.
    weight = layer.weight.permute(0, 2, 3, 1).flip(1, 2).reshape(-1, channels)
    around = torch.bmm(weight.expand(count, -1, -1), images.flatten(2))
    return functional.fold(around, (height, width), 3, padding=1) + layer.bias[:, None, None]
