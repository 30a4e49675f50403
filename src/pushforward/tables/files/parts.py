"""Several files as one table: the parts of a folder, a pattern or a list, one after the other."""

import re
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from pushforward.errors import InputError
from pushforward.tables.checks import check_distinct
from pushforward.tables.files.folder_columns import check_same_as_folder
from pushforward.tables.files.listing import Part
from pushforward.tables.files.stored import StoredTable

MOST_NOTES = 3
_WHOLE = re.compile(r"^(0|-?[1-9][0-9]{0,17})$")
_AT_ONCE = 8  # files that are opened at a time, and whose descriptions are kept


class PartsTable(StoredTable):
    """Several files with the same columns, in their order; names and values of their folders are columns, too.

    Numbers of different widths are read in the wider type. Where the files have a column of a folder's name, its values
    must be that of the folder.

    Arguments:
        parts: the files, at least one.
        open_part: opens one of them.
        name: what messages call the table.
        notes: what was read in another way than usual, line by line.

    Raises:
        InputError: a file cannot be read, or has other columns than the first one; both are named. Or, once they are
            read, values of a column contradict the folder that the file is in.
    """

    def __init__(
        self, parts: Sequence[Part], open_part: Callable[[Part], StoredTable], name: str, notes: Sequence[str] = ()
    ) -> None:
        self.name, self._all, self._open = name, parts, open_part
        self._kept: OrderedDict[int, StoredTable] = OrderedDict()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # Only what is needed of each: there may be thousands.
            found = list(pool.map(lambda part: _Description(part, open_part(part)), parts))
        self._parts, first = found, found[0]
        self.written = first.written
        for one in found:
            check_distinct(one.schema.names, source=one.name)
            _check_alike(first, one)
        self._keys = _types_of_keys(parts, first.schema.names, self.written)
        self.schema = self._unified()
        self._groups = [(index, group) for index, one in enumerate(found) for group in range(len(one.sizes))]
        self.sizes = [found[index].sizes[group] for index, group in self._groups]
        self._rows: list[int | None] = [one.rows for one in found]
        self.rows = _sum(self._rows)
        self.bytes = _sum([one.bytes for one in found])
        said = [*notes, *_lines_of_doubled(found), *(note for one in found for note in one.notes)]
        more = f"and {len(said) - MOST_NOTES} more lines about other files"
        self.notes = tuple(said if len(said) <= MOST_NOTES else [*said[:MOST_NOTES], more])

    def batches(
        self, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the named columns of the files, one after the other."""
        if groups is None:
            for index in range(len(self._parts)):
                yield from self._read(index, columns, rows, None)
        else:
            for index, group in (self._groups[place] for place in groups):
                yield from self._read(index, columns, rows, [group])

    def place(self, row: int) -> tuple[str, int]:
        """The file that a row is in, and its number there."""
        for count, part in zip(self._rows, self._all, strict=True):
            if count is None or row <= count:
                return part.file.name, row
            row -= count
        return self.name, row

    def _read(
        self, index: int, columns: Sequence[str], rows: int, groups: Sequence[int] | None
    ) -> Generator[pa.RecordBatch, None, None]:
        part, table = self._all[index], self._part(index)
        own = [name for name in columns if name not in self._keys and name in table.schema.names]
        kept, count = pa.schema([self.schema.field(name) for name in columns]), 0
        weights = [one.bytes or 1 for one in self._parts]
        # A column of the file, wanted or not, shows how many rows there are.
        doubled = [name for name in columns if name in part.keys and name in table.schema.names]
        wanted = list(dict.fromkeys([*own, *doubled])) or [table.schema.names[0]]
        for batch in table.batches(wanted, rows, groups):
            for name in doubled:
                # Where lines of JSON lack a key that is a folder's column elsewhere, the folder says it.
                check_same_as_folder(batch.column(name), name, part, count, may_lack=name in self._keys)
            count += batch.num_rows
            arrays = [
                self._cast(batch.column(field.name), field, part)
                if field.name in own
                else _repeated(part.keys.get(field.name), field.type, batch.num_rows)
                for field in kept
            ]
            self.progress = (sum(weights[:index]) + weights[index] * table.progress) / sum(weights)
            yield pa.record_batch(arrays, schema=kept)
        if groups is None or len(table.sizes) == 1:
            self._rows[index] = count
            self.rows = _sum(self._rows)

    def _part(self, index: int) -> StoredTable:
        if index not in self._kept:
            self._kept[index] = self._parts[index].table or self._open(self._all[index])
            if len(self._kept) > _AT_ONCE:
                self._kept.popitem(last=False)
        self._kept.move_to_end(index)
        return self._kept[index]

    def _cast(self, column: Any, field: Any, part: Part) -> Any:
        if column.type == field.type:
            return column
        try:
            return column.cast(field.type)
        except pa.ArrowException:
            raise InputError(
                f'column "{field.name}" of {part.file.name} is of type {column.type}, and has values that cannot be '
                f"read as {field.type}, as in other files of {self.name}; write it in one type."
            ) from None

    def _unified(self) -> Any:
        """The columns in the types that hold those of all files, and the folders' columns after them."""
        first = self._parts[0]
        types = {field.name: field.type for field in first.schema}
        for part in self._parts[1:]:
            for field in part.schema:
                known = types.setdefault(field.name, field.type) if field.name not in self._keys else field.type
                if field.type != known:
                    types[field.name] = _wider(known, field.type, field.name, part.name, first.name)
        fields = [pa.field(name, kind) for name, kind in types.items()]
        return pa.schema([*fields, *self._keys.items()], first.schema.metadata)


class _Description:
    """What is kept of a file that was opened."""

    def __init__(self, part: Part, table: StoredTable) -> None:
        self.name, self.schema, self.written = table.name, table.schema, table.written
        self.rows, self.sizes, self.bytes, self.notes = table.rows, list(table.sizes), table.bytes, table.notes
        self.keys, self.sparse = part.keys, table.sparse
        self.table = table if table.light else None


def _check_alike(first: _Description, other: _Description) -> None:
    """Refuse a file that has other columns than the first one."""
    if (other.written, other.sparse) != (first.written, first.sparse):
        raise InputError(
            f"{first.name} and {other.name} are files of different formats; name those of one, such as "
            '"folder/*.parquet".'
        )
    keys = [name for name in first.keys if name not in first.schema.names]
    for name in [] if first.sparse else first.schema.names:
        if name not in other.schema.names:
            raise InputError(
                f'{other.name} has no column "{name}", which {first.name} has; give the files the same columns.'
            )
    for name in [] if first.sparse else other.schema.names:
        if name not in first.schema.names and name not in keys:
            raise InputError(
                f'{other.name} has a column "{name}", which {first.name} lacks; give the files the same columns.'
            )
    others = [name for name in other.keys if name not in first.schema.names]
    for name in [*keys, *others]:
        if name not in keys or name not in others:
            inside, outside = (first, other) if name in keys else (other, first)
            raise InputError(
                f'{inside.name} lies in a folder "{name}=", and {outside.name} does not: column "{name}" has no value '
                "there; move the files, or name those of one kind."
            )


def _types_of_keys(parts: Sequence[Part], names: Sequence[str], written: bool) -> dict[str, Any]:
    """The types of the folders' columns: whole numbers if all are, otherwise text, as in a CSV."""
    keys = [name for name in parts[0].keys if name not in names]
    values = {name: [part.keys[name] for part in parts if part.keys[name] is not None] for name in keys}
    return {
        name: pa.int64() if not written and all(_WHOLE.match(value or "") for value in found) else pa.string()
        for name, found in values.items()
    }


def _lines_of_doubled(parts: Sequence[_Description]) -> list[str]:
    """That columns of folders are those of the files, line by line."""
    names = dict.fromkeys(name for one in parts for name in one.keys if name in one.schema.names)
    return [
        f'column "{name}" is in the files, and in the names of their folders, "{name}=", as well: it is read from the '
        "files, and must be the same"
        for name in names
    ]


def _sum(counts: Sequence[int | None]) -> int | None:
    """The sum of some numbers, None if one is not known."""
    return None if None in counts else sum(count or 0 for count in counts)


def _repeated(value: str | None, kind: Any, rows: int) -> Any:
    """The value of a folder's column, or none, repeated."""
    return pa.repeat(pa.scalar(value if value is None or not pa.types.is_integer(kind) else int(value), kind), rows)


def _wider(one: Any, other: Any, name: str, file: str, first: str) -> Any:
    """The type that holds the values of two."""
    try:
        schemas = [pa.schema([(name, kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowException, TypeError):
        raise InputError(
            f'column "{name}" of {file} is of type {other}, and {one} in {first}; write it in one type.'
        ) from None
