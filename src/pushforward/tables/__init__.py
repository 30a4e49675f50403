"""Tables in files and in memory: reading, checking and writing them, and what their columns are.

Every name is imported when it is first used, so that a schema can be read without the readers of files.
"""

from typing import TYPE_CHECKING

from pushforward.support.lazy import lazy

if TYPE_CHECKING:
    from pushforward.tables.checks import check_columns as check_columns
    from pushforward.tables.checks import check_distinct as check_distinct
    from pushforward.tables.checks import check_independent as check_independent
    from pushforward.tables.checks import check_varying as check_varying
    from pushforward.tables.columns.base import Schema as Schema
    from pushforward.tables.columns.encoding import decode as decode
    from pushforward.tables.columns.encoding import encode as encode
    from pushforward.tables.files.formats import table_format as table_format
    from pushforward.tables.files.opening import is_stored as is_stored
    from pushforward.tables.files.opening import open_table as open_table
    from pushforward.tables.files.opening import opened as opened
    from pushforward.tables.files.reading import TableReader as TableReader
    from pushforward.tables.files.reading import column_names as column_names
    from pushforward.tables.files.reading import read_columns as read_columns
    from pushforward.tables.files.stored import StoredTable as StoredTable
    from pushforward.tables.files.stored import located as located
    from pushforward.tables.files.writing import TableWriter as TableWriter
    from pushforward.tables.frames import matrix_from_frame as matrix_from_frame
    from pushforward.tables.frames import table_from_frame as table_from_frame
    from pushforward.tables.frames import to_table as to_table
    from pushforward.tables.numbers import numeric_matrix as numeric_matrix
    from pushforward.tables.schema.inference import infer_schema as infer_schema
    from pushforward.tables.schema.serialization import as_json as as_json
    from pushforward.tables.schema.serialization import parse_schema as parse_schema
    from pushforward.tables.schema.serialization import read_schema as read_schema

# The same names for Python, which does not read the block above, by the module that defines them.
_HOMES = {
    "pushforward.tables.checks": [
        "check_columns",
        "check_distinct",
        "check_independent",
        "check_varying",
    ],
    "pushforward.tables.columns.base": ["Schema"],
    "pushforward.tables.columns.encoding": ["decode", "encode"],
    "pushforward.tables.files.formats": ["table_format"],
    "pushforward.tables.files.opening": ["is_stored", "open_table", "opened"],
    "pushforward.tables.files.reading": ["TableReader", "column_names", "read_columns"],
    "pushforward.tables.files.stored": ["StoredTable", "located"],
    "pushforward.tables.files.writing": ["TableWriter"],
    "pushforward.tables.frames": ["matrix_from_frame", "table_from_frame", "to_table"],
    "pushforward.tables.numbers": ["numeric_matrix"],
    "pushforward.tables.schema.inference": ["infer_schema"],
    "pushforward.tables.schema.serialization": ["as_json", "parse_schema", "read_schema"],
}

__all__ = [name for names in _HOMES.values() for name in names]
__getattr__, __dir__ = lazy(__name__, _HOMES)
