"""From what a user names (files, folders, patterns, addresses) to the files that are meant, in an order that stays."""

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs

from pushforward.errors import InputError
from pushforward.support.arguments import is_address
from pushforward.tables.files.formats import has_format
from pushforward.tables.files.stored_file import StoredFile, first_sentence

_WILD = re.compile(r"[*?\[]")
_SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs")
_HIDDEN = ("_", ".")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
# Files that show a folder in which not every other file is a part of the table.
_KEPT_BY = {r"_delta_log/": "Delta Lake", r"\.hoodie/": "Hudi", r"metadata/.*\.metadata\.json$": "Iceberg"}
_AT_ONCE = 16
_PATIENCE = 30  # seconds


@dataclass(frozen=True)
class Part:
    """One of the files of a table.

    Attributes:
        file: the file.
        keys: the names and values of its folders that are called name=value, as text; None is a missing value.
    """

    file: StoredFile
    keys: dict[str, str | None]


@dataclass(frozen=True)
class Listing:
    """The files that are meant.

    Attributes:
        parts: in their order.
        single: whether one file was named by itself.
        notes: what was left out.
        open_ended: the folders and patterns on this machine, of which more files may become parts.
    """

    parts: Sequence[Part]
    single: bool
    notes: tuple[str, ...] = ()
    open_ended: tuple[str, ...] = ()


def list_files(names: Sequence[str], any_ending: bool = False) -> Listing:
    """Find the files that some names mean.

    Files of a folder and of a pattern are in the order of their paths; those of several names in the order of these.

    Arguments:
        names: files, folders, patterns with * and ?, and ** for folders of any depth, on this machine or behind
            addresses such as s3://bucket/folder.
        any_ending: whether files of a folder count whatever their ending; default False.

    Raises:
        InputError: a name means no file, or files are kept by another program.
    """
    parts: list[Part] = []
    notes: list[str] = []
    open_ended: list[str] = []
    for name in names:
        filesystem, path = _located(name)
        kind = _kind_of(filesystem, path, name)
        if kind == "file":
            file = StoredFile(path, filesystem, name if filesystem is None else _prefix(name) + path)
            _refuse_kept(filesystem, [path], name)
            if len(names) == 1:
                return Listing([Part(file, {})], True)
            parts.append(Part(file, _keys(path)))
            continue
        open_ended += [path] if filesystem is None else []
        if kind == "pattern":
            found, base = _matching(filesystem, path, name), ""
            _refuse_kept(filesystem, found, name)
        else:
            base = path.rstrip("/") or "/"
            _refuse_kept(filesystem, [f"{base}/"], name)
            found, others = _files_of_a_folder(filesystem, base, name, any_ending)
            notes += [_left_out(name, others)] if others else []
        if not found:
            what = "is a folder without files of tables" if kind == "folder" else "is the name of no file"
            raise InputError(f"{name} {what}; the names of tables end in .csv, .parquet or the like.")
        some = _opened(filesystem, found, name)
        notes += [f"{file.name} is empty and is left out" for file in some if not file.size]
        parts += [Part(file, _keys(file.path.removeprefix(base))) for file in some if file.size]
    if not parts:
        raise InputError(f"{called(names)} has no rows: all of its files are empty; give a table with rows.")
    return Listing(parts, False, tuple(notes), tuple(open_ended))


def takes(name: str, path: str) -> bool:
    """Whether a folder or a pattern of this machine means a file that is there, or may be later.

    Example:
        >>> takes("lake/**/*.csv", "lake/b/1.csv"), takes("lake/*.csv", "lake/b/1.csv"), takes("a.csv", "a.csv")
        (True, False, False)
    """
    path = os.path.realpath(path)
    if os.path.isdir(name):
        base = os.path.realpath(name).rstrip("/") + "/"
        return path.startswith(base) and has_format(path) and not _is_hidden(path.removeprefix(base))
    if os.path.exists(name) or not _WILD.search(name):
        return False
    fixed = os.path.dirname(_WILD.split(name)[0])
    base = os.path.realpath(fixed or ".").rstrip("/") + "/"
    pattern = _pattern(name.removeprefix(fixed).lstrip("/"))
    return path.startswith(base) and bool(pattern.match(path.removeprefix(base)))


def called(names: Sequence[str]) -> str:
    """What messages call several names.

    Example:
        >>> called(["a.csv", "b.csv", "c.csv"])
        'a.csv and 2 more'
    """
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _located(name: str) -> tuple[Any, str]:
    """The file system of a name, None for this machine's, and the path in it."""
    if not (is_address(name) and "://" in name):
        return None, name
    if name.startswith("file://"):
        return None, unquote(name.removeprefix("file://"))
    scheme = name.split("://")[0].lower()
    if scheme not in _SCHEMES:
        raise InputError(f"{name} cannot be read: addresses begin with s3://, gs:// or hdfs://; copy the file first.")
    address, question, options = name.partition("?")
    if "=" not in options:
        address, question, options = name, "", ""
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in options:
        # Without credentials or a network its client tries for a quarter of an hour.
        question, options = "?", "&".join([*([options] if options else []), f"retry_limit_seconds={_PATIENCE}"])
    # A pattern is not an address, where its characters mean something else.
    bare = _WILD.split(address)[0]
    try:
        filesystem, path = pa.fs.FileSystem.from_uri(bare + question + options)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {first_sentence(error)}.") from error
    return filesystem, path.rstrip("/") + address.removeprefix(bare.rstrip("/"))


def _kind_of(filesystem: Any, path: str, name: str) -> str:
    """Whether a path is that of a file, a folder, or a pattern; a file that exists is not a pattern."""
    wild = bool(_WILD.search(path))
    if filesystem is None:
        return "folder" if os.path.isdir(path) else "pattern" if wild and not os.path.exists(path) else "file"
    if wild:
        return "pattern"
    try:
        return "folder" if filesystem.get_file_info(path).type == pa.fs.FileType.Directory else "file"
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{name} cannot be read: {first_sentence(error)}.") from error


def _prefix(name: str) -> str:
    return name.split("://")[0] + "://"


def _opened(filesystem: Any, paths: Sequence[str], name: str) -> list[StoredFile]:
    prefix = "" if filesystem is None else _prefix(name)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda path: StoredFile(path, filesystem, prefix + path), paths))


def _files_of_a_folder(filesystem: Any, base: str, name: str, any_ending: bool) -> tuple[list[str], list[str]]:
    """The files of a table in a folder and the folders in it, in the order of their paths, and other files."""
    paths = _files_below(filesystem, base, name)
    inside = [(path, path.removeprefix(base).lstrip("/")) for path in paths]
    for mark, program in _KEPT_BY.items():
        if any(re.search(rf"(^|/){mark}", path) for _, path in inside):
            raise _kept(name, program)
    shown = [path for path, relative in inside if not _is_hidden(relative)]
    found = [path for path in shown if any_ending or has_format(path)]
    return found, [path for path in shown if path not in set(found)]


def _refuse_kept(filesystem: Any, paths: Sequence[str], name: str) -> None:
    """Refuse files that lie in the folder of a table of another program, or in a folder in it."""
    if filesystem is None:
        # A folder ends in a slash, and counts itself.
        paths = [os.path.abspath(path) + "/" * path.endswith("/") for path in paths]
        filesystem = pa.fs.LocalFileSystem()
    checked: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in checked:
            checked.add(folder)
            program = _keeper(filesystem, folder)
            if program is not None:
                raise _kept(name, program)
            folder = folder.rpartition("/")[0]


def _keeper(filesystem: Any, folder: str) -> str | None:
    """The program whose marks lie in a folder, as far as they may be seen."""
    for mark, program in _KEPT_BY.items():
        step = mark.partition("/")[0].replace("\\", "")
        with contextlib.suppress(OSError, pa.ArrowException):
            infos = filesystem.get_file_info(pa.fs.FileSelector(f"{folder}/{step}", allow_not_found=True))
            if any(re.match(mark, f"{step}/{info.base_name}") for info in infos):
                return program
    return None


def _kept(name: str, program: str) -> InputError:
    return InputError(
        f"{name} is a table of {program}, or a part of one, in whose folder files of rows that were deleted may lie as "
        "well; write the table to Parquet files first."
    )


def _matching(filesystem: Any, path: str, name: str) -> list[str]:
    """The files that match a pattern, in the order of their paths."""
    if filesystem is None:
        found = [one for one in glob.glob(path, recursive=True) if os.path.isfile(one)]
    else:
        base = _WILD.split(path)[0].rpartition("/")[0]
        rest = path.removeprefix(base).lstrip("/")
        deep = "/" in rest or "**" in rest
        pattern = _pattern(path)
        found = [one for one in _files_below(filesystem, base, name, deep) if pattern.match(one)]
    fixed = len(_WILD.split(path)[0].rpartition("/")[0])
    return sorted(one for one in found if not _is_hidden(one[fixed:]))


def _files_below(filesystem: Any, base: str, name: str, deep: bool = True) -> list[str]:
    """The paths of all files in a folder, and of those in the folders in it, in their order."""
    try:
        if filesystem is None:
            return sorted(
                os.path.join(folder, file) for folder, _, files in os.walk(base, onerror=_raise) for file in files
            )
        infos = filesystem.get_file_info(pa.fs.FileSelector(base, recursive=deep))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{name} cannot be read: {first_sentence(error)}.") from error
    return sorted(info.path for info in infos if info.is_file)


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(path: str) -> bool:
    return any(step.startswith(_HIDDEN) for step in path.split("/"))


def _left_out(name: str, paths: Sequence[str]) -> str:
    shown = ", ".join(path.rpartition("/")[2] for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    return f"{name} has files that are not named as tables, which are left out: {shown}"


def _keys(path: str) -> dict[str, str | None]:
    """The folders called name=value in a path, as Hive and Spark write them."""
    steps = [step.partition("=") for step in path.split("/")[:-1]]
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, mark, value in steps if mark}


def _pattern(path: str) -> re.Pattern[str]:
    """A pattern of paths as a regular expression: * and ? stay within a folder, ** does not."""
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    split = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", path)
    bodies = [
        tokens.get(part)
        or (part.replace("[!", "[^") if part.startswith("[") and part.endswith("]") else re.escape(part))
        for part in split
    ]
    return re.compile("".join(bodies) + r"\Z")
