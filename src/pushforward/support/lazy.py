"""Packages whose names are imported when they are first used."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package (PEP 562).

    Arguments:
        package: the package's `__name__`.
        homes: the names that each module defines. A name that is not among them may be a module of the package.

    Example:
        >>> get, names = lazy("pushforward", {"pushforward.errors": ["InputError"]})
        >>> get("InputError").__name__
        'InputError'
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in home_of:
            value = getattr(importlib.import_module(home_of[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        if not name.startswith("_"):
            module = f"{package}.{name}"
            try:
                return importlib.import_module(module)
            except ModuleNotFoundError as error:
                # Another missing module is the fault of this one, not of the name.
                if error.name != module:
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return get, names


class LaterModule:
    """A module that is imported when something in it is first used.

    Arguments:
        name: the module's.

    Example:
        >>> LaterModule("math").sqrt(4.0)
        2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Something in the module, which is kept here, so that it is looked up once."""
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
