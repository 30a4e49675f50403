"""Without its package an adapter says which extra installs it."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from pushforward.integrations.requirement import MissingPackageError

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# What each adapter needs, as it is imported, and the extra.
NEEDED = {
    "from_zuko": ("zuko", "zuko"),
    "harmonic": ("harmonic", "harmonic"),
    "nessai": ("nessai", "nessai"),
    "nflows": ("nflows", "nflows"),
    "pyod": ("pyod", "pyod"),
    "pyro": ("pyro", "pyro"),
    "sbi": ("sbi", "sbi"),
    "sdgym": ("pandas", "sdmetrics"),
    "shapiq": ("shapiq", "shapiq"),
    "skpro": ("skpro", "skpro"),
    "zuko": ("zuko", "zuko"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_package_names_the_extra(name, monkeypatch):
    package, extra = NEEDED[name]
    for loaded in list(sys.modules):
        if loaded == f"pushforward.integrations.{name}" or loaded.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"{package} is not installed; pip install 'pushforward\[{extra}\]'"):
        importlib.import_module(f"pushforward.integrations.{name}")
    assert extra in EXTRAS


def test_every_adapter_is_among_them():
    folder = ROOT / "src" / "pushforward" / "integrations"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "requirement", "torch_distributions"}
    assert files == set(NEEDED)
