"""The process of a command answers signals from its start to its end, and says what is wrong with its environment."""

import os
import signal
import subprocess
import sys

import pytest

from pushforward.cli import output
from pushforward.cli.output import Terminated, command
from pushforward.errors import InputError, TrainingError

ENTER = "import os, signal, sys\nfrom pushforward.cli.main import run\nsys.argv = ['pushforward', *sys.argv[1:]]\n"
# The signal comes while the first module of the commands is imported.
AT_IMPORT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pushforward.cli.app":
            os.kill(os.getpid(), getattr(signal, os.environ["SENT"]))

sys.meta_path.insert(0, Finder())
run()
"""
# The signal comes while what was registered for the exit is done.
AT_EXIT = """
import atexit
from pushforward.cli import ending

def late():
    os.kill(os.getpid(), getattr(signal, os.environ["SENT"]))
    print("done")

def end_at_once(end_at_once=ending.end_at_once):
    end_with = end_at_once()
    atexit.register(late)
    return end_with

ending.end_at_once = end_at_once
run()
"""
IGNORED = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def end(script, *words, **environment):
    return subprocess.run(
        [sys.executable, "-c", ENTER + script, *words],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status", "sentence"), [("SIGINT", 130, "Interrupted"), ("SIGTERM", 143, "Terminated")]
)
def test_a_signal_during_the_imports_is_one_sentence(sent, status, sentence):
    done = end(AT_IMPORT, "--version", SENT=sent)
    assert (done.returncode, done.stderr, done.stdout) == (status, f"{sentence}; no result was written.\n", "")


def test_of_the_processes_of_a_machine_one_says_it():
    launched = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    done = end(AT_IMPORT, "--version", SENT="SIGINT", **launched)
    assert (done.returncode, done.stderr) == (130, "")


def test_who_ignores_interrupts_goes_on_ignoring_them():
    done = end(IGNORED + AT_IMPORT, "--version", SENT="SIGINT")
    assert done.returncode == 0 and done.stdout.startswith("pushforward ")


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["info", "nothing.safetensors"], 2)])
def test_a_signal_at_the_end_changes_nothing(sent, words, status, tmp_path):
    done = end(AT_EXIT, *words, SENT=sent)
    assert done.returncode == status and done.stdout.endswith("done\n")
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.slow
def test_kernels_that_are_not_known_are_bad_input(tmp_path):
    data = tmp_path / "t.csv"
    data.write_text("a\n1\n2\n")
    done = end("run()", "fit", str(data), "-o", str(tmp_path / "m.safetensors"), PUSHFORWARD_KERNELS="foo")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: PUSHFORWARD_KERNELS must be none or one of") and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_launchers_whose_variables_are_no_numbers_are_bad_input(tmp_path):
    data = tmp_path / "t.csv"
    data.write_text("a\n1\n2\n")
    done = end("run()", "fit", str(data), "-o", str(tmp_path / "m.safetensors"), LOCAL_WORLD_SIZE="2", RANK="first")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith('Error: The environment variable RANK is "first", and not a number')


@pytest.mark.parametrize(
    "error", [InputError("no such column"), TrainingError("a process has ended"), KeyboardInterrupt()]
)
def test_a_process_that_is_to_say_why_it_ends_says_it_before_it_is_terminated(monkeypatch, capsys, error):
    """A launcher terminates all processes when one has ended, also the one that has just been chosen to say so."""

    def chosen(**_):
        signal.raise_signal(signal.SIGTERM)
        return True

    def terminate(*_):
        raise Terminated

    @command
    def failing():
        raise error

    monkeypatch.setattr(output, "first_to_say", chosen)
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with pytest.raises(Terminated):
            failing()
        assert signal.getsignal(signal.SIGTERM) is terminate
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().err
    assert said == (
        "Interrupted; no result was written.\n" if isinstance(error, KeyboardInterrupt) else f"Error: {error}\n"
    )
