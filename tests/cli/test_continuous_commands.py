"""Commands with a flow in continuous time: the error of each log-density, and what to install without a solver."""

import csv
import sys

import pytest
from known import make_rows, write

SENTENCE = "Error: Flows in continuous time need torchdiffeq; pip install 'pushforward[ode]' brings it.\n"


def test_a_fit_and_its_scores(run, tmp_path, monkeypatch):
    pytest.importorskip("torchdiffeq")
    write(tmp_path / "t.csv", make_rows(60))
    fit = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "continuous")
    assert fit.status == 0 and "continuous: trained by flow matching" in fit.err
    score = run("score", "m.safetensors", "t.csv", "-o", "s.csv", "--json")
    with open("s.csv", newline="") as file:
        errors = [float(line["log_prob_error"]) for line in csv.DictReader(file)]
    assert score.json()["error"] == pytest.approx(sum(errors) / 60) and score.json()["largest_error"] == max(errors)
    assert "log_prob_error: " in score.err and "nats on average" in score.err
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    for command in (["score", "m.safetensors", "t.csv"], ["sample", "m.safetensors", "-n", 3]):
        refused = run(*command, "-o", "none.csv")
        assert (refused.status, refused.out, refused.err) == (2, "", SENTENCE) and not (tmp_path / "none.csv").exists()


def test_without_a_solver_a_fit_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    write(tmp_path / "t.csv", make_rows(60))
    refused = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "continuous")
    assert (refused.status, refused.out, refused.err) == (2, "", SENTENCE)
    assert not (tmp_path / "m.safetensors").exists()
