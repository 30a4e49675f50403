"""A fit that is interrupted or terminated: which files there are, what is said, and with which status it ends."""

import math
import signal
import subprocess
import sys
import time

import pytest
import torch
from known import make_rows, write

import pushforward as pf
from pushforward.cli.output import Terminated
from pushforward.table_models import fitting
from pushforward.training import checkpoint as checkpoints
from pushforward.training.distillation import fitting as distillation

SECONDS = 300  # on a busy machine
FIT = ("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice")


@pytest.fixture
def checkpoint_each_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", math.inf)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def without_times(path):
    """The lines of the metrics without their seconds."""
    return [[cell for place, cell in enumerate(line.split(",")) if place != 2] for line in path.read_text().split()]


def test_ctrl_c_keeps_the_best_and_the_last_line_says_so(run, tmp_path, at_step):
    write(tmp_path / "t.csv", make_rows(200))
    at_step[5] = KeyboardInterrupt()
    result = run(*FIT, "--json")
    assert result.status == 0 and result.json()["stopped"] == "interrupted"
    assert result.err.splitlines()[-1].startswith("interrupted: m.safetensors has ")
    assert names(tmp_path) == ["m.metrics.csv", "m.safetensors", "t.csv"]
    assert pf.describe("m.safetensors")["notes"]["fit"]["steps"] == 5
    at_step[5] = KeyboardInterrupt()
    assert run(*FIT, "-q").err.splitlines()[-1].startswith("Interrupted at step 5; keeping ")


@pytest.mark.parametrize("error", [Terminated(), MemoryError()])
def test_a_fit_that_does_not_end_leaves_nothing(run, tmp_path, at_step, error):
    write(tmp_path / "t.csv", make_rows(200))
    at_step[5] = error
    assert run(*FIT).status == (143 if isinstance(error, Terminated) else 1)
    assert names(tmp_path) == ["t.csv"]


def test_ctrl_c_after_the_training_leaves_nothing(run, tmp_path, monkeypatch):
    write(tmp_path / "t.csv", make_rows(200))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "finish", interrupted)
    result = run(*FIT)
    assert (result.status, result.err.splitlines()[-1]) == (130, "Interrupted; no result was written.")
    assert "m.metrics.csv" not in names(tmp_path) and "m.safetensors" not in names(tmp_path)


@pytest.mark.slow
def test_an_older_model_keeps_its_metrics(run, tmp_path, at_step):
    write(tmp_path / "t.csv", make_rows(200))
    assert run(*FIT).status == 0
    before = [(tmp_path / name).read_bytes() for name in ("m.safetensors", "m.metrics.csv")]
    at_step[5] = Terminated()
    assert run(*FIT, "--seed", 1).status == 143
    assert [(tmp_path / name).read_bytes() for name in ("m.safetensors", "m.metrics.csv")] == before


@pytest.mark.slow
@pytest.mark.usefixtures("checkpoint_each_step")
def test_the_metrics_of_a_fit_that_resumes_are_whole(run, tmp_path, at_step):
    write(tmp_path / "t.csv", make_rows(200))
    assert run("fit", "t.csv", "-o", "whole.safetensors", "--flow", "nice").status == 0
    at_step[5] = Terminated()
    assert run(*FIT).status == 143
    assert "m.checkpoint" in names(tmp_path) and "m.metrics.csv" not in names(tmp_path)
    assert run(*FIT, "--resume").status == 0
    whole, resumed = (without_times(tmp_path / f"{name}.metrics.csv") for name in ("whole", "m"))
    assert whole == resumed and len(whole) > 2
    assert "m.checkpoint" not in names(tmp_path)


@pytest.mark.usefixtures("checkpoint_each_step")
def test_an_interrupted_distillation_continues_and_ends_with_the_same_student(run, tmp_path, at_step, monkeypatch):
    monkeypatch.setattr(distillation, "DEFAULT_STEPS", 12)
    write(tmp_path / "t.csv", make_rows(200))
    assert run(*FIT).status == 0
    assert run("distill", "m.safetensors", "-o", "whole.safetensors").status == 0
    distill = ("distill", "m.safetensors", "-o", "f.safetensors")
    at_step[5] = KeyboardInterrupt()
    stopped = run(*distill, "--json")
    assert stopped.status == 0 and stopped.json()["stopped"] == "interrupted"
    assert "f.safetensors has the best weights until then; --resume continues from f.checkpoint" in stopped.err
    assert "Interrupted at step 5; keeping the weights of step" in stopped.err
    assert "(minus the loss " in stopped.err and "nats per draw, higher is better)" in stopped.err
    refused = run(*distill, "--resume", "--seed", 1)
    assert refused.status == 2 and "seed 0, and now it is 1" in refused.err
    ended = run(*distill, "--resume")
    assert ended.status == 0 and "Resumed at step" in ended.err
    assert "f.checkpoint" not in names(tmp_path)
    whole, resumed = (pf.load(f"{name}.safetensors").state_dict() for name in ("whole", "f"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert "there is no f.checkpoint to resume from" in run(*distill, "--resume").err


@pytest.mark.slow
def test_a_process_that_is_terminated_leaves_nothing(tmp_path):
    write(tmp_path / "t.csv", make_rows(5000))
    process = subprocess.Popen(
        [sys.executable, "-m", "pushforward", *FIT, "--max-time", "60"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics, deadline = tmp_path / "m.metrics.csv", time.monotonic() + SECONDS
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (143, "")
    assert err.splitlines()[-1] == "Terminated; no result was written."
    assert set(names(tmp_path)) <= {"t.csv", "m.checkpoint"}
