"""A folder year=2020 whose files have a column year: both are the same, or the table is refused."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pushforward as pf
from pushforward.tables import open_table, read_columns


def lake(folder, name, parts, ending=".parquet"):
    """A folder for each value, with a file whose column of that name has some values."""
    for value, table in parts.items():
        inside = folder / f"{name}={value}"
        inside.mkdir(parents=True)
        if ending == ".parquet":
            pq.write_table(pa.table(table), inside / f"x{ending}")
        else:
            lines = zip(*table.values(), strict=True)
            text = "\n".join([",".join(table), *(",".join(map(str, line)) for line in lines)])
            (inside / f"x{ending}").write_text(text + "\n")
    return folder


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_contradiction_is_refused_with_its_row(tmp_path, ending):
    parts = {"2020": {"a": [1, 2], "year": [2020, 2020]}, "abc": {"a": [3, 4], "year": [2020, 2020]}}
    table = open_table(lake(tmp_path, "year", parts, ending))
    sentence = rf'column "year" of .*year=abc.x{ending} holds \'2020\' in row 1, and its folder says \'abc\'; correct'
    with pytest.raises(pf.InputError, match=sentence):
        read_columns(table)
    # Where nobody reads the column, it does not matter.
    assert read_columns(table, ["a"]).num_rows == 4


@pytest.mark.parametrize(
    ("value", "same", "other"),
    [
        ("2020", [2020, 2020], [2020, 2021]),
        ("2020", [2020.0, 2020.0], [2020.0, None]),
        ("01", [1, 1], [1, 10]),
        ("a%20b", ["a b"], ["a"]),
        ("true", [True], [False]),
        ("2024-02-29", [datetime.date(2024, 2, 29)], [datetime.date(2024, 3, 1)]),
        ("2024-02-29", [datetime.datetime(2024, 2, 29, 13)], [datetime.datetime(2024, 3, 1, 0)]),
        ("__HIVE_DEFAULT_PARTITION__", pa.array([None, None], pa.int64()), [1]),
    ],
)
def test_the_same_in_another_dress_is_said_and_read_from_the_file(tmp_path, value, same, other):
    table = open_table(lake(tmp_path / "same", "key", {value: {"a": [1.0] * len(same), "key": same}}))
    assert read_columns(table).column("key").to_pylist() == (same if isinstance(same, list) else same.to_pylist())
    assert table.notes == (
        'column "key" is in the files, and in the names of their folders, "key=", as well: it is read from the files, '
        "and must be the same",
    )
    table = open_table(lake(tmp_path / "other", "key", {value: {"a": [1.0] * len(other), "key": other}}))
    with pytest.raises(pf.InputError, match=rf'column "key" of .* in row {len(other)}, and its folder says'):
        read_columns(table)


def test_lines_of_json_that_lack_the_key_take_it_from_the_folder(tmp_path):
    for value, line in (("1", '{"a": 1}'), ("2", '{"a": 2, "key": 2}'), ("3", '{"a": 3, "key": 4}')):
        (tmp_path / f"key={value}").mkdir()
        (tmp_path / f"key={value}" / "x.jsonl").write_text(line + "\n")
    first = [str(tmp_path / f"key={value}" / "x.jsonl") for value in ("1", "2")]
    assert read_columns(open_table(first)).column("key").to_pylist() == [1, 2]
    with pytest.raises(pf.InputError, match=r"key=3.x.jsonl holds '4' in row 1, and its folder says '3'"):
        read_columns(open_table(tmp_path))
