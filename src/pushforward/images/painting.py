"""Between two images, and inside one: interpolation in latent space, and pixels given the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.images.files import Images
from pushforward.images.model import ImageModel
from pushforward.support.modules import frozen
from pushforward.support.seeding import seed_or_random, seeded

# Draws of which the likeliest, with the known pixels put in, is where a chain starts.
STARTS = 16
# The share of accepted steps at which the chain of Langevin is the most efficient, and how fast its step adapts.
ACCEPTANCE, RATE = 0.574, 0.3


def interpolate(
    model: ImageModel, first: np.ndarray, last: np.ndarray, steps: int, context: Tensor | None = None
) -> np.ndarray:
    """Images on the way from one to another, (steps, C, H, W), along an arc between their latent features.

    The length of a latent vector goes evenly from that of the first to that of the last, and its direction along the
    great circle, so that images between are as typical of the base as the ends.

    Arguments:
        model: of images.
        first: (C, H, W).
        last: (C, H, W).
        steps: images, both ends among them.
        context: (2, C) of the first and the last, for a conditional model; those between are mixtures of them.
    """
    if steps < 2:
        raise InputError(f"An interpolation has at least 2 steps, its ends; got {steps}.")
    density = model.density
    x = torch.from_numpy(np.stack([first, last]).reshape(2, -1).astype(np.float64))
    with frozen(density), torch.no_grad():
        latents = density.flow.to_latent(density.with_noise(x, density.noise_of(x), context)[0], context)
        shares = torch.linspace(0, 1, steps, dtype=latents.dtype)[:, None]
        lengths = latents.norm(dim=1)
        units = latents / lengths[:, None]
        angle = torch.arccos((units[0] @ units[1]).clamp(-1, 1))
        if float(angle) < 1e-4:
            directions = torch.lerp(units[0], units[1], shares)
        else:
            directions = (((1 - shares) * angle).sin() * units[0] + (shares * angle).sin() * units[1]) / angle.sin()
        between = directions * torch.lerp(lengths[0], lengths[1], shares)
        contexts = None if context is None else torch.lerp(context[0], context[1], shares.to(context.dtype))
        return model.pixels(density.quantized(density.flow.to_data(between, contexts)))


def white_pixels(mask: Images, source: str) -> np.ndarray:
    """Which pixels of a mask, one image, are white, (H, W): half of its levels or more, in one of its channels.

    Raises:
        InputError: none is; the message names the source.
    """
    least, largest = mask.levels // 2, int(mask.pixels.max())
    if largest < least:
        raise InputError(
            f"The mask {source} hides no pixel of the image: a pixel is white from {least} on, and its largest number "
            f"is {largest}."
        )
    white: np.ndarray = mask.pixels[0].max(0) >= least
    return white


@dataclass
class Inpainted:
    """Images with pixels drawn given the others.

    Attributes:
        pixels: (count, C, H, W).
        accepted: share of the accepted steps of the chains.
        log_probs: mean log-density before and after, in nats.
    """

    pixels: np.ndarray
    accepted: float
    log_probs: tuple[float, float]


def inpaint(
    model: ImageModel,
    image: np.ndarray,
    unknown: np.ndarray,
    count: int = 1,
    *,
    steps: int = 200,
    context: Tensor | None = None,
    seed: int | None = None,
    report: Callable[[float], None] | None = None,
) -> Inpainted:
    """Draw the unknown pixels of an image given the known ones, by chains on the exact density.

    Steps of Langevin, which follow the gradient of the log-density with noise, each accepted or refused by the rule of
    Metropolis, so that a chain leaves the density of the unknown pixels given the others as it is. It runs where
    intensities are the whole real line; its step adapts in the first half. Known pixels keep the dequantizing noise
    that they are given at the start.

    Arguments:
        model: of images.
        image: (C, H, W); what it holds at unknown pixels does not matter.
        unknown: (H, W) boolean.
        count: chains, each of which gives an image, default 1.
        steps: of each chain, default 200.
        context: (count, C), for a conditional model.
        seed: of the draws; None for one that differs from call to call.
        report: takes the share that is done.

    Raises:
        InputError: a mask of another size, or one that hides nothing.

    Cost: a gradient of log_prob for each step and image.

    Source: the task, Dinh, Krueger and Bengio 2014, arXiv:1410.8516, section 5.2; Roberts and Tweedie 1996,
    doi:10.2307/3318418.
    """
    if unknown.shape != image.shape[1:]:
        sizes = [" × ".join(map(str, shape)) for shape in (unknown.shape, image.shape[1:])]
        raise InputError(f"The mask has {sizes[0]} pixels, the image {sizes[1]}.")
    if not unknown.any():
        raise InputError("The mask hides no pixel of the image: there is nothing to draw.")
    hidden = torch.from_numpy(np.broadcast_to(unknown, image.shape).reshape(-1).copy())
    images = torch.from_numpy(image.reshape(1, -1).astype(np.float64)).expand(count, -1)
    with frozen(model.density), seeded(seed_or_random(seed), model.density.reference.device):
        chains = _Chains(model, images, hidden, context)
        before, accepted = float(chains.log_prob.mean()), 0.0
        for step in range(steps):
            accepted += chains.move(adapt=step < steps // 2)
            if report is not None:
                report((step + 1) / steps)
        x = torch.where(hidden, model.density.quantized(chains.intensities()), images)
    return Inpainted(model.pixels(x), accepted / steps, (before, float(chains.log_prob.mean())))


class _Chains:
    """The states of chains over the unknown intensities of images, as numbers of the whole real line."""

    def __init__(self, model: ImageModel, images: Tensor, hidden: Tensor, context: Tensor | None):
        self.hidden, self.context = hidden, context
        self.density = model.density
        standardized: Any = self.density.flow.bijection
        self.units, self.inner, self.base = standardized.data, standardized.bijection, self.density.flow.base
        self.y = self._starts(images + torch.rand_like(images))
        self.step = 0.1
        self.log_prob, self.gradient = self._evaluated(self.y)

    @torch.no_grad()
    def _starts(self, known: Tensor) -> Tensor:
        """The likeliest of some draws with the known pixels put in."""
        given = self.units.inverse(known)[0].to(self.density.reference)
        draws = [self.inner(self.base.sample((len(known),)), self.context)[0] for _ in range(STARTS)]
        starts = torch.stack([torch.where(self.hidden, draw, given) for draw in draws])
        values = torch.stack([self._log_prob(start) for start in starts])
        return starts[values.argmax(0), torch.arange(len(known))]

    def intensities(self) -> Tensor:
        """The images, (count, D), with the intensities that the chains have now."""
        found: Tensor = self.units(self.y.double())[0]
        return found

    def move(self, adapt: bool) -> float:
        """Take or refuse a step in each chain; return the share of those taken."""
        noise = torch.randn_like(self.y) * self.hidden
        ahead = self.y + self.step**2 / 2 * self.gradient + self.step * noise
        log_prob, gradient = self._evaluated(ahead)
        back = (self.y - ahead - self.step**2 / 2 * gradient) * self.hidden / self.step
        log_ratio = log_prob - self.log_prob - (back.square() - noise.square()).sum(1).double() / 2
        chance = log_ratio.nan_to_num(-torch.inf).clamp(max=0.0).exp()
        taken = torch.rand_like(chance) < chance
        self.y = torch.where(taken[:, None], ahead, self.y)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        self.log_prob = torch.where(taken, log_prob, self.log_prob)
        if adapt:
            self.step *= float(np.exp(RATE * (float(chance.mean()) - ACCEPTANCE)))
        return float(taken.double().mean())

    def _evaluated(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """log p of the states, (count,), and its gradient in what is unknown."""
        y = y.detach().requires_grad_()
        with torch.enable_grad():
            log_prob = self._log_prob(y)
            (gradient,) = torch.autograd.grad(log_prob.sum(), y)
        return log_prob.detach().double(), gradient * self.hidden

    def _log_prob(self, y: Tensor) -> Tensor:
        z, log_det = self.inner.inverse(y, self.context)
        value: Tensor = self.base.log_prob(z) + log_det
        return value
