"""Tables in files and in memory: reading, checking and writing them."""

from pushforward.tables.checks import check_columns, check_distinct, check_for_fitting, numeric_matrix
from pushforward.tables.formats import table_format
from pushforward.tables.frames import matrix_from_frame, to_table
from pushforward.tables.reading import TableReader, column_names, read_matrix
from pushforward.tables.writing import TableWriter

__all__ = [
    "TableReader",
    "TableWriter",
    "check_columns",
    "check_distinct",
    "check_for_fitting",
    "column_names",
    "matrix_from_frame",
    "numeric_matrix",
    "read_matrix",
    "table_format",
    "to_table",
]
