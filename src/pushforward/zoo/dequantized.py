"""Densities of images of whole numbers: a flow of the intensities between them."""

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.bijections.intensities import Intensities
from pushforward.bijections.standardized import Standardized
from pushforward.flow import Flow
from pushforward.zoo.levels import NUMBERS_AT_A_TIME, OfLevels, check_levels
from pushforward.zoo.registry import build, register

MARGIN = 1e-6


class Dequantized(OfLevels):
    """P(x | context) of images x of whole numbers from 0 to levels - 1, at least by what `log_prob` says.

    log_prob(x) = log p(x + v | context), v uniform noise in [0, 1): on average at most log P(x), with
    P(x) = ∫ p(x + v) dv the probability of the image. In training mode v is new at every call. In evaluation mode it is
    a function of the image: an image always has the same value.

    Arguments:
        flow: p, of images as vectors of intensities from 0 to `levels`.
        levels: how many a pixel may have.
        config: how to build this density again.

    Raises:
        InputError: in `log_prob` and `bits_per_dim`: a number that is not a level.

    Source: Uria, Murray and Larochelle 2013, arXiv:1306.0186; Theis, van den Oord and Bethge 2016, arXiv:1511.01844.

    Cost: that of the flow.
    """

    def with_noise(self, x: Tensor, v: Tensor) -> Tensor:
        """x + v."""
        return x + v

    def bits_per_dim(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """-log2 P(x | context) / D, (*batch), at most: the bits for each number of an image.

        Arguments:
            x: (*batch, D), whole numbers from 0 to levels - 1.
            context: (*batch, C).
        """
        return self.log_prob(x, context) / (-math.log(2) * self.features)

    @torch.no_grad()
    def sample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Images of whole numbers, (*shape, *batch, D): of each row of the context as many as the shape holds."""
        return self.quantized(self.flow.sample(shape, context))


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
        check_levels(x, levels)
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
