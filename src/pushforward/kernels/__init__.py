"""Compiled float32 kernels for processors, for maps that are many small operations in torch.

They are optional: `native` is None where no compiler was available at installation, and everything then runs in torch
alone, with the same results. They run in torch's own threads. The library has a build for each of several instruction
sets and uses the best one that the processor supports.

The environment variable `PUSHFORWARD_KERNELS` chooses another one: "none" for torch alone, or "baseline", "avx2" or
"avx512". It is read at import.
"""

import ctypes
import importlib.util
import os
from collections.abc import Callable

import torch  # noqa: F401  (first, since its OpenMP is the one that the kernels use)

from pushforward.kernels.structures import STRUCTURES

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
VARIABLE = "PUSHFORWARD_KERNELS"


class Native:
    """The library of kernels.

    Arguments:
        path: the shared library.
        instructions: one of `INSTRUCTION_SETS` that the processor supports, default the last of these.

    Attributes:
        instructions: the set in use.
        supported: the sets that the processor supports.

    Raises:
        ImportError: the library was built from other sources, so that its structures are not those of this package.
        ValueError: an unknown set, or one that the processor does not support.
    """

    def __init__(self, path: str, instructions: str | None = None):
        self.path = path
        self._library = ctypes.CDLL(path)
        check_sizes(self._library)
        self.supported = INSTRUCTION_SETS[: 1 + int(self._library.instruction_set())]
        self.instructions = self.supported[-1] if instructions is None else instructions
        if self.instructions not in self.supported:
            raise ValueError(
                f"This processor supports the kernels {', '.join(self.supported)}, not {self.instructions!r}. "
                f"Set {VARIABLE} to one of them, to none, or leave it unset."
            )

    def function(self, name: str, *structures: type[ctypes.Structure]) -> Callable[..., None]:
        """A kernel of the set in use, which takes pointers to structures of these types."""
        kernel = getattr(self._library, f"{name}_{self.instructions}")
        kernel.argtypes = [ctypes.POINTER(structure) for structure in structures]
        kernel.restype = None
        return kernel


def check_sizes(library: ctypes.CDLL) -> None:
    """Compare the size of every structure with that in the library: a difference would corrupt memory silently."""
    for structure in STRUCTURES:
        size = ctypes.sizeof(structure)
        try:
            found = ctypes.c_int64.in_dll(library, f"size_of_{structure.__name__}").value
        except ValueError:
            found = None
        if found != size:
            described = "no size" if found is None else f"{found} bytes"
            raise ImportError(
                f"The compiled kernels do not fit this version of pushforward: the structure {structure.__name__} has "
                f"{described} in {library._name} and {size} bytes in Python. Build them again with `pip install .` or, "
                f"in a clone, `python setup.py build_ext --inplace`, or set {VARIABLE}=none to run without them."
            )


def load(choice: str | None = None) -> Native | None:
    """The library with the instruction set of choice, default the best; None for "none", or where it is not built.

    Raises:
        ValueError: the choice is none of these, or a set that is not built or that the processor does not support.
    """
    if choice == "none":
        return None
    if choice is not None and choice not in INSTRUCTION_SETS:
        raise ValueError(f"{VARIABLE} must be none or one of {', '.join(INSTRUCTION_SETS)}, got {choice!r}.")
    spec = importlib.util.find_spec("pushforward.kernels._native")
    if spec is None or spec.origin is None:
        if choice is not None:
            raise ValueError(f"{VARIABLE} is {choice}, but the kernels were not built at installation.")
        return None
    return Native(spec.origin, choice)


native = load(os.environ.get(VARIABLE) or None)
