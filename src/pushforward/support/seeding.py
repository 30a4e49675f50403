"""Random draws that repeat, and that leave the caller's random state as it was."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
    if seed is None:
        seed = secrets.randbits(63)
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed, which also seeds the devices whose states are not restored.
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield
