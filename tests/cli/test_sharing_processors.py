"""What the command line sets for torch's threads before it loads torch, and what it leaves to the user."""

import subprocess
import sys

import pytest

from pushforward.cli import processors

NAMES = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """One in which nothing is set; a copy, so that what a test sets is forgotten."""
    copied = {name: value for name, value in processors.os.environ.items() if name not in NAMES}
    monkeypatch.setattr(processors.os, "environ", copied)
    return copied


@pytest.mark.parametrize(("usable", "threads"), [(4, None), (2, "2")])
def test_waiting_threads_sleep_and_a_quota_counts(monkeypatch, environment, usable, threads):
    monkeypatch.setattr(processors, "usable_processors", lambda: usable)
    monkeypatch.setattr(processors, "processors_of_affinity", lambda: 4)
    processors.share_processors()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE" and environment.get("OMP_NUM_THREADS") == threads


def test_what_the_user_has_set_stays(monkeypatch, environment):
    monkeypatch.setattr(processors, "usable_processors", lambda: 1)
    monkeypatch.setattr(processors, "processors_of_affinity", lambda: 4)
    environment |= {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "3"}
    processors.share_processors()
    assert (environment["OMP_WAIT_POLICY"], environment["OMP_NUM_THREADS"]) == ("ACTIVE", "3")


def test_it_comes_before_torch():
    code = "import sys; import pushforward.cli.app; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
