"""Opening a table wherever it is: files, folders, patterns, addresses, the standard input, and databases."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from pushforward.errors import InputError
from pushforward.support.processes import processes
from pushforward.tables.files.columnar import FeatherTable, ParquetTable
from pushforward.tables.files.delimited import DelimitedTable
from pushforward.tables.files.formats import FORMATS, TEXT, FileFormat, file_format
from pushforward.tables.files.json_lines import JsonLinesTable
from pushforward.tables.files.listing import Part, called, list_files
from pushforward.tables.files.parts import PartsTable
from pushforward.tables.files.stored import StoredTable, located
from pushforward.tables.files.stored_file import StoredFile
from pushforward.tables.files.text import HEAD, STANDARD_INPUT, FileText, InputText, Text, standard_input

INPUT = "-"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "feather"}

Path = str | os.PathLike[str]
# What a table may be named by.
Data = Path | Sequence[Path] | StoredTable


def open_table(
    data: Data,
    *,
    header: bool = True,
    separator: str | None = None,
    format: str | None = None,
    query: str | None = None,
    once: bool = False,
) -> StoredTable:
    r"""Open a table outside memory, for `fit_table`, `score` and everything else that takes a table in a file.

    Arguments:
        data: a file, a folder, a pattern such as "parts/*.parquet", an address such as s3://bucket/folder, a list of
            these, or "-" for the standard input. A table that is open already is returned as it is.
        header: whether the first line of a CSV has the names of its columns, which are called 0, 1, 2, ... otherwise;
            default True.
        separator: one character between the columns of CSV; default what the ending or the header says.
        format: "csv", "tsv", "jsonl", "parquet" or "feather", where the name does not say it.
        query: what to select from a database in a file of DuckDB or SQLite.
        once: whether the rows are read a single time, so that the standard input need not be kept; default False.

    Returns:
        The table, a context manager.

    Raises:
        InputError: a file cannot be read or is not a table, or files differ in their columns; both are named.

    Example:
        >>> import pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for day in ("1", "2"):
        ...         _ = (pathlib.Path(folder) / f"{day}.csv").write_text(f"day,mass\n{day},2.5\n")
        ...     table = open_table(folder)
        ...     [batch.to_pylist() for batch in table.batches(["day"], 10)]
        [[{'day': '1'}], [{'day': '2'}]]
    """
    if isinstance(data, StoredTable):
        return data
    if isinstance(data, list | tuple) and not data:
        raise InputError("no file is named; give at least one.")
    if not is_stored(data):
        raise InputError(
            f"a table outside memory is the path of a file, or a list of paths, and not an object of type "
            f"{type(data).__name__}; write a table in memory to a file first."
        )
    names = [os.fspath(one) for one in ([data] if isinstance(data, str | os.PathLike) else data)]
    if "" in names:
        raise InputError("The name of a file is empty; give a name.")
    separator = _checked(separator)
    if query is not None:
        _check_header(called(names), "a database", header)
        from pushforward.tables.files.query import answer

        return answer(names, query)
    if INPUT in names:
        if len(names) > 1:
            raise InputError("- is the standard input, and no table beside others; give it alone.")
        check_unshared(names, processes().count > 1)
        return _of_input(header, separator, format, once)
    listing = list_files(names, any_ending=format is not None)

    def open_part(part: Part) -> StoredTable:
        how = file_format(part.file.name.partition("?")[0], kind=format, separator=separator)
        _check_header(part.file.name, how.kind, header)
        return _of_file(part.file, how, header, separator, empty=not listing.single)

    parts = listing.parts
    table = open_part(parts[0]) if listing.single else PartsTable(parts, open_part, called(names), listing.notes)
    table.files = (*(part.file.path for part in parts if part.file.local), *listing.open_ended)
    return table


def check_unshared(names: Sequence[Path], several: bool) -> None:
    """Refuse the standard input where several processes would read it: each would get rows that the others miss.

    Arguments:
        names: of the table.
        several: whether it is for the processes of a launcher or an engine.

    Raises:
        InputError: it is the standard input, and for several.

    Example:
        >>> check_unshared(["-"], several=True)
        Traceback (most recent call last):
        pushforward.errors.InputError: the processes of a fit cannot share the standard input; give the name of a file.
    """
    if several and INPUT in names:
        raise InputError(f"the processes of a fit cannot share {STANDARD_INPUT}; give the name of a file.")


def is_stored(data: Any) -> bool:
    """Whether something names a table outside memory: a path, a list of paths, or one that is open."""
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(isinstance(one, str | os.PathLike) for one in data)
    return isinstance(data, str | os.PathLike | StoredTable)


@contextlib.contextmanager
def opened(data: Data, *, header: bool = True, once: bool = False) -> Iterator[StoredTable]:
    """A table that is open, or one that is opened for the block; arguments as for `open_table`."""
    table = open_table(data, header=header, once=once)
    try:
        yield table
    finally:
        if table is not data:
            table.close()


@contextlib.contextmanager
def readied(data: Any, *, header: bool = True) -> Iterator[Any]:
    """A table outside memory, open for the block, in which messages about bad rows name files; others as they are."""
    if not is_stored(data):
        yield data
        return
    with opened(data, header=header) as table, located(table):
        yield table


def _checked(separator: Any) -> str | None:
    if separator is None:
        return None
    if isinstance(separator, str):
        separator = {"\\t": "\t", "tab": "\t"}.get(separator, separator)
    if not isinstance(separator, str) or len(separator) != 1 or not separator.isascii() or separator in '"\r\n':
        raise InputError(f"the separator of columns is one character, such as ; or tab, not {separator!r}.")
    return separator


def _check_header(name: str, kind: str, header: bool) -> None:
    """Refuse to read without a header what names its columns otherwise."""
    if not header and kind not in ("csv", "tsv"):
        raise InputError(
            f"{name} is {kind}, where columns have names of their own; leave --no-header out (header=False in Python)."
        )


def _of_file(
    file: StoredFile, how: FileFormat, header: bool, separator: str | None = None, empty: bool = False
) -> StoredTable:
    """One file as a table; `empty` allows one without rows."""
    file.check_filled()
    if how.kind == "parquet":
        return ParquetTable(file)
    if how.kind == "feather":
        return FeatherTable(file)
    if how.kind == "database":
        raise InputError(f'{file.name} is a database; say what to select with --query "SELECT ..." (query= in Python).')
    return _of_text(FileText(file, how.compression), how.kind, header, separator, empty=empty)


def _of_text(
    text: Text, kind: str, header: bool, separator: str | None, *, empty: bool = False, once: bool = False
) -> StoredTable:
    if kind == "jsonl":
        return JsonLinesTable(text, once=once)
    return DelimitedTable(text, header, "\t" if kind == "tsv" else separator, empty)


def _of_input(header: bool, separator: str | None, format: str | None, once: bool) -> StoredTable:
    """The table that comes as the standard input: as it comes, or, to be read again, from a file of its own."""
    if format is not None and format not in FORMATS:
        file_format(INPUT, kind=format)
    stream = standard_input()
    head = stream.read(HEAD)
    if not head:
        raise InputError(f"{STANDARD_INPUT} is empty; give a table with a header and rows.")
    compression = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
    kind = format or next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if once and kind in (None, *TEXT):
        text = InputText(stream, head, compression)
        kind = kind or _kind_of_text(text.head)
        _check_header(STANDARD_INPUT, kind, header)
        return _of_text(text, kind, header, separator, once=True)
    kept = tempfile.NamedTemporaryFile(prefix="pushforward-")  # noqa: SIM115 - the table keeps it
    kept.write(head)
    while block := stream.read(HEAD):
        kept.write(block)
    kept.flush()
    file = StoredFile(kept.name, name=STANDARD_INPUT)
    if kind is None:
        kind = _kind_of_text(FileText(file, compression).head)
    _check_header(STANDARD_INPUT, kind, header)
    table = _of_file(file, FileFormat(kind, compression), header, separator)  # type: ignore[arg-type]
    table.temporary = kept
    return table


def _kind_of_text(head: bytes) -> str:
    """Whether text is JSON lines or CSV, by its first line."""
    with contextlib.suppress(ValueError):
        if isinstance(json.loads(head.lstrip().split(b"\n")[0]), dict):
            return "jsonl"
    return "csv"
