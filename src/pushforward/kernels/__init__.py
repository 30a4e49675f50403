"""Compiled float32 kernels for processors, for maps that are many small operations in torch.

They are optional: `native` is None where no compiler was at hand at installation, and everything then runs in torch
alone, to the same results. torch's own threads run them, and each of three builds is for other instructions; the best
that the processor knows is taken.
"""

import ctypes
import importlib.util
from collections.abc import Callable

import torch  # noqa: F401  (first, since its OpenMP is the one that the kernels use)

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


class Native:
    """The library of kernels, its functions by their names.

    Arguments:
        path: the shared library.
        instructions: one of `INSTRUCTION_SETS` that the processor knows, default the last of these.

    Attributes:
        instructions: the set in use.
    """

    def __init__(self, path: str, instructions: str | None = None):
        self._library = ctypes.CDLL(path)
        best = int(self._library.instruction_set())
        self.instructions = INSTRUCTION_SETS[best] if instructions is None else instructions
        self.known = INSTRUCTION_SETS[: best + 1]
        self.path = path

    def function(self, name: str, arguments: str) -> Callable[..., None]:
        """A kernel of the set in use; each letter of `arguments` is a long, int, float or pointer."""
        kernel = getattr(self._library, f"{name}_{self.instructions}")
        kernel.argtypes = [_KINDS[letter] for letter in arguments]
        kernel.restype = None
        return kernel


_KINDS = {"l": ctypes.c_long, "i": ctypes.c_int, "f": ctypes.c_float, "p": ctypes.c_void_p}


def _find() -> Native | None:
    spec = importlib.util.find_spec("pushforward.kernels._native")
    if spec is None or spec.origin is None:
        return None
    return Native(spec.origin)


native = _find()
