"""Compiled kernels for processors, for maps that are many small operations in torch.

They are optional: `native` is None where no compiler was available at installation, and everything then runs in torch
alone, with the same results. They have threads of their own, see `pushforward.kernels.threads`. The library has a build
for each of several instruction sets and uses the best one that the processor supports.

The environment variable `PUSHFORWARD_KERNELS` chooses another one: "none" for torch alone, or "baseline", "avx2" or
"avx512". It is read at import.
"""

import contextlib
import ctypes
import importlib.util
import os
from collections.abc import Callable, Mapping

from pushforward.errors import InputError
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
        InputError: an unknown set, or one that the processor does not support.
    """

    def __init__(self, path: str, instructions: str | None = None):
        self.path = path
        self._library = ctypes.CDLL(path)
        check_sizes(path, _exported_sizes(self._library))
        self.supported = INSTRUCTION_SETS[: 1 + int(self._library.instruction_set())]
        self.instructions = self.supported[-1] if instructions is None else instructions
        if self.instructions not in self.supported:
            raise InputError(
                f"This processor supports the kernels {', '.join(self.supported)}, not {self.instructions!r}. "
                f"Set {VARIABLE} to one of them, to none, or leave it unset."
            )

    def function(self, name: str, *structures: type[ctypes.Structure]) -> Callable[..., None]:
        """A kernel of the set in use, which takes pointers to structures of these types; NAME_float64 for float64."""
        kernel = getattr(self._library, f"{name}_{self.instructions}")
        kernel.argtypes = [ctypes.POINTER(structure) for structure in structures]
        kernel.restype = None
        return kernel


def check_sizes(path: str, sizes: Mapping[str, int]) -> None:
    """Compare the size of every structure with that in the library: a difference would corrupt memory silently.

    Arguments:
        path: of the library, for the message.
        sizes: of its structures, by name.

    Raises:
        ImportError: a size differs or is missing.
    """
    for structure in STRUCTURES:
        name, size = structure.__name__, ctypes.sizeof(structure)
        if sizes.get(name) != size:
            found = f"{sizes[name]} bytes" if name in sizes else "no size"
            raise ImportError(
                f"The compiled kernels do not fit this version of pushforward: the structure {name} has {found} in "
                f"{path} and {size} bytes in Python. Build them again with `pip install .` or, in a clone, "
                f"`python setup.py build_ext --inplace`, or set {VARIABLE}=none to run without them."
            )


def _exported_sizes(library: ctypes.CDLL) -> dict[str, int]:
    sizes = {}
    for structure in STRUCTURES:
        with contextlib.suppress(ValueError):  # of a symbol that is missing
            sizes[structure.__name__] = ctypes.c_int64.in_dll(library, f"size_of_{structure.__name__}").value
    return sizes


def load(choice: str | None = None) -> Native | None:
    """The library with the instruction set of choice, default the best; None for "none", or where it is not built.

    Raises:
        InputError: the choice is none of these, or a set that is not built or that the processor does not support.
    """
    if choice == "none":
        return None
    if choice is not None and choice not in INSTRUCTION_SETS:
        raise InputError(f"{VARIABLE} must be none or one of {', '.join(INSTRUCTION_SETS)}, got {choice!r}.")
    spec = importlib.util.find_spec("pushforward.kernels._native")
    if spec is None or spec.origin is None:
        if choice is not None:
            raise InputError(f"{VARIABLE} is {choice}, but the kernels were not built at installation.")
        return None
    return Native(spec.origin, choice)


native = load(os.environ.get(VARIABLE) or None)
