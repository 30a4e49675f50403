"""Densities of images with Gaussian noise, whose draws are denoised: the training of TarFlow."""

from typing import Any

import torch
from torch import Tensor

from pushforward.bijections.elementwise import ElementwiseAffine
from pushforward.bijections.standardized import Standardized
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.even_points import LEAST
from pushforward.zoo.levels import OfLevels, check_parts
from pushforward.zoo.registry import build, register


class Noised(OfLevels):
    """The density of images with Gaussian noise, p(x + width · ε), and draws without it.

    A draw y of the flow still has noise. Its mean given y is y + width² ∇ log p(y), by Tweedie's formula, and that is
    what `sample` returns, rounded to levels. `log_prob` is a density of images with noise, not a bound on the
    probability of an image: it says nothing in bits.

    Arguments:
        flow: p, of images as vectors of intensities.
        levels: how many a pixel may have.
        width: standard deviation of the noise, in levels.
        config: how to build this density again.

    Source: Zhai et al. 2024, TarFlow, arXiv:2412.06329; the formula: Efron 2011, doi:10.1198/jasa.2011.tm11181.

    Cost: log_prob that of the flow; sample also a gradient of its log_prob.
    """

    def __init__(self, flow: Flow, levels: int, width: float, config: dict[str, Any] | None = None):
        super().__init__(flow, levels, config)
        self.width = width

    def with_noise(self, x: Tensor, v: Tensor, context: Tensor | None = None) -> tuple[Tensor, float]:
        """x + width · ε, ε the normal quantile of v, and 0."""
        return x + self.width * torch.special.ndtri(v.clamp(LEAST, 1 - LEAST)), 0.0

    @torch.no_grad()
    def sample(self, shape: int | tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Images of whole numbers, (*shape, *batch, D): of each row of the context as many as the shape holds."""
        return self.quantized(self.denoised(self.flow.sample(shape, context), context) + 0.5)

    def denoised(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """y + width² ∇ log p(y | context), (*batch, D), of images with noise, (*batch, D), without gradients."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            (score,) = torch.autograd.grad(self.flow.log_prob(y, context).sum(), y)
        return y.detach() + self.width**2 * score


def noised(flow: Flow, levels: int = 256, deviation: float = 0.05) -> Noised:
    """The density of images with Gaussian noise that a flow makes, and draws that are denoised.

    Arguments:
        flow: such as `pushforward.tarflow` makes, of intensities from -1 to 1; it is used, not copied.
        levels: of a pixel, default 256, those of 8 bits.
        deviation: of the noise where intensities go from -1 to 1, default 0.05.

    Returns:
        A density to fit by `pushforward.fit`, with `log_prob` and `sample`; it is saved and loaded like a flow.

    Raises:
        InputError: less than two levels, or a deviation that is not positive.

    Example:
        >>> import pushforward as pf
        >>> images = noised(pf.tarflow((1, 4, 4), patch=2, layers=2, width=8, depth=1))
        >>> images.sample((3,)).shape
        torch.Size([3, 16])
    """
    check_parts("noised", flow, levels)
    if not 0 < deviation < float("inf"):
        raise InputError(f"deviation must be positive and finite, got {deviation}.")
    half = (levels - 1) / 2
    units = ElementwiseAffine(torch.full((flow.features,), half), torch.full((flow.features,), half))
    config = {"architecture": "noised", "flow": flow.config, "levels": levels, "deviation": deviation}
    density = Flow(Standardized(flow.bijection, units), flow.base)
    return Noised(density, levels, half * deviation, config if flow.config else None)


@register("noised")
def _build_noised(flow: dict[str, Any], levels: int, deviation: float) -> Noised:
    return noised(build(flow), levels, deviation)
