"""Autoregressive layers over the patches of an image."""

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.univariate.base import Univariate
from pushforward.errors import InputError
from pushforward.networks.mlp import batch_of
from pushforward.networks.patch_transformer import PatchTransformer


class PatchAutoregressive(Bijection):
    """x[t] = univariate(z[t]; network(x[before t], context)) for patches t = 1 .. T, all numbers of a patch at once.

    An image is a vector, channel by channel; its patches follow each other row by row, or from the last to the first.
    The network is a causal transformer: from x to z it takes all patches at once, and from z to x one after the other,
    keeping the keys and values of those before. log_det is the sum of the univariate map's log-derivatives.

    Arguments:
        shape: (C, H, W).
        patch: the side of the square patches, of which both sides are multiples.
        univariate: the family of maps: `Affine` makes TarFlow.
        width: numbers of a token of the transformer, default 128.
        layers: of the transformer, default 2.
        heads: of attention, default 4.
        context: number of context features, default 0.
        reverse: whether patches follow each other from the last to the first, default False.

    Raises:
        InputError: a side that is not a multiple of the patch, or a single patch.

    Cost: z → x T steps, together the arithmetic of one pass; x → z 1 pass.

    Source: Zhai et al. 2024, TarFlow, arXiv:2412.06329.

    Example:
        >>> from pushforward.bijections import Affine
        >>> layer = PatchAutoregressive((1, 4, 4), 2, Affine(), width=8, layers=1, heads=2)
        >>> x, log_det = layer(torch.randn(5, 16))
        >>> x.shape, log_det.shape
        (torch.Size([5, 16]), torch.Size([5]))
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        patch: int,
        univariate: Univariate,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        context: int = 0,
        reverse: bool = False,
    ):
        super().__init__()
        channels, height, width_of_image = shape
        if height % patch or width_of_image % patch:
            raise InputError(
                f"An image of {height} × {width_of_image} pixels does not consist of patches of {patch} × {patch}."
            )
        self.features = channels * height * width_of_image
        self.context_features = context
        self.univariate = univariate
        self.shape, self.patch, self.reverse = tuple(shape), patch, reverse
        patches = (height // patch) * (width_of_image // patch)
        if patches < 2:
            raise InputError("An image must have at least two patches, of which one depends on the other.")
        self.patches = patches
        numbers = channels * patch**2
        self.network = PatchTransformer(patches, numbers, univariate.parameter_count, width, layers, heads, context)

    @property
    def cost(self) -> Cost:
        """T steps from z to x."""
        return Cost(f"{self.patches} steps", self.univariate.cost.inverse)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform the patches one after the other."""
        self.check_event(z)
        batch = batch_of(z, context, self.context_features)
        rows = self._patches_of(z.expand(*batch, -1).reshape(-1, self.features))
        of_context = self.network.start_steps(context, batch, rows)
        cache: list[Tensor] = []
        found: list[Tensor] = []
        log_det = rows.new_zeros(len(rows))
        for number, patch in enumerate(rows.unbind(1)):
            parameters = self.network.step(found[-1] if found else None, number, cache, of_context)
            x, term = self.univariate.forward(patch, parameters)
            found.append(x)
            log_det = log_det + term.sum(-1)
        image = self._image_of(torch.stack(found, 1))
        return image.view(*batch, self.features), log_det.view(batch)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform all patches at once."""
        self.check_event(x)
        patches = self._patches_of(x)
        z, log_derivative = self.univariate.inverse(patches, self.network(patches, context))
        return self._image_of(z), log_derivative.flatten(-2).sum(-1)

    def _patches_of(self, value: Tensor) -> Tensor:
        """(*batch, T, numbers of a patch) of images, (*batch, D), in the order of the patches."""
        channels, height, width = self.shape
        side = self.patch
        cut = value.unflatten(-1, (channels, height // side, side, width // side, side))
        patches = cut.movedim((-4, -2), (-5, -4)).flatten(-3).flatten(-3, -2)
        return patches.flip(-2) if self.reverse else patches

    def _image_of(self, patches: Tensor) -> Tensor:
        """(*batch, D) of patches."""
        channels, height, width = self.shape
        side = self.patch
        patches = patches.flip(-2) if self.reverse else patches
        cut = patches.unflatten(-2, (height // side, width // side)).unflatten(-1, (channels, side, side))
        return cut.movedim((-5, -4), (-4, -2)).flatten(-5)
