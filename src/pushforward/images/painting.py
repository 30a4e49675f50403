"""Between two images, and inside one: interpolation in latent space, and pixels given the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.errors import InputError
from pushforward.images.files import Images
from pushforward.images.langevin import Langevin
from pushforward.images.model import ImageModel
from pushforward.images.observed import Observed
from pushforward.images.population import NARROW, Population, populate
from pushforward.support.modules import frozen
from pushforward.support.seeding import seed_or_random, seeded

# Particles of a population, and its share of the work, as progress is reported.
LEAST, POPULATION = 64, 0.9
# How near the noise of a known pixel starts to the edges of its level, where w is infinite.
EDGE = 1e-6


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
        accepted: share of the accepted steps of the chains at the end.
        log_probs: mean log-density of the images before and after these, in nats.
        levels: of the noise, until the known pixels are without any.
        ancestors: draws of the model from which the images descend.
    """

    pixels: np.ndarray
    accepted: float
    log_probs: tuple[float, float]
    levels: int
    ancestors: int


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
    """Draw the unknown pixels of an image given the known ones, P(unknown | known), by the exact density.

    A population of particles begins as draws of the model and is led to the known pixels, which are seen through ever
    less noise: see `pushforward.images.population`. The images are `count` different particles of this one population,
    drawn together: as many calls with seeds of their own are nearer to independent draws. At the end the noise is
    left away, each image has the known pixels, and steps of Langevin, each accepted or refused by the rule of
    Metropolis, move its unknown intensities and the dequantizing noise of its known pixels, by the exact density of
    both given the image. These chains hardly go from one likely image to another that is far away; the population has
    shared out its particles among such images before.

    Arguments:
        model: of images.
        image: (C, H, W); what it holds at unknown pixels does not matter.
        unknown: (H, W) boolean.
        count: images, default 1.
        steps: of the chain of each image at the end, whose step adapts in the first half; default 200.
        context: (1, C), for a conditional model.
        seed: of the draws; None for one that differs from call to call.
        report: takes the share that is done.

    Raises:
        InputError: a mask of another size, or one that hides nothing; several contexts.

    Cost: that of a population of `count` particles, but at least 64, and for each image `steps` gradients of log_prob.

    Source: the task, Dinh, Krueger and Bengio 2014, arXiv:1410.8516, section 5.2; Roberts and Tweedie 1996,
    doi:10.2307/3318418.
    """
    _check(image, unknown, context)
    with frozen(model.density), seeded(seed_or_random(seed), model.density.reference.device):
        given = _Given(model, image, unknown, context)
        report = report or _silent
        particles = given.population(max(LEAST, count), lambda share: report(POPULATION * share))
        chosen = torch.randperm(len(particles.y))[:count]
        chains = Langevin(given.log_density, given.states(particles.y[chosen]))
        before, accepted = float(chains.log_prob.mean()), 0.0
        for step in range(steps):
            accepted += chains.move(adapt=step < steps // 2)
            report(POPULATION + (1 - POPULATION) * (step + 1) / steps)
        pixels = model.pixels(given.image_of(chains.seen))
    after, ancestors = float(chains.log_prob.mean()), len(particles.ancestors[chosen].unique())
    return Inpainted(pixels, accepted / max(steps, 1), (before, after), particles.levels, ancestors)


class _Given:
    """The density of images on the real line, given the levels of known pixels.

    Its states hold the unknown intensities y and, of known pixels, w, for which x = level + sigmoid(w): all numbers of
    the whole real line.
    """

    def __init__(self, model: ImageModel, image: np.ndarray, unknown: np.ndarray, context: Tensor | None):
        self.density, self.context = model.density, context
        standardized: Any = self.density.flow.bijection
        self.units, self.inner, self.base = standardized.data, standardized.bijection, self.density.flow.base
        device = self.density.reference.device
        hidden = np.broadcast_to(unknown, image.shape).reshape(-1).copy()
        self.hidden = torch.from_numpy(hidden).to(device)
        self.level = torch.from_numpy(image.reshape(-1).astype(np.float64)).to(device)

    def population(self, size: int, report: Callable[[float], None]) -> Population:
        """Particles near the known pixels, which then fall within their levels."""
        known = ~self.hidden
        low, high = (self.units.inverse(self.level + end)[0][known] for end in (0, 1))
        observed, context = Observed(low, high), self._contexts(size)
        found = populate(self.base, lambda z: self.inner(z, context)[0], known, observed, size, report)
        y = found.y.double()
        y[:, known] = observed.draw(y[:, known], NARROW)
        return replace(found, y=y)

    def states(self, y: Tensor) -> Tensor:
        """The states of intensities whose known pixels fall within their levels, float64."""
        noise = (self.units(y)[0] - self.level).clamp(EDGE, 1 - EDGE)
        return torch.where(self.hidden, y, noise.logit()).to(self.density.reference)

    def log_density(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """log p(y, w), (n,), and y, (n, D)."""
        wide = states.double()
        # Where a pixel is unknown, any noise does: its result and gradient are not used.
        noise = torch.where(self.hidden, 0.0, wide)
        given, slope = self.units.each_inverse(self.level + noise.sigmoid())
        y = torch.where(self.hidden, wide, given)
        z, log_det = self.inner.inverse(y.to(states), self._contexts(len(states)))
        log_slope = (slope + logsigmoid(noise) + logsigmoid(-noise))[:, ~self.hidden].sum(1)
        return (self.base.log_prob(z) + log_det).double() + log_slope, y

    def image_of(self, y: Tensor) -> Tensor:
        """Levels, (n, D): of unknown pixels those of their intensities."""
        return torch.where(self.hidden, self.density.quantized(self.units(y)[0]), self.level)

    def _contexts(self, count: int) -> Tensor | None:
        return None if self.context is None else self.context.expand(count, -1)


def _check(image: np.ndarray, unknown: np.ndarray, context: Tensor | None) -> None:
    if unknown.shape != image.shape[1:]:
        sizes = [" × ".join(map(str, shape)) for shape in (unknown.shape, image.shape[1:])]
        raise InputError(f"The mask has {sizes[0]} pixels, the image {sizes[1]}.")
    if not unknown.any():
        raise InputError("The mask hides no pixel of the image: there is nothing to draw.")
    if context is not None and len(context) != 1:
        raise InputError(f"One image is drawn, of one context, (1, C); got {len(context)} of them.")


def _silent(share: float) -> None:
    """Report nothing."""
