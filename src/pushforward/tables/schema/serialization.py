"""Schemas as JSON: what a user or a model file says of columns, checked, and what a model file is to say of them."""

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pushforward.errors import InputError
from pushforward.tables.schema.kinds import KINDS, AnyColumn, Column, Schema

_COLUMN: TypeAdapter = TypeAdapter(AnyColumn)


def parse_schema(declared: Any, *, source: str = "the schema") -> Schema:
    """Read a schema, whole or of some columns, from what a user or a model file says.

    Arguments:
        declared: {column: {"kind": kind, option: value, ...}}; a kind alone may stand for its dict. Columns that are
            checked already are taken as they are.
        source: what sentences call it.

    Raises:
        InputError: an unknown kind or option (the nearest is named), or a value that is none of the option's.

    Example:
        >>> schema = parse_schema({"phase": {"kind": "periodic", "period": 360}, "sex": "category"})
        >>> schema["phase"].describe(), schema["sex"].levels
        ('periodic, 360 from 0', None)
        >>> parse_schema({"sex": "catgory"})
        Traceback (most recent call last):
        pushforward.errors.InputError: the schema: column "sex" has the unknown kind "catgory"; did you mean...
    """
    if not isinstance(declared, Mapping):
        raise InputError(f'{source} must be an object like {{"column": {{"kind": "integer"}}}}.')
    return {str(name): _parsed(str(name), entry, source) for name, entry in declared.items()}


def read_schema(path: str | os.PathLike[str]) -> Schema:
    """Read a schema from a JSON file.

    Raises:
        InputError: the file cannot be read, is no JSON, or is no schema.
    """
    try:
        with open(path, encoding="utf-8") as file:
            declared = json.load(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({' '.join(str(error).split())[:200]}); correct it.") from None
    return parse_schema(declared, source=os.fspath(path))


def as_json(schema: Schema) -> dict[str, Any]:
    """A schema as plain JSON, which `parse_schema` reads again without loss."""
    return {name: column.model_dump(mode="json", exclude_none=True) for name, column in schema.items()}


def nearest(word: str, known: Iterable[str], most: int = 12) -> str:
    """Words that offer the name closest to an unknown one, and list those there are."""
    names = list(known)
    close = difflib.get_close_matches(word.casefold(), [name.casefold() for name in names], n=1, cutoff=0.5)
    listed = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    if not close:
        return f"there are {listed}."
    return f'did you mean "{next(name for name in names if name.casefold() == close[0])}"? There are {listed}.'


def _parsed(name: str, entry: Any, source: str) -> Column:
    if isinstance(entry, Column):
        return entry
    entry = {"kind": entry} if isinstance(entry, str) else entry
    what = f'{source}: column "{name}"'
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise InputError(f"{what} needs a kind: one of {', '.join(KINDS)}.")
    kind = KINDS.get(entry["kind"]) if isinstance(entry["kind"], str) else None
    if kind is None:
        raise InputError(f'{what} has the unknown kind "{entry["kind"]}"; {nearest(str(entry["kind"]), KINDS)}')
    for option in entry:
        if option not in kind.model_fields:
            known = [field for field in kind.model_fields if field != "kind"]
            raise InputError(f'{what}, {entry["kind"]}, has no option "{option}"; {nearest(str(option), known)}')
    try:
        return _COLUMN.validate_python(dict(entry))
    except (ValidationError, RecursionError) as error:
        raise InputError(f"{what}, {entry['kind']}: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "nested too deeply"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:] if not str(part).startswith("function"))
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{where} cannot be {repr(first['input'])[:80]}: {reason}" if where else reason
