"""Writing: what is written reads back exactly, and nothing half-written ever stands under the final name."""

import csv
import resource
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pushforward.errors import InputError
from pushforward.support.atomic import atomic_path
from pushforward.tables import TableReader, TableWriter, matrix_from_frame, read_columns, to_table

ENDINGS = ["csv", "parquet", "feather", "arrow"]
SCHEMA = pa.schema([("x", pa.float64())])
ROW = pa.table({"x": [1.5]})


def write(path: Path, table: pa.Table) -> None:
    with TableWriter(path, table.schema) as writer:
        writer.write(table)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True),
    )
)
def test_every_float64_reads_back_exactly(tmp_path_factory, ending, matrix):
    path = tmp_path_factory.mktemp("t") / f"t.{ending}"
    names = [f"c{index}" for index in range(matrix.shape[1])]
    write(path, to_table(matrix, names))
    back, back_names = matrix_from_frame(read_columns(path))
    assert back_names == names
    assert back.tobytes() == np.ascontiguousarray(matrix).tobytes()  # to the bit, with the sign of zero


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1), st.booleans())
def test_csv_of_any_text_is_what_python_reads(tmp_path_factory, texts, alone):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    table = pa.table({'a, "name"': texts} if alone else {'a, "name"': texts, "n": range(len(texts))})
    write(path, table)
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == table.column_names
    assert [row[0] for row in rows] == texts


def test_csv_is_quoted_only_where_needed(tmp_path):
    table = pa.table(
        {
            "text": ["plain", "a,b", 'say "x"', "", None],
            "real": [0.1, 1e300, float("nan"), None, -0.0],
            "whole": [1, None, 2**60, 3, 4],
            "flag": [True, False, None, True, True],
            "when": pa.array([0, 1, 2, 3, None], pa.timestamp("s")),
            "kind": pa.array(["a", "b", "a", "b", "a"]).dictionary_encode(),
        }
    )
    write(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "text,real,whole,flag,when,kind",
        "plain,0.1,1,true,1970-01-01 00:00:00,a",
        '"a,b",1e+300,,false,1970-01-01 00:00:01,b',
        '"say ""x""",nan,1152921504606846976,,1970-01-01 00:00:02,a',
        ",,3,true,1970-01-01 00:00:03,b",
        ",-0,4,true,,a",
    ]


def test_text_of_a_csv_passes_through_unchanged(tmp_path):
    text = 'id,x,note\n007,1.10,"a,b"\n008, 2,\nNA,3e0,"say ""hello"""\n'
    (tmp_path / "in.csv").write_text(text)
    with TableReader(tmp_path / "in.csv", ["x"], keep_text=True) as reader:  # noqa: SIM117
        with TableWriter(tmp_path / "out.csv", reader.schema) as writer:
            for batch in reader.batches(2):
                writer.write(batch)
    assert (tmp_path / "out.csv").read_text() == text


@pytest.mark.parametrize("ending", ENDINGS)
def test_many_small_batches(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    matrix = np.random.default_rng(0).normal(size=(3000, 2))
    with TableWriter(path, to_table(matrix, ["x", "y"]).schema) as writer:
        for start in range(0, 3000, 7):
            writer.write(to_table(matrix[start : start + 7], ["x", "y"]).to_batches()[0])
    np.testing.assert_array_equal(matrix_from_frame(read_columns(path))[0], matrix)
    if ending == "parquet":
        metadata = pa.parquet.read_metadata(path)
        assert metadata.num_row_groups == 1
        assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("ending", ENDINGS)
def test_categories_may_change_between_batches(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    batches = [pa.table({"k": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["c", "a"])]
    with TableWriter(path, batches[0].schema) as writer:
        for batch in batches:
            writer._flush()
            writer.write(batch)
    with TableReader(path) as reader:
        assert [value for batch in reader.batches(9) for value in batch["k"].to_pylist()] == ["a", "b", "c", "a"]


def test_wide_rows_make_several_row_groups(tmp_path):
    block = pa.table({"t": ["x" * 1000] * 40_000})
    with TableWriter(tmp_path / "t.parquet", block.schema) as writer:
        for _ in range(4):
            writer.write(block)
    assert pa.parquet.read_metadata(tmp_path / "t.parquet").num_row_groups == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows_make_a_file_with_names(tmp_path, ending):
    with TableWriter(tmp_path / f"t.{ending}", SCHEMA):
        pass
    with pytest.raises(InputError, match="no rows"):
        TableReader(tmp_path / f"t.{ending}")


# --- nothing half-written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, OSError, SystemExit])
@pytest.mark.parametrize("older", [True, False])
def test_a_failure_leaves_everything_as_it_was(tmp_path, ending, failure, older):
    path = tmp_path / f"t.{ending}"
    if older:
        path.write_text("older")
    with pytest.raises(failure), TableWriter(path, SCHEMA) as writer:  # noqa: PT012
        writer.write(ROW)
        writer._flush()
        assert len(list(tmp_path.iterdir())) == 1 + older
        assert not path.exists() or path.read_text() == "older"
        raise failure
    assert [file.name for file in tmp_path.iterdir()] == ([path.name] if older else [])
    assert not older or path.read_text() == "older"


@pytest.mark.parametrize("ending", ENDINGS)
def test_success_replaces_the_older_file_and_keeps_its_permissions(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    path.write_text("older")
    path.chmod(0o640)
    write(path, ROW)
    assert matrix_from_frame(read_columns(path))[0].tolist() == [[1.5]]
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write(tmp_path / "link.csv", ROW)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "x\n1.5\n"


@pytest.fixture
def full_disk():
    """Refuse to let any file grow beyond 40 kB, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rows", [10_000, 300_000])
def test_full_disk(tmp_path, ending, rows, full_disk):
    path = tmp_path / f"t.{ending}"
    path.write_text("older")
    table = pa.table({"x": np.random.default_rng(0).normal(size=rows)})
    with pytest.raises(InputError, match=rf"^cannot write .*t\.{ending}: File too large\.$"):
        write(path, table)
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "older"


# --- names that can't be written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_missing_folder(tmp_path, ending):
    with pytest.raises(InputError, match=r"cannot write .*none/t.*: the folder .*none does not exist; create it"):
        write(tmp_path / "none" / f"t.{ending}", ROW)


def test_folder_device_ending_and_protected_file(tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write(tmp_path / "folder.csv", ROW)
    (tmp_path / "device.csv").symlink_to("/dev/null")
    with pytest.raises(InputError, match="not an ordinary file"):
        write(tmp_path / "device.csv", ROW)
    with pytest.raises(InputError, match=r"\.csv, \.parquet, \.feather or \.arrow"):
        write(tmp_path / "t.txt", ROW)
    (tmp_path / "old.csv").write_text("older")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everything
    with pytest.raises(InputError, match="write-protected"):
        write(tmp_path / "old.csv", ROW)


def test_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(InputError, match=r"cannot write .*t\.csv: Permission denied\.$"):
        write(tmp_path / "t.csv", ROW)


def test_columns_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match='2 columns named "x"'):
        TableWriter(tmp_path / "t.csv", pa.schema([("x", pa.int8()), ("x", pa.int8())]))
    with pytest.raises(InputError, match=r'column "x" is of type list.*which CSV cannot hold.*\.parquet'):
        TableWriter(tmp_path / "t.csv", pa.schema([("x", pa.list_(pa.int8()))]))
    with (
        pytest.raises(ValueError, match=r"the rows have columns \['y'\]"),
        TableWriter(tmp_path / "t.csv", SCHEMA) as table,
    ):
        table.write(pa.table({"y": [1.0]}))
    assert list(tmp_path.iterdir()) == []


# --- standard output ---------------------------------------------------------------------------------------------


def test_standard_output(capsysbinary):
    print("before")
    with TableWriter("-", pa.schema([("x", pa.float64()), ("name", pa.string())])) as table:
        table.write(pa.table({"x": [0.1, 2.0], "name": ["é", None]}))
    assert capsysbinary.readouterr().out == "before\nx,name\n0.1,é\n2,\n".encode()


def test_a_reader_of_the_standard_output_that_has_gone(monkeypatch):
    class Gone:
        def write(self, _: object) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        def flush(self) -> None: ...

    class Output:
        buffer = Gone()

        def flush(self) -> None: ...

    monkeypatch.setattr("sys.stdout", Output())
    with pytest.raises(BrokenPipeError), TableWriter("-", SCHEMA):
        pass


# --- the helper by itself ----------------------------------------------------------------------------------------


def test_atomic_path(tmp_path):
    final = tmp_path / "model.json"
    with atomic_path(final) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".json"
        temporary.write_text("{}")
        assert not final.exists()
    assert final.read_text() == "{}"
    with pytest.raises(KeyboardInterrupt), atomic_path(final) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert final.read_text() == "{}" and list(tmp_path.iterdir()) == [final]
    with pytest.raises(InputError, match="No space left on device"), atomic_path(final):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_path(final):  # some other file's failure isn't explained as this one
        open(tmp_path / "other")  # noqa: SIM115
