"""Reading: streams in order and in constant memory, and one sentence for every file that can't be read."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest

from pushforward.errors import InputError
from pushforward.tables import TableReader, numeric_matrix, read_columns
from pushforward.tables.files import columnar, reading
from pushforward.tables.missing import WRITTEN


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read_matrix(path: Path, columns: list[str] | None = None) -> tuple[np.ndarray, list[str]]:
    table = read_columns(path, columns)
    return numeric_matrix(table, table.column_names, source=str(path), marks=WRITTEN), table.column_names


def refusal(path: Path, columns: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_matrix(path, columns)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    assert path.name in message
    return message


# --- files that are not tables ------------------------------------------------------------------------------------


def test_ending_is_refused_with_those_accepted(tmp_path):
    message = refusal(csv(tmp_path, "x\n1\n", "t.dat"))
    assert all(ending in message for ending in (".csv", ".parquet", ".feather", ".arrow"))


def test_missing_file(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.csv")


def test_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    path = csv(tmp_path, "x\n1\n")
    path.chmod(0)
    assert "cannot be read: Permission denied" in refusal(path)


def test_unreadable_file_whoever_runs_this(tmp_path, monkeypatch):
    path = csv(tmp_path, "x\n1\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match=r"t\.csv cannot be read: Permission denied\.$"):
        read_matrix(path)


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "arrow"])
def test_empty_file(tmp_path, ending):
    assert "is empty" in refusal(csv(tmp_path, "", f"t.{ending}"))


@pytest.mark.parametrize("text", ["x,y\n", "x,y", "\n\n\n", "x,y\n\n\n"])
def test_csv_without_rows(tmp_path, text):
    assert "no rows" in refusal(csv(tmp_path, text))


def test_columnar_files_without_rows(tmp_path):
    table = pa.table({"x": pa.array([], pa.float64())})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    pa.feather.write_feather(table, str(tmp_path / "t.feather"))
    assert "no rows" in refusal(tmp_path / "t.parquet")
    assert "no rows" in refusal(tmp_path / "t.feather")


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
def test_foreign_and_truncated_bytes(tmp_path, ending):
    assert "damaged" in refusal(csv(tmp_path, b"hello, this is no table at all" * 50, f"foreign.{ending}"))
    table = pa.table({"x": np.arange(5000.0)})
    whole = tmp_path / f"whole.{ending}"
    if ending == "parquet":
        pa.parquet.write_table(table, whole)
    else:
        pa.feather.write_feather(table, str(whole))
    assert "damaged" in refusal(csv(tmp_path, whole.read_bytes()[:-100], f"cut.{ending}"))


def test_damage_inside_a_parquet_file(tmp_path):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"x": np.random.default_rng(0).normal(size=5000)}), path)
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(content)
    assert "is damaged: it cannot be read after row 0" in refusal(path)


OTHERS = {
    b"PK\x03\x04\0\0": "a spreadsheet or a zip archive",
    b"\xd0\xcf\x11\xe0\xa1": "an old spreadsheet",
    b"%PDF-1.7": "a PDF",
    b"\x1f\x8b\x08": "compressed by gzip",
    b"\n<!DOCTYPE html>": "a page of HTML",
    b'<?xml version="1.0"?>': "XML",
    b'[\n  {"a": 1}\n]': "JSON",
    b'{\n  "a": [1]\n}': "JSON",
}


def test_other_things_under_the_ending_csv(tmp_path):
    assert "UTF-16" in refusal(csv(tmp_path, "x,y\n1,2\n".encode("utf-16")))
    for start, called in OTHERS.items():
        message = refusal(csv(tmp_path, start + b"\na,b\n1,2\n"))
        assert f"t.csv is {called}, although it should be CSV; save the table as CSV in UTF-8." in message
    assert "is not text" in refusal(csv(tmp_path, b"\x7fELF\0\0\0\0"))
    for separator, called in {"|": "vertical bars", ":": "colons", " ": "spaces", "\x1f": "unit separators"}.items():
        text = "x,y\n1,2.5\n".replace(",", separator)
        assert f"separates its columns by {called}; save it with commas" in refusal(csv(tmp_path, text))

    assert "values where its header should be (0.5,1)" in refusal(csv(tmp_path, "0.5,1\n1.5,2\n"))
    assert "its header cannot be decode" in refusal(csv(tmp_path, b"\xe9t\xe9,y\n1,2\n"))


def test_one_column_of_text_may_have_spaces_and_bars(tmp_path):
    for text in ("full name\nAda Lovelace\n", "a|b\nleft|right\n", "share of a\n0.5\n"):
        assert TableReader(csv(tmp_path, text)).names == [text.split("\n")[0]]


# --- columns -----------------------------------------------------------------------------------------------------


def test_duplicate_names(tmp_path):
    assert '2 columns named "x"' in refusal(csv(tmp_path, "x,y,x\n1,2,3\n"))


def test_missing_column_is_named_with_the_closest_and_those_there_are(tmp_path):
    message = refusal(csv(tmp_path, "mass,radius,Age\n1,2,3\n"), ["masss"])
    assert 'no column "masss"; did you mean "mass"? There are mass, radius, Age.' in message
    assert 'did you mean "Age"' in refusal(tmp_path / "t.csv", ["age"])
    assert "there are mass, radius, Age." in refusal(tmp_path / "t.csv", ["zzzz"])


@pytest.mark.slow
def test_list_of_many_columns_is_shortened(tmp_path):
    path = csv(tmp_path, ",".join(f"c{i}" for i in range(500)) + "\n" + ",".join("1" * 500) + "\n")
    message = refusal(path, ["other"])
    assert "and 488 more" in message and len(message) < 400


def test_column_asked_for_twice(tmp_path):
    assert 'column "x" of' in (message := refusal(csv(tmp_path, "x,y\n1,2\n"), ["x", "y", "x"]))
    assert "2 times" in message


def test_a_column_without_a_name_can_be_read_beside_others(tmp_path):
    path = csv(tmp_path, ",x\n0,1.5\n1,2.5\n")
    assert read_matrix(path, ["x"])[0].tolist() == [[1.5], [2.5]]


# --- values in a CSV ---------------------------------------------------------------------------------------------


def long_csv(folder: Path, cell: str | bytes, row: int = 700_000) -> Path:
    """A file of several blocks, with one bad cell far inside."""
    good, cell = b"1.5,2\n", cell.encode() if isinstance(cell, str) else cell
    return csv(folder, b"x,y\n" + good * (row - 1) + b"1," + cell + b"\n" + good * 5)


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "nan", "null", "N/A", "none", " ", '""'])
def test_missing_values(tmp_path, cell):
    message = refusal(csv(tmp_path, f"x,y\n1,2\n\n3,{cell}\n5,6\n"))
    assert 'column "y" of' in message and "no value in row 2;" in message and "remove or fill" in message


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e400"])
def test_infinite_values(tmp_path, cell):
    message = refusal(csv(tmp_path, f"x,y\n1,2\n3,{cell}\n"))
    assert 'column "y" of' in message and "infinite in row 2;" in message


@pytest.mark.parametrize("cell", ["abc", "1.2.3", "true", "2024-01-01", "12kg", "1 000"])
def test_text_in_a_numeric_column(tmp_path, cell):
    message = refusal(csv(tmp_path, f"x,y\n1,2\n3,4\n5,{cell}\n7,{cell}\n"))
    assert 'column "y" of' in message and f'the text "{cell}" in row 3' in message and "--columns" in message


def test_decimal_comma(tmp_path):
    message = refusal(csv(tmp_path, 'x,y\n1,2\n3,"1,5"\n'))
    assert 'the text "1,5" in row 2' in message and "with a point" in message


def test_long_text_is_shortened(tmp_path):
    assert len(refusal(csv(tmp_path, "x\n" + "a" * 10_000 + "\n"))) < 500


@pytest.mark.parametrize(
    ("cell", "said"),
    [("abc", 'the text "abc"'), ("", "no value"), ("inf", "infinite"), (b"\xe9", "not text in UTF-8"), ("\0", "zero")],
)
def test_the_row_is_counted_over_the_whole_file(tmp_path, cell, said):
    message = refusal(long_csv(tmp_path, cell))
    assert said in message and 'column "y"' in message and "row 700000" in message


@pytest.mark.parametrize(("line", "fields"), [("1", "1 field,"), ("1,2,3", "3 fields,")])
@pytest.mark.parametrize("row", [2, 700_000])
def test_wrong_number_of_fields(tmp_path, line, fields, row):
    message = refusal(csv(tmp_path, "x,y\n" + "1.5,2\n" * (row - 1) + f"{line}\n1,2\n"))
    assert message.startswith(f"row {row} of") and f"has {fields} and the header has 2" in message


@pytest.mark.parametrize("rows", [1, 2_000_000])
def test_quotation_mark_that_is_never_closed(tmp_path, rows):
    path = csv(tmp_path, 'x,y\n1,2\n1,"2\n' + "1,2\n" * rows)
    assert "never closed" in refusal(path)
    assert "never closed" in refusal(path, ["x"])  # which must not lose the rows below without a word
    message = refusal(csv(tmp_path, 'x,y\n1,2\n"1,2\n' + "1,2\n" * rows))
    assert "never closed" in message or "has 1 field," in message


def test_integers_that_float64_would_change(tmp_path):
    message = refusal(csv(tmp_path, "id\n9007199254740992\n9007199254740993\n"))
    assert 'column "id"' in message and "integer 9007199254740993 in row 2" in message
    exact = csv(tmp_path, "x\n9007199254740992\n1152921504606846976\n1152921504606847000\n1e22\n")
    assert read_matrix(exact)[0][:, 0].tolist() == [2.0**53, 2.0**60, 2.0**60, 1e22]


def test_spellings_of_numbers(tmp_path):
    path = csv(tmp_path, b'\xef\xbb\xbfx,y\r\n 1 ,"2"\r\n-.5,1E3\r\n5e-324,-0.0\r\n')
    matrix, names = read_matrix(path)
    assert names == ["x", "y"]
    assert matrix.tolist() == [[1.0, 2.0], [-0.5, 1000.0], [5e-324, 0.0]]
    assert np.signbit(matrix[2, 1])


# --- streaming ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """300,000 rows; the first column counts them, the second is whole numbers for long and then no longer."""
    generator = np.random.default_rng(1)
    count = np.arange(300_000.0)
    return np.stack([count, np.where(count < 290_000, count % 7, 1.5), generator.normal(size=len(count))], axis=1)


@pytest.fixture(scope="module")
def files(truth, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stream")
    rows = "".join(f"{int(a)},{b:g},{c!r},n{int(a)}\n" for a, b, c in truth.tolist())
    csv(folder, "count,step,noise,name\n" + rows)
    columns = dict(zip(["count", "step", "noise"], truth.T, strict=True))
    table = pa.table({**columns, "name": [f"n{i}" for i in range(len(truth))]})
    pa.parquet.write_table(table, folder / "t.parquet", row_group_size=70_000)
    with pa.ipc.new_file(str(folder / "t.feather"), table.schema) as file:
        file.write_table(table)
    pa.feather.write_feather(table, str(folder / "t.arrow"), compression="zstd", chunksize=1000)
    return {ending: folder / f"t.{ending}" for ending in ("csv", "parquet", "feather", "arrow")}


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "arrow"])
def test_stream_keeps_order_and_size_of_batches(files, truth, ending):
    with TableReader(files[ending], ["step", "count", "noise"]) as table:
        assert table.names == ["count", "step", "noise", "name"]
        assert table.rows == (None if ending == "csv" else len(truth))
        assert table.progress == 0
        sizes, parts, progress = [], [], []
        for batch in table.batches(10_007):
            assert batch.schema.equals(table.schema)
            matrix = numeric_matrix(batch, ["step", "count", "noise"], source="t")
            assert batch.column("name")[0].as_py() == f"n{int(matrix[0, 1])}"
            sizes.append(batch.num_rows)
            parts.append(matrix)
            progress.append(table.progress)
    assert set(sizes[:-1]) == {10_007} and sizes[-1] == len(truth) % 10_007
    np.testing.assert_array_equal(np.concatenate(parts), truth[:, [1, 0, 2]])
    assert progress == sorted(progress) and 0 < progress[0] < 0.5 and progress[-1] == 1


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_stream_can_start_again(files, ending):
    with TableReader(files[ending], ["count"], only_numeric=True) as table:
        for _ in range(2):
            batch = next(table.batches(5))
            assert batch.to_pydict() == {"count": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "arrow"])
def test_whole_table(files, truth, ending):
    matrix, names = read_matrix(files[ending], ["noise", "step"])
    assert names == ["noise", "step"] and matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, truth[:, [2, 1]])


WRITTEN_OUT = ["csv", "csv.gz", "jsonl"]
SECONDS = [pytest.param(ending, marks=pytest.mark.slow) for ending in (*WRITTEN_OUT, "folder")]


@pytest.mark.slow
@pytest.mark.parametrize("ending", [*SECONDS, "parquet", "feather", "arrow"])
def test_memory_does_not_grow_with_the_file(tmp_path, ending):
    path, rows = tmp_path / f"t.{ending}", 40
    block = pa.table({f"c{i}": np.random.default_rng(i).normal(size=50_000) for i in range(4)})  # 1.6 MB
    if ending in ("csv", "csv.gz"):
        line = "1.2345678901234567," * 3 + "1.2345678901234567\n"
        text = ("c0,c1,c2,c3\n" + line * 2_000_000).encode()  # 152 MB
        path.write_bytes(gzip.compress(text, 1) if ending == "csv.gz" else text)
    elif ending == "jsonl":
        line = json.dumps(dict.fromkeys(block.column_names, 1.2345678901234567)) + "\n"
        path.write_text(line * 1_500_000)  # 158 MB
    elif ending == "folder":
        path.mkdir()
        for place in range(rows):
            pa.parquet.write_table(block, path / f"{place}.parquet")
    elif ending == "parquet":
        with pa.parquet.ParquetWriter(path, block.schema) as writer:
            for _ in range(rows):
                writer.write_table(block)
    else:
        options = pa.ipc.IpcWriteOptions(compression="lz4" if ending == "arrow" else None)
        with pa.ipc.new_file(str(path), block.schema, options=options) as writer:
            for _ in range(rows):
                writer.write_table(block)
    before, most = pa.total_allocated_bytes(), 0
    with TableReader(path, ["c0", "c3"]) as table:
        for _ in table.batches(1000):
            most = max(most, pa.total_allocated_bytes() - before)
    # The text is more than 150 MB, the numbers of the others are 64 MB.
    assert 0 < most < (50e6 if ending in WRITTEN_OUT else 12e6)


# --- columns that are only passed through ------------------------------------------------------------------------


def test_other_columns_of_a_csv_are_text_to_the_last_row(tmp_path):
    path = csv(tmp_path, "x,id,note\n" + "1,007,\n" * 600_000 + '2.5,abc,"a ""b"", c\nd"\n')
    with TableReader(path, ["x"]) as table:
        assert table.schema == pa.schema([("x", pa.float64()), ("id", pa.string()), ("note", pa.string())])
        batches = list(table.batches(100_000))
    assert batches[0].slice(0, 1).to_pylist() == [{"x": 1.0, "id": "007", "note": ""}]
    assert batches[-1].to_pylist() == [{"x": 2.5, "id": "abc", "note": 'a "b", c\nd'}]


def test_text_of_numeric_columns_can_be_kept(tmp_path):
    path = csv(tmp_path, "x,y\n1.10,a\n 2,NA\n")
    with TableReader(path, ["x"], keep_text=True) as table:
        [batch] = list(table.batches(10))
    assert batch.to_pydict() == {"x": ["1.10", " 2"], "y": ["a", "NA"]}


def test_other_types_pass_through_untouched(tmp_path):
    table = pa.table({"x": [1.5, 2.5], "when": pa.array([0, 1], pa.timestamp("ms")), "kind": ["a", "b"], "n": [1, 2]})
    table = table.set_column(2, "kind", table["kind"].dictionary_encode())
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    with TableReader(tmp_path / "t.parquet", ["x"]) as reader:
        assert pa.Table.from_batches(reader.batches(10)).equals(table)


def test_names_with_dots_in_parquet(tmp_path):
    table = pa.table({"a": [1.0], "a.b": [2.0], "c": [{"d": 3.0}]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    assert read_matrix(tmp_path / "t.parquet", ["a"])[0].tolist() == [[1.0]]
    assert read_matrix(tmp_path / "t.parquet", ["a.b"])[0].tolist() == [[2.0]]
    with TableReader(tmp_path / "t.parquet", ["a.b"]) as reader:
        assert pa.Table.from_batches(reader.batches(10)).equals(table)


def test_blank_lines_are_skipped(tmp_path):
    assert read_matrix(csv(tmp_path, "x\n1\n\n2\n\n"))[0].tolist() == [[1.0], [2.0]]


def test_capital_endings(tmp_path):
    assert read_matrix(csv(tmp_path, "x\n1\n", "T.CSV"))[0].tolist() == [[1.0]]


def test_mistakes_of_the_programmer(tmp_path):
    with TableReader(csv(tmp_path, "x\n1\n")) as table, pytest.raises(ValueError, match="at least one row"):
        next(table.batches(0))


def parquet_with_text(path, texts, numbers, **options):
    pyarrow.parquet.write_table(pa.table({"x": numbers, "note": texts}), path, store_schema=False, **options)
    return path


def test_text_of_parquet_is_what_was_written(tmp_path):
    texts = ["a", None, "bc", "", "a"] * 300
    for kind in (pa.string(), pa.large_string(), pa.binary()):
        table = pa.table({"x": list(range(1500)), "note": pa.array(texts, pa.string()).cast(kind)})
        for options in ({}, {"use_dictionary": False}, {"row_group_size": 7}):
            pyarrow.parquet.write_table(table, tmp_path / "t.parquet", **options)
            with TableReader(tmp_path / "t.parquet", ["x"]) as reader:
                batches = list(reader.batches(64))
                assert [batch.num_rows for batch in batches[:-1]] == [64] * (len(batches) - 1)
                found = pa.Table.from_batches(batches, reader.schema)
            assert found.schema.equals(table.schema) and found.equals(table), (kind, options)


def test_batches_of_long_text_are_shorter_and_packed_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_BYTES", 10_000)
    path = parquet_with_text(tmp_path / "t.parquet", ["x" * 1000] * 100, list(range(100)), row_group_size=5)
    with TableReader(path, ["x"]) as reader:
        batches = list(reader.batches(64))
    assert max(batch.num_rows for batch in batches) <= 15
    assert [row for batch in batches for row in batch["x"].to_pylist()] == list(range(100))
    monkeypatch.setattr(columnar, "LARGEST_TEXT", 9_000)
    path = parquet_with_text(tmp_path / "u.parquet", ["x" * 1000] * 100, list(range(100)), row_group_size=50)
    with (
        TableReader(path, ["x"]) as reader,
        pytest.raises(InputError, match=r'column "note" of .*u\.parquet unpacks to 0 MB of text in 50 rows'),
    ):
        list(reader.batches(64))
    # What is not read does not matter.
    assert read_columns(path, ["x"])["x"].to_pylist() == list(range(100))
    monkeypatch.setattr(reading, "_LARGEST_TABLE", 700)
    with pytest.raises(InputError, match="MB in the columns that are read"):
        read_columns(path, ["x"])
