"""Readers that leave: of standard error, whose messages are lost, and of standard output, which ends the command."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from known import make_rows, write

import pushforward as pf

COMMAND = [sys.executable, "-m", "pushforward"]
MODEL = Path(__file__).parents[1] / "golden" / "tables" / "plain.safetensors"
SECONDS = 300  # on a busy machine


def without_reader():
    """The end of a pipe into which nothing can be written any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def run_to(folder, *arguments, **streams):
    """Run a command whose streams are those given, as descriptors that are closed here afterwards."""
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=folder, timeout=SECONDS, text=True, check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )  # fmt: skip
    for stream in streams.values():
        os.close(stream)
    return result


def shell(folder, line):
    """Run a line of a shell in which $PF is the command."""
    environment = {**os.environ, "PF": " ".join(COMMAND)}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, timeout=SECONDS, text=True, check=False, capture_output=True
    )


FIT = ("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice", "--max-time")


@pytest.mark.slow
def test_a_fit_ends_well_whoever_reads_its_messages(tmp_path):
    write(tmp_path / "t.csv", make_rows(300))
    line = f"$PF {' '.join(FIT)} 1 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    result = shell(tmp_path, line)
    assert result.returncode == 0 and result.stdout.count("\n") == 1 and result.stderr == ""
    assert pf.describe(tmp_path / "m.safetensors")["notes"]["fit"]["steps"] > 0
    (tmp_path / "m.safetensors").unlink()
    result = run_to(tmp_path, *FIT, 0.1, "--json", stderr=without_reader())
    assert result.returncode == 0 and result.stdout.startswith("{")
    assert (tmp_path / "m.safetensors").exists() and not (tmp_path / "m.checkpoint").exists()


@pytest.mark.slow
def test_a_terminal_that_is_closed_does_not_end_the_fit_behind_its_bar(tmp_path):
    write(tmp_path / "t.csv", make_rows(300))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *FIT, "8"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + SECONDS
    while b"step" not in seen:  # the bar, after two seconds
        assert time.monotonic() < deadline
        seen += os.read(ours, 1000)
    os.close(ours)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and out == b"" and (tmp_path / "m.safetensors").exists()


def test_results_that_nobody_reads_end_the_command_quietly(tmp_path):
    # So little that Python writes it only at the end.
    result = run_to(tmp_path, "info", MODEL, stdout=without_reader())
    assert (result.returncode, result.stderr) == (1, "")
    result = run_to(tmp_path, "--version", stdout=without_reader())
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(("stream", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_results_that_cannot_be_written_are_one_sentence(tmp_path, stream, why):
    result = shell(tmp_path, f"$PF info {MODEL} {stream}")
    assert result.returncode == 2 and result.stderr == f"Error: cannot write the standard output: {why}.\n"


@pytest.mark.slow
def test_a_table_stays_where_its_summary_cannot_be_written(tmp_path):
    result = shell(tmp_path, f"$PF sample {MODEL} -n 3 -o draws.csv --json >/dev/full")
    assert result.returncode == 2
    assert result.stderr == (
        "Error: cannot write the standard output: No space left on device; draws.csv is complete.\n"
    )
    assert len((tmp_path / "draws.csv").read_text().splitlines()) == 4


def test_messages_do_not_go_where_results_go(tmp_path):
    # Of a standard error that is closed Python makes None, and prints to standard output instead.
    result = shell(tmp_path, "$PF info absent.safetensors 2>&-")
    assert (result.returncode, result.stdout) == (2, "")
