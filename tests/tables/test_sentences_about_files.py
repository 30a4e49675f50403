"""What is said about files that cannot be read: one row, the right cause, and a subject."""

import io
import json
import sqlite3
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app
from pushforward.support.atomic import atomic_path
from pushforward.tables import TableWriter, open_table, read_columns


def read_whole(*arguments, **options):
    with open_table(*arguments, **options) as table:
        return list(table.batches(table.schema.names, 2**16))


def refusal(*arguments, **options):
    with pytest.raises(pf.InputError) as caught:
        read_whole(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def fed(monkeypatch):
    """Give bytes as the standard input."""

    def feed(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    return feed


@pytest.mark.parametrize("before", [3, 1296])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": tru}', "t.jsonl is not JSON, one object a line, in row {}: Invalid value."),
        ('{"a": 1 "b"}', "one object a line, in row {}: Missing a comma or '}}' after an object member."),
        ('{"a": "x"}', 'column "a" of {path} holds text in row {} on, and numbers before'),
        ("[1]", "one object a line, in row {}: Column() changed from object to array."),
    ],
)
def test_a_line_that_is_not_json_has_one_number(tmp_path, before, line, words):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n\n' * before + line + "\n" + '{"a": 1}\n')
    said = refusal(path)
    assert f" row {before + 1}" in said and said.count(" row ") == 1
    if "holds text" not in words:
        assert words.format(before + 1, path=path) in said


@pytest.mark.parametrize("last", ['{"a": 1.5}', '{"a": 1, "b": 2}', '{"a": "x"}'])
def test_json_lines_that_are_read_once_name_the_row_of_another_type(fed, last):
    rows = 240_000  # more than the first lines, which say the types
    fed(('{"a": 1}\n' * rows + last + "\n").encode())
    said = refusal("-", once=True)
    assert f"in row {rows + 1}" in said and said.count(" row ") == 1


def test_a_format_that_was_said_is_not_that_of_the_name(tmp_path, fed):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    said = refusal(path, format="parquet")
    assert "t.csv is damaged, or is not a Parquet file although --format" in said and "name" not in said
    path.rename(tmp_path / "t.parquet")
    assert "is not a Parquet file although its name says so" in refusal(tmp_path / "t.parquet")
    fed(b"PAR1 and no more")
    assert "although --format (format= in Python) or its beginning says so" in refusal("-")


@pytest.mark.parametrize("separator", [5, ";;", "", b";"])
def test_a_separator_is_one_character(tmp_path, separator):
    assert "the separator of columns is one character" in refusal(tmp_path / "t.csv", separator=separator)


@pytest.fixture(params=["sqlite", "duckdb"])
def database(request, tmp_path):
    path = tmp_path / f"t.{request.param}"
    statements = ["create table t (a integer, b text)", "insert into t values (1, ';'), (2, 'x')"]
    if request.param == "sqlite":
        pytest.importorskip("adbc_driver_sqlite", reason="pip install 'pushforward[sql]'")
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
    else:
        duckdb = pytest.importorskip("duckdb", reason="pip install 'pushforward[sql]'")
        with duckdb.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
    return path


def test_a_query_is_one_statement_that_selects(database):
    for query in ("", " \n", 5):
        assert "a query is text, such as" in refusal(database, query=query)
    for query in ("-- nothing", ";", "/* select 1; */"):
        assert "the query selects nothing" in refusal(database, query=query)
    assert "a query is one statement, and not 2" in refusal(database, query="select 1; select 2")
    assert "a query is one statement, and not 2" in refusal(database, query="select ';' -- a;\n; select b from t;")
    for query in ("select a from t where b = ';';", "-- all; of it\nselect a from t where b = ';' /* ; */ ; -- end;"):
        with open_table(database, query=query) as table:
            assert read_columns(table).to_pydict() == {"a": [1]}


def test_a_query_needs_a_database_in_a_file(tmp_path, fed):
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert "t.csv is not a database of DuckDB or SQLite" in refusal(tmp_path / "t.csv", query="select 1")
    fed(b"SQLite format 3\0")
    assert "not for the standard input" in refusal("-", query="select 1")
    assert "databases are files of this machine" in refusal("s3://bucket/t.duckdb", query="select 1")


def test_results_and_models_are_files_of_this_machine(tmp_path):
    schema = pa.schema([("a", pa.float64())])
    for name in ("s3://bucket/o.parquet", "gs://bucket/o.csv"):
        with pytest.raises(pf.InputError, match=f"{name} is an address: results are files of this machine"):
            TableWriter(name, schema)
        with pytest.raises(pf.InputError, match="results are files"), atomic_path(name):
            pass
    for call in (pf.load, pf.describe, lambda path: pf.save(pf.maf(2), path)):
        with pytest.raises(
            pf.InputError, match=r"s3://b/m.safetensors is an address: models are files of this machine"
        ):
            call("s3://b/m.safetensors")


def test_an_empty_name_is_called_so(tmp_path):
    assert refusal("") == refusal(["a.csv", ""]) == "The name of a file is empty; give a name."
    for call in (pf.load, lambda path: TableWriter(path, pa.schema([("a", pa.float64())]))):
        with pytest.raises(pf.InputError, match="The name of a file is empty"):
            call("")


def test_json_is_still_read(tmp_path):
    rows = [{"a": 1}, {"a": 2.5, "b": "x"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_columns(tmp_path / "t.jsonl").to_pydict() == {"a": [1, 2.5], "b": [None, "x"]}
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "t.bin")
    assert read_columns(open_table(tmp_path / "t.bin", format="parquet")).to_pydict() == {"a": [1.0]}


def test_the_command_line_names_the_empty_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a\n1\n")
    for arguments in (
        ["fit", "t.csv", "-o", ""],
        ["fit", "", "-o", "m.safetensors"],
        ["score", "", "t.csv", "-o", "o.csv"],
    ):
        found = CliRunner().invoke(app, arguments)
        assert found.exit_code == 2 and found.stderr == "Error: The name of a file is empty; give a name.\n"
    found = CliRunner().invoke(app, ["fit", "t.csv", "-o", "s3://b/m.safetensors"])
    assert "s3://b/m.safetensors is an address: results are files of this machine" in found.stderr
