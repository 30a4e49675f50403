"""How many images a model of classes recognizes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.images.files import Images


@dataclass(frozen=True)
class Recognition:
    """The share of images whose own class is the most probable one.

    Attributes:
        share: of the images whose class the model knows, or None if there are none.
        images: how many these are.
        unknown: the other classes of the images.
    """

    share: float | None
    images: int
    unknown: list[str]


def recognition(joint: Tensor, images: Images, classes: list[str]) -> Recognition | None:
    """How many images are recognized by `joint`, (n, C), of `ImageModel.log_joint`; None if images have no classes.

    Arguments:
        joint: log P(class) + log P(image | class) of the model's classes.
        images: n of them.
        classes: of the model.
    """
    if images.labels is None:
        return None
    numbers = {name: number for number, name in enumerate(classes)}
    own = torch.tensor([numbers.get(name, -1) for name in images.classes])[torch.from_numpy(images.labels)]
    known = own >= 0
    right = (joint.argmax(1) == own)[known].double()
    unknown = [name for name in images.classes if name not in numbers]
    return Recognition(float(right.mean()) if len(right) else None, len(right), unknown)
