"""The points of the noise at which probabilities of discrete columns are averaged: those of `support.even_points`."""

from __future__ import annotations

from typing import Any

import numpy

from pushforward.errors import InputError

# Of each dimension the second, third and fourth direction numbers of Joe and Kuo 2008, doi:10.1137/070709359, six bits.
DIRECTIONS = (
    "A9jRoK1UUuEIVj4x45Uv3ylxRsN2Xi1PJUemT59pp-PBkvLvCIfRSVrQRos8fI0youU2FyDKcsQ6pBNMSoTlGS-P5A5OLbi_GzNUb5WZy3VMmZ"
    "Hszeh1KHYkfHqTMlfbfyihxO3UaC6ZLweFb6HazSfg58T1prm2Y7v80B2qfjZS7BmmOK6o_HzAKXGOPSNT_1443v_JWRRiAvBOheMxeBkzqYsU"
    "40RM79t2-mkUKC4ij_3LgM1B6H52dlPqjGIQxMW9n04Nx2sTqUosWoVeJtRAYc7ZuhKEt8rTCb10Gnv-Tu8nddDfT6aYSjPOkmMOHSo6JAIKJr"
    "yPNntPdeB7rsu9uqNJZ140TjYhjr6gCIq0vu7q-14wL19YFQSNdhCaUpHxd1FgRDE6WQo9LypzrltK7kTj-yvefxzJFREjvaSPELnkXGNbkZs8"
    "T1_skULC57vc8PCawPOQGHLweVq-UXbSjGpxtCQthgHI1zhkBktaVik7REcDF_IFoNOTX3OAhPCaJYo_PF6CvKRUloWEY0JfsKDR4qUT1O8LJO"
    "VrnPPWwp7S-cvatxrYdkMRtpnv_nSv8wvdab1xvTLSnxWwzuecyBpgP18vtBW_WoXdp0sqzgg4lSaq_wqGGs2qTzd-VbSxwFeDM78NCoXtm96k"
    "DuVuzwZ54L4RP4xxXFT1VcvBKw--2zwevVnbGBW8JbXxGbyCAjY9sfpjjlSTzp0oUXYjFymgzbik_jcgKG6rfr-iSu3MpyCfUDLmhaKm_Q-BJx"
    "6NCyXFC1Az9G4idTmuH4e8ajBvaO9FyvXNCBNEUAoLwM5FknE7LJHlrNBt7-D6gHesdYoVad4uezROkPmhwpz6ezNiigBpOJu_XdEDKJp4vuAb"
    "MWatWaVeIF3h9CCL4AR2vkh47g8JAbcQm-LNWVFtB7xmZPTaBvT-fa-uOogfZ6GFSYW90Ic7EfqAnYHAqy61zFcc9qJFCzxU18gQZ3el2rE6Cn"
    "WkKpb2Qm7i5PQlxOCTZpElfKv86x6Ju4Zs"
)
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
POINTS, BITS = 16, 30


def uniform_points(features: int) -> Any:
    """Return the first points of the scrambled Sobol sequence that torch makes of the seed 0, (16, D).

    Raises:
        InputError: more dimensions than there are direction numbers.
    """
    if features > len(DIRECTIONS):
        raise InputError(
            f"A table of {features} columns with probabilities has more than {len(DIRECTIONS)}, and cannot be scored "
            "without PyTorch."
        )
    code = numpy.array([DIGITS.index(digit) for digit in DIRECTIONS[:features]])
    numbers = numpy.stack([numpy.ones_like(code), 2 * (code & 1) + 1, 2 * (code >> 1 & 3) + 1, 2 * (code >> 3) + 1], 1)
    places = numpy.arange(BITS)
    numbers = numbers << (BITS - 1 - numpy.arange(4))
    # The generator of torch and the legacy one of numpy are the same.
    drawn = numpy.random.RandomState(0).randint(2**32, size=features * BITS * (1 + BITS), dtype=numpy.uint32) % 2
    shift, lower = drawn[: features * BITS], drawn[features * BITS :].astype(numpy.int64)
    lower = numpy.tril(lower.reshape(features, BITS, BITS), -1) + numpy.eye(BITS, dtype=numpy.int64)
    bits = (numbers[:, :, None] >> places[::-1]) & 1
    scrambled = (numpy.einsum("dpk,djk->djp", lower, bits) % 2) @ (1 << places[::-1])
    found = [shift.reshape(features, BITS).astype(numpy.int64) @ (1 << places)]
    for place in range(1, POINTS):
        found.append(found[-1] ^ scrambled[:, (place & -place).bit_length() - 1])
    points = numpy.array(found) * 2.0**-BITS
    # The first point is rounded to single precision there.
    points[0] = points[0].astype(numpy.float32)
    return points
