"""Messages and bars are lost, and nothing else, if the reader of standard error has left."""

import contextlib
import os
import sys

import pytest

from pushforward.support.progress import ProgressBar, progress, to_standard_error


@contextlib.contextmanager
def unread():
    """A standard error that calls itself a terminal and whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", buffering=1)
    stream.isatty = lambda: True
    try:
        with contextlib.redirect_stderr(stream):
            yield
    finally:
        # What waits in its buffer cannot be written either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
        stream.close()


def test_the_stream_of_this_test_is_broken():
    with unread(), pytest.raises(BrokenPipeError):
        print("line", file=sys.stderr)


def test_lines_and_bars_are_lost(monkeypatch, capfd):
    monkeypatch.setattr("pushforward.support.progress.PATIENCE_SECONDS", 0.0)
    with unread():
        for _ in range(3):
            to_standard_error("line " * 5000)
        bar = ProgressBar(True)
        for share in (0.1, 0.5, 1.0):
            bar.update(share, "text")
        bar.close()
        with progress("label", quiet=False) as report:
            report(0.5)
    print("still here", flush=True)
    assert capfd.readouterr().out == "still here\n"


def test_a_process_without_standard_error_prints_its_messages_nowhere(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    to_standard_error("line")
    ProgressBar(None).close()
    assert capsys.readouterr().out == ""
