"""Tables in files and in memory: reading, checking and writing them, and what their columns are."""

from pushforward.tables.checks import check_columns, check_distinct, check_for_fitting
from pushforward.tables.columns.base import Schema
from pushforward.tables.columns.encoding import decode, encode
from pushforward.tables.files.formats import table_format
from pushforward.tables.files.reading import TableReader, column_names, read_columns
from pushforward.tables.files.writing import TableWriter
from pushforward.tables.frames import matrix_from_frame, table_from_frame, to_table
from pushforward.tables.numbers import numeric_matrix
from pushforward.tables.schema.inference import infer_schema
from pushforward.tables.schema.serialization import as_json, parse_schema, read_schema

__all__ = [
    "Schema",
    "TableReader",
    "TableWriter",
    "as_json",
    "check_columns",
    "check_distinct",
    "check_for_fitting",
    "column_names",
    "decode",
    "encode",
    "infer_schema",
    "matrix_from_frame",
    "numeric_matrix",
    "parse_schema",
    "read_columns",
    "read_schema",
    "table_format",
    "table_from_frame",
    "to_table",
]
