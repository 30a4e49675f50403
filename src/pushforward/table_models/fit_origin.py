"""Where a fit comes from: its files, its options, and what it ran on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.support.file_hash import hash_of_files
from pushforward.support.surroundings import machine, now, versions
from pushforward.tables.files.stored import StoredTable

# Options of `fit_table` by those of the command line, which names them in another way or takes them as several.
SPELLED = {"arbitrary_conditions": "--arbitrary-conditions", "hold_out": "--hold-out", "max_time": "--max-time"}
SPELLED |= {"flow": "--flow", "weight": "--weight", "group": "--group", "seed": "--seed", "device": "--device"}
SPELLED |= {"columns": "--columns", "given": "--given", "missing": "--missing", "decimal": "--decimal"}
SPELLED |= {"date_format": "--date-format", "precision": "--precision", "schema": "--schema"}
# Where a training writes, and what a fit has by default.
NOT_KEPT = ("checkpoint", "log_path", "progress", "resume", "announce")
DEFAULTS = {"hold_out": "random", "device": "auto", "precision": "32-true"}


def origin_of(table: Any, options: Mapping[str, Any], header: bool = True) -> dict[str, Any]:
    """The files with their hash, the options that are not defaults, versions, machine, time and command, as plain JSON.

    It is taken as the fit begins: files are then read for both, and hashed as they are now, whatever becomes of them
    while the model is trained.

    Arguments:
        table: what is fitted to.
        options: of `fit_table`.
        header: whether the first line of a CSV has names.

    Example:
        >>> import pyarrow as pa
        >>> found = origin_of(pa.table({"x": [1.0]}), {"given": [], "seed": 3, "hold_out": "random"})
        >>> found["options"], found["files"]
        ({'seed': 3}, [])
    """
    files = table.files if isinstance(table, StoredTable) else ()
    kept = {name: _plain(value) for name, value in options.items() if name not in NOT_KEPT and _said(name, value)}
    return {
        "files": [os.path.basename(file) for file in files],
        "data_hash": hash_of_files(files),
        "options": kept,
        "command": _command(files, kept, header),
        "versions": versions(),
        "machine": machine(),
        "started": now(),
    }


def writing_to(command: str, path: str | os.PathLike[str]) -> str:
    """The command that fits again, with the name of a model file as that of its output.

    Example:
        >>> writing_to("pushforward fit stars.csv -o model.safetensors", "models/of stars.safetensors")
        "pushforward fit stars.csv -o 'of stars.safetensors'"
    """
    words = shlex.split(command)
    return shlex.join([*words[:-1], os.path.basename(path)]) if words[-2:-1] == ["-o"] else command


def _said(name: str, value: Any) -> bool:
    """Whether an option is not what a fit has by default."""
    empty = value is None or value is False or (hasattr(value, "__len__") and not len(value))
    return not empty and not (isinstance(value, str) and value == DEFAULTS.get(name))


def _plain(value: Any) -> Any:
    """What JSON can hold: text for anything else."""
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and len(value) <= 1000:
        return [_plain(entry) for entry in value]
    return f"{type(value).__name__}"


def _command(files: Sequence[str], options: Mapping[str, Any], header: bool) -> str:
    """The command that fits again; "" for a table in memory, and for options that no command has."""
    if not files or not set(options) <= {*SPELLED, "errors"}:
        return ""
    words = ["pushforward", "fit", *map(os.path.basename, files), *([] if header else ["--no-header"])]
    for name, value in options.items():
        if isinstance(value, dict):
            if name != "errors":
                return ""
            words += [word for pair in value.items() for word in ("--error", "=".join(pair))]
        elif value is True:
            words.append(SPELLED[name])
        else:
            text = ",".join(map(_quoted, value)) if isinstance(value, list) else str(value)
            words += [SPELLED[name], text]
    return shlex.join([*words, "-o", "model.safetensors"])


def _quoted(name: Any) -> str:
    text = str(name)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"') else text
