"""The first map of the guide for contributors, as it stands there."""

import re
import subprocess
import sys
import textwrap
import tomllib
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


def test_the_recipe_for_conda_is_of_this_version_and_needs_the_same():
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    assert f'\n  version: "{pushforward.version.__version__}"\n' in recipe
    run = re.search(r"^  run:\n    - python\n((?:    - .*\n)+)", recipe, re.MULTILINE)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # By their names on conda-forge.
    names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    needed = [re.fullmatch(r"([\w-]+)(>=[\d.]+)", entry).groups() for entry in project["dependencies"]]
    assert {f"    - {names.get(name, name)} {least}" for name, least in needed} == set(run.splitlines())


def test_the_citation_is_of_this_version():
    assert f"\nversion: {pushforward.version.__version__}\n" in (ROOT / "CITATION.cff").read_text()
