"""A fit that is killed goes on, and ends with just the weights that it would have had."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from known import make_rows, write

import pushforward as pf

SECONDS = 120
# Checkpoints every twentieth of a second, not every thirty, in a process of its own.
PROGRAM = """
import pushforward.training.checkpoint as checkpoint
checkpoint.SECONDS_BETWEEN, checkpoint.LARGEST_SHARE = 0.05, 1.0
import pushforward.zoo.recipe as recipe
recipe.FEWEST_STEPS = recipe.MOST_STEPS = {steps}
from pushforward.cli.main import run
run()
"""


def start(folder, model, *options, steps=250):
    arguments = ["fit", "t.csv", "-o", model, *options]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(steps=steps), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return err


def kill_after(process, seconds, file):
    """Kill a process so many seconds after the file is there; return whether it was still at work."""
    deadline = time.monotonic() + SECONDS
    while not file.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=SECONDS)
    return process.returncode == -signal.SIGKILL


def weights(path):
    return pf.load(path).state_dict()


def lines(path):
    """The lines of the metrics without their times."""
    return [[cell for place, cell in enumerate(line.split(",")) if place != 2] for line in path.read_text().split()]


def check(folder, times, steps):
    """Kill a fit at these moments after its first checkpoint, and compare its end with that of a fit left alone."""
    write(folder / "t.csv", make_rows(1500))
    finish(start(folder, "whole.safetensors", steps=steps))
    for seconds in times:
        assert kill_after(start(folder, "m.safetensors", "--resume", steps=steps), seconds, folder / "m.checkpoint")
        assert not (folder / "m.safetensors").exists()
    assert "starts from the beginning" not in finish(start(folder, "m.safetensors", "--resume", steps=steps))
    whole, pieces = weights(folder / "whole.safetensors"), weights(folder / "m.safetensors")
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)
    assert lines(folder / "whole.metrics.csv") == lines(folder / "m.metrics.csv")
    # A checkpoint that was being written when its process was killed is swept up by the next.
    assert sorted(path.name for path in folder.iterdir() if "whole" not in path.name) == [
        "m.metrics.csv",
        "m.safetensors",
        "t.csv",
    ]


@pytest.mark.slow
def test_a_killed_fit_goes_on_and_ends_with_the_same_weights(tmp_path):
    check(tmp_path, [0.1], steps=60)


@pytest.mark.slow
def test_a_fit_killed_at_random_moments_ends_with_the_same_weights(tmp_path):
    moments = np.random.default_rng(0).uniform(0.0, 3.0, size=6)
    check(tmp_path, moments, steps=1000)


@pytest.mark.slow
def test_resume_says_what_it_does_and_refuses_what_was_changed(run, tmp_path, monkeypatch):
    write("t.csv", make_rows(60))
    fit = ["fit", "t.csv", "-o", "m.safetensors", "--flow", "nice"]
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 2)
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", 20)
    # The model cannot be written: the finished training is kept all the same.
    with monkeypatch.context() as patch:
        patch.setattr(
            "pushforward.table_models.model.TableModel.save", lambda *_: (_ for _ in ()).throw(pf.InputError("Full."))
        )
        assert run(*fit).status == 2
    assert (tmp_path / "m.checkpoint").exists() and not (tmp_path / "m.safetensors").exists()
    refused = run(*fit, "--resume", "--seed", 1)
    assert refused.status == 2 and "m.checkpoint is the checkpoint of a fit" in refused.err
    assert refused.err.count("\n") == 1 and (tmp_path / "m.checkpoint").exists()
    assert "--resume would continue that fit" in run(*fit).err and not (tmp_path / "m.checkpoint").exists()
    again = run(*fit, "--resume")
    assert (
        again.status == 0 and "there is no m.checkpoint to resume from: the fit starts from the beginning" in again.err
    )
