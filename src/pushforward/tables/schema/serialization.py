"""Schemas as JSON: reading and checking what a user or a model file says of columns, and writing it."""

import json
import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pushforward.errors import InputError
from pushforward.support.suggestions import nearest
from pushforward.tables.columns.kinds import KINDS, Column, Schema
from pushforward.tables.columns.undeclared import Undeclared


def parse_schema(declared: Any, *, source: str = "the schema") -> Schema:
    """Read a schema, whole or of some columns, from what a user or a model file says.

    Arguments:
        declared: {column: {"kind": kind, option: value, ...}}; the name of a kind may replace a dict without options.
            Columns that are checked already are taken as they are. {"missing": [mark, ...]} alone says what stands for
            a missing value, and leaves the kind open.
        source: what messages call it.

    Raises:
        InputError: an unknown kind or option (the nearest is named), or a value that the option cannot have.

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
        InputError: the file cannot be read, is not JSON, or is not a schema.
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
    """Return a schema as plain JSON, which `parse_schema` reads without loss."""
    return {name: column.as_json() for name, column in schema.items()}


def _parsed(name: str, entry: Any, source: str) -> Column:
    if isinstance(entry, Column):
        return entry
    entry = {"kind": entry} if isinstance(entry, str) else entry
    what = f'{source}: column "{name}"'
    if isinstance(entry, Mapping) and isinstance(entry.get("missing"), float):
        # The share of rows, as earlier versions wrote it.
        entry = {"missing_share" if key == "missing" else key: value for key, value in entry.items()}
    if isinstance(entry, Mapping) and set(entry) == {"missing"}:
        return _validated(Undeclared, entry, what)
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise InputError(f"{what} needs a kind: one of {', '.join(KINDS)}.")
    kind = KINDS.get(entry["kind"]) if isinstance(entry["kind"], str) else None
    if kind is None:
        raise InputError(f'{what} has the unknown kind "{entry["kind"]}"; {nearest(str(entry["kind"]), KINDS)}')
    for option in entry:
        if option not in kind.model_fields:
            known = [field for field in kind.model_fields if field != "kind"]
            raise InputError(f'{what}, {entry["kind"]}, has no option "{option}"; {nearest(str(option), known)}')
    return _validated(kind, entry, f"{what}, {entry['kind']}")


def _validated(kind: type[Column], entry: Mapping[str, Any], what: str) -> Column:
    try:
        return kind.model_validate(dict(entry))
    except (ValidationError, RecursionError) as error:
        raise InputError(f"{what}: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "nested too deeply"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function"))
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{where} cannot be {repr(first['input'])[:80]}: {reason}" if where else reason
