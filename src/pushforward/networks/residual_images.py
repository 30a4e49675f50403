"""A small residual convolutional network as the conditioner of images."""

import math

import torch
from torch import Tensor, nn

from pushforward.kernels import image_network
from pushforward.networks.mlp import batch_of, checked_context


class ResidualImages(nn.Module):
    """Parameters for every number of some channels, from the numbers of others and a context.

    h = W x + position + V context, then `blocks` times h = h + W₂ a(W₁ a(h)), at last W a(h), with the activation a,
    z · sigmoid(z), and every W a convolution of 3 × 3. `position` holds a number for each unit and pixel, so that what
    is drawn may depend on where it is. The last convolution starts at zero, and so do all parameters.

    Arguments:
        shape: (channels, H, W) of what it sees.
        outputs: number of channels that need parameters.
        parameter_count: parameters for each of their numbers.
        hidden: channels of the hidden layers.
        blocks: pairs of hidden layers.
        context: C, number of context features, default 0.

    Cost: 9 · hidden² multiplications for each pixel and hidden layer.

    Source: He, Zhang, Ren and Sun 2016, arXiv:1603.05027, without its normalization.

    Example:
        >>> network = ResidualImages((2, 4, 4), outputs=3, parameter_count=2, hidden=8, blocks=1)
        >>> network(torch.zeros(10, 32)).shape
        torch.Size([10, 3, 4, 4, 2])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        parameter_count: int,
        hidden: int = 32,
        blocks: int = 2,
        context: int = 0,
    ):
        super().__init__()
        channels, height, width = shape
        self.shape, self.context_features = tuple(shape), context
        self.parameters_of = (outputs, parameter_count)
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(hidden, height, width))
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(blocks))
        self.last = nn.Conv2d(hidden, outputs * parameter_count, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters, (*batch, outputs, H, W, parameter_count), from x, (*batch, channels · H · W), and context."""
        batch = batch_of(x, context, self.context_features)
        images = x.expand(*batch, -1).reshape(math.prod(batch), *self.shape)
        rows = None
        if self.context is not None:
            rows = self.context(checked_context(context, self.context_features))
            rows = rows.expand(*batch, -1).reshape(len(images), self.first.out_channels)
        weights = self._weights()
        compiled = image_network.is_quicker(images, weights)
        network = image_network.residual_network if compiled else image_network.in_torch
        assert self.first.bias is not None
        flat = network(images, self.position + self.first.bias[:, None, None], rows, *weights)
        # Under autocast only the network is rounded, not the maps that it parametrizes.
        return flat.to(x.dtype).view(*batch, *self.parameters_of, *self.shape[1:]).movedim(-3, -1)

    def _weights(self) -> list[Tensor]:
        """That of the first layer, then weight and bias of each other one."""
        first, *others = (layer for layer in self.modules() if isinstance(layer, nn.Conv2d))
        return [first.weight, *(part for layer in others for part in layer.parameters())]


class _Block(nn.Module):
    """The layers of h + W₂ a(W₁ a(h))."""

    def __init__(self, hidden: int):
        super().__init__()
        self.first = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
