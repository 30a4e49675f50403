"""Weights of a file that are damaged, told from whole ones; for arrays of numpy and tensors alike."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from pushforward.errors import InputError


def digest_of(weights: Mapping[str, Any], octet: Any) -> str:
    """SHA-256 of the names, the types, the shapes and the bytes of weights, in the order of their names.

    Arguments:
        weights: arrays or tensors, contiguous, on the processor.
        octet: the type of a byte, `numpy.uint8` or `torch.uint8`.

    Example:
        >>> one, other = numpy.zeros(2), numpy.array([0.0, 1e-320])
        >>> digest_of({"a": one}, numpy.uint8) == digest_of({"a": other}, numpy.uint8)
        False
        >>> import torch
        >>> digest_of({"a": one}, numpy.uint8) == digest_of({"a": torch.from_numpy(one)}, torch.uint8)
        True
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name]
        kind = str(weight.dtype).removeprefix("torch.")
        digest.update(f"{name} torch.{kind} {tuple(weight.shape)} ".encode())
        digest.update(numpy.asarray(weight.reshape(-1).view(octet)).data)
    return digest.hexdigest()


def check_weights(path: Path, weights: Mapping[str, Any], digest: str | None, octet: Any) -> None:
    """Refuse weights that are not finite, or not those that were written.

    Arguments:
        path: of the file.
        weights: arrays or tensors.
        digest: of those that were written, None in files of versions that wrote none.
        octet: as in `digest_of`.

    Raises:
        InputError: one of them, or the digest, is not as it should be.
    """
    for key, weight in weights.items():
        finite = weight == weight
        # Bounds of columns may be infinite, for none.
        if not key.endswith((".low", ".high")):
            finite = finite & (weight != math.inf) & (weight != -math.inf)
        if not bool(finite.all()):
            weight = f"its weight {key[:100]!r}"
            raise InputError(f"{path} is damaged: {weight} holds numbers that are not finite; fit again.")
    if digest is not None and digest != digest_of(weights, octet):
        raise InputError(f"{path} is damaged: its weights are not those that were written; fit again.")
