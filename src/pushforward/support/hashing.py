"""Hashes of whole numbers, the same on every machine."""

import numpy as np


def hashes(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return hashes of whole numbers, practically independent and uniform over [0, 2^64): splitmix64.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

    Example:
        >>> hashes(np.arange(3), seed=0).tolist() == hashes(np.arange(5), seed=0)[:3].tolist()
        True
    """
    with np.errstate(over="ignore"):
        start = np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95)
        mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
