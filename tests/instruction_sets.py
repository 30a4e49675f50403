"""The sets of instructions of this processor that kernels are tested with: the first and the best for every change.

Sets between them, compiled from the same sources, are in the slow tier.
"""

import pytest

from pushforward.kernels import native

SUPPORTED = native.supported if native is not None else ()
SETS = [
    name if name in (*SUPPORTED[:1], *SUPPORTED[-1:]) else pytest.param(name, marks=pytest.mark.slow)
    for name in SUPPORTED
]
