"""Folders that other programs keep, folders that are read while something is written, and headers."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from pushforward.errors import InputError
from pushforward.tables import TableReader, TableWriter, open_table
from pushforward.tables.files.writing import check_apart

TABLE = pa.table({"x": [1.5, 2.5]})


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(TABLE, path) if path.suffix == ".parquet" else path.write_text("x\n1.5\n2.5\n")


MARKS = {"_delta_log/0.json": "Delta Lake", ".hoodie/hoodie.properties": "Hudi", "metadata/1.metadata.json": "Iceberg"}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("named", ["", "*.parquet", "**/*.parquet", "1.parquet", "day=1", "day=1/2.parquet"])
def test_no_part_of_a_table_of_another_program_is_read(tmp_path, monkeypatch, mark, named):
    for path in ("1.parquet", "day=1/2.parquet"):
        put(tmp_path / "lake" / path)
    put(tmp_path / "lake" / mark)
    for name in (str(tmp_path / "lake" / named), [str(tmp_path / "lake" / named)]):
        with pytest.raises(InputError, match=f"is a table of {MARKS[mark]}, or a part of one"):
            open_table(name)
    monkeypatch.chdir(tmp_path / "lake" / "day=1")
    with pytest.raises(InputError, match=MARKS[mark]):
        open_table("2.parquet")


def test_a_folder_of_such_tables_is_refused_and_one_beside_them_is_not(tmp_path):
    put(tmp_path / "lakes" / "one" / "_delta_log" / "0.json")
    put(tmp_path / "lakes" / "one" / "1.parquet")
    put(tmp_path / "lakes" / "two" / "1.parquet")
    with pytest.raises(InputError, match="Delta Lake"):
        open_table(tmp_path / "lakes")
    assert open_table(tmp_path / "lakes" / "two").rows == 2


@pytest.mark.parametrize(
    ("named", "output", "refused"),
    [
        ("lake", "lake/new.parquet", True),
        ("lake/", "lake/deep/new.csv", True),
        ("lake", "lake/_new.parquet", False),
        ("lake", "lakes.parquet", False),
        ("lake", "lake/model.safetensors", False),
        ("lake/*.parquet", "lake/new.parquet", True),
        ("lake/*.parquet", "lake/new.csv", False),
        ("lake/*.parquet", "lake/deep/new.parquet", False),
        ("lake/**/*.parquet", "lake/deep/new.parquet", True),
        ("lake/1.parquet", "lake/new.parquet", False),
    ],
)
def test_nothing_is_written_into_what_is_read(tmp_path, monkeypatch, named, output, refused):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "lake" / "1.parquet")
    (tmp_path / "lake" / "deep").mkdir()
    with TableReader(named) as reader:
        if refused:
            with pytest.raises(InputError, match=f"{output} would become a part of lake.*; name an output elsewhere"):
                TableWriter(output, reader.schema, reader.files)
        else:
            check_apart(output, reader.files)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.jsonl"])
def test_what_has_names_is_not_read_without_them(tmp_path, name):
    path = tmp_path / name
    if name == "t.jsonl":
        path.write_text('{"x": 1}\n')
    else:
        with TableWriter(path, TABLE.schema) as writer:
            writer.write(TABLE)
    for data in (path, tmp_path):
        with pytest.raises(InputError, match=r"columns have names of their own; leave --no-header out"):
            open_table(data, header=False)


@pytest.mark.parametrize("text", ["a,b\n1,u\n2,v\n", "day\n2020-01-01\n2020-01-02\n"])
def test_a_header_is_not_a_row(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"has a header in its first row \(.*\); leave --no-header out"):
        open_table(path, header=False)


@pytest.mark.parametrize(
    "text", ["1,u\n2,v\n3,u\n", "u,x\nv,y\nw,z\n", "NA,u\n1,v\n2,w\n", "u,x\n1,x\n2,y\n", "u,x\n1,y\n"]
)
def test_a_first_row_may_be_text(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert open_table(path, header=False).schema.names == ["0", "1"]


def fail_after(*tables):
    """Write some rows, and then meet an error."""
    with TableWriter("-", TABLE.schema) as writer:
        for table in tables:
            writer.write(table)
        raise InputError


def test_a_header_is_written_with_the_first_rows(capsys):
    with pytest.raises(InputError):
        fail_after()
    assert capsys.readouterr().out == ""
    with pytest.raises(InputError):
        fail_after(TABLE)
    assert capsys.readouterr().out == "x\n1.5\n2.5\n"
    with TableWriter("-", TABLE.schema):
        pass
    assert capsys.readouterr().out == "x\n"


def test_a_file_without_rows_has_its_header(tmp_path):
    with TableWriter(tmp_path / "t.csv", TABLE.schema):
        pass
    assert (tmp_path / "t.csv").read_text() == "x\n"
