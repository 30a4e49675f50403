"""A digest of weights, by which a damaged file is told from a whole one."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, the types, the shapes and the bytes of weights, in the order of their names.

    Arguments:
        tensors: contiguous, on the processor.

    Example:
        >>> one, other = torch.zeros(2), torch.tensor([0.0, 1e-45])
        >>> digest_of({"a": one}) == digest_of({"a": one.clone()}), digest_of({"a": one}) == digest_of({"a": other})
        (True, False)
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
