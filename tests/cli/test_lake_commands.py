"""Commands read folders, lists, compressed text, the standard input, buckets and databases as they read one file."""

import gzip
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from known import make_rows
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app
from pushforward.table_models import scoring, streamed
from pushforward.tables import encode
from pushforward.tables.files import scan as scans


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame(make_rows(400), columns=["x", "y", "z"])


@pytest.fixture(scope="module")
def model(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    pf.fit_table(frame, columns=["x", "y"], flow="nice", max_steps=5, progress=False).model.save(path)
    return path


def succeed(result):
    assert result.status == 0, result.err
    return result


def write_parts(frame):
    """The rows in a folder of three files of CSV and one of Parquet."""
    os.makedirs("csv")
    for number, start in enumerate(range(0, 400, 150)):
        frame[start : start + 150].to_csv(f"csv/{number}.csv.gz", index=False)
    os.makedirs("lake/part=1")
    os.makedirs("lake/part=2")
    frame[:250].to_parquet("lake/part=1/a.parquet")
    frame[250:].to_parquet("lake/part=2/a.parquet")
    Path("lake/_SUCCESS").touch()


def test_scores_of_parts_are_those_of_one_file(run, model, frame):
    frame.to_csv("t.csv", index=False)
    write_parts(frame)
    succeed(run("score", model, "t.csv", "-o", "s.csv"))
    expected = pd.read_csv("s.csv", float_precision="round_trip")
    for data in (["csv"], ["csv/*.gz"], ["lake"], ["csv/0.csv.gz", "csv/1.csv.gz", "csv/2.csv.gz"]):
        assert "400 rows" in succeed(run("score", model, *data, "-o", "o.csv")).err
        found = pd.read_csv("o.csv", float_precision="round_trip")
        pd.testing.assert_frame_equal(found[list(expected)], expected, rtol=1e-6)
        assert ("part" in found) == (data == ["lake"])
    assert list(found) == list(expected)


@pytest.mark.slow
def test_a_fit_of_parts_is_that_of_one_file(run, frame):
    frame.to_parquet("t.parquet")
    write_parts(frame)
    for data, name in ((["t.parquet"], "a"), (["lake"], "b"), (["csv"], "c")):
        succeed(run("fit", *data, "-o", f"{name}.safetensors", "--columns", "x,y"))
    values = [pf.TableModel.load(f"{name}.safetensors").log_prob(frame[["x", "y"]].to_numpy()) for name in "abc"]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])
    assert (
        "over 2 columns of csv/0.csv.gz and 2 more"
        in succeed(
            run("fit", *(f"csv/{number}.csv.gz" for number in range(3)), "-o", "d.safetensors", "--columns", "x,y")
        ).err
    )


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_the_standard_input_is_read(run, tmp_path, model, frame, packed):
    text = frame.to_csv(index=False).encode()
    data = gzip.compress(text) if packed else text
    result = CliRunner().invoke(app, ["score", str(model), "-", "-o", "o.csv"], input=data)
    assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(pd.read_csv("o.csv", float_precision="round_trip")["z"], frame.z)
    result = CliRunner().invoke(app, ["fit", "-", "-o", "m.safetensors", "--columns", "x,y"], input=data)
    assert result.exit_code == 0 and "columns of the standard input" in result.stderr
    frame.to_csv("t.csv", index=False)
    succeed(run("fit", "t.csv", "-o", "f.safetensors", "--columns", "x,y"))
    both = [
        pf.TableModel.load(name).log_prob(frame[["x", "y"]].to_numpy()) for name in ("m.safetensors", "f.safetensors")
    ]
    np.testing.assert_array_equal(*both)


LAUNCHED = {
    "torchrun": ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, ()),
    "Slurm": ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0", "SLURM_STEP_ID": "0"}, ()),
    "Ray": ({}, ("--engine", "ray", "--workers", "2")),
}


@pytest.mark.parametrize("launcher", LAUNCHED)
def test_several_processes_do_not_share_the_standard_input(run, monkeypatch, frame, launcher):
    variables, options = LAUNCHED[launcher]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    data = frame.to_csv(index=False)
    result = CliRunner().invoke(app, ["fit", "-", "-o", "m.safetensors", *options], input=data)
    sentence = "the processes of a fit cannot share the standard input; give the name of a file."
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {sentence}\n")


@pytest.mark.slow
def test_other_commands_read_parts(run, frame):
    gaps = frame[["x", "y"]].copy()
    gaps.loc[::7, "x"] = np.nan
    os.makedirs("lake")
    gaps[:200].to_csv("lake/a.csv", index=False)
    gaps[200:].to_csv("lake/b.csv", index=False)
    succeed(run("fit", "lake", "-o", "m.safetensors"))
    assert "58 missing values in 400 rows" in succeed(run("impute", "m.safetensors", "lake", "-o", "i.csv")).err
    succeed(run("posterior", "m.safetensors", "lake", "--of", "x", "-o", "p.csv", "--quantiles", "0.5"))
    assert len(pd.read_csv("p.csv")) == 400
    succeed(run("fit", "lake/a.csv", "lake/b.csv", "-o", "g.safetensors", "--given", "y"))
    succeed(run("sample", "g.safetensors", "--given-file", "lake", "-o", "d.csv"))
    assert len(pd.read_csv("d.csv")) == 400
    gaps["y"].to_csv("t.txt", index=False, sep="|")
    succeed(run("sample", "g.safetensors", "--given-file", "t.txt", "--separator", "|", "-o", "d.csv"))


def test_nothing_is_written_of_a_lake_that_is_damaged(run, model, frame):
    write_parts(frame)
    Path("old.csv").write_text("old")
    os.truncate("lake/part=2/a.parquet", 1000)
    refused = run("score", model, "lake", "-o", "old.csv")
    assert refused.status == 2 and "lake/part=2/a.parquet is damaged" in refused.err
    with open("csv/2.csv.gz", "r+b") as file:
        file.truncate(500)
    for command in (["score", model, "csv", "-o", "old.csv"], ["fit", "csv", "-o", "m.safetensors"]):
        refused = run(*command)
        assert refused.status == 2 and "csv/2.csv.gz is damaged" in refused.err and refused.err.count("\n") == 1
    assert Path("old.csv").read_text() == "old" and not os.path.exists("m.safetensors")
    assert sorted(os.listdir()) == ["csv", "lake", "old.csv"]


def test_a_file_that_goes_on_the_way_leaves_nothing(run, model, frame, monkeypatch):
    write_parts(frame)
    real = scoring.log_prob_of_rows

    def scored(*arguments):
        if os.path.exists("csv/2.csv.gz"):
            os.remove("csv/2.csv.gz")
        return real(*arguments)

    monkeypatch.setattr(scoring, "log_prob_of_rows", scored)
    monkeypatch.setattr(scoring, "BATCH_ROWS", 50)
    refused = run("score", model, "csv", "-o", "o.csv")
    assert refused.status == 2 and "csv/2.csv.gz has disappeared while it was read" in refused.err
    assert not os.path.exists("o.csv")


@pytest.fixture
def small(monkeypatch):
    """A table of some thousand rows is large."""
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr(scans, "BATCH_ROWS", 500)


def streamed_fit(**columns):
    pd.DataFrame(columns).to_csv("t.csv", index=False)
    return pf.fit_table("t.csv", flow="nice", max_steps=2, progress=False)


def test_a_later_code_makes_a_streamed_column_text(run, small):
    codes = np.random.default_rng(0).choice(["10001", "20002", "30003"], 3000).astype(object)
    codes[2500:2700] = "02139"
    model = streamed_fit(x=np.random.default_rng(1).normal(size=3000), code=codes).model
    assert model.schema["code"].kind == "category"
    assert set(model.schema["code"].levels) == {"02139", "10001", "20002", "30003"}
    # A decimal point anywhere makes a number of it.
    codes[10] = "1.5"
    assert streamed_fit(x=np.random.default_rng(1).normal(size=3000), code=codes).model.schema["code"].numeric


@pytest.mark.parametrize("later", ["1,234,567", "12%"])
def test_numbers_that_are_dressed_later(run, small, later):
    numbers = np.random.default_rng(0).choice(np.arange(200, 400), 3000)
    plain = [str(number) for number in numbers]
    dressed = [text if row < 2000 or "%" in later else f"{int(text) * 5000:,}" for row, text in enumerate(plain)]
    if "%" in later:
        dressed[2000:] = [text + "%" for text in plain[2000:]]
    pd.DataFrame({"x": np.random.default_rng(1).normal(size=3000), "n": dressed}).to_csv("t.csv", index=False)
    if "%" in later:
        # Not all agree: it is said, with the row.
        with pytest.raises(pf.InputError, match=r'column "n" of t.csv holds the text ".*%" in row 2001'):
            pf.fit_table("t.csv", flow="nice", max_steps=2, progress=False)
        return
    schema = pf.fit_table("t.csv", flow="nice", max_steps=2, progress=False).model.schema
    matrix = encode(pa.table({"n": dressed[-5:]}), schema, ["n"], source="t.csv", written=True)
    np.testing.assert_array_equal(matrix[:, 0], numbers[-5:] * 5000.0)


@pytest.mark.slow
def test_a_streamed_folder_of_csv_has_every_row(run, small, frame):
    os.makedirs("lake")
    many = pd.DataFrame(make_rows(3000), columns=["x", "y", "z"])
    for number in range(5):
        many[number * 600 : (number + 1) * 600].to_csv(f"lake/{number}.csv", index=False)
    result = pf.fit_table("lake", columns=["x", "y"], flow="nice", max_steps=2, progress=False)
    rows = result.model.notes["rows"]
    assert rows["training"] + rows["held_out"] == 3000
    many.to_csv("t.csv", index=False)
    other = pf.fit_table("t.csv", columns=["x", "y"], flow="nice", max_steps=2, progress=False)
    assert other.gaussian == pytest.approx(result.gaussian, rel=1e-12)


@pytest.fixture(scope="module")
def server():
    """A server of buckets on this machine."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("pip install 'moto[server]', in an environment without constraints.txt: it needs python-dateutil<3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_buckets(run, server, model, frame, monkeypatch):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": server, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    write_parts(frame)
    bucket = pa.fs.S3FileSystem(endpoint_override=server, allow_bucket_creation=True)
    bucket.create_dir("bucket")
    pa.fs.copy_files("lake", "bucket/lake", destination_filesystem=bucket)
    pa.fs.copy_files("csv", "bucket/csv", destination_filesystem=bucket)
    for data in ("s3://bucket/lake", "s3://bucket/csv", "s3://bucket/lake/*/a.parquet"):
        succeed(run("score", model, data, "-o", "o.parquet"))
        np.testing.assert_array_equal(pq.read_table("o.parquet", columns=["x"])["x"].cast("double"), frame.x)
    assert "s3://bucket/lake" in succeed(run("fit", "s3://bucket/lake", "-o", "m.safetensors", "--columns", "x,y")).err
    for data, words in (("s3://bucket/none.csv", "does not exist"), ("s3://nobody/*.csv", "nobody")):
        refused = run("score", model, data, "-o", "n.csv")
        assert refused.status == 2 and words in refused.err and not os.path.exists("n.csv")
