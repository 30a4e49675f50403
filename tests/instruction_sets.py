"""The sets of instructions of this processor that kernels are tested with.

The best one is in the fast tier; others, compiled from the same sources, are in the slow one.
"""

import pytest

from pushforward.kernels import native

SUPPORTED = native.supported if native is not None else ()
SETS = [name if name == SUPPORTED[-1] else pytest.param(name, marks=pytest.mark.slow) for name in SUPPORTED]
