"""Random draws that repeat, and that leave the caller's random state as it was."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from pushforward.support.arguments import check_seed
from pushforward.support.hashing import hashes


def seed_or_random(seed: int | None) -> int:
    """The seed, or one that differs from call to call in place of None.

    Raises:
        InputError: it cannot be a seed.
    """
    if seed is None:
        return secrets.randbits(63)
    check_seed(seed)
    return seed


def uniform_noise(shape: Sequence[int], seed: int) -> torch.Tensor:
    """Numbers that are uniform from 0 to 1, float64, of a shape and a seed: dequantizing noise of rows.

    Example:
        >>> bool((uniform_noise((2, 3), seed=0) == uniform_noise((2, 3), seed=0)).all())
        True
    """
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seed_of_block(seed: int | None, block: int) -> int:
    """The seed of one of many blocks of draws, which may be made anywhere and in any order; that of block 0 is `seed`.

    Arguments:
        seed: of all draws; None for one that differs from call to call.
        block: number of the block, from 0.

    Example:
        >>> seed_of_block(3, 0), seed_of_block(3, 1) == seed_of_block(3, 1), seed_of_block(3, 1) == seed_of_block(4, 1)
        (3, True, False)
    """
    if seed is None or block == 0:
        return seed_or_random(seed)
    return int(hashes(np.array([block]), seed)[0] >> np.uint64(1))


def stream(seed: int, purpose: str) -> int:
    """A seed of its own for one purpose, which makes other random numbers than the seed itself and other purposes.

    What two commands draw by one seed would otherwise be the same: `sample` would draw the rows that `report` compares
    them with.

    Arguments:
        seed: that a caller gave.
        purpose: what is drawn, in words.

    Returns:
        A number below 2^32, of which the generators of PyTorch and of scikit-learn use every bit.

    Example:
        >>> stream(0, "draws of a report") == stream(0, "draws of a report"), stream(0, "a") == stream(0, "b")
        (True, False)
    """
    sequence = np.random.SeedSequence(seed, spawn_key=tuple(purpose.encode()))
    return int(sequence.generate_state(1)[0])


@contextmanager
def seeded(seed: int | None, device: torch.device | None = None) -> Iterator[None]:
    """Seed PyTorch's random generators inside the block, and restore the caller's random state after it.

    Arguments:
        seed: seed of the draws; None for draws that differ from call to call.
        device: the device that draws; the generator of the CPU is always included. Other devices are left alone.

    Example:
        >>> with seeded(0):
        ...     first = torch.rand(3)
        >>> with seeded(0):
        ...     bool((torch.rand(3) == first).all())
        True
    """
    seed = seed_or_random(seed)
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed, which also seeds the devices whose states are not restored.
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield
