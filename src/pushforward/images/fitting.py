"""Fit a flow to images by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.images.copies import mean_of_distinct, numbers_of_distinct
from pushforward.images.files import Images
from pushforward.images.independent_pixels import independent_pixels
from pushforward.images.model import ImageModel
from pushforward.support.progress import Announce, silent
from pushforward.support.seeding import seeded
from pushforward.training.checkpoint import asked_with, line_of_checkpoint
from pushforward.training.history import History
from pushforward.training.maximum_likelihood import fit
from pushforward.training.settings import TrainingOptions
from pushforward.zoo.dequantized import dequantized
from pushforward.zoo.registry import build

FEWEST_IMAGES = 10
HELD_OUT_SHARE = 0.1
FLOWS = ("glow", "realnvp_image", "tarflow")
# Splines know the sharp edges of dequantized levels, at little cost beside the networks.
SPLINES = {"univariate": "spline", "bins": 8}
OPTIONS: dict[str, dict[str, Any]] = {"glow": SPLINES, "realnvp_image": SPLINES, "tarflow": {}}
BATCH_SIZE = 64


@dataclass
class ImageFit:
    """A fitted model of images, and its comparison with a baseline.

    Attributes:
        model: the model.
        history: the course of the training; log-likelihoods in nats per image.
        bits: bits per dimension of the held-out images, and their standard error.
        independent: the same of pixels that know nothing of each other, one histogram for each.
    """

    model: ImageModel
    history: History
    bits: tuple[float, float]
    independent: float


def fit_images(
    images: Images,
    *,
    flow: str | None = None,
    by_class: bool = False,
    announce: Announce = silent,
    options: dict[str, Any] | None = None,
    **training: Unpack[TrainingOptions],
) -> ImageFit:
    """Fit P(image), or P(image | class), to images of whole numbers.

    A tenth of the images, chosen by the seed, is held out: it decides which weights are kept, and gives the bits per
    dimension. Images that are the same stand on one side.

    Arguments:
        images: of one size.
        flow: "glow" (default where both sides are even), "realnvp_image" (default elsewhere) or "tarflow".
        by_class: whether to condition on the classes of the images.
        announce: called with a line that says what is fitted to what.
        options: of the flow, in place of its defaults.
        training: options of the run by name: see `pushforward.training.TrainingOptions`. Here `batch_size` is 64.

    Raises:
        InputError: too few images, no classes to condition on, an unknown flow or option, or a checkpoint that is
            damaged or of another fit.
        TrainingError: losses or gradients were not finite too often.
    """
    flow = _flow_of(images, flow, by_class)
    seed = training.get("seed", 0)
    x, context = images.rows(), _one_hot(images) if by_class else None
    split = split_images(images.pixels, images.labels if by_class else None, seed)
    with seeded(seed):
        config = {"architecture": flow, "shape": images.shape, **OPTIONS[flow], **(options or {})}
        made = build({**config, "context": 0 if context is None else context.shape[1]})
    density = dequantized(made, x[split[0]], images.levels)
    announce(
        f"fitting {flow}, {sum(p.numel() for p in density.parameters())} parameters, to {len(split[0])} images of "
        f"{' × '.join(map(str, images.shape))} numbers"
    )
    for line in [*_dark(images), *line_of_checkpoint(training)]:
        announce(line)
    training.setdefault("batch_size", BATCH_SIZE)
    with asked_with({"flow": flow, "by_class": by_class, "options": options, **training}):
        history = fit(density, x, context, split=split, **training)
    model = ImageModel(density, images.shape)
    if context is not None:
        model.classes, model.shares = images.classes, context[split[0]].double().mean(0).tolist()
    # Numpy takes a tensor of one number for a number.
    held_out = Images(images.pixels[split[1].numpy()], [images.names[number] for number in split[1]])
    bits = model.bits_per_dim(held_out, None if context is None else context[split[1]])
    baseline = independent_pixels(images.pixels[split[0].numpy()], held_out.pixels, images.levels)
    numbers = numbers_of_distinct(held_out.pixels)
    independent, _ = mean_of_distinct(baseline, numbers)
    fitted = ImageFit(model, history, mean_of_distinct(bits, numbers), independent)
    model.notes = {
        "images": len(images),
        "held_out_images": len(held_out),
        "bits_per_dim": fitted.bits[0],
        "bits_per_dim_error": fitted.bits[1],
        "bits_per_dim_independent_pixels": independent,
        "steps": history.steps,
        "seconds": history.total_seconds,
        "stopped": history.stopped,
        "seed": seed,
    }
    return fitted


def _flow_of(images: Images, flow: str | None, by_class: bool) -> str:
    """Return the flow to fit; refuse images that it cannot be fitted to."""
    if len(images) < FEWEST_IMAGES:
        raise InputError(f"A fit needs at least {FEWEST_IMAGES} images, not {len(images)}.")
    if images.shape[1] * images.shape[2] < 2:
        raise InputError("Images of one pixel are rows of a table: write them as one, and use pushforward fit.")
    if by_class and images.labels is None:
        raise InputError(
            "There are no classes to condition on: put the images of each class into a folder of its own, or a vector "
            "of whole numbers or names, one for each image, beside the images of an array"
            f"{f' ({images.obstacle})' if images.obstacle else ''}."
        )
    if by_class and len(images.classes) < 2:
        raise InputError(f"There is one class, {images.classes[0]!r}; to condition on classes needs at least two.")
    even = images.shape[1] % 2 == 0 and images.shape[2] % 2 == 0
    flow = ("glow" if even else "realnvp_image") if flow is None else flow
    if flow not in FLOWS:
        raise InputError(f"There is no flow of images {flow!r}; there are {', '.join(FLOWS)}.")
    return flow


def _dark(images: Images) -> list[str]:
    """A sentence about images whose numbers are all small: none of the others."""
    largest, highest = int(images.pixels.max()), images.levels - 1
    if 2 * largest >= highest:
        return []
    return [
        f"no number is above {largest}, of {highest}: bits are those of images of {images.levels} levels, and pictures "
        f"are dark; pushforward.dequantized(..., levels={largest + 1}) makes a density of images of fewer"
    ]


def _one_hot(images: Images) -> Tensor:
    assert images.labels is not None
    return torch.nn.functional.one_hot(torch.from_numpy(images.labels), len(images.classes)).float()


def split_images(pixels: np.ndarray, labels: np.ndarray | None, seed: int) -> tuple[Tensor, Tensor]:
    """The numbers of the images to train on and of those held out, copies of one image on one side.

    Of each class, if there are any, an image is left to train on.
    """
    numbers = numbers_of_distinct(pixels)
    distinct = int(numbers.max()) + 1
    if distinct < 2:
        raise InputError("All images are the same.")
    order = np.random.default_rng(seed).permutation(distinct)
    count = max(1, round(HELD_OUT_SHARE * distinct))
    chosen = order[:count] if labels is None else _sparing_classes(order, count, numbers, labels)
    held_out = np.isin(numbers, chosen)
    return torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))


def _sparing_classes(order: np.ndarray, count: int, numbers: np.ndarray, labels: np.ndarray) -> list[int]:
    """The first images of an order that leave an image of each class, at most `count` of them."""
    left = np.bincount(labels)
    classes = np.split(labels[np.argsort(numbers, kind="stable")], np.cumsum(np.bincount(numbers))[:-1])
    chosen: list[int] = []
    for number in order:
        own = np.bincount(classes[number], minlength=len(left))
        if (left > own)[own > 0].all():
            left -= own
            chosen.append(number)
        if len(chosen) == count:
            break
    if not chosen:
        raise InputError("Each class has only one image, of which none can be held out: fit without --by-class.")
    return chosen
