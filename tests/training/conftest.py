import sys
from pathlib import Path

import pytest
import torch

# The tests of this directory share models.py.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_thread():
    # Threads only wait for each other on models this small.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
