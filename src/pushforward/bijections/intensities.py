"""Intensities of pixels: from the real line to an interval of equal steps, each with its share of the numbers."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.bijections.elementwise import Elementwise
from pushforward.errors import InputError


class Intensities(Elementwise):
    """x[d] = F⁻¹((sigmoid(z[d]) - margin) / (1 - 2 margin)), with F the distribution function of a histogram.

    The histogram has `levels` steps of width 1 from 0 to `levels`. Of equal shares, F is x / levels, and the map is the
    logit of RealNVP. With the shares of pixels that have each level, the map makes a logistic distribution of the
    intensities of all pixels together, however uneven: where most of an image is black, most of the real line is.

    The map goes on with the slopes of the first and the last step a little beyond them, where sigmoid(z) lies within
    the margin of 0 or 1. Inside it computes in float64: intensities near the upper end keep their digits.

    Arguments:
        features: D.
        levels: how many.
        shares: (levels,) positive numbers in proportion to the shares of the levels, default equal ones.
        margin: how far from 0 and 1 the sigmoid is at the ends, default 1e-6.

    Raises:
        InputError: less than two levels, shares of another length or not positive, or a margin not between 0 and 1/2.

    Cost: 1 pass in both directions.

    Source: the logit, Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803, section 4.1.

    Example:
        >>> layer = Intensities(features=1, levels=4, shares=[7.0, 1.0, 1.0, 1.0])
        >>> layer(torch.zeros(1))[0]
        tensor([0.7143])
        >>> layer.inverse(torch.tensor([2.0]))[0].sigmoid()
        tensor([0.8000])
    """

    shares: Tensor

    def __init__(
        self, features: int, levels: int, shares: Tensor | Sequence[float] | None = None, margin: float = 1e-6
    ) -> None:
        super().__init__()
        if levels < 2:
            raise InputError(f"A pixel needs at least 2 levels, got {levels}.")
        if not 0 < margin < 0.5:
            raise InputError(f"margin must lie between 0 and 1/2, got {margin}.")
        shares = torch.ones(levels) if shares is None else torch.as_tensor(shares)
        if shares.shape != (levels,) or not bool((shares > 0).all()):
            raise InputError(f"The shares must be {levels} positive numbers, one for each level.")
        self.features, self.levels, self.margin = features, levels, margin
        self.register_buffer("shares", (shares.double() / shares.double().sum()).to(torch.get_default_dtype()))

    def each_forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and log ∂x/∂z, both (*batch, D)."""
        self.check_event(z)
        shares, below = self._histogram()
        wide = z.double()
        share = (wide.sigmoid() - self.margin) / (1 - 2 * self.margin)
        step = torch.searchsorted(below[1:], share.detach(), right=True)
        x = step + (share - below[step]) / shares[step]
        slope = logsigmoid(wide) + logsigmoid(-wide) - math.log1p(-2 * self.margin) - shares[step].log()
        return x.to(z.dtype), slope.to(z.dtype)

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log ∂z/∂x, both (*batch, D)."""
        self.check_event(x)
        shares, below = self._histogram()
        wide = x.double()
        step = wide.detach().floor().clamp(0, self.levels - 1).long()
        share = below[step] + shares[step] * (wide - step)
        inside = self.margin + (1 - 2 * self.margin) * share
        slope = math.log1p(-2 * self.margin) + shares[step].log() - inside.log() - torch.log1p(-inside)
        return inside.logit().to(x.dtype), slope.to(x.dtype)

    def _histogram(self) -> tuple[Tensor, Tensor]:
        """The shares of the levels, and of those below each, (levels,), in float64."""
        shares = self.shares.double()
        shares = shares / shares.sum()
        return shares, shares.cumsum(0) - shares

    def extra_repr(self) -> str:
        """Show the number of levels."""
        return f"{super().extra_repr()}, levels={self.levels}"
