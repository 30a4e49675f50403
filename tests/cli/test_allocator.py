import subprocess
import sys

import pytest

# The share of a block's pages that must be fetched anew when it is freed and taken again.
SCRIPT = """
import resource
import torch
{before}
def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**21)  # 8 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start
faults()
print(faults() / (20 * 2**21 * 4 / resource.getpagesize()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the C library of Linux")
def test_commands_keep_their_memory():
    def share(before):
        command = [sys.executable, "-c", SCRIPT.format(before=before)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert share("from pushforward.cli.allocator import keep_memory; keep_memory()") < 0.05
