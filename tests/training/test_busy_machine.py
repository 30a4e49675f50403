"""A run of limited time says when the machine gave it much less than its time."""

import multiprocessing
import os

import pytest
import torch

import pushforward as pf
from pushforward.training.history import History


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


def _work(begun):
    begun.set()
    while True:
        pass


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="of Linux")
def test_a_process_that_shares_its_processor_with_three_others_has_a_quarter_of_it():
    before = os.sched_getaffinity(0)
    context = multiprocessing.get_context("spawn")
    begun = [context.Event() for _ in range(3)]
    busy = [context.Process(target=_work, args=(event,), daemon=True) for event in begun]
    os.sched_setaffinity(0, {min(before)})
    try:
        for process in busy:
            process.start()
            os.sched_setaffinity(process.pid, {min(before)})
        # A process that still reads its modules from the disk leaves the processor to others.
        assert all(event.wait(120) for event in begun)
        # It is to be ended by its time, however quick the processor is.
        history = pf.fit(pf.maf(4), torch.randn(2000, 4), max_time=8, patience=None, progress=False)
    finally:
        os.sched_setaffinity(0, before)
        for process in busy:
            process.kill()
    # What else runs takes from it as well.
    assert history.processor_share < 0.6 and "the machine was busy" in history.shortage
