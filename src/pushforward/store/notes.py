"""What the notes of a model of a table say of its columns."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from pushforward.errors import InputError


class NotedColumns(NamedTuple):
    """The columns of a model, by what they are in it.

    Attributes:
        columns: the modeled ones.
        given: those that are conditioned on.
        errors: {column: column of its measurement errors}.
        gap_values: {given column: the code that a flow is shown where its value is missing}.
    """

    columns: list[str]
    given: list[str]
    errors: dict[str, str]
    gap_values: dict[str, float]


def noted_columns(notes: Any, path: Path) -> NotedColumns:
    """Read the columns of a model from the notes of its file.

    Raises:
        InputError: there are none, or they do not agree with each other.

    Example:
        >>> noted_columns({"columns": ["mass"], "given": ["age"]}, Path("stars.safetensors")).given
        ['age']
    """
    notes = notes if isinstance(notes, dict) else {}
    for kind, of, commands in (("speech", "sound", "speech"), ("image", "images", "image")):
        if isinstance(notes.get(kind), dict):
            raise InputError(
                f"{path} is a model of {of}, not of a table: the commands for it are pushforward {commands}."
            )
    columns, given = (_names(notes.get(key), path) for key in ("columns", "given"))
    if len({*columns, *given}) < len([*columns, *given]):
        raise InputError(f"{path} is damaged: two of its columns have the same name.")
    errors = notes.get("errors", {})
    if not isinstance(errors, dict) or not set(errors) <= set(columns):
        raise InputError(f"{path} is damaged: it has errors of columns that are not in it.")
    if not all(isinstance(name, str) for name in errors.values()):
        raise InputError(f"{path} is damaged: its columns of errors have no names.")
    values = notes.get("gap_values", {})
    known = isinstance(values, dict) and set(values) <= set(given)
    if not known or not all(type(value) in (int, float) and math.isfinite(value) for value in values.values()):
        raise InputError(f"{path} is damaged: what is shown where a given value is missing is not a number for each.")
    return NotedColumns(columns, given, errors, {name: float(value) for name, value in values.items()})


def _names(names: Any, path: Path) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is a flow without column names: it was not fitted to a table.")
    return names
