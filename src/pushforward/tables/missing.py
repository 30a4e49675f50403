"""Missing values: the one list of text that stands for them, wherever the text comes from."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# In lower case and without spaces around it.
MISSING_TEXT = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none")


def is_text(column: Any) -> bool:
    """Whether a column of pyarrow holds text."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def plain(column: Any) -> Any:
    """Return a column of pyarrow without categorical encoding, and with nulls where its text means a missing value.

    Example:
        >>> plain(pa.array(["f", " NA ", "None", ""]).dictionary_encode()).to_pylist()
        ['f', None, None, None]
    """
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if is_text(column):
        bare = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        missing = pc.is_in(bare, value_set=pa.array(MISSING_TEXT, column.type))
        column = pc.if_else(missing, pa.scalar(None, column.type), column)
    return column
