"""What a query selects from a database in a file, of DuckDB or SQLite, as a table that can be read again."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet

from pushforward.errors import InputError
from pushforward.tables.files.columnar import ParquetTable
from pushforward.tables.files.stored_file import StoredFile

BATCH_ROWS = 2**16
_SQLITE = b"SQLite format 3\0"


def answer(names: Sequence[str], query: str) -> ParquetTable:
    """Keep what a query selects in a file of its own: another run of it might give another order of rows.

    Arguments:
        names: the file of the database, one.
        query: in its dialect of SQL.

    Raises:
        InputError: the file is not a database, its reader is not installed, or the query fails.
    """
    if len(names) > 1:
        raise InputError("a query is for one file of a database; name one.")
    path = names[0]
    with StoredFile(path).open() as file:
        is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    kept = tempfile.NamedTemporaryFile(prefix="pushforward-", suffix=".parquet")  # noqa: SIM115 - the table keeps it
    reading = _sqlite(path, query) if is_sqlite else _duckdb(path, query)
    try:
        with reading as batches, pyarrow.parquet.ParquetWriter(kept.name, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except ImportError as error:
        raise InputError(f"{path} is a database; pip install 'pushforward[sql]' to read it ({error}).") from error
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

    with duckdb.connect(path, read_only=True) as connection:
        yield connection.sql(query).to_arrow_reader(BATCH_ROWS)


@contextmanager
def _sqlite(path: str, query: str) -> Iterator[Any]:
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(f"file:{os.path.abspath(path)}?mode=ro") as connection, connection.cursor() as cursor:
        # The types of columns are those of the first rows.
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        cursor.execute(query)
        yield cursor.fetch_record_batch()
