"""Examples in docstrings show recorded numbers: they keep their seeds, whatever is added to those of the tests."""

import importlib.util

import pytest
import seed_offset

# These modules are written in triton.
if importlib.util.find_spec("triton") is None:
    collect_ignore_glob = ["src/pushforward/kernels/gpu/*.py"]


@pytest.fixture(autouse=True)
def recorded_examples(request):
    """Leave the seeds of an example as they are."""
    if isinstance(request.node, pytest.DoctestItem):
        with seed_offset.disabled():
            yield
    else:
        yield
