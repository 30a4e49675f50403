"""Reading JSON lines: one object a line, whose fields are columns."""

import bisect
import contextlib
import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pushforward.errors import InputError
from pushforward.tables.files.stored import StoredTable
from pushforward.tables.files.text import BLOCK, Text
from pushforward.tables.numbers import LARGEST_EXACT, BadValue, inexact

_CHANGED = re.compile(r"Column\(/(.*?)\) changed from (\w+) to (\w+)(?: in row (\d+))?")
_PREFIX = "JSON parse error: "
_ROW = re.compile(r"\.? in row (\d+)$")


class JsonLinesTable(StoredTable):
    """A file with one JSON object a line, in one row group; a key that a line lacks is a missing value.

    The types of the columns are those that all lines agree on, whole numbers and others are numbers; they are found in
    a pass of its own, unless the text can be read only once: then its beginning says them.

    Arguments:
        text: the bytes of the file.
        once: whether the text can be read only once.

    Raises:
        InputError: a line is not a JSON object, or a column holds values of different types; the row is named.
    """

    sparse = light = True

    def __init__(self, text: Text, *, once: bool = False) -> None:
        self.name, self._text, self._once = text.name, text, once
        types: dict[str, Any] = {}
        self._inexact: set[str] = set()
        count = 0
        for block in [_whole_lines(text)] if once else self._blocks():
            table = self._parsed(block, None, count)
            for name, column in zip(table.column_names, table.columns, strict=True):
                self._note_inexact(column, name, block)
                types[name] = self._unified(types.get(name), column.type, name, count)
            count += table.num_rows
        if not types:
            raise InputError(f"{self.name} has no rows; give a table with rows.")
        self.schema = pa.schema(list(types.items()))
        self.rows = None if once else count
        self.sizes = [self.rows]
        self.bytes = text.size

    def batches(
        self, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Stream the named columns; `rows` and `groups` are not used."""
        kept = pa.schema([self.schema.field(name) for name in columns])
        read = 0
        for block in self._blocks():
            table = self._parsed(block, self.schema, read)
            if table.num_rows:
                read += table.num_rows
                yield from table.select(list(columns)).cast(kept).combine_chunks().to_batches()
        self.sizes = [read]

    def _blocks(self) -> Iterator[bytes]:
        """Pieces of whole lines."""
        rest, row = b"", 0
        with contextlib.closing(self._text.open()) as stream:
            while True:
                try:
                    block = bytes(stream.read(4 * BLOCK))
                except (OSError, pa.ArrowException) as error:
                    raise self._text.damaged(error, row) from error
                if not block:
                    break
                lines, newline, last = block.rpartition(b"\n")
                if newline:
                    piece, rest = rest + lines + newline, last
                    row += piece.count(b"\n")
                    yield piece
                else:
                    rest += block
                if len(rest) > 16 * BLOCK:
                    raise InputError(f"{self.name} has a line of more than 16 MB; write one object a line.")
        if rest.strip():
            yield rest
        self._text.check_unchanged()

    def _parsed(self, block: bytes, schema: Any, before: int) -> pa.Table:
        if not block.strip():
            return pa.table({})
        options = pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1)
        parsing = pa.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"
        )
        try:
            return pa.json.read_json(pa.BufferReader(block), read_options=options, parse_options=parsing)
        except pa.ArrowException as error:
            self._text.check_unchanged()
            raise self._explained(error, before + self._first_bad(block, parsing)) from error

    def _first_bad(self, block: bytes, parsing: Any) -> int:
        """The number, from 1, of the first row of a block without which the rows before it can be read."""
        lines = [line for line in block.splitlines(keepends=True) if line.strip()]

        def fails(count: int) -> bool:
            some = b"".join(lines[:count])
            options = pa.json.ReadOptions(use_threads=False, block_size=len(some) + 1)
            try:
                pa.json.read_json(pa.BufferReader(some), read_options=options, parse_options=parsing)
            except pa.ArrowException:
                return True
            return False

        return bisect.bisect_left(range(1, len(lines) + 1), True, key=fails) + 1

    def _explained(self, error: Exception, row: int) -> InputError:
        said = " ".join(str(error).split())
        in_types = self._once and _ROW.search(said) is None
        changed = _CHANGED.search(said)
        if changed and changed[1]:
            return BadValue(
                row,
                f'column "{changed[1]}" of {self.name} holds {_called(changed[3])} in row {row}, and '
                f"{_called(changed[2])} before; give each column one type.",
            )
        said = _ROW.sub("", said.removeprefix(_PREFIX)).rstrip(".")
        if in_types:
            return InputError(
                f"{self.name} has another key or type in row {row} than in its first lines ({said}); write the table "
                "to a file first."
            )
        return InputError(f"{self.name} is not JSON, one object a line, in row {row}: {said}.")

    def _note_inexact(self, column: Any, name: str, block: bytes) -> None:
        """Note, or refuse, whole numbers that float64 cannot hold."""
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            return
        ends = pc.min_max(column)
        largest = max(abs(ends["min"].as_py() or 0), abs(ends["max"].as_py() or 0))
        if pa.types.is_integer(column.type) and largest > LARGEST_EXACT:
            self._inexact.add(name)
        # Those beside fractions, or beyond 64 bits, come as float64 already.
        written = rb"%s\s*:\s*-?[0-9]{16,}\s*[,}]" % re.escape(json.dumps(name).encode())
        if pa.types.is_floating(column.type) and largest >= LARGEST_EXACT and re.search(written, block):
            raise self._inexact_numbers(name)

    def _inexact_numbers(self, name: str) -> InputError:
        what = f'column "{name}" of {self.name}'
        return InputError(inexact(what, "whole numbers", 'write them as text, "123", or leave them out'))

    def _unified(self, known: Any, kind: Any, name: str, before: int) -> Any:
        """The type of a column so far and in some more rows."""
        if pa.types.is_timestamp(kind):
            kind = pa.string()  # what text means, all rows decide
        numbers = (pa.int64(), pa.float64())
        if known is None or known == kind or pa.types.is_null(known):
            return kind
        if pa.types.is_null(kind):
            return known
        if known in numbers and kind in numbers:
            if name in self._inexact:
                raise self._inexact_numbers(name)
            return pa.float64()
        raise BadValue(
            before + 1,
            f'column "{name}" of {self.name} holds {_called(str(kind))} from row {before + 1} on, and '
            f"{_called(str(known))} before; give each column one type.",
        )


def _whole_lines(text: Text) -> bytes:
    """The first lines of some text."""
    return text.head if text.whole else text.head[: text.head.rfind(b"\n") + 1]


_WORDS: Mapping[str, str] = {
    "string": "text",
    "number": "numbers",
    "int64": "numbers",
    "double": "numbers",
    "boolean": "true or false",
    "bool": "true or false",
    "object": "objects",
    "array": "lists",
}


def _called(kind: str) -> str:
    return _WORDS.get(kind, kind)
