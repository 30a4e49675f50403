"""What holds for every test: the threads, the seeds, and how many examples of a property are tried.

Environment variables that only the tests read show that no test depends on how one run on one machine came out:
PUSHFORWARD_TEST_THREADS, the number of threads of a process (1 by default), and PUSHFORWARD_TEST_SEED_OFFSET, which is
added to every seed of torch and NumPy (0 by default).
"""

import contextlib
import os

THREADS = int(os.environ.get("PUSHFORWARD_TEST_THREADS", "1"))
# OpenMP reads these once, when torch is imported. Threads that wait actively take the processor from other processes.
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ["OMP_NUM_THREADS"] = str(THREADS)
# Tests compare with numbers on the processor, also on a machine with an accelerator. Those of the kernels for GPUs run
# there: PUSHFORWARD_TEST_GPU=1 python -m pytest tests/kernels/test_gpu_kernels.py
if os.environ.get("PUSHFORWARD_TEST_GPU") != "1":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import seed_offset  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(THREADS)
seed_offset.install()

# They have no examples to run, and several modules of one name cannot be collected.
collect_ignore_glob = ["*conftest.py"]

hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Refuse names of tests that differ between processes: pytest-xdist compares them, those that are run alone."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"The name of a test contains an address of memory: {named[0]}. Give it other ids.")


@pytest.fixture(autouse=True)
def same_threads():
    """Undo what a test did to the number of threads."""
    yield
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def same_seed(request):
    """Start each test from one state, whichever ran before it; one of recorded numbers from that of the record."""
    with seed_offset.disabled() if request.node.get_closest_marker("recorded") else contextlib.nullcontext():
        torch.manual_seed(0)
        yield


@pytest.fixture
def kill(monkeypatch):
    """Runs that save their state after every step, and a function that says after how many they die: killed_runs.py."""
    from killed_runs import killer

    return killer(monkeypatch)
