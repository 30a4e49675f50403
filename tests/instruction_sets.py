"""The sets of instructions of this processor that kernels are tested with.

The best one is in the fast tier; others, compiled from the same sources, are in the slow one.
"""

import pytest

from pushforward.kernels import Native, native

SUPPORTED = native.supported if native is not None else ()
SETS = [name if name == SUPPORTED[-1] else pytest.param(name, marks=pytest.mark.slow) for name in SUPPORTED]


def use(module, names, instructions, monkeypatch):
    """Let a module of kernels call those of one set of instructions, by the names that it has for them."""
    functions = module.functions_of(Native(native.path, instructions))
    for name, function in zip(names, functions, strict=True):
        monkeypatch.setattr(module, name, function)


def count_calls(module, monkeypatch, *names):
    """The names of the kernels of a module that have been called since, in order."""
    seen = []
    for name in names:
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, function=function: (seen.append(name), function(*a)))
    return seen
