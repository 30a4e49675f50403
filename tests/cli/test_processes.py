"""The command as a process of its own: signals, pipes, memory."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from known import make_rows, write

import pushforward as pf

COMMAND = [sys.executable, "-m", "pushforward"]
SECONDS = 300  # on a busy machine


def start(folder, *arguments):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_during_a_fit_keeps_the_best_so_far(tmp_path):
    write(tmp_path / "t.csv", make_rows(5000))
    metrics = tmp_path / "m.metrics.csv"
    process = start(tmp_path, "fit", "t.csv", "-o", "m.safetensors", "--flow", "nice", "--max-time", 60)
    wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and out == ""
    assert "Interrupted at step" in err and "interrupted: m.safetensors has " in err
    assert "Traceback" not in err
    assert pf.describe(tmp_path / "m.safetensors")["notes"]["fit"]["stopped"] == "interrupted"


@pytest.mark.slow
def test_ctrl_c_during_a_sample_leaves_nothing(tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "s.csv")
    wait_for(lambda: any(tmp_path.iterdir()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and out == "" and err == "Interrupted; no result was written.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sample_that_is_asked_to_end_leaves_nothing(tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "s.csv")
    wait_for(lambda: any(tmp_path.iterdir()))
    process.terminate()
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 143 and out == "" and err == "Terminated; no result was written.\n"
    assert not list(tmp_path.iterdir())


FORMATS = ["csv", *(pytest.param(ending, marks=pytest.mark.slow) for ending in ("parquet", "feather"))]


@pytest.mark.slow
@pytest.mark.parametrize("ending", FORMATS)
def test_a_killed_score_leaves_no_table_and_the_next_one_sweeps_up(run, tmp_path, fitted, ending):
    write(tmp_path / "t.parquet", np.tile(make_rows(10_000), (100, 1)))
    process = start(tmp_path, "score", fitted / "model.safetensors", "t.parquet", "-o", f"s.{ending}")
    wait_for(lambda: len(list(tmp_path.iterdir())) > 1)
    process.kill()
    process.communicate(timeout=SECONDS)
    left = [path.name for path in tmp_path.iterdir() if path.name != "t.parquet"]
    assert len(left) == 1 and left[0].startswith(".s.") and left[0].endswith(f".unfinished.{ending}")
    write(tmp_path / "short.parquet", make_rows(20))
    assert run("score", fitted / "model.safetensors", "short.parquet", "-o", f"s.{ending}").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"s.{ending}", "short.parquet", "t.parquet"]


@pytest.mark.slow
def test_what_another_process_is_still_writing_is_not_swept_up(run, tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "s.csv")
    wait_for(lambda: any(tmp_path.iterdir()))
    (theirs,) = tmp_path.iterdir()
    assert run("sample", fitted / "model.safetensors", "-n", 5, "-o", "s.csv").status == 0
    assert theirs.exists()
    process.kill()
    process.communicate(timeout=SECONDS)


def limited(folder, bytes_of_file, *arguments):
    """Run a command that may write no file larger than this."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_of_file, bytes_of_file))

    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=SECONDS, preexec_fn=limit
    )


@pytest.fixture
def small_disk():
    """Let this process write no file larger than 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(run, tmp_path, fitted, small_disk, ending):
    output = tmp_path / f"s.{ending}"
    output.write_text("old")
    result = run("sample", fitted / "model.safetensors", "-n", 10_000, "-o", output.name)
    assert result.status == 2 and result.out == ""
    assert result.err == f"Error: cannot write {output.name}: File too large.\n"
    assert [path.name for path in tmp_path.iterdir()] == [output.name] and output.read_text() == "old"


@pytest.mark.slow
def test_a_full_standard_output_is_one_sentence(tmp_path, fitted):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*COMMAND, "sample", fitted / "model.safetensors", "-n", "100000", "-o", "-"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS,
        )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "Error: cannot write the standard output: No space left on device.\n"


@pytest.mark.slow
def test_a_model_that_does_not_fit_on_the_disk_leaves_nothing_under_its_name(tmp_path):
    write(tmp_path / "t.csv", make_rows(60))
    result = limited(tmp_path, 100_000, "fit", "t.csv", "-o", "m.safetensors", "--flow", "maf", "--max-time", "1", "-q")
    assert result.returncode == 2 and not (tmp_path / "m.safetensors").exists()
    sentences = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert sentences == ["Error: cannot write m.safetensors: File too large."]
    assert not [path for path in tmp_path.iterdir() if "unfinished" in path.name]


@pytest.mark.slow
def test_a_reader_that_leaves_early_ends_the_command_quietly(tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "-")
    assert process.stdout.readline() == "mass,radius,flux\n"
    process.stdout.close()
    assert process.wait(SECONDS) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.slow
def test_bad_input_ends_with_status_2_and_one_sentence(tmp_path):
    process = start(tmp_path, "fit", "absent.csv", "-o", "m.safetensors")
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2 and out == "" and err.startswith("Error: ") and err.count("\n") == 1


@pytest.mark.slow
def test_scoring_takes_no_more_memory_for_more_rows(tmp_path, fitted):
    peaks = []
    for rows in (50_000, 800_000):
        write(tmp_path / "t.parquet", np.tile(make_rows(10_000), (rows // 10_000, 1)))
        process = start(tmp_path, "score", fitted / "model.safetensors", "t.parquet", "-o", "s.parquet", "-q")
        process.stdout.close()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        peaks.append(usage.ru_maxrss / 1024)
    # In memory at once, the longer table and its copies would take more than 50 MB.
    assert peaks[1] - peaks[0] < 40


@pytest.mark.slow
def test_no_refusal_ends_in_a_signal_on_a_busy_machine(tmp_path, fitted):
    # Streams of CSV files that are left before their end, by more commands at a time than there are processors.
    write(tmp_path / "t.csv", make_rows(50_000))
    lines = (tmp_path / "t.csv").read_text().splitlines()
    files = {
        "absent.csv": [lines[0].replace("flux", "fluxx"), *lines[1:]],
        "text.csv": [*lines[:20_000], "1,oops,2", *lines[20_000:]],
        "ragged.csv": [*lines, "1,2"],
        "headerless.csv": lines[1:],
    }
    for name, content in files.items():
        (tmp_path / name).write_text("\n".join(content) + "\n")
    together = 2 * (os.cpu_count() or 1)
    commands = [name for _ in range(50) for name in files]
    for first in range(0, len(commands), together):
        processes = [
            start(tmp_path, "score", fitted / "model.safetensors", name, "-o", f"{number}.csv")
            for number, name in enumerate(commands[first : first + together])
        ]
        for process in processes:
            out, err = process.communicate(timeout=SECONDS)
            assert process.returncode == 2 and out == "" and err.startswith("Error: ") and err.count("\n") == 1
