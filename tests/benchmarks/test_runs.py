"""The results of a benchmark after an interruption."""

import time

import pytest
import runs


def test_a_line_that_an_interruption_cut_off_is_removed(tmp_path):
    results = tmp_path / "results.jsonl"
    assert runs.read(results) == []
    results.write_text('{"split": 0}\n{"spl')
    assert runs.read(results) == [{"split": 0}] and results.read_text() == '{"split": 0}\n'


def square(job):
    if job["number"] == 1:
        raise ValueError("no square of 1")
    return {**job, "square": job["number"] ** 2}


def test_a_run_that_fails_is_named_and_the_others_are_kept(tmp_path, capfd):
    results = tmp_path / "results.jsonl"
    with pytest.raises(SystemExit, match=r"1 of 4 runs failed:\n.*'number': 1.*no square of 1"):
        runs.complete([{"number": number} for number in range(4)], square, 1, results)
    assert sorted(result["square"] for result in runs.read(results)) == [0, 4, 9]


def test_after_an_interruption_no_run_is_begun(tmp_path, monkeypatch):
    begun = tmp_path / "begun"
    monkeypatch.setattr(runs, "print", interrupt, raising=False)
    with pytest.raises(KeyboardInterrupt):
        runs.complete([{"file": str(begun), "number": number} for number in range(20)], note, 1, tmp_path / "results")
    # The first, and those that the pool held ready for its process.
    assert 1 <= len(begun.read_text().split()) < 10 and len(runs.read(tmp_path / "results")) == 1


def note(job):
    with open(job["file"], "a") as file:
        file.write(f"{job['number']} ")
    time.sleep(0.05)
    return job


def interrupt(*_, **__):
    raise KeyboardInterrupt
