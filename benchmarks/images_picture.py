"""What a density of MNIST's images has learned: draws, ways between images, and lower halves given upper ones.

    python benchmarks/images_picture.py MODEL -o PICTURE.png [--seed 0]

MODEL is written by `benchmarks/images.py --save`. Four rows of draws; two rows of ways between two test images; four
rows of a test image, the same without its lower half, and ten drawings of that half.
"""

import argparse
from typing import Any

import numpy as np
import torch
from mnist import SIDE, images

from pushforward.images.files import grid, write_image
from pushforward.images.model import ImageModel
from pushforward.images.painting import inpaint, interpolate

COLUMNS = 12
DRAWS, WAYS, HALVES = 4, 2, 4


def rows_of(model: Any, test: np.ndarray, seed: int) -> list[np.ndarray]:
    """The rows of the picture, (COLUMNS, 1, 28, 28) each."""
    drawn = model.sample(DRAWS * COLUMNS, None, seed).reshape(DRAWS, COLUMNS, 1, SIDE, SIDE)
    rows = list(drawn)
    rows += [interpolate(model, test[2 * way], test[2 * way + 1], COLUMNS) for way in range(WAYS)]
    unknown = np.zeros((SIDE, SIDE), dtype=bool)
    unknown[SIDE // 2 :] = True
    for number in range(HALVES):
        image = test[2 * WAYS + number]
        painted = inpaint(model, image, unknown, COLUMNS - 2, steps=600, seed=seed).pixels
        rows.append(np.concatenate([image[None], np.where(unknown, 128, image)[None], painted]))
    return rows


def main() -> None:
    """Read the options, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    test = images("t10k").reshape(-1, 1, SIDE, SIDE)
    rows = rows_of(ImageModel.load(options.model), test, options.seed)
    write_image(options.output, grid(np.concatenate(rows).astype(np.uint8), COLUMNS))


if __name__ == "__main__":
    main()
