"""What stands for a missing value is the same in a file and in memory, in text and in numbers."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pushforward.tables import encode, infer_schema, read_columns, table_from_frame
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.missing import MISSING_TEXT
from pushforward.tables.schema.inference import columns_of_text

# Every word of the list in three spellings.
CELLS = [spelling for word in MISSING_TEXT for spelling in (word, word.upper(), f" {word.title()} ")]
COLUMNS = {
    "words": ("f", "m"),
    "numbers": ("1.5", "2.5"),
    "whole": ("1", "2"),
    "days": ("2024-01-01", "2024-01-03"),
    "flags": ("True", "False"),
}


def rows(cell):
    """Three rows in four have a value; the others have the cell."""
    return {name: [values[k % 2] if k % 4 else cell for k in range(400)] for name, values in COLUMNS.items()}


def check(table, cell, source):
    schema = infer_schema(table, source=source)
    codes = encode(table, schema, list(COLUMNS), source=source)
    for place, name in enumerate(COLUMNS):
        assert schema[name].missing == 0.25, (name, cell)
        assert np.isnan(codes[:, place]).mean() == 0.25, (name, cell)
        np.testing.assert_array_equal(np.isnan(codes[:, place]), np.arange(400) % 4 == 0)
    return schema


@pytest.mark.parametrize("cell", CELLS)
def test_a_word_for_a_missing_value_means_the_same_everywhere(tmp_path, cell):
    frame = pd.DataFrame(rows(cell))
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    schema = check(read_columns(path), cell, "t.csv")
    assert [column.kind for column in schema.values()] == ["category", "category", "integer", "date-time", "category"]
    assert check(table_from_frame(frame), cell, "the table") == schema
    assert check(pa.Table.from_pandas(frame), cell, "the table") == schema
    assert check(table_from_frame(frame.astype("category")), cell, "the table") == schema
    # A streamed CSV has numbers in some columns and text in others, by its first rows.
    text = columns_of_text(read_columns(path).slice(0, 100), {}, source="t.csv")
    assert text == ["words", "days", "flags"]
    batches = [batch for _, batch in RowGroups(path, list(COLUMNS), text).read(0, 64)]
    assert check(pa.Table.from_batches(batches), cell, "t.csv") == schema
