"""Scikit-learn's digits of 8 × 8 pixels by class: bits, the share that is recognized, and a picture.

    python benchmarks/digits.py -o PICTURE.png [--seconds 300] [--seed 0] [--model MODEL]

A fifth of the images, of each digit, is held out from all of the fit. On these are stated the bits per dimension of
P(image | digit), and the share of which their own digit is the most probable one by Bayes' rule. The picture has the
rows of images_picture.py, six times as large. MODEL is written, or read if it is there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from images_picture import rows_of
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.images.files import Images, grid, write_image
from pushforward.images.fitting import fit_images
from pushforward.images.model import ImageModel
from pushforward.images.recognition import recognition

# From the 17 levels of the digits to those of 8 bits, which can be seen.
BRIGHTNESS, LARGER = 15, 6
NAMES = [str(digit) for digit in range(10)]
OPTIONS = {"steps": 4, "hidden": 32}


def parts() -> list[Images]:
    """The images to fit to, and those held out."""
    x, classes = load_digits(return_X_y=True)
    x = (BRIGHTNESS * x).astype(np.uint8).reshape(-1, 1, 8, 8)
    split = train_test_split(x, classes, test_size=0.2, random_state=0, stratify=classes)
    return [
        Images(x, [str(number) for number in range(len(x))], labels, NAMES)
        for x, labels in zip(split[:2], split[2:], strict=True)
    ]


def main() -> None:
    """Read the options, fit, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    training, test = parts()
    if options.model is not None and options.model.exists():
        model = ImageModel.load(options.model)
    else:
        fit = {"max_time": options.seconds, "seed": options.seed, "device": "cpu"}
        model = fit_images(training, flow="glow", by_class=True, options=OPTIONS, **fit).model
        if options.model is not None:
            model.save(options.model)
    bits, error = mean_and_standard_error(model.bits_per_dim(test, model.contexts_of(test)))
    known = recognition(model.log_joint(test), test, model.classes)
    assert known is not None
    figures = {"bits": bits, "error": error, "test_images": len(test), "recognized": known.share}
    print(json.dumps({**model.notes, **figures}, indent=2))
    torch.manual_seed(options.seed)
    rows = rows_of(model, test.pixels, test.labels, options.seed)
    page = grid(np.concatenate(rows), len(rows[0]))
    write_image(options.output, page.repeat(LARGER, 1).repeat(LARGER, 2))


if __name__ == "__main__":
    main()
