"""What a query selects from a database in a file, of DuckDB or SQLite, as a table that can be read again."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.support.arguments import check_local
from pushforward.tables.files.columnar import ParquetTable
from pushforward.tables.files.stored_file import StoredFile

BATCH_ROWS = 2**16
_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"  # the latter after eight bytes
# In which a semicolon may stand: text and names in quotation marks or brackets, and remarks.
_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]"""
_NOT_A_STATEMENT = re.compile(_QUOTED)
_REMARK = re.compile(rf"({_QUOTED})|--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)


def answer(names: Sequence[str], query: str) -> ParquetTable:
    """Keep what a query selects in a file of its own: another run of it might give another order of rows.

    Arguments:
        names: the file of the database, one.
        query: in its dialect of SQL.

    Raises:
        InputError: the file is not a database, its reader is not installed, or the query fails, selects nothing, or
            has several statements.
    """
    if len(names) > 1:
        raise InputError("a query is for one file of a database; name one.")
    path = names[0]
    if path == "-":
        raise InputError("a query is for a database in a file, and not for the standard input; name its file.")
    if not isinstance(query, str) or not query.strip():
        raise InputError(f'a query is text, such as "SELECT * FROM stars", and not {query!r}.')
    check_local(path, "databases")
    with StoredFile(path).open() as file:
        head = file.read(len(_SQLITE))
    is_sqlite = head == _SQLITE
    if not is_sqlite and not head[8:].startswith(_DUCKDB):
        raise InputError(
            f"{path} is not a database of DuckDB or SQLite, which a query needs; leave --query (query=) out, or name "
            "a database."
        )
    kept = tempfile.NamedTemporaryFile(prefix="pushforward-", suffix=".parquet")  # noqa: SIM115 - the table keeps it
    reading = _sqlite(path, query) if is_sqlite else _duckdb(path, query)
    try:
        with reading as batches, pyarrow.parquet.ParquetWriter(kept.name, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except ImportError as error:
        raise InputError(f"{path} is a database; pip install 'pushforward[sql]' to read it ({error}).") from error
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"what the query selects cannot be kept in {os.path.dirname(kept.name)}: {error}.") from error
    except Exception as error:
        # Each library has errors of its own.
        said = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{path} cannot be queried: {said}.") from error
    table = ParquetTable(StoredFile(kept.name, name=f"the answer of {path}"))
    table.temporary = kept
    return table


@contextmanager
def _duckdb(path: str, query: str) -> Iterator[Any]:
    import duckdb

    _check_one(len(duckdb.extract_statements(query)))
    with duckdb.connect(path, read_only=True) as connection:
        selected = connection.sql(query)
        if selected is None:
            raise _nothing()
        yield selected.to_arrow_reader(BATCH_ROWS)


@contextmanager
def _sqlite(path: str, query: str) -> Iterator[Any]:
    from adbc_driver_sqlite import dbapi

    _check_one(
        len([part for part in _NOT_A_STATEMENT.sub(" x ", _REMARK.sub(r"\1 ", query)).split(";") if part.strip()])
    )
    with dbapi.connect(f"file:{os.path.abspath(path)}?mode=ro") as connection, connection.cursor() as cursor:
        # The types of columns are those of the first rows.
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        cursor.execute(query)
        batches = cursor.fetch_record_batch()
        if not len(batches.schema):
            raise _nothing()
        yield batches


def _check_one(statements: int) -> None:
    """Refuse a query of several statements, of which each library would answer another one, or of none."""
    if not statements:
        raise _nothing()
    if statements > 1:
        raise InputError(f"a query is one statement, and not {statements}; leave the others out.")


def _nothing() -> InputError:
    return InputError('the query selects nothing; a query is text such as "SELECT * FROM stars".')
