"""Coupling layers of images: some numbers set the parameters of the maps of the others, by a convolutional network."""

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.univariate.base import Univariate
from pushforward.errors import InputError
from pushforward.networks.residual_images import ResidualImages


class ImageCoupling(Bijection):
    """x[kept] = z[kept], x[changed] = univariate(z[changed]; network(z · kept, context)).

    An image is a vector, channel by channel. The network sees the channels that have a number to keep, zeros in place
    of the others, and gives parameters for the channels that have a number to change. log_det is the sum of the
    univariate map's log-derivatives.

    Arguments:
        changed: (C, H, W) True for the numbers that are transformed, such as `checkerboard` and `channels` make.
        univariate: the family of maps: `Affine` makes RealNVP and Glow.
        hidden: channels of the network's hidden layers, default 32.
        blocks: residual pairs of its hidden layers, default 2.
        context: number of context features, default 0.

    Raises:
        ValueError: no number is changed.

    Cost: that of the univariate map, 1 pass in both directions unless that one is a scalar root.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> from pushforward.bijections import Affine
        >>> layer = ImageCoupling(checkerboard((1, 4, 4)), Affine(), hidden=8)
        >>> z = torch.randn(5, 16)
        >>> x, log_det = layer(z)
        >>> x.shape, log_det.shape
        (torch.Size([5, 16]), torch.Size([5]))
    """

    changed: Tensor
    seen: Tensor
    mapped: Tensor

    def __init__(
        self, changed: Tensor, univariate: Univariate, hidden: int = 32, blocks: int = 2, context: int = 0
    ) -> None:
        super().__init__()
        if not bool(changed.any()):
            raise ValueError("A coupling layer must transform at least one number of an image.")
        self.shape = tuple(changed.shape)
        self.features = changed.numel()
        self.context_features = context
        self.univariate = univariate
        kept = ~changed
        # Where all are changed, the network sees zeros, and parameters depend on the context and the place alone.
        seen = kept.flatten(1).any(1) if bool(kept.any()) else torch.ones(self.shape[0], dtype=torch.bool)
        mapped = changed.flatten(1).any(1)
        # Whole channels need no mask within them.
        self.of_channels = not bool((changed != mapped[:, None, None]).any())
        self.register_buffer("changed", changed, persistent=False)
        self.register_buffer("seen", seen.nonzero()[:, 0], persistent=False)
        self.register_buffer("mapped", mapped.nonzero()[:, 0], persistent=False)
        shape = (len(self.seen), self.shape[1], self.shape[2])
        self.network = ResidualImages(shape, len(self.mapped), univariate.parameter_count, hidden, blocks, context)

    @property
    def cost(self) -> Cost:
        """That of the univariate map."""
        return self.univariate.cost

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform z[changed] given z[kept]."""
        image, parameters = self._image_and_parameters(z, context)
        return self._joined(image, *self.univariate.forward(image.index_select(-3, self.mapped), parameters))

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform x[changed] back given x[kept]."""
        image, parameters = self._image_and_parameters(x, context)
        return self._joined(image, *self.univariate.inverse(image.index_select(-3, self.mapped), parameters))

    def _image_and_parameters(self, value: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The image, (*batch, C, H, W), and the parameters of its maps, (*batch, mapped, H, W, P)."""
        self.check_event(value)
        image = value.unflatten(-1, self.shape)
        # Of whole channels the network sees those that are kept, if there are any.
        split = self.of_channels and len(self.mapped) < self.shape[0]
        seen = (image if split else image.masked_fill(self.changed, 0.0)).index_select(-3, self.seen)
        return image, self.network(seen.flatten(-3), context)

    def _joined(self, image: Tensor, mapped: Tensor, log_derivative: Tensor) -> tuple[Tensor, Tensor]:
        """The image with its changed numbers, and log_det."""
        image = image.expand(*mapped.shape[:-3], *self.shape).to(mapped.dtype)
        joined = image.index_copy(-3, self.mapped, mapped)
        if not self.of_channels:
            joined = torch.where(self.changed, joined, image)
            log_derivative = torch.where(self.changed.index_select(0, self.mapped), log_derivative, 0.0)
        return joined.flatten(-3), log_derivative.flatten(-3).sum(-1)


def checkerboard(shape: tuple[int, int, int], odd: bool = True) -> Tensor:
    """Every other pixel of an image, (C, H, W), like the dark squares of a chessboard.

    Arguments:
        shape: (C, H, W).
        odd: whether those whose row and column add up to an odd number, default True; else the others.

    Raises:
        InputError: an image of one pixel.

    Example:
        >>> checkerboard((1, 2, 4)).long()
        tensor([[[0, 1, 0, 1],
                 [1, 0, 1, 0]]])
    """
    channels, height, width = shape
    if height * width < 2:
        raise InputError("A chessboard needs at least two pixels: squeeze the image less often.")
    sums = torch.arange(height)[:, None] + torch.arange(width)
    return ((sums % 2 == 1) == odd).expand(channels, -1, -1).clone()


def channels(shape: tuple[int, int, int], first: bool = False) -> Tensor:
    """The last half of the channels of an image, (C, H, W), or the first one.

    Arguments:
        shape: (C, H, W).
        first: whether the first half, default False. Of an odd number of channels the first half has one more.

    Example:
        >>> channels((3, 1, 1)).flatten()
        tensor([False, False,  True])
    """
    count = shape[0]
    chosen = (torch.arange(count) < (count + 1) // 2) == first
    return chosen[:, None, None].expand(shape).clone()
