"""Which format a file has, by the ending of its name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pushforward.errors import InputError
from pushforward.support.suggestions import nearest

TableFormat = Literal["csv", "parquet", "feather"]
Kind = Literal["csv", "tsv", "jsonl", "parquet", "feather", "database"]

# Files that can be written, all of which can be read as well.
ENDINGS: dict[str, TableFormat] = {".csv": "csv", ".parquet": "parquet", ".feather": "feather", ".arrow": "feather"}
READ: dict[str, Kind] = {
    **ENDINGS,
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".duckdb": "database",
    ".sqlite": "database",
    ".sqlite3": "database",
    ".db": "database",
}
TEXT: tuple[Kind, ...] = ("csv", "tsv", "jsonl")
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
FORMATS = [kind for kind in get_args(Kind) if kind != "database"]


@dataclass(frozen=True)
class FileFormat:
    """How a file is to be read.

    Attributes:
        kind: its format.
        compression: of the whole file, as pyarrow calls it, or None.
    """

    kind: Kind
    compression: str | None = None


def table_format(path: str | os.PathLike[str]) -> TableFormat:
    """Return the format of a table to be written by the ending of its name.

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


SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")


def has_format(path: str) -> bool:
    """Whether the ending of a name says how the file is to be read.

    Example:
        >>> has_format("a.csv.gz"), has_format("README.md")
        (True, False)
    """
    return _by_ending(path, None) is not None


def believed(path: str, kind: Kind) -> str:
    """Why a file is taken for one of a format, for messages.

    Example:
        >>> believed("t.parquet", "parquet"), believed("t.csv", "parquet")
        ('although its name says so', 'although --format (format= in Python) or its beginning says so')
    """
    named = _by_ending(path.partition("?")[0], None)
    if named is not None and named.kind == kind:
        return "although its name says so"
    return "although --format (format= in Python) or its beginning says so"


def file_format(path: str, *, kind: str | None = None, separator: str | None = None) -> FileFormat:
    """Return how a file is to be read.

    Arguments:
        path: the name of the file; capital letters in the ending are fine.
        kind: the format, where the name does not say it.
        separator: of its columns; a .txt file with one is read as CSV is.

    Raises:
        InputError: the ending is not that of a table, or there is no such format.

    Example:
        >>> file_format("measured.csv.gz")
        FileFormat(kind='csv', compression='gzip')
    """
    if kind is not None and kind not in FORMATS:
        raise InputError(f'"{kind}" is not a format of tables; {nearest(kind, FORMATS)}')
    found = _by_ending(path, kind)
    if found is None and _bare(path)[0].endswith(".txt"):
        if separator is None:
            raise InputError(
                f"{path} does not say by its name what separates its columns; say it with --separator, such as "
                '--separator ";" (separator= in Python).'
            )
        found = FileFormat("csv", _bare(path)[1])
    if found is None and Path(path).suffix.lower() in SPREADSHEETS:
        raise InputError(
            f"{path} is a spreadsheet, which is not read: save its sheet as .csv, or read it with pandas.read_excel "
            "and give the frame to fit_table."
        )
    if found is None:
        raise InputError(
            f"{path} is not named as a table: the name must end in .csv, .tsv, .jsonl, .parquet, .feather or .arrow "
            "(text may be compressed, .csv.gz), or --format says what it is (in Python open_table(..., format=))."
        )
    if separator is not None and found.kind != "csv":
        raise InputError(f"{path} is {found.kind}, whose columns need no separator; leave --separator out.")
    return found


def _by_ending(path: str, kind: str | None) -> FileFormat | None:
    bare, compression = _bare(path)
    known: Kind | None = kind or READ.get(Path(bare).suffix)  # type: ignore[assignment]
    if known is None or (compression is not None and known not in TEXT):
        return None
    return FileFormat(known, compression)


def _bare(path: str) -> tuple[str, str | None]:
    """A name in lower case without the ending of its compression, and the compression."""
    name = path.rsplit("/", 1)[-1].lower()
    for ending, compression in COMPRESSED.items():
        if name.endswith(ending):
            return name.removesuffix(ending), compression
    return name, None
