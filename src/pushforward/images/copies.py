"""Images that are the same: they count as one."""

import numpy as np
from torch import Tensor

from pushforward.evaluation.baselines import mean_and_standard_error


def numbers_of_distinct(pixels: np.ndarray) -> np.ndarray:
    """The number of each image, (n,), among those that differ, of images (n, C, H, W).

    Example:
        >>> numbers_of_distinct(np.array([7, 5, 7, 7, 9], np.uint8).reshape(5, 1, 1, 1))
        array([0, 1, 0, 0, 2])
    """
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(image.tobytes(), len(known)) for image in pixels], dtype=np.int64)


def mean_of_distinct(values: Tensor | np.ndarray, numbers: np.ndarray) -> tuple[float, float]:
    """The mean of a value of each image, (n,), and its standard error; images that are the same count as one.

    Their values are not independent: the noise of dequantization is a function of the image.

    Arguments:
        values: (n,).
        numbers: of the images, (n,), those of `numbers_of_distinct`.

    Example:
        >>> mean_of_distinct(np.array([1.0, 3.0, 3.0]), np.array([0, 1, 1]))
        (2.0, 1.0)
    """
    return mean_and_standard_error(np.bincount(numbers, np.asarray(values, np.float64)) / np.bincount(numbers))
