"""A process that may use one processor computes in one thread, whatever the machine shows."""

import os
import shutil
import subprocess
import sys

import pytest

from pushforward.kernels import native

SCRIPT = """
import torch
torch.set_num_threads(4)
import pushforward as pf
from pushforward.kernels.threads import thread_count
from pushforward.support.processors import usable_processors
flow, x = pf.maf(features=6, hidden=(64, 64)), torch.randn(4096, 6)
flow.log_prob(x).mean().backward()
print(usable_processors(), thread_count(), torch.isfinite(flow.log_prob(x)).all().item())
"""


@pytest.mark.skipif(native is None, reason="there are no kernels")
@pytest.mark.skipif(shutil.which("taskset") is None, reason="there is no taskset")
def test_under_taskset():
    processor = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(processor), sys.executable, "-c", SCRIPT]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["1", "1", "True"]
