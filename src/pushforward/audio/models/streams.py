"""Sequences generated block by block and returned in chunks of another size.

Random numbers and matrix multiplications always belong to whole blocks, from the first sample on: the same seed gives
the same sequence, bit for bit, at once or in chunks of any size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1024


def block_sizes(length: int | None) -> Iterator[int]:
    """Yield the sizes of the blocks that make up a length; without a length, forever.

    Example:
        >>> list(block_sizes(2500))
        [1024, 1024, 452]
    """
    total = 0
    while length is None or total < length:
        yield BLOCK if length is None else min(BLOCK, length - total)
        total += BLOCK


def in_chunks(blocks: Iterator[Tensor], chunk: int) -> Iterator[Tensor]:
    """Regroup blocks, (..., any), into chunks, (..., chunk); the last chunk holds the rest.

    Raises:
        ValueError: The chunk is not positive.

    Example:
        >>> [list(c.shape) for c in in_chunks(iter([torch.zeros(2, 5), torch.zeros(2, 2)]), 3)]
        [[2, 3], [2, 3], [2, 1]]
    """
    if chunk < 1:
        raise ValueError(f"A chunk needs at least one sample, got {chunk}.")
    pending: list[Tensor] = []
    for block in blocks:
        ready = torch.cat([*pending, block], -1)
        whole = ready.shape[-1] // chunk * chunk
        if whole:
            yield from ready[..., :whole].split(chunk, -1)
        pending = [ready[..., whole:]]
    if pending and pending[0].shape[-1]:
        yield pending[0]
