"""Between two images, and inside one: interpolation in latent space, and pixels given the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.images.model import ImageModel
from pushforward.support.modules import frozen
from pushforward.support.seeding import seed_or_random, seeded

# Draws of which the likeliest, with the known pixels put in, is where a chain starts.
STARTS = 64
# The share of accepted steps at which the chain of Langevin is the most efficient, and how fast its step adapts.
ACCEPTANCE, RATE = 0.574, 0.1


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
        latents = density.flow.to_latent(x + density.noise_of(x), context)
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


@dataclass
class Inpainted:
    """An image with pixels drawn given the others.

    Attributes:
        pixels: (C, H, W).
        accepted: share of the accepted steps of the chain.
        log_probs: log-density before and after, in nats.
    """

    pixels: np.ndarray
    accepted: float
    log_probs: tuple[float, float]


def inpaint(
    model: ImageModel,
    image: np.ndarray,
    unknown: np.ndarray,
    *,
    steps: int = 200,
    context: Tensor | None = None,
    seed: int | None = None,
    report: Callable[[float], None] | None = None,
) -> Inpainted:
    """Draw the unknown pixels of an image given the known ones, by a chain on the exact density.

    Steps of Langevin, which follow the gradient of the log-density with noise, each accepted or refused by the rule of
    Metropolis, so that the chain leaves the density of the unknown pixels given the others as it is. It runs where
    intensities are the whole real line, and its step adapts in the first half.

    Arguments:
        model: of images.
        image: (C, H, W); what it holds at unknown pixels does not matter.
        unknown: (H, W) boolean.
        steps: of the chain, default 200.
        context: (1, C) of the image, for a conditional model.
        seed: of the draws; None for one that differs from call to call.
        report: takes the share that is done.

    Raises:
        InputError: a mask of another size, or one that hides nothing.

    Cost: a gradient of log_prob for each step.

    Source: the task, Dinh, Krueger and Bengio 2014, arXiv:1410.8516, section 5.2; Roberts and Tweedie 1996,
    doi:10.2307/3318418.
    """
    if unknown.shape != image.shape[1:]:
        raise InputError(f"The mask has {unknown.shape} pixels, the image {image.shape[1:]}.")
    if not unknown.any():
        raise InputError("The mask hides no pixel of the image: there is nothing to draw.")
    hidden = torch.from_numpy(np.broadcast_to(unknown, image.shape).reshape(-1).copy())
    with frozen(model.density), seeded(seed_or_random(seed), model.density.reference.device):
        chain = _Chain(model, torch.from_numpy(image.reshape(1, -1).astype(np.float64)), hidden, context)
        before = chain.log_prob
        accepted = 0
        for step in range(steps):
            accepted += chain.move(adapt=step < steps // 2)
            if report is not None:
                report((step + 1) / steps)
        x = torch.where(hidden, model.density.quantized(chain.intensities()), chain.image)
    return Inpainted(model.pixels(x)[0], accepted / max(steps, 1), (before, chain.log_prob))


class _Chain:
    """The state of a chain over the unknown intensities of an image, as logits."""

    def __init__(self, model: ImageModel, image: Tensor, hidden: Tensor, context: Tensor | None):
        self.image, self.hidden, self.context = image, hidden, context
        self.density = model.density
        standardized: Any = self.density.flow.bijection
        self.units, self.inner, self.base = standardized.data, standardized.bijection, self.density.flow.base
        dtype = self.density.reference.dtype
        draws = self.density.flow.sample((STARTS,), context).reshape(STARTS, -1)
        known = (image + torch.rand_like(image)).expand(STARTS, -1)
        starts = self.units.inverse(torch.where(hidden, draws.to(known), known))[0].to(dtype)
        with torch.no_grad():
            values = self._log_prob(starts)
        self.y = starts[int(values.argmax())][None]
        self.step = 0.1
        self.log_prob, self.gradient = self._evaluated(self.y)

    def intensities(self) -> Tensor:
        """The image, (1, D), with the intensities that the chain has now."""
        return self.units(self.y.double())[0]

    def move(self, adapt: bool) -> bool:
        """Take or refuse a step; return whether it was taken."""
        noise = torch.randn_like(self.y) * self.hidden
        ahead = self.y + self.step**2 / 2 * self.gradient + self.step * noise
        log_prob, gradient = self._evaluated(ahead)
        back = (self.y - ahead - self.step**2 / 2 * gradient)[:, self.hidden] / self.step
        log_ratio = log_prob - self.log_prob - float(back.square().sum() - noise.square().sum()) / 2
        chance = float(np.exp(min(log_ratio, 0.0))) if np.isfinite(log_ratio) else 0.0
        if adapt:
            self.step *= float(np.exp(RATE * (chance - ACCEPTANCE)))
        taken = float(torch.rand(())) < chance
        if taken:
            self.y, self.log_prob, self.gradient = ahead, log_prob, gradient
        return taken

    def _evaluated(self, y: Tensor) -> tuple[float, Tensor]:
        y = y.detach().requires_grad_()
        with torch.enable_grad():
            log_prob = self._log_prob(y).sum()
            (gradient,) = torch.autograd.grad(log_prob, y)
        return float(log_prob.detach()), gradient * self.hidden

    def _log_prob(self, y: Tensor) -> Tensor:
        z, log_det = self.inner.inverse(y, self.context)
        return self.base.log_prob(z) + log_det
