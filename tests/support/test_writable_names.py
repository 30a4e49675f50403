"""Names of files are checked before the work that leads to them."""

import os

import pytest

from pushforward.errors import InputError
from pushforward.support.atomic import check_writable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "it is a folder"),
        ("missing/a.csv", "missing does not exist; create it first"),
        ("locked/a.csv", "locked is write-protected; choose another one"),
        ("kept.csv", "it is write-protected; give another name"),
    ],
)
def test_names_under_which_nothing_can_be_written_are_refused(tmp_path, monkeypatch, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "kept.csv").write_text("a\n")
    # Nothing is write-protected for an administrator.
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.basename(path) not in ("locked", "kept.csv"))
    with pytest.raises(InputError, match=words):
        check_writable(tmp_path / name)
    assert check_writable(tmp_path / "folder" / "new.csv").name == "new.csv"
