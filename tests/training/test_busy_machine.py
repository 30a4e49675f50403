"""A run of limited time says when the machine gave it much less than its time."""

import time

import torch

import pushforward as pf
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
    assert shortage(steps=0) is None


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
