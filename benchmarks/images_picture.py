"""What a density of images has learned: draws, ways between images, and lower halves given upper ones.

    python benchmarks/images_picture.py MODEL -o PICTURE.png [--data mnist] [--seed 0]

MODEL is written by `benchmarks/images.py --save` with the same --data. Four rows of draws; two rows of ways between two
test images; four rows of a test image, the same without its lower half, and drawings of that half. Of a model of
classes, each column of draws is one class, and ways and halves are those of the classes of the test images.
"""

import argparse

import numpy as np
import torch
from image_sets import SOURCES
from images import labeled

from pushforward.images.files import grid, write_image
from pushforward.images.model import ImageModel
from pushforward.images.painting import inpaint, interpolate

COLUMNS = 12
DRAWS, WAYS, HALVES = 4, 2, 4
# Of each lower half, at the end.
STEPS = 100


def rows_of(model: ImageModel, test: np.ndarray, labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """The rows of the picture, (columns, C, H, W) each.

    Arguments:
        model: of images.
        test: images that it has not seen, (n, C, H, W).
        labels: the numbers of their classes, (n,).
        seed: of the draws.
    """
    columns = len(model.classes) or COLUMNS
    contexts = torch.eye(len(model.classes))[labels] if model.classes else None
    rows = list(model.sample(DRAWS * columns, None, seed).reshape(DRAWS, columns, *model.shape))
    for way in range(WAYS):
        ends = slice(2 * way, 2 * way + 2)
        rows.append(interpolate(model, *test[ends], columns, None if contexts is None else contexts[ends]))
    unknown = np.zeros(model.shape[1:], dtype=bool)
    unknown[model.shape[1] // 2 :] = True
    for number in range(2 * WAYS, 2 * WAYS + HALVES):
        image, context = test[number], None if contexts is None else contexts[number : number + 1]
        painted = inpaint(model, image, unknown, columns - 2, steps=STEPS, context=context, seed=seed).pixels
        rows.append(np.concatenate([image[None], np.where(unknown, 128, image)[None], painted]))
    return rows


def main() -> None:
    """Read the options, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--data", choices=SOURCES, default="mnist")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    model, (test, labels) = ImageModel.load(options.model), labeled("t10k", options.data)
    rows = rows_of(model, test.numpy().astype(np.uint8).reshape(-1, *model.shape), labels.numpy(), options.seed)
    write_image(options.output, grid(np.concatenate(rows).astype(np.uint8), len(rows[0])))


if __name__ == "__main__":
    main()
