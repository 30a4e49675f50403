"""Images of pixels that know nothing of each other, one histogram for each: what a model of images must beat."""

import numpy as np

from pushforward.images.copies import numbers_of_distinct

# Numbers of images that the histogram of all pixels may count as in that of each.
STRENGTHS = 2.0 ** np.arange(-2, 21)


def independent_pixels(training: np.ndarray, images: np.ndarray, levels: int) -> np.ndarray:
    """Bits per dimension, (n,), of images (n, C, H, W) by the histogram of each number in the training images.

    Each histogram counts the one of all pixels as some images more: as many as predict the training images best, each
    from the others. Few do so where pixels differ from each other, many where levels are many and images few. Images
    that are the same count as one.

    Arguments:
        training: (m, C, H, W), at least one.
        images: (n, C, H, W).
        levels: that a number may have.

    Example:
        >>> noise = np.random.default_rng(0).integers(256, size=(60, 1, 4, 4), dtype=np.uint8)
        >>> float(independent_pixels(noise[:50], noise[50:], 256).mean().round(1))
        8.1
    """
    known, wanted = _distinct(training).reshape(-1, training[0].size), images.reshape(len(images), -1)
    total = np.bincount(known.ravel(), minlength=levels)
    # A level that no image has may still come.
    shares, without_one = (total + 1.0) / (known.size + levels), total / (known.size - 1.0 + levels)
    strength = _strength(known, without_one)
    bits = np.zeros(len(wanted))
    for column, levels_of_images in zip(known.T, wanted.T, strict=True):
        counts = np.bincount(column, minlength=levels) + strength * shares
        bits -= np.log2(counts[levels_of_images] / (len(known) + strength))
    return bits / wanted.shape[1]


def _strength(known: np.ndarray, shares: np.ndarray) -> float:
    """The one at which the images, (m, D), are the most probable ones, each given the others.

    Arguments:
        known: levels.
        shares: of the levels among the numbers of the images but one of this level.
    """
    fits = -np.log(len(known) - 1 + STRENGTHS) * known.size
    for column in known.T:
        found, counts = np.unique(column, return_counts=True)
        fits += counts @ np.log(counts[:, None] - 1 + STRENGTHS * shares[found, None])
    return float(STRENGTHS[fits.argmax()])


def _distinct(images: np.ndarray) -> np.ndarray:
    return images[np.unique(numbers_of_distinct(images), return_index=True)[1]]
