"""The benchmark of exports: every program is measured, and agrees with PyTorch, of flows in both directions."""

import re
import sys

import export
import pytest


@pytest.mark.slow
def test_every_program_is_measured_and_agrees(tmp_path, monkeypatch, capsys):
    for package in ("onnx", "onnxruntime", "jax"):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    if export.shutil.which("node") is None:
        pytest.skip("Node is not installed: apt-get install nodejs")
    # The results lie beside the program; other tests keep their processors.
    monkeypatch.setattr(export, "__file__", str(tmp_path / "export.py"))
    monkeypatch.setattr(export.os, "sched_setaffinity", lambda *arguments: None, raising=False)
    monkeypatch.setattr(export, "ROWS", 8)
    monkeypatch.setattr(sys, "argv", ["export.py", "--flows", "radial", "nice", "--seconds", "0.01"])
    export.main()
    tables = (tmp_path / "export.md").read_text()
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith(("| radial", "| nice"))]
    assert len(rows) == 8 and not [cell for row in rows for cell in row if cell == "not measured"]
    for row in rows[2:4] + rows[6:]:
        apart = [float(re.sub(r"[ |]", "", cell)) for cell in row[1:]]
        assert max(apart[: export.PROGRAMS.index("PyTorch, float32")]) < 1e-12 and max(apart) < 1e-4
