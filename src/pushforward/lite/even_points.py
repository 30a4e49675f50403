"""The points at which probabilities and noise are averaged: those of `pushforward.support.even_points`, bit for bit."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy

from pushforward.errors import InputError

# The first direction numbers of Joe and Kuo 2008, doi:10.1137/070709359, (dimensions, 7), are in a file beside this.
MOST_DIMENSIONS, BITS, LEAST = 1024, 30, 1e-9


@cache
def uniform_points(count: int, features: int) -> Any:
    """Return the first points of the scrambled Sobol sequence that torch makes of the seed 0, (count, D).

    Arguments:
        count: up to 128.
        features: D.

    Raises:
        InputError: more dimensions than there are direction numbers.
    """
    if features > MOST_DIMENSIONS:
        raise InputError(
            f"A table of {features} columns with probabilities has more than {MOST_DIMENSIONS}, and cannot be scored "
            "without PyTorch."
        )
    with files("pushforward.lite").joinpath("directions.npy").open("rb") as file:
        numbers = numpy.load(file)[:features].astype(numpy.int64)
    numbers = numbers << (BITS - 1 - numpy.arange(numbers.shape[1]))
    places = numpy.arange(BITS)
    # The generator of torch and the legacy one of numpy are the same.
    drawn = numpy.random.RandomState(0).randint(2**32, size=features * BITS * (1 + BITS), dtype=numpy.uint32) % 2
    shift, lower = drawn[: features * BITS], drawn[features * BITS :].astype(numpy.int64)
    lower = numpy.tril(lower.reshape(features, BITS, BITS), -1) + numpy.eye(BITS, dtype=numpy.int64)
    bits = (numbers[:, :, None] >> places[::-1]) & 1
    scrambled = (numpy.einsum("dpk,djk->djp", lower, bits) % 2) @ (1 << places[::-1])
    found = [shift.reshape(features, BITS).astype(numpy.int64) @ (1 << places)]
    for place in range(1, count):
        found.append(found[-1] ^ scrambled[:, (place & -place).bit_length() - 1])
    points = numpy.array(found) * 2.0**-BITS
    # The first point is rounded to single precision there.
    points[0] = points[0].astype(numpy.float32)
    return points
