"""A model of images: their density, their size and the names of their classes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.images.files import LEVELS, Images
from pushforward.store.description import describe
from pushforward.store.model_file import load, save
from pushforward.support.seeding import seed_or_random, seeded
from pushforward.support.suggestions import nearest
from pushforward.training.likelihood import evaluate
from pushforward.zoo.dequantized import Dequantized

# Scored at a time between reports of progress.
ROWS = 64
NO_CLASSES = "This model knows no classes; fit with --by-class for one that does."


@dataclass
class ImageModel:
    """P(image), or P(image | class), of images of one size.

    Attributes:
        density: of images as vectors of whole numbers.
        shape: (C, H, W).
        classes: the names of the classes of a conditional model, else none.
        shares: of the classes among the images of its training.
        notes: figures and settings of the fit.
    """

    density: Dequantized
    shape: tuple[int, int, int]
    classes: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one `.safetensors` file, atomically."""
        image = {"shape": list(self.shape), "classes": self.classes, "shares": self.shares}
        save(self.density, path, image=image, fit=self.notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ImageModel:
        """Read a file written by `save`.

        Raises:
            InputError: the file is not a model, or not a model of images.
        """
        notes = describe(path)["notes"]
        image = notes.get("image") if isinstance(notes, dict) else None
        density = load(path)
        if not isinstance(image, dict) or not isinstance(density, Dequantized):
            raise InputError(f"{path} is not a model of images: fit one with pushforward image fit.")
        try:
            channels, height, width = (int(side) for side in image["shape"])
            classes = [str(name) for name in image["classes"]]
            shares = [float(share) for share in image.get("shares", [])]
            if channels * height * width != density.features:
                raise ValueError
            if not len(shares) == len(classes) == density.context_features:
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} has a damaged description of its images: it cannot be loaded.") from error
        return cls(density, (channels, height, width), classes, shares, notes.get("fit", {}))

    def check(self, images: Images, source: str) -> Images:
        """The images as the model takes them, gray ones in color if it is a model of colors.

        Raises:
            InputError: another size, color in place of gray, or other bits.
        """
        channels, height, width = self.shape
        found, pixels = images.shape, images.pixels
        if found[1:] != (height, width):
            raise InputError(
                f"The images of {source} have {found[1]} × {found[2]} pixels, those of the model {height} × {width}; "
                f"--size {height}x{width} resizes image files, and arrays are not resized."
            )
        if images.levels != self.density.levels:
            raise InputError(
                f"The images of {source} have {images.levels} levels, those of the model {self.density.levels}: "
                f"convert them to numbers from 0 to {self.density.levels - 1}."
            )
        if found[0] == 1 and channels > 1:
            pixels = np.repeat(pixels, channels, 1)
        elif found[0] != channels:
            raise InputError(
                f"The images of {source} have {found[0]} channels, those of the model {channels}: convert them to gray."
            )
        return dataclasses.replace(images, pixels=pixels)

    def context_of(self, name: str | None, count: int) -> Tensor | None:
        """The context of some images of one class, (count, C), or None if the model takes none.

        Raises:
            InputError: a class that is missing, unknown, or given to a model without classes.
        """
        if self.classes and name is None:
            raise InputError(f"This model needs a class: name one with --class ({', '.join(self.classes)}).")
        return self._one_hot(self.classes_of_draws(count, name))

    def _one_hot(self, names: Sequence[str] | None) -> Tensor | None:
        """The context of images of these classes, (n, C), or None without classes."""
        if names is None:
            return None
        numbers = {known: number for number, known in enumerate(self.classes)}
        for name in names:
            if name not in numbers:
                known = nearest(name, self.classes, most=len(self.classes))
                raise InputError(f"The model has no class {name!r}; {known}")
        rows = torch.tensor([numbers[name] for name in names], dtype=torch.long)
        return torch.nn.functional.one_hot(rows, len(self.classes)).to(self.density.reference)

    def contexts_of(self, images: Images) -> Tensor | None:
        """The context of images whose classes are known, (n, C), or None if the model takes none."""
        if not self.classes:
            return None
        if images.labels is None:
            named, found = ", ".join(self.classes), f"; {images.obstacle}" if images.obstacle else ""
            raise InputError(
                f"This model needs classes: name one with --class ({named}), or take all by --posterior{found}."
            )
        names = [images.classes[label] for label in images.labels]
        if unknown := set(names) - set(self.classes):
            raise InputError(
                f"The model has no class {min(unknown)!r}, that of some images: name a class of the model for all with "
                f"--class ({', '.join(self.classes)}), or take all of its classes by --posterior."
            )
        return self._one_hot(names)

    def bits_per_dim(self, images: Images, context: Tensor | None = None, report: Any = None) -> Tensor:
        """The bits of each number, (n,), of images that `check` has passed; a share that is done goes to `report`."""
        return self._log_prob(images.rows(), context, report) / (-np.log(2) * self.density.features)

    def log_joint(self, images: Images, report: Any = None) -> Tensor:
        """log P(class) + log P(image | class), (n, C), of images that `check` has passed and each class.

        By Bayes' rule, its softmax over the classes is P(class | image), and its logsumexp is log P(image). P(class) is
        the share of the class in the training.

        Arguments:
            images: of the model's size.
            report: takes the share that is done.

        Raises:
            InputError: a model that knows no classes.

        Cost: C times that of `bits_per_dim`.
        """
        if not self.classes:
            raise InputError(NO_CLASSES)
        rows, found = images.rows(), []
        for number, name in enumerate(self.classes):
            found.append(self._log_prob(rows, self.context_of(name, len(rows)), None).double())
            if report is not None:
                report((number + 1) / len(self.classes))
        return torch.stack(found, 1) + torch.tensor(self.shares, dtype=torch.float64).log()

    def _log_prob(self, rows: Tensor, context: Tensor | None, report: Any) -> Tensor:
        """log P of images, (n,)."""
        found = []
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            found.append(evaluate(self.density, rows[part], None if context is None else context[part]))
            if report is not None:
                report(min(start + ROWS, len(rows)) / len(rows))
        return torch.cat(found)

    def sample(self, count: int, name: str | None = None, seed: int | None = None, report: Any = None) -> np.ndarray:
        """Draws, (count, C, H, W), of whole numbers.

        Arguments:
            count: how many.
            name: of their class, for a model of classes; default as `classes_of_draws` says.
            seed: of the draws; None for one that differs from call to call.
            report: takes the share that is done.
        """
        context = self._one_hot(self.classes_of_draws(count, name))
        parts = []
        with seeded(seed_or_random(seed), self.density.reference.device):
            for start in range(0, count, ROWS):
                size = min(ROWS, count - start)
                given = None if context is None else context[start : start + size]
                parts.append(self.density.sample((size,) if given is None else (), given))
                if report is not None:
                    report((start + size) / count)
        return self.pixels(torch.cat(parts))

    def classes_of_draws(self, count: int, name: str | None = None) -> list[str] | None:
        """The name of the class of each image that `sample` draws: `name`, or each class in turn; None without classes.

        Raises:
            InputError: a name, of a model without classes.
        """
        if not self.classes:
            if name is not None:
                raise InputError(NO_CLASSES)
            return None
        return [name if name is not None else self.classes[number % len(self.classes)] for number in range(count)]

    def pixels(self, rows: Tensor) -> np.ndarray:
        """Images, (n, C, H, W), uint8 or uint16, of vectors of levels, (n, D)."""
        kind = next(kind for kind, levels in LEVELS.items() if self.density.levels <= levels)
        found: np.ndarray = rows.detach().cpu().numpy().astype(kind.type)
        return found.reshape(-1, *self.shape)
