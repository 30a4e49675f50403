"""Columns that files have, and the folders that these are in, name=value, as well: they must say the same."""

import math
import re
from typing import Any

import pyarrow.compute as pc

from pushforward.errors import InputError
from pushforward.tables.files.listing import Part

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def check_same_as_folder(column: Any, name: str, part: Part, before: int, may_lack: bool) -> None:
    """Refuse a file whose column contradicts the folder that it is in.

    Arguments:
        column: some of its values.
        name: of the column, and of the folder.
        part: the file.
        before: how many rows of it come before these.
        may_lack: whether a value may be missing where the folder has one.

    Raises:
        InputError: a value is another one than that of the folder; its row is named.
    """
    folder = part.keys[name]
    bad = [value for value in pc.unique(column).to_pylist() if not _same(value, folder, may_lack)]
    if not bad:
        return
    values = column.to_pylist()
    row = next(place for place, value in enumerate(values) if not _same(value, folder, may_lack))
    held = "no value" if values[row] is None else repr(str(values[row]))
    said = "no value" if folder is None else repr(folder)
    raise InputError(
        f'column "{name}" of {part.file.name} holds {held} in row {before + row + 1}, and its folder says {said}; '
        "correct one of them, or rename the folder or the column."
    )


def _same(value: Any, folder: str | None, may_lack: bool) -> bool:
    """Whether a value of a file is that of its folder.

    Example:
        >>> _same(2020.0, "2020", False), _same("abc", "abd", False), _same("", None, False)
        (True, False, True)
    """
    if value is None or value == "":
        return may_lack or folder in (None, "")
    if folder is None:
        return False
    text = str(value)
    # A folder of a day has its moments.
    if text == folder or (_DAY.match(folder) and text.startswith((f"{folder} ", f"{folder}T"))):
        return True
    if isinstance(value, bool):
        return text.lower() == folder.lower()
    try:
        number, other = float(value), float(folder)
    except (TypeError, ValueError):
        return False
    return number == other or (math.isnan(number) and math.isnan(other))
