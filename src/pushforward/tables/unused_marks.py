"""Marks of missing values that a user lists for a whole table, and that none of its values is."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pushforward.errors import InputError
from pushforward.tables.checks import FRAME, leave_out
from pushforward.tables.columns.kinds import Column, Schema
from pushforward.tables.columns.text_format import read_as
from pushforward.tables.columns.values import Values
from pushforward.tables.missing import Mark, Marks, plain
from pushforward.tables.types import readable


class UnusedMarks:
    """The marks that no value seen so far is.

    Arguments:
        marks: what stands for a missing value in the columns that do not say it.
        declared: what a user says of columns.

    Attributes:
        left: the marks.

    Example:
        >>> import pyarrow as pa
        >>> unused = UnusedMarks(Marks(listed=("?", "x")), {})
        >>> unused.see(pa.table({"a": ["1", "?"]}), ["a"])
        >>> unused.lines("stars.csv")
        ['no value read from stars.csv is "x", which --missing names: capitals count, spaces around do not']
    """

    def __init__(self, marks: Marks, declared: Mapping[str, Column]) -> None:
        self.left: list[Mark] = list(marks.listed or ())
        self._own = {name for name, column in declared.items() if column.missing is not None}

    def see(self, table: Any, names: Collection[str]) -> None:
        """Strike off the marks that values of some columns are; those with marks of their own do not count.

        Arguments:
            table: a table or batch of pyarrow, as it was read.
            names: the columns.
        """
        for name in names:
            if not self.left:
                return
            if name not in self._own:
                try:
                    column = plain(readable(table.column(name), name, leave_out("")))
                except InputError:
                    continue  # of no type that can hold a mark
                self.left = Marks(listed=tuple(self.left)).unused(column)

    def see_read(self, table: Any, schema: Schema) -> None:
        """Strike off the marks that values are once they are read in a format: -999 of "-999 kg".

        Arguments:
            table: a table of pyarrow, as it was read.
            schema: of some of its columns.
        """
        for name, column in schema.items():
            if self.left and column.format is not None and name not in self._own:
                written = Values(table.column(name), name, "", marks=Marks(listed=tuple(self.left)))
                unused = read_as(written, column.format).unused_marks()
                self.left = [mark for mark in self.left if mark in unused]

    def lines(self, source: str) -> list[str]:
        """A line that names the marks that are left, if there are any."""
        if not self.left:
            return []
        shown = [json.dumps(mark, ensure_ascii=False) for mark in self.left]
        named = " or ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
        option = "missing=" if source == FRAME else "--missing"
        return [f"no value read from {source} is {named}, which {option} names: capitals count, spaces around do not"]
