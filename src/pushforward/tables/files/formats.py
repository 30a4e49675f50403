"""Which format a file has, by its ending, and whether it can be opened."""

import os
from pathlib import Path
from typing import Literal

from pushforward.errors import InputError
from pushforward.support.atomic import reason

TableFormat = Literal["csv", "parquet", "feather"]

ENDINGS: dict[str, TableFormat] = {".csv": "csv", ".parquet": "parquet", ".feather": "feather", ".arrow": "feather"}


def table_format(path: str | os.PathLike[str]) -> TableFormat:
    """Return the format of a table by the ending of its name.

    Arguments:
        path: the name of the file; capital letters in the ending are fine.

    Returns:
        `csv`, `parquet` or `feather`.

    Raises:
        InputError: the ending is not that of a table.

    Example:
        >>> table_format("measured.CSV")
        'csv'
    """
    try:
        return ENDINGS[Path(path).suffix.lower()]
    except KeyError:
        raise InputError(
            f"{path} is not named as a table: the name must end in .csv, .parquet, .feather or .arrow."
        ) from None


def check_readable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that is not a readable file, or is empty.

    Arguments:
        path: the file to be read.

    Raises:
        InputError: the file is missing, a folder, empty, or its permissions do not allow reading.
    """
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist; check the name and the folder.")
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; give the name of a table file.")
    if not os.path.isfile(path):
        # Reading a pipe could wait forever.
        raise InputError(f"{path} is not an ordinary file; give the name of a table file.")
    try:
        with open(path, "rb") as file:
            first = file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}.") from error
    if not first:
        raise InputError(f"{path} is empty; give a file with a header and rows.")
