"""Densities of images of whole numbers: a flow of the intensities between them."""

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.bijections.intensities import Intensities
from pushforward.bijections.standardized import Standardized
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.arguments import is_whole
from pushforward.support.broadcasting import broadcast_shapes
from pushforward.support.even_points import LEAST
from pushforward.support.modules import check_module, check_tensor
from pushforward.zoo.levels import NUMBERS_AT_A_TIME, OfLevels, check_levels, check_parts
from pushforward.zoo.registry import build, register

MARGIN = 1e-6


class Dequantized(OfLevels):
    """P(x | context) of images x of whole numbers from 0 to levels - 1, at least by what `log_prob` says.

    log_prob(x) = log p(x + v | context) - log q(v | x, context), with noise v in [0, 1) from a law q: on average at
    most log P(x), with P(x) = ∫ p(x + v) dv the probability of the image. Without a flow of the noise, v is uniform,
    and log q is 0. With one, v = Φ(u), u = f(ε; x, context), ε standard normal and Φ the standard normal distribution
    function: fitting makes q(v | x) alike to p(x + v) / P(x), at which the bound would be exact.

    In training mode v is new at every call. In evaluation mode it is a function of the image: an image always has the
    same value.

    Arguments:
        flow: p, of images as vectors of intensities from 0 to `levels`.
        levels: how many a pixel may have.
        config: how to build this density again.
        noise: f, a flow of D features given D + C numbers, the image from -1 to 1 and then its context; default none.

    Raises:
        InputError: a flow of the noise that does not fit; in `log_prob` and `bits_per_dim`: a number that is not a
            level.

    Source: Uria, Murray and Larochelle 2013, arXiv:1306.0186; Theis, van den Oord and Bethge 2016, arXiv:1511.01844;
    a flow of the noise, Ho et al. 2019, arXiv:1902.00275.

    Cost: that of the flow, and of a draw of the noise.
    """

    def __init__(self, flow: Flow, levels: int, config: dict[str, Any] | None = None, noise: Flow | None = None):
        super().__init__(flow, levels, config)
        if noise is not None:
            _check_noise(noise, flow)
        self.noise = noise

    def with_noise(self, x: Tensor, v: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """x + v and 0, or x + Φ(u) and log q of the noise."""
        if self.noise is None:
            return x + v, 0.0
        start = torch.special.ndtri(v.clamp(LEAST, 1 - LEAST)).to(self.noise.reference.dtype)
        given = (2 * x + 1) / self.levels - 1
        if context is not None:
            batch = broadcast_shapes(x.shape[:-1], context.shape[:-1])
            given = torch.cat([given.expand(*batch, -1), context.expand(*batch, -1)], -1)
        u, log_det = self.noise.bijection(start, given.to(start.dtype))
        # log q(v) = log φ(ε) - log|∂u/∂ε| - log φ(u), φ the standard normal density.
        log_noise = ((u.square() - start.square()) / 2).sum(-1) - log_det
        return x + torch.special.ndtr(u.double()), log_noise

    def log_prob_by_importance(self, x: Tensor, context: Tensor | None = None, draws: int = 100) -> Tensor:
        """log P(x | context) by importance sampling, log (1/K) Σ p(x + v) / q(v | x) over K draws of the noise.

        On average it is a bound too, at least that of `log_prob`, and it rises to log P as K grows. Draws are new at
        every call; they are made by the global random state.

        Arguments:
            x: (*batch, D), whole numbers from 0 to levels - 1.
            context: (*batch, C).
            draws: K, default 100.

        Source: Burda, Grosse and Salakhutdinov 2016, arXiv:1509.00519.

        Cost: K times that of `log_prob`.
        """
        if not is_whole(draws) or draws < 1:
            raise InputError(f"Importance sampling takes a whole number of draws and at least one draw, got {draws!r}.")
        self.check_images(x, context)
        total = self._log_prob(x, torch.rand_like(x, dtype=torch.float64), context)
        for _ in range(draws - 1):
            total = torch.logaddexp(total, self._log_prob(x, torch.rand_like(x, dtype=torch.float64), context))
        return total - math.log(draws)

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


def dequantized(
    flow: Flow, x: Tensor | None = None, levels: int = 256, margin: float = MARGIN, noise: Flow | None = None
) -> Dequantized:
    """The density of images of whole numbers that a flow of the real line's images makes.

    Intensities are images of the real line by `pushforward.bijections.intensities.Intensities`, with the shares of the
    levels among all pixels of x, or as a plain logit without x.

    Arguments:
        flow: such as `pushforward.glow` makes; it is used, not copied.
        x: (N, D) images, whole numbers from 0 to levels - 1, default none.
        levels: of a pixel, default 256, those of 8 bits.
        margin: of the logit at its ends, default 1e-6.
        noise: a flow of the noise given the image: of D features, its context the D numbers of the image, from -1 to 1,
            and then the context of `flow`; it is used, not copied, and fitted together with that. Default none: the
            noise is uniform.

    Returns:
        A density to fit by `pushforward.fit`, with `log_prob`, `bits_per_dim` and `sample`; it is saved and loaded like
        a flow.

    Raises:
        InputError: x holds something else than levels or has another size than the images of the flow, `levels` is not
            whole, or the flow of the noise does not fit.

    Example:
        >>> import pushforward as pf
        >>> x = torch.randint(256, (100, 16)).float()
        >>> images = pf.dequantized(pf.glow((1, 4, 4), steps=2, hidden=8), x)
        >>> images.bits_per_dim(x).mean() < 12, images.sample((2,)).shape
        (tensor(True), torch.Size([2, 16]))
        >>> noise = pf.realnvp_image((1, 4, 4), context=16, couplings=1, hidden=8, blocks=0)
        >>> pf.dequantized(pf.glow((1, 4, 4), steps=2, hidden=8), x, noise=noise).bits_per_dim(x).shape
        torch.Size([100])
    """
    check_parts("dequantized", flow, levels)
    if noise is not None:
        check_module(noise, "dequantized(noise=)", "a flow, such as pushforward.realnvp_image", "bijection", "base")
    shares = None
    if x is not None:
        check_tensor(x, "x")
        flow.bijection.check_event(x)
        check_levels(x, levels)
        counts = torch.zeros(levels, dtype=torch.float64)
        for rows in x.cpu().split(max(1, NUMBERS_AT_A_TIME // flow.features)):
            counts += torch.bincount(rows.flatten().long(), minlength=levels)
        # A level that no image has may still come.
        shares = counts + 1
    return _dequantized(flow, levels, margin, shares, noise)


@register("dequantized")
def _build_dequantized(
    flow: dict[str, Any], levels: int, margin: float, noise: dict[str, Any] | None = None
) -> Dequantized:
    return _dequantized(build(flow), levels, margin, noise=None if noise is None else build(noise))


def _dequantized(
    flow: Flow, levels: int, margin: float, shares: Tensor | None = None, noise: Flow | None = None
) -> Dequantized:
    units = Intensities(flow.features, levels, shares, margin)
    config = {"architecture": "dequantized", "flow": flow.config, "levels": levels, "margin": margin}
    known = bool(flow.config)
    if noise is not None:
        config["noise"] = noise.config
        known = known and bool(noise.config)
    density = Flow(Standardized(flow.bijection, units), flow.base)
    return Dequantized(density, levels, config if known else None, noise)


def _check_noise(noise: Flow, flow: Flow) -> None:
    expected = flow.features, flow.features + flow.context_features
    if (noise.features, noise.context_features) != expected:
        raise InputError(
            f"The flow of the noise of images of {expected[0]} numbers needs {expected[0]} features and a context of "
            f"{expected[1]}, the image and its own context; it has {noise.features} and {noise.context_features}."
        )
    if not isinstance(noise.base, StandardNormal):
        raise InputError("The flow of the noise needs a standard normal base.")
