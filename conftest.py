"""Examples in docstrings show recorded numbers: they keep their seeds, whatever is added to those of the tests."""

import importlib.util
import re
from pathlib import Path

import pytest
import seed_offset

# Each of these modules needs the package of its extra.
collect_ignore = [
    str(path)
    for path in (Path(__file__).parent / "src" / "pushforward" / "integrations").glob("*.py")
    for package in re.findall(r'^with requires\("(\w+)"', path.read_text(), re.MULTILINE)
    if importlib.util.find_spec(package) is None
]
# These are written in triton.
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
