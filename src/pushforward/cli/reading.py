"""How a command reads a table: the options of all commands that read one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.output import say

if TYPE_CHECKING:
    from pushforward.tables.files.stored import StoredTable

TABLES = "files (.csv, .tsv, .jsonl, also .gz; .parquet, .feather), folders, patterns, s3:// addresses, or - for input"


@dataclass(frozen=True)
class Reading:
    """How the files of a table are read."""

    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header", help="The first line of a CSV is a row of values; its columns are called 0, 1, 2, ...."
        ),
    ] = False
    separator: Annotated[
        str | None,
        typer.Option(help='Character between the columns of CSV, such as ";" or tab, where it is not seen.'),
    ] = None
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, tsv, jsonl, parquet or feather, where the name of the table does not say it."
        ),
    ] = None
    query: Annotated[
        str | None, typer.Option(help="What to select from a database in a file of DuckDB or SQLite: SELECT ....")
    ] = None

    def open(self, data: str | Sequence[str], once: bool = True) -> "StoredTable":
        """Open a table that is read once, or several times."""
        from pushforward.tables.files.opening import open_table

        return open_table(
            data,
            header=not self.no_header,
            separator=self.separator,
            format=self.file_format,
            query=self.query,
            once=once,
        )

    @contextmanager
    def table(self, data: str | Sequence[str], quiet: bool, once: bool = True) -> Iterator["StoredTable"]:
        """A table that is read in the block, once or several times; what was noticed about it is said after that."""
        with self.open(data, once) as table:
            yield table
        for line in table.notes:
            say(line, quiet)

    @contextmanager
    def table_if_any(self, data: str | Sequence[str] | None, quiet: bool) -> Iterator["StoredTable | None"]:
        """The same where a command may do without a table."""
        if data is None:
            yield None
            return
        with self.table(data, quiet) as table:
            yield table
