"""One map of the channels, at every pixel of an image."""

from torch import Tensor

from pushforward.bijections.base import Bijection, Cost


class Pixelwise(Bijection):
    """x[:, p] = f(z[:, p]; context) for every pixel p: the channels of a pixel are the features of f.

    An image is a vector, channel by channel. `Pixelwise(ActNorm(C), pixels)` is the activation normalization of Glow,
    with a scale and a shift for each channel.

    Arguments:
        bijection: f, of C features.
        pixels: H · W.

    Cost: that of f.

    Example:
        >>> import torch
        >>> from pushforward.bijections import ElementwiseAffine
        >>> Pixelwise(ElementwiseAffine(scale=[1.0, 2.0]), pixels=2)(torch.ones(4))
        (tensor([1., 1., 2., 2.]), tensor(1.3863))
    """

    def __init__(self, bijection: Bijection, pixels: int):
        super().__init__()
        self.features = bijection.features * pixels
        self.context_features = bijection.context_features
        self.bijection = bijection

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every pixel by f."""
        x, log_det = self.bijection(self._pixels(z), self._for_pixels(context))
        return x.transpose(-1, -2).flatten(-2), log_det.sum(-1)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every pixel by the inverse of f."""
        z, log_det = self.bijection.inverse(self._pixels(x), self._for_pixels(context))
        return z.transpose(-1, -2).flatten(-2), log_det.sum(-1)

    @property
    def cost(self) -> Cost:
        """That of f."""
        return self.bijection.cost

    def _pixels(self, value: Tensor) -> Tensor:
        """(*batch, H · W, C) of (*batch, C · H · W)."""
        self.check_event(value)
        return value.unflatten(-1, (self.bijection.features, -1)).transpose(-1, -2)

    def _for_pixels(self, context: Tensor | None) -> Tensor | None:
        return context[..., None, :] if context is not None and self.context_features else None
