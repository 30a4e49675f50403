"""Several scales: some numbers go through further maps, the others are latent already."""

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost


class Split(Bijection):
    """x[:K] = f(z[:K]; context), x[K:] = z[K:]: the last features are factored out before f.

    Seen from the data, half of the numbers leave as latents and the other half, of a coarser image, goes on through f.
    What has left still has its density given the rest, if a coupling layer comes before: an affine one makes it a
    Gaussian whose mean and scale depend on the half that goes on.

    Arguments:
        bijection: f, of the first K features.
        features: D, at least K.

    Raises:
        ValueError: f has more features than D.

    Cost: that of f.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803, section 3.6; Kingma and Dhariwal 2018, Glow,
    arXiv:1807.03039.

    Example:
        >>> from pushforward.bijections import ElementwiseAffine
        >>> Split(ElementwiseAffine(scale=[2.0]), features=3)(torch.ones(3))
        (tensor([2., 1., 1.]), tensor(0.6931))
    """

    def __init__(self, bijection: Bijection, features: int):
        super().__init__()
        if bijection.features > features:
            raise ValueError(f"Split maps {bijection.features} of {features} features, more than there are.")
        self.features = features
        self.context_features = bijection.context_features
        self.bijection = bijection

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the first features by f."""
        first, rest = self._parts(z)
        x, log_det = self.bijection(first, context)
        return self._joined(x, rest), log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the first features by the inverse of f."""
        first, rest = self._parts(x)
        z, log_det = self.bijection.inverse(first, context)
        return self._joined(z, rest), log_det

    @property
    def cost(self) -> Cost:
        """That of f."""
        return self.bijection.cost

    def _parts(self, value: Tensor) -> tuple[Tensor, Tensor]:
        self.check_event(value)
        first = self.bijection.features
        return value[..., :first], value[..., first:]

    def _joined(self, first: Tensor, rest: Tensor) -> Tensor:
        return torch.cat([first, rest.expand(*first.shape[:-1], -1)], -1)
