"""A run of limited time says when the machine gave it much less than its time."""

import time

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.chains.evidence import evidence
from pushforward.training.history import History
from pushforward.training.steps import Stepper


def test_only_a_run_that_time_ended_on_a_busy_machine_says_so():
    def shortage(**fields):
        return History(**{"steps": 100, "stopped": "time", "processor_share": 0.25, **fields}).shortage

    assert "had 25% of a processor and took 100 steps, where an idle machine takes about 400;" in shortage()
    assert "and took 1 step, where an idle machine takes about 4;" in shortage(steps=1)
    assert "takes about 400,000;" in shortage(steps=100_000)
    assert shortage(stopped="finished") is None
    assert shortage(processor_share=0.9) is None
    assert shortage(steps=0, stopped="finished") is None


def test_a_run_that_took_no_step_says_so_whatever_the_machine():
    history = pf.fit(pf.nice(2, layers=1, hidden=(8,)), torch.randn(50, 2), max_time=1e-9, progress=False)
    assert history.steps == 0 and history.stopped == "time"
    assert history.shortage.startswith("Alarm: the training took no step in ")
    assert "the weights that it started with" in history.shortage


@pytest.mark.parametrize("sentence", ["Alarm: the training took no step in 1 s", None])
def test_fits_of_chains_announce_it(monkeypatch, sentence):
    monkeypatch.setattr(History, "shortage", property(lambda history: sentence))
    samples = np.random.default_rng(0).normal(size=(400, 2))
    chain, said = pd.DataFrame(samples, columns=["a", "b"]), []
    chain["log_posterior"] = -0.5 * (samples**2).sum(1)
    evidence(chain, flow="nice", max_steps=1, progress=False, announce=said.append)
    assert (sentence in said) == (sentence is not None)


def test_a_share_is_measured():
    flow = pf.nice(2, layers=1, hidden=(8,))
    history = pf.fit(flow, torch.randn(200, 2), max_steps=20, progress=False)
    assert 0 < history.processor_share <= 1.01


def test_a_training_that_has_a_processor_for_a_quarter_of_its_time_says_so(monkeypatch):
    take = Stepper.take

    def interrupted(stepper, batch, learning_rate):
        began = time.thread_time()
        taken = take(stepper, batch, learning_rate)
        # To a thread it is the same whether it sleeps or others have its processor; how a system shares one is its own.
        time.sleep(3 * (time.thread_time() - began))
        return taken

    monkeypatch.setattr(Stepper, "take", interrupted)
    history = pf.fit(pf.maf(4), torch.randn(2000, 4), max_time=0.5, patience=None, progress=False)
    # What else runs takes from it as well.
    assert history.processor_share < 0.3 and "the machine was busy" in history.shortage
