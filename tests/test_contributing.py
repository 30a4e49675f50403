"""The first map of the guide for contributors, as it stands there."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pushforward.version

ROOT = Path(__file__).parent.parent
# A process of its own: the family would be known to all other tests. By another name, since a reader may have saved it.
CHECKED = """
import pushforward as pf
flow = pf.autoregressive(3, univariate="first_map", layers=1, hidden=(8,))
report = pf.check_bijection(flow.bijection)
assert report.passed, report
"""


@pytest.mark.slow
def test_the_first_map_keeps_every_contract(tmp_path):
    block = re.search(r"^   ```python\n(.*?)^   ```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "map.py").write_text(textwrap.dedent(block[1]).replace('"skewed"', '"first_map"') + CHECKED)
    result = subprocess.run([sys.executable, tmp_path / "map.py"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_citation_is_of_this_version():
    assert f"\nversion: {pushforward.version.__version__}\n" in (ROOT / "CITATION.cff").read_text()
