"""The script that a GPU needs, on the processor and tiny sizes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_every_line_of_the_script_runs(tmp_path):
    path = tmp_path / "gpu.md"
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--minutes", "60", "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = path.read_text()
    assert "log_prob, CPU against cpu" in lines and "| ERROR |" not in lines and "| FAILED |" not in lines
    assert "spline, D = 3, step" in lines and "pushforward score" in lines


@pytest.mark.slow
def test_the_fit_of_images_runs(tmp_path):
    path = tmp_path / "images.md"
    command = [
        sys.executable,
        str(SCRIPT),
        "--images",
        "--device",
        "cpu",
        "--quick",
        "--minutes",
        "60",
        "-o",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = path.read_text()
    assert "Glow of MNIST, bits per dimension | " in lines and ", 3 steps, " in lines and "| ERROR |" not in lines
    # Nothing can compress noise to less than its eight bits.
    assert "| missed |" in lines
