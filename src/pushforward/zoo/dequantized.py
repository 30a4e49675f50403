"""Densities of images of whole numbers: a flow of the intensities between them."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.bijections.intensities import Intensities
from pushforward.bijections.standardized import Standardized
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.modules import check_tensor
from pushforward.zoo.registry import build, register

# Numbers of images that are mapped at once: the networks hold some hundred times as many.
NUMBERS_AT_A_TIME = 2**20
# An image is hashed to fewer than this many numbers, by sums of whole numbers that are exact below 2⁵³.
HASHES, LARGEST_SUM = 2**26, 2**52
MARGIN = 1e-6


class Dequantized(nn.Module):
    """P(x | context) of images x of whole numbers from 0 to levels - 1, at least by what `log_prob` says.

    log_prob(x) = log p(x + v | context), v uniform noise in [0, 1): on average at most log P(x), with
    P(x) = ∫ p(x + v) dv the probability of the image. In training mode v is new at every call. In evaluation mode it is
    a function of the image: an image always has the same value, and no two share their noise.

    Arguments:
        flow: p, of images as vectors of intensities from 0 to `levels`.
        levels: how many a pixel may have.
        config: how to build this density again.

    Raises:
        InputError: in `log_prob` and `bits_per_dim`: a number that is not a level.

    Source: Uria, Murray and Larochelle 2013, arXiv:1306.0186; Theis, van den Oord and Bethge 2016, arXiv:1511.01844.

    Cost: that of the flow.
    """

    allows_gaps = False
    context_allows_gaps = False

    def __init__(self, flow: Flow, levels: int, config: dict[str, Any] | None = None):
        super().__init__()
        self.flow = flow
        self.levels = levels
        self.config = config

    @property
    def features(self) -> int:
        """D, the number of numbers of an image."""
        return self.flow.features

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return self.flow.context_features

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision and on the device of the flow."""
        return self.flow.reference

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x + v | context) in nats, (*batch), of images x, (*batch, D), given the context, (*batch, C)."""
        check_tensor(x, "x")
        self._check_levels(x)
        noise = torch.rand_like(x, dtype=torch.float64) if self.training else self.noise_of(x)
        filled = x.double() + noise
        if self.training or x.dim() != 2 or (context is not None and len(context) != len(x)):
            return self.flow.log_prob(filled, context).to(x.dtype)
        rows = max(1, NUMBERS_AT_A_TIME // self.features)
        contexts = [None] * -(-len(x) // rows) if context is None else context.split(rows)
        parts = [self.flow.log_prob(*part) for part in zip(filled.split(rows), contexts, strict=True)]
        return torch.cat(parts).to(x.dtype) if parts else x.sum(-1)

    def bits_per_dim(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """-log2 P(x | context) / D, (*batch), at most: the bits for each number of an image; arguments as above."""
        return self.log_prob(x, context) / (-math.log(2) * self.features)

    def noise_of(self, x: Tensor) -> Tensor:
        """Noise in [0, 1), (*batch, D), float64, which is a function of the images x, (*batch, D)."""
        generator = torch.Generator().manual_seed(0)
        largest = min(HASHES, LARGEST_SUM // (self.features * self.levels))
        weights = torch.randint(largest, (self.features,), generator=generator).double()
        steps, start = torch.rand(2, self.features, generator=generator, dtype=torch.float64)
        # A multiple of an irrational step is nearly uniform.
        hashed = (x.detach().cpu().double() @ weights) % HASHES
        return ((start + hashed[..., None] * steps) % 1.0).to(x.device)

    @torch.no_grad()
    def sample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Images of whole numbers, (*shape, *batch, D): of each row of the context as many as the shape holds."""
        return self.quantized(self.flow.sample(shape, context))

    def quantized(self, x: Tensor) -> Tensor:
        """The levels that intensities x have."""
        return x.floor().clamp(0, self.levels - 1)

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training; none if that is unknown."""
        return self.flow.beyond_range(context)

    def _check_levels(self, x: Tensor) -> None:
        if not x.numel():
            return
        low, high = (float(end) for end in x.detach().aminmax())
        if not (low >= 0 and high <= self.levels - 1) or not bool((x == x.floor()).all()):
            raise InputError(
                f"Pixels are whole numbers from 0 to {self.levels - 1}; these lie between {low:g} and {high:g}"
                + ("." if low < 0 or high > self.levels - 1 else " and are not whole.")
            )


def dequantized(flow: Flow, x: Tensor | None = None, levels: int = 256, margin: float = MARGIN) -> Dequantized:
    """The density of images of whole numbers that a flow of the real line's images makes.

    Intensities are images of the real line by `pushforward.bijections.intensities.Intensities`, with the shares of the
    levels among all pixels of x, or as a plain logit without x.

    Arguments:
        flow: such as `pushforward.glow` makes; it is used, not copied.
        x: (N, D) images, whole numbers from 0 to levels - 1, default none.
        levels: of a pixel, default 256, those of 8 bits.
        margin: of the logit at its ends, default 1e-6.

    Returns:
        A density to fit by `pushforward.fit`, with `log_prob`, `bits_per_dim` and `sample`; it is saved and loaded like
        a flow.

    Raises:
        InputError: x holds something else than levels.

    Example:
        >>> import pushforward as pf
        >>> x = torch.randint(256, (100, 16)).float()
        >>> images = pf.dequantized(pf.glow((1, 4, 4), steps=2, hidden=8), x)
        >>> images.bits_per_dim(x).mean() < 12, images.sample((2,)).shape
        (tensor(True), torch.Size([2, 16]))
    """
    shares = None
    if x is not None:
        Dequantized(flow, levels)._check_levels(x)
        counts = torch.zeros(levels, dtype=torch.float64)
        for rows in x.cpu().split(max(1, NUMBERS_AT_A_TIME // flow.features)):
            counts += torch.bincount(rows.flatten().long(), minlength=levels)
        # A level that no image has may still come.
        shares = counts + 1
    return _dequantized(flow, levels, margin, shares)


@register("dequantized")
def _build_dequantized(flow: dict[str, Any], levels: int, margin: float) -> Dequantized:
    return _dequantized(build(flow), levels, margin)


def _dequantized(flow: Flow, levels: int, margin: float, shares: Tensor | None = None) -> Dequantized:
    units = Intensities(flow.features, levels, shares, margin)
    config = {"architecture": "dequantized", "flow": flow.config, "levels": levels, "margin": margin}
    return Dequantized(Flow(Standardized(flow.bijection, units), flow.base), levels, config if flow.config else None)
