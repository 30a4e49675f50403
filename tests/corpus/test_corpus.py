"""Malformed and hostile files are refused in one sentence with status 2, in little memory: damaged.py and run.py."""

import subprocess
import sys
from pathlib import Path

import pytest
from damaged import cases, prepare
from run import attempt

HERE = Path(__file__).parent
# Few of each category in the fast tests, all of them in the slow one.
STRIDE = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    prepare(folder)
    return folder


def test_the_corpus_is_large_and_repeats(folder):
    first, second = (list(cases(folder)) for _ in range(2))
    assert first == second and len({(case.name, case.content) for case in first}) >= 300


def test_every_hundredth_file_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    wrong = []
    for case in list(cases(folder))[::STRIDE]:
        command = case.commands[0]
        outcome = attempt(folder, case, command)
        if outcome not in case.right:
            wrong.append(f"{case.category}: {command} {case.name}: {outcome}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_all_files_are_refused_within_two_gigabytes():
    result = subprocess.run(
        [sys.executable, HERE / "run.py", "--all"], capture_output=True, text=True, timeout=3600, check=False
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
