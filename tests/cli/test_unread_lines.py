"""Lines for people that nobody reads any more do not end a command."""

import os
import sys

from pushforward.cli.output import say


def test_a_reader_that_leaves_does_not_matter(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1) as unread:
        monkeypatch.setattr(sys, "stderr", unread)
        say("one line")
        say("another")
    assert unread.closed
