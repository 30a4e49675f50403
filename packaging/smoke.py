"""Use an installed pushforward for a few seconds: the command line, a flow, its kernels and a model file.

    python packaging/smoke.py kernels    # fails without compiled kernels
    python packaging/smoke.py torch      # fails with them

It reads and writes only the folder that it makes, and needs nothing but the package.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import pushforward as pf
from pushforward.kernels import INSTRUCTION_SETS, VARIABLE, native

EVALUATE = """
import sys, torch, pushforward as pf
with torch.no_grad():
    flow = pf.load(sys.argv[1])
    torch.save(flow.log_prob(torch.load(sys.argv[2])), sys.argv[3])
"""


def run(*arguments: str, kernels: str = "") -> None:
    """Run Python with some kernels, "" for the best."""
    subprocess.run([sys.executable, *arguments], env={**os.environ, VARIABLE: kernels}, check=True)


def check_commands(folder: Path) -> None:
    """Fit, score, sample and describe a small table."""
    x = np.random.default_rng(0).normal(size=(400, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    data, model, scores, draws = (
        str(folder / name) for name in ("data.csv", "m.safetensors", "scores.csv", "draws.csv")
    )
    np.savetxt(data, x, delimiter=",", header="east,north", comments="")
    run("-m", "pushforward", "fit", data, "-o", model, "--max-time", "2")
    run("-m", "pushforward", "score", model, data, "-o", scores)
    run("-m", "pushforward", "sample", model, "-n", "100", "-o", draws)
    assert len(Path(scores).read_text().splitlines()) == 401
    assert len(Path(draws).read_text().splitlines()) == 101
    about = subprocess.run(
        [sys.executable, "-m", "pushforward", "info", model, "--json"], capture_output=True, check=True
    ).stdout
    assert json.loads(about)["version"] == pf.__version__


def check_kernels(folder: Path) -> None:
    """Every instruction set that this processor supports gives the densities of torch."""
    torch.manual_seed(0)
    flow, x = pf.nsf(features=3, layers=2, hidden=(32, 32)).double(), torch.randn(500, 3, dtype=torch.float64)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model, values = str(folder / "flow.safetensors"), str(folder / "x.pt")
    pf.save(flow, model)
    torch.save(x, values)
    results = {}
    for name in ("none", *(native.supported if native is not None else ())):
        run("-c", EVALUATE, model, values, str(folder / f"{name}.pt"), kernels=name)
        results[name] = torch.load(folder / f"{name}.pt")
    for name, result in results.items():
        torch.testing.assert_close(result, results["none"], rtol=1e-9, atol=1e-9, msg=f"the kernels {name} differ")


def main(expected: str) -> None:
    """Check the installation."""
    assert (native is not None) == (expected == "kernels"), f"the kernels are {native}, expected {expected}"
    if native is not None and sys.platform == "linux" and os.uname().machine == "x86_64":
        library = Path(native.path).read_bytes()
        missing = [name for name in INSTRUCTION_SETS if f"layer_forward_{name}".encode() not in library]
        assert not missing, f"the library has no kernels for {', '.join(missing)}"
    with tempfile.TemporaryDirectory() as folder:
        check_commands(Path(folder))
        check_kernels(Path(folder))
    sets = ", ".join(native.supported) if native is not None else "none"
    print(f"pushforward {pf.__version__} works; kernels: {sets}")


if __name__ == "__main__":
    main(sys.argv[1])
