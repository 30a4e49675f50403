"""The command as a process of its own: signals, pipes, memory."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from known import make_rows, write

import pushforward as pf

COMMAND = [sys.executable, "-m", "pushforward"]
SECONDS = 60


def start(folder, *arguments):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_during_a_fit_keeps_the_best_so_far(tmp_path):
    write(tmp_path / "t.csv", make_rows(5000))
    metrics = tmp_path / "m.metrics.csv"
    process = start(tmp_path, "fit", "t.csv", "-o", "m.safetensors", "--max-time", SECONDS)
    wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and out == ""
    assert "Interrupted at step" in err and "interrupted: the best so far is kept" in err and "Traceback" not in err
    assert pf.describe(tmp_path / "m.safetensors")["notes"]["fit"]["stopped"] == "interrupted"


def test_ctrl_c_during_a_sample_leaves_nothing(tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "s.csv")
    wait_for(lambda: any(tmp_path.iterdir()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and out == "" and err == "Interrupted; nothing was written.\n"
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_early_ends_the_command_quietly(tmp_path, fitted):
    process = start(tmp_path, "sample", fitted / "model.safetensors", "-n", 10**9, "-o", "-")
    assert process.stdout.readline() == "mass,radius,flux\n"
    process.stdout.close()
    assert process.wait(SECONDS) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


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
