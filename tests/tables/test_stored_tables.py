"""Tables outside memory: every kind of file, folder, pattern and list gives the same rows in the same order."""

import bz2
import gzip
import io
import json
import os
import sqlite3
import sys

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import pushforward as pf
from pushforward.errors import InputError
from pushforward.tables import TableReader, TableWriter, numeric_matrix, open_table, read_columns, to_table
from pushforward.tables.files import text
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.files.stored_file import StoredFile

ROWS = 3000
NAMES = ["row", "a"]


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESS = {".gz": gzip.compress, ".zst": zstd, ".bz2": bz2.compress}


@pytest.fixture(scope="module")
def truth():
    # The number of the row shows the order.
    return np.column_stack([np.arange(ROWS), np.random.default_rng(0).normal(size=ROWS)])


def lines(matrix, separator=","):
    rows = (separator.join([str(int(row)), repr(float(a))]) for row, a in matrix)
    return "\n".join([separator.join(NAMES), *rows, ""]).encode()


def as_bytes(ending, matrix):
    """A table as the bytes of a file."""
    if ending in (".parquet", ".feather"):
        table = to_table(matrix, NAMES)
        sink = pa.BufferOutputStream()
        if ending == ".parquet":
            pq.write_table(table, sink, row_group_size=700)
        else:
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=700)
        return sink.getvalue().to_pybytes()
    if ending == ".jsonl":
        return "".join(json.dumps({"row": int(row), "a": float(a)}) + "\n" for row, a in matrix).encode()
    return lines(matrix, {".tsv": "\t", ".txt": "|"}.get(ending, ","))


def write(path, matrix):
    """Write a table in the format that the name of a file says."""
    endings = path.suffixes
    data = as_bytes(endings[0], matrix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(COMPRESS[endings[1]](data) if len(endings) > 1 else data)
    return path


def parts(folder, matrix, ending, count=3):
    """Write the rows of a table one after the other to several files, some of them in folders of the folder."""
    for number, rows in enumerate(np.array_split(matrix, count)):
        write(folder / f"part{number}" / f"t{ending}" if number % 2 else folder / f"part{number}{ending}", rows)
    return folder


def rows_of(table, **options):
    return numeric_matrix(read_columns(open_table(table, **options)), NAMES, source="t")


ENDINGS = [".csv", ".tsv", ".jsonl", ".parquet", ".feather"]
FILES = [*ENDINGS, *(one + two for one in (".csv", ".tsv", ".jsonl") for two in COMPRESS)]


@pytest.mark.parametrize("ending", FILES)
def test_a_file_a_folder_a_pattern_and_a_list_have_the_same_rows(tmp_path, monkeypatch, truth, ending):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / f"t{ending}", truth)
    parts(tmp_path / "lake", truth, ending)
    names = ["lake/part0" + ending, "lake/part1/t" + ending, "lake/part2" + ending]
    for data in (file, "lake", "lake/", f"lake/**/*{ending}", "lake/part[012]*", names):
        expected = truth if data != "lake/part[012]*" else None
        if expected is None:
            expected = np.concatenate([part for number, part in enumerate(np.array_split(truth, 3)) if number != 1])
        np.testing.assert_array_equal(rows_of(data), expected)
    np.testing.assert_array_equal(rows_of(names[::-1]), np.concatenate(np.array_split(truth, 3)[::-1]))


@pytest.mark.parametrize("ending", ENDINGS)
def test_row_groups_come_in_any_order_with_their_numbers(tmp_path, truth, ending):
    groups = RowGroups(parts(tmp_path / "lake", truth, ending), NAMES)
    assert len(groups) == {".parquet": 6, ".feather": 6}.get(ending, 3)
    for group in [*reversed(range(len(groups))), 0]:
        seen = [(first, numeric_matrix(batch, NAMES, source="t")) for first, batch in groups.read(group, 64)]
        for first, matrix in seen:
            np.testing.assert_array_equal(matrix, truth[first : first + len(matrix)])
    assert groups.rows == ROWS and groups.progress <= 1
    assert sum(len(matrix) for group in range(len(groups)) for matrix in [_whole(groups, group)]) == ROWS


def _whole(groups, group):
    return np.concatenate([numeric_matrix(batch, NAMES, source="t") for _, batch in groups.read(group, 500)])


def test_text_with_a_separator(tmp_path, truth):
    path = write(tmp_path / "t.txt", truth)
    with pytest.raises(InputError, match="say it with --separator"):
        open_table(path)
    np.testing.assert_array_equal(rows_of(path, separator="|"), truth)
    (tmp_path / "t.csv").write_bytes(lines(truth, "|"))
    with pytest.raises(InputError, match=r'say so with --separator "\|"'):
        open_table(tmp_path / "t.csv")
    np.testing.assert_array_equal(rows_of(tmp_path / "t.csv", separator="|"), truth)
    # Tabs in a file of any name, in both spellings.
    (tmp_path / "t").write_bytes(lines(truth, "\t"))
    for separator in ("tab", "\\t", "\t", None):
        np.testing.assert_array_equal(rows_of(tmp_path / "t", format="csv", separator=separator), truth)
    for separator in ("", "ab", '"', "é", "\n"):
        with pytest.raises(InputError, match="is one character"):
            open_table(tmp_path / "t.csv", separator=separator)
    with pytest.raises(InputError, match="leave --separator out"):
        open_table(write(tmp_path / "t.parquet", truth), separator=";")


def test_format_says_what_a_name_does_not(tmp_path, truth):
    for ending in ENDINGS:
        path = tmp_path / f"table-{ending[1:]}"
        path.write_bytes(as_bytes(ending, truth))
        with pytest.raises(InputError, match="not named as a table"):
            open_table(path)
        np.testing.assert_array_equal(rows_of(path, format=ending[1:]), truth)
    with pytest.raises(InputError, match=r"did you mean .parquet"):
        open_table(path, format="parket")


def test_folders_are_columns_and_hidden_files_are_left_out(tmp_path):
    lake = tmp_path / "lake"
    values = [("2020", "a b", 1.0), ("2020", "c%2Fd", 2.0), ("2021", "__HIVE_DEFAULT_PARTITION__", 3.0)]
    for year, site, x in values:
        folder = lake / f"year={year}" / f"site={site.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [x]}), folder / "part.parquet")
        (folder / ".part.parquet.crc").write_text("x")
    for name in ("_SUCCESS", ".hidden.parquet", "_metadata"):
        (lake / name).write_text("x")
    (lake / "_temporary").mkdir()
    (lake / "_temporary" / "x.parquet").write_text("unfinished")
    (lake / "README.md").write_text("about")
    table = open_table(lake)
    expected = [
        {"x": 1.0, "year": 2020, "site": "a b"},
        {"x": 2.0, "year": 2020, "site": "c/d"},
        {"x": 3.0, "year": 2021, "site": None},
    ]
    assert read_columns(table).to_pylist() == expected
    assert table.schema.field("year").type == pa.int64()
    assert table.notes == (f"{lake} has files that are not named as tables, which are left out: README.md",)
    # Folders' columns alone, and in another order.
    assert read_columns(table, ["site", "year"]).to_pylist()[0] == {"site": "a b", "year": 2020}
    # A pattern, and a list such as a shell makes of it, have the same columns.
    pattern = str(lake / "year=2020" / "*" / "part.parquet")
    assert read_columns(open_table(pattern)).to_pylist() == expected[:2]
    listed = sorted(str(path) for path in lake.glob("year=2020/*/part.parquet"))
    assert read_columns(open_table(listed)).to_pylist() == expected[:2]
    # A single file has none.
    assert open_table(listed[0]).schema.names == ["x"]


def test_folders_of_csv_are_text(tmp_path):
    for zipcode in ("02139", "10001"):
        (tmp_path / f"zip={zipcode}").mkdir()
        (tmp_path / f"zip={zipcode}" / "t.csv").write_text("x\n1\n2\n")
    assert read_columns(open_table(tmp_path)).to_pydict() == {"x": ["1", "2"] * 2, "zip": ["02139"] * 2 + ["10001"] * 2}


DIFFERENT = {
    "a column less": ({"x": [1.0], "y": [1.0]}, {"x": [1.0]}, 'b.parquet has no column "y", which .*a.parquet has'),
    "a column more": ({"x": [1.0]}, {"x": [1.0], "y": [1.0]}, 'b.parquet has a column "y", which .*a.parquet lacks'),
    "another type": ({"x": [1.0]}, {"x": ["a"]}, 'column "x" of .*b.parquet is of type string, and double in .*a.par'),
    "too large a number": ({"x": [1.0]}, {"x": [2**53 + 1]}, 'column "x" of .*b.parquet is of type int64, and has'),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_files_that_differ_are_named(tmp_path, name):
    *tables, sentence = DIFFERENT[name]
    for letter, table in zip("ab", tables, strict=True):
        pq.write_table(pa.table(table), tmp_path / f"{letter}.parquet")
    with pytest.raises(InputError, match=sentence):
        read_columns(open_table(tmp_path))


def test_files_of_other_formats_and_folders_are_named(tmp_path):
    write(tmp_path / "a.csv", np.ones((2, 2)))
    write(tmp_path / "b.parquet", np.ones((2, 2)))
    with pytest.raises(InputError, match="different formats"):
        open_table(tmp_path)
    for path in ("k=1/a.csv", "b.csv"):
        write(tmp_path / "keys" / path, np.ones((2, 2)))
    with pytest.raises(InputError, match=r'lies in a folder "k=", and .*b.csv does not'):
        open_table(tmp_path / "keys")
    write(tmp_path / "delta" / "_delta_log" / "0.jsonl", np.ones((2, 2)))
    write(tmp_path / "delta" / "a.parquet", np.ones((2, 2)))
    with pytest.raises(InputError, match="a table of Delta Lake"):
        open_table(tmp_path / "delta")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a folder without files of tables"):
        open_table(tmp_path / "empty")
    with pytest.raises(InputError, match="is the name of no file"):
        open_table(tmp_path / "*.feather")
    with pytest.raises(InputError, match="addresses begin with s3://"):
        open_table("https://example.org/t.csv")
    with pytest.raises(InputError, match="give it alone"):
        open_table(["-", "t.csv"])


def test_numbers_of_several_widths_and_gaps(tmp_path):
    columns = [{"x": pa.array([1, 2], pa.int32())}, {"x": pa.array([0.5], pa.float64())}, {"x": pa.nulls(1)}]
    for number, column in enumerate(columns):
        pq.write_table(pa.table(column), tmp_path / f"{number}.parquet")
    assert read_columns(open_table(tmp_path)).to_pydict() == {"x": [1.0, 2.0, 0.5, None]}


def test_a_file_without_rows_among_others(tmp_path):
    for name, content in (("a.csv", "x\n"), ("b.csv", "x\n1\n"), ("c.csv", "")):
        (tmp_path / name).write_text(content)
    table = open_table(tmp_path)
    assert read_columns(table).to_pydict() == {"x": ["1"]}
    assert table.notes == (f"{tmp_path / 'c.csv'} is empty and is left out",)
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(InputError, match="has no rows"):
        TableReader(tmp_path)


def test_a_bad_row_is_found_in_its_file(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.csv").write_text("x\n3\ninf\n4\n")
    with (
        pytest.raises(InputError, match=rf"in row 4; .*\(row 2 of {tmp_path}/b.csv\)\.$"),
        TableReader(tmp_path, ["x"]) as table,
    ):
        numeric_matrix(pa.Table.from_batches(table.batches(10)), ["x"], source=table.path)
    (tmp_path / "b.csv").write_text("x\n3\nword\n4\n")
    with (
        pytest.raises(InputError, match=rf"\"word\" in row 4, .*\(row 2 of {tmp_path}/b.csv\)\.$"),
        TableReader(tmp_path, ["x"]) as table,
    ):
        list(table.batches(10))
    # What is wrong with the file itself is said of the file.
    (tmp_path / "b.csv").write_text("x\n3\n4,5\n")
    with pytest.raises(InputError, match=rf"row 2 of {tmp_path}/b.csv has 2 fields"), TableReader(tmp_path) as table:
        list(table.batches(10))


@pytest.mark.parametrize("ending", [*ENDINGS, ".csv.gz", ".jsonl.zst"])
@pytest.mark.parametrize("change", ["truncated", "gone", "another"])
def test_a_file_that_changes_on_the_way_is_an_error(tmp_path, truth, ending, change):
    path = write(tmp_path / f"t{ending}", truth)
    table = open_table(path)
    stream = table.batches(NAMES, 100)
    next(stream)
    if change == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "gone":
        path.unlink()
    else:
        write(tmp_path / f"other{ending}", truth[::-1]).replace(path)
    sentence = "has disappeared" if change == "gone" else "has changed"
    with pytest.raises(InputError, match=f"t{ending} {sentence} while it was read"):
        list(stream)
    with pytest.raises(InputError, match=sentence):
        list(table.batches(NAMES, 100))


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst", ".csv.bz2", ".jsonl.gz"])
def test_compressed_text_that_was_cut_short(tmp_path, truth, ending):
    path = write(tmp_path / f"t{ending}", truth)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=f"t{ending} is damaged"):
        read_columns(open_table(path))
    path.write_bytes(b"no compressed text")
    with pytest.raises(InputError, match="is damaged"):
        open_table(path).schema  # noqa: B018


def test_members_of_gzip_follow_each_other(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x\n1\n") + gzip.compress(b"2\n"))
    assert read_columns(open_table(tmp_path / "t.csv.gz")).to_pydict() == {"x": ["1", "2"]}


class Input(io.TextIOWrapper):
    """A standard input."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("ending", [*ENDINGS, ".csv.gz", ".jsonl.zst"])
def test_standard_input_is_recognized(tmp_path, monkeypatch, truth, ending, once):
    # Several blocks of text, and some more after what is looked at.
    for name, size in (("BLOCK", 2**13), ("HEAD", 2**14)):
        monkeypatch.setattr(text, name, size)
    data = write(tmp_path / f"t{ending}", truth).read_bytes()
    monkeypatch.setattr(sys, "stdin", Input(data))
    np.testing.assert_array_equal(rows_of("-", once=once, format="tsv" if ending == ".tsv" else None), truth)


def test_standard_input_is_kept_only_where_it_is_read_again(monkeypatch, truth):
    monkeypatch.setattr(sys, "stdin", Input(lines(truth)))
    table = open_table("-", once=True)
    assert table.temporary is None
    list(table.batches(NAMES, 10))
    with pytest.raises(InputError, match="the standard input can be read only once"):
        list(table.batches(NAMES, 10))
    monkeypatch.setattr(sys, "stdin", Input(lines(truth)))
    with open_table("-") as table:
        path = table.temporary.name
        assert os.path.exists(path)
        assert [len(list(table.batches(NAMES, 10))) for _ in range(2)] == [1, 1]
    assert not os.path.exists(path)
    monkeypatch.setattr(sys, "stdin", Input(b""))
    with pytest.raises(InputError, match="the standard input is empty"):
        open_table("-")


def test_standard_input_is_refused_by_one_of_several_processes(monkeypatch, truth):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name, value in zip(names, "1212", strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", Input(lines(truth)))
    with pytest.raises(InputError, match="the processes of a fit cannot share the standard input"):
        open_table("-")
    assert sys.stdin.buffer.tell() == 0


def test_json_lines_have_the_types_that_all_lines_agree_on(tmp_path):
    some = [
        {"n": 1, "x": 1, "t": "2020-01-01", "b": True, "only": None},
        {"n": 2, "x": 2.5, "t": "b", "b": False, "late": 3},
    ]
    path = tmp_path / "t.jsonl"
    # More than a block, so that the types of the first ones are not the last word.
    path.write_text("".join(json.dumps(some[0]) + "\n" for _ in range(80_000)) + "\n" + json.dumps(some[1]))
    table = open_table(path)
    types = {
        "n": pa.int64(),
        "x": pa.float64(),
        "t": pa.string(),
        "b": pa.bool_(),
        "only": pa.null(),
        "late": pa.int64(),
    }
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == types and table.rows == 80_001
    last = read_columns(table).slice(80_000).to_pylist()
    assert last == [{"n": 2, "x": 2.5, "t": "b", "b": False, "only": None, "late": 3}]


BAD_JSON = {
    "text among numbers": ('{"x": 1}\n{"x": "a"}\n', 'column "x" of .* holds text in row 2, and numbers before'),
    "no object": ('{"x": 1}\n[1]\n', "is not JSON, one object a line, .*row 2"),
    "cut short": ('{"x": 1}\n{"x": ', "is not JSON, one object a line, in row 2"),
    "long digits": ('{"x": 12345678901234567890}\n', "float64 cannot hold exactly"),
    "long digits beside fractions": ('{"x": 9007199254740993}\n{"x": 1.5}\n', "float64 cannot hold exactly"),
    "nothing": ("\n\n", "has no rows"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_json_lines_that_are_refused(tmp_path, name):
    content, sentence = BAD_JSON[name]
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(InputError, match=sentence):
        open_table(tmp_path / "t.jsonl")


def test_the_head_of_a_file_is_read_once_by_a_fit(tmp_path, monkeypatch, truth):
    opened = []
    known = StoredFile.open
    monkeypatch.setattr(StoredFile, "open", lambda self: opened.append(self.path) or known(self))
    path = write(tmp_path / "t.csv", truth[:200])
    pf.fit_table(path, columns=["a"], max_steps=1, progress=False)
    assert len(opened) == 2  # its head, and its rows


@pytest.fixture(params=["s3://", "gs://", "hdfs://"])
def protocol(request):
    """What the addresses of other machines begin with."""
    return request.param


@pytest.fixture
def bucket(tmp_path, monkeypatch, protocol):
    """A file system behind addresses of a protocol."""
    (tmp_path / "bucket").mkdir()
    local = pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem())

    class Addresses:
        @staticmethod
        def from_uri(uri):
            return local, uri.removeprefix(protocol).partition("?")[0].rstrip("/")

    monkeypatch.setattr(pa.fs, "FileSystem", Addresses)
    return tmp_path / "bucket"


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".jsonl", ".parquet", ".feather"])
def test_addresses(bucket, protocol, truth, ending):
    parts(bucket / "lake", truth, ending)
    (bucket / "lake" / "_SUCCESS").write_text("")
    write(bucket / f"t{ending}", truth)
    for address in (f"t{ending}", f"t{ending}?region=x", "lake", "lake/", f"lake/**/*{ending}", f"lake/**{ending}"):
        np.testing.assert_array_equal(rows_of(f"{protocol}bucket/{address}"), truth)
    halves = np.array_split(truth, 3)
    outer = np.concatenate([halves[0], halves[2]])
    np.testing.assert_array_equal(rows_of(f"{protocol}bucket/lake/part*{ending}"), outer)
    np.testing.assert_array_equal(rows_of(f"{protocol}bucket/lake/part?/t{ending}"), halves[1])
    table = open_table(f"{protocol}bucket/t{ending}?region=x")
    assert table.name == f"{protocol}bucket/t{ending}"
    (bucket / f"t{ending}").unlink()
    with pytest.raises(InputError, match=f"{protocol}bucket/t{ending} has disappeared while it was read"):
        list(table.batches(NAMES, 10))
    with pytest.raises(InputError, match=f"{protocol}bucket/none.csv does not exist"):
        open_table(f"{protocol}bucket/none.csv")


def test_a_database_of_sqlite(tmp_path):
    pytest.importorskip("adbc_driver_sqlite", reason="pip install 'pushforward[sql]'")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("create table stars (name text, mass real)")
        connection.executemany("insert into stars values (?, ?)", [("a", 1.5), ("b", None), ("c", 2.0)])
    with open_table(tmp_path / "t.db", query="select mass, name from stars where name > 'a'") as table:
        assert read_columns(table).to_pydict() == {"mass": [None, 2.0], "name": ["b", "c"]}
    with pytest.raises(InputError, match=r"t.db cannot be queried: .*no such table"):
        open_table(tmp_path / "t.db", query="select * from planets")


def test_a_database_of_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="pip install 'pushforward[sql]'")
    with duckdb.connect(tmp_path / "t.duckdb") as connection:
        connection.execute("create table t as select range as row, range / 2 as a from range(300000)")
    with open_table(tmp_path / "t.duckdb", query="select * from t") as table:
        path = table.temporary.name
        np.testing.assert_array_equal(rows_of(table)[:, 0], np.arange(300000))
    assert not os.path.exists(path)
    with pytest.raises(InputError, match=r"t.duckdb cannot be queried: .*planets"):
        open_table(tmp_path / "t.duckdb", query="select * from planets")


def test_a_database_needs_a_query(tmp_path):
    (tmp_path / "t.duckdb").write_text("x")
    with pytest.raises(InputError, match="say what to select with --query"):
        open_table(tmp_path / "t.duckdb")
    with pytest.raises(InputError, match="one file of a database"):
        open_table(["a.db", "b.db"], query="select 1")


def test_a_table_is_written_again_from_a_folder(tmp_path, truth):
    lake = parts(tmp_path / "lake", truth, ".parquet")
    with TableReader(lake) as reader, TableWriter(tmp_path / "o.parquet", reader.schema) as writer:
        for batch in reader.batches(100):
            writer.write(batch)
    np.testing.assert_array_equal(rows_of(tmp_path / "o.parquet"), truth)
