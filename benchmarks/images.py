"""Images in bits per dimension: flows of MNIST's or Fashion-MNIST's images of 28 × 28 pixels of 256 levels.

    python benchmarks/images.py [--data mnist] [--seconds 7200] [--flow glow] [--option hidden=64 ...] [--validation]
                                [--by-class] [--checkpoint FILE [--resume]] [--save MODEL]

The images come from packages: see image_sets.py. The first 50,000 of the training file train, with new noise in every
batch; its last 10,000 choose weights and settings. What is printed are the bits of -log2 p(x + v) / 784, v uniform
noise, on average an upper bound on those of the probability of an image. The course of a run is in FILE (--log, default
benchmarks/images.csv), in nats for an image; --validation leaves the test images out. --by-class fits P(image | class)
and states the share of the images of which their own class is the most probable one, by Bayes' rule. A run that is
killed goes on from its checkpoint by --resume and the same options.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
from image_fits import fitted, parser_of
from image_sets import CLASSES, LEVELS, SIDE, SOURCES, VALIDATION
from image_sets import images as images_of
from image_sets import labels as labels_of
from torch import Tensor

import pushforward as pf
from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.images.files import Images
from pushforward.images.model import ImageModel
from pushforward.images.recognition import recognition

SHAPE = (1, SIDE, SIDE)
# Chosen by the validation images.
CHOSEN: dict[str, dict[str, Any]] = {
    "glow": {"steps": 4, "hidden": 64, "blocks": 1, "univariate": "spline", "bins": 8},
    "realnvp_image": {"couplings": 3, "hidden": 32, "blocks": 2, "univariate": "spline", "bins": 8},
}

# Images, (n, 784), whole numbers as float32, and their classes, (n,).
Labeled = tuple[Tensor, Tensor]


def labeled(part: str, data: str = "mnist") -> Labeled:
    """Images of "train" or "t10k" of "mnist" or "fashion", and their classes.

    Raises:
        DataError: the package cannot be had, or a file in it is another one.
    """
    x, classes = images_of(part, data), labels_of(part, data)
    return torch.from_numpy(x.astype("float32")), torch.from_numpy(classes.astype("int64"))


def bits(model: ImageModel, images: Labeled) -> tuple[float, float]:
    """The mean of the bits per dimension of some images, and its standard error."""
    x, context = images[0], one_hot(images) if model.classes else None
    values = -pf.evaluate(model.density, x, context, batch_size=1000).double() / (math.log(2) * x.shape[1])
    return mean_and_standard_error(values)


def one_hot(images: Labeled) -> Tensor:
    """The classes of some images as a context, (n, 10)."""
    return torch.nn.functional.one_hot(images[1], CLASSES).float()


def recognized(model: ImageModel, images: Labeled) -> float | None:
    """The share of some images of which their own class is the most probable one."""
    x, classes = images
    pixels = x.numpy().astype("uint8").reshape(-1, *SHAPE)
    found = Images(pixels, [str(number) for number in range(len(x))], classes.numpy(), model.classes)
    known = recognition(model.log_joint(found).cpu(), found, model.classes)
    assert known is not None
    return known.share


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, then score validation images, and test images unless they are left out."""
    x, classes = labeled("train", options.data)
    test = None if options.validation else labeled("t10k", options.data)
    training, validation = (x[:-VALIDATION], classes[:-VALIDATION]), (x[-VALIDATION:], classes[-VALIDATION:])
    return measured(options, training, validation, test)


def measured(
    options: argparse.Namespace, training: Labeled, validation: Labeled, test: Labeled | None
) -> dict[str, Any]:
    """Fit to some images, choose weights by others, and score these and a third set."""
    torch.manual_seed(options.seed)
    given = {"context": CLASSES} if options.by_class else {}
    flow = pf.build({"architecture": options.flow, "shape": SHAPE, **_chosen(options), **options.options, **given})
    model = ImageModel(pf.dequantized(flow, training[0], LEVELS), SHAPE)
    if options.by_class:
        model.classes = [str(number) for number in range(CLASSES)]
        model.shares = one_hot(training).double().mean(0).tolist()
    # Few images are enough to choose weights between, and leave the time to the training.
    chosen_by = validation[0][: options.held_out], validation[1][: options.held_out]
    result = fitted(
        model.density,
        training[0],
        one_hot(training) if options.by_class else None,
        options=options,
        validation=chosen_by[0],
        validation_context=one_hot(chosen_by) if options.by_class else None,
        max_steps=options.max_steps,
        device=options.device,
        precision=options.precision,
        checkpoint=options.checkpoint,
        resume=options.resume,
    )
    if options.save:
        model.save(options.save)
    result |= {"data": options.data, "flow": flow.config}
    for name, found in (("validation", validation), ("test", test)):
        if found is not None:
            result[name] = bits(model, found)
            if options.by_class:
                result[f"{name}_recognized"] = recognized(model, found)
    return result


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The chosen options of the flow, without those of its family if another one is asked for."""
    chosen = CHOSEN.get(options.flow, {})
    if "univariate" not in options.options:
        return chosen
    return {name: value for name, value in chosen.items() if name not in ("univariate", "bins")}


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options in some arguments, by default those of the command line."""
    log = Path(__file__).with_name("images.csv")
    parser = parser_of(__doc__, log, seconds=7200.0, batch_size=64, learning_rate=2e-3)
    parser.add_argument("--data", choices=SOURCES, default="mnist")
    parser.add_argument("--max-steps", type=int, help="most steps")
    parser.add_argument("--flow", default="glow", help="name of the flow")
    parser.add_argument("--option", type=_option, action="append", default=[], help="of the flow, name=value")
    parser.add_argument("--by-class", action="store_true", help="fit P(image | class)")
    parser.add_argument("--held-out", type=int, default=2000, help="validation images that choose the weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32-true", help='such as "bf16-mixed"')
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--save", type=Path, help="model file to write")
    options = parser.parse_args(arguments)
    options.options = dict(options.option)
    return options


def main() -> None:
    """Read the options, run, print."""
    print(json.dumps(run(options_of()), indent=2))


if __name__ == "__main__":
    main()
