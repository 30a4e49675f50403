"""Options of a command that belong together, as one value: a dataclass whose fields are options."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any


def flat_signature(function: Callable[..., None]) -> inspect.Signature:
    """The signature of a command for typer: a parameter that is a dataclass is replaced by its fields.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Reading:
        ...     separator: str = ","
        >>> def show(path: str, reading: Reading) -> None: ...
        >>> print(flat_signature(show))
        (path: str, separator: str = ',') -> None
    """
    signature = inspect.signature(function)
    flat = [option for parameter in signature.parameters.values() for option in _options(parameter)]
    return signature.replace(parameters=flat)


def grouped(function: Callable[..., None], options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a command from those of its flat signature."""
    return {
        name: _value(name, parameter.annotation, options)
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _options(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not is_dataclass(parameter.annotation):
        yield parameter
        return
    for field in fields(parameter.annotation):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield from _options(inspect.Parameter(field.name, parameter.kind, default=default, annotation=field.type))


def _value(name: str, group: Any, options: dict[str, Any]) -> Any:
    if not is_dataclass(group):
        return options[name]
    return group(**{field.name: _value(field.name, field.type, options) for field in fields(group)})  # type: ignore[operator]
