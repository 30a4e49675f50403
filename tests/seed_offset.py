"""A number added to every seed: a test that holds for one seed only is a test of luck.

With PUSHFORWARD_TEST_SEED_OFFSET=1000 each `torch.manual_seed(0)`, `torch.Generator().manual_seed(0)` and
`np.random.default_rng(0)`, in a test or in the library that it calls, starts from seed 1000. Also what a fit does by
default is another run then. Without the variable nothing is replaced.
"""

import contextlib
import os

import numpy as np
import torch

OFFSET = int(os.environ.get("PUSHFORWARD_TEST_SEED_OFFSET", "0"))
_current = OFFSET


@contextlib.contextmanager
def disabled():
    """Leave the seeds as they are, for numbers that were recorded."""
    global _current
    _current = 0
    try:
        yield
    finally:
        _current = OFFSET


class _Generator(torch.Generator):
    def manual_seed(self, seed):
        return super().manual_seed(seed + _current)


class _DefaultGenerator:
    """torch.default_generator, whose class cannot be replaced."""

    def __init__(self, generator):
        self._generator = generator

    def manual_seed(self, seed):
        return self._generator.manual_seed(seed + _current)

    def __getattr__(self, name):
        return getattr(self._generator, name)


def install():
    """Replace the functions of torch and NumPy that take a seed."""
    if not OFFSET:
        return
    manual_seed, default_rng = torch.manual_seed, np.random.default_rng

    def shifted(seed=None):
        return default_rng(seed + _current if isinstance(seed, (int, np.integer)) else seed)

    torch.manual_seed = lambda seed: manual_seed(seed + _current)
    torch.Generator = _Generator
    torch.default_generator = _DefaultGenerator(torch.default_generator)
    np.random.default_rng = shifted
