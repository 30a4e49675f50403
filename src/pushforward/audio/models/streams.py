"""Sequences made block by block, and handed out in chunks of another size.

Random numbers and products are always those of whole blocks, from the first sample on: the same seed gives the same
sequence, bit by bit, at once or in chunks of any size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1024


def block_sizes(length: int | None) -> Iterator[int]:
    """The sizes of blocks that make up a length, or for ever.

    Example:
        >>> list(block_sizes(2500))
        [1024, 1024, 452]
    """
    made = 0
    while length is None or made < length:
        yield BLOCK if length is None else min(BLOCK, length - made)
        made += BLOCK


def in_chunks(blocks: Iterator[Tensor], chunk: int) -> Iterator[Tensor]:
    """Blocks, (..., any), cut anew into chunks, (..., chunk); the last holds what is left.

    Raises:
        ValueError: a chunk of no samples.

    Example:
        >>> [list(c.shape) for c in in_chunks(iter([torch.zeros(2, 5), torch.zeros(2, 2)]), 3)]
        [[2, 3], [2, 3], [2, 1]]
    """
    if chunk < 1:
        raise ValueError(f"A chunk needs at least one sample, got {chunk}.")
    waiting: list[Tensor] = []
    for block in blocks:
        ready = torch.cat([*waiting, block], -1)
        whole = ready.shape[-1] // chunk * chunk
        if whole:
            yield from ready[..., :whole].split(chunk, -1)
        waiting = [ready[..., whole:]]
    if waiting and waiting[0].shape[-1]:
        yield waiting[0]
