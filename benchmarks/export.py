"""How nearly, and how quickly, numpy, JAX and JavaScript evaluate a model file, beside PyTorch.

    python benchmarks/export.py

Writes benchmarks/export.md: of each architecture the largest difference of log-densities from PyTorch in float64,
relative to 1 + |log p|, and the rates in rows per second on one thread, of 4,096 rows at a time. JavaScript is measured
where Node is installed, JAX where it is.
"""

import importlib.util
import json
import shutil
import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from fresh_process import milliseconds

import pushforward as pf
from pushforward import lite
from pushforward.exports.javascript import flow_as_json

ROWS, FEATURES, SECONDS = 4096, 6, 1.0
FLOWS = {
    "maf": lambda: pf.maf(FEATURES),
    "iaf": lambda: pf.iaf(FEATURES),
    "realnvp": lambda: pf.realnvp(FEATURES),
    "nice": lambda: pf.nice(FEATURES),
    "nsf": lambda: pf.nsf(FEATURES, linear="lu"),
    "nsf, coupling": lambda: pf.nsf(FEATURES, kind="coupling"),
    "mixture_cdf": lambda: pf.mixture_cdf(FEATURES),
    "planar": lambda: pf.planar(FEATURES),
    "radial": lambda: pf.radial(FEATURES),
    "sylvester": lambda: pf.sylvester(FEATURES),
}
NODE = """
const { source, flow: spec, x, seconds } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const flow = require(source).read(spec);
const found = x.slice(0, 256).map((row) => flow.logProb(row));
const start = process.hrtime.bigint();
let rows = 0;
const passed = () => Number(process.hrtime.bigint() - start) / 1e9;
while (passed() < seconds) flow.logProb(x[rows++ % x.length]);
console.log(JSON.stringify({ found, rate: rows / passed() }));
"""


def rate(work):
    """Rows per second of calls of ROWS rows, after one that is not counted."""
    work()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        work()
        calls += 1
    return calls * ROWS / (time.perf_counter() - start)


def difference(found, expected):
    found, expected = np.asarray(found, dtype=float), expected[: len(found)]
    return float((np.abs(found - expected) / (1 + np.abs(expected))).max())


def in_node(flow, x):
    source = str(files("pushforward.exports.javascript").joinpath("index.js"))
    given = {"source": source, "flow": flow_as_json(flow), "x": x.tolist(), "seconds": SECONDS}
    done = subprocess.run(["node", "-e", NODE], input=json.dumps(given), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["found"], found["rate"]


@torch.no_grad()
def measured(name, folder):
    """Of one architecture, {program: (difference, rate)}."""
    torch.manual_seed(0)
    flow = FLOWS[name]()
    for parameter in flow.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    flow = flow.double().eval()
    path = Path(folder) / "flow.safetensors"
    pf.save(flow, path)
    model, x = lite.load(path), torch.randn(ROWS, FEATURES, dtype=torch.float64)
    rows, expected = x.numpy(), flow.log_prob(x).numpy()
    found = {"PyTorch": (0.0, rate(lambda: flow.log_prob(x)))}
    found["numpy"] = difference(model.log_prob(rows), expected), rate(lambda: model.log_prob(rows))
    if importlib.util.find_spec("jax") is not None:
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(lambda rows: model.log_prob(rows, xp=jax.numpy))
        found["JAX"] = difference(compiled(rows), expected), rate(lambda: compiled(rows).block_until_ready())
    if shutil.which("node"):
        values, per_second = in_node(flow, x)
        found["JavaScript"] = difference(values, expected), per_second
    return found


def main():
    torch.set_num_threads(1)
    programs = ["PyTorch", "numpy", "JAX", "JavaScript"]
    titles = [*(f"{one}: rows/s" for one in programs), *(f"{one}: difference" for one in programs[1:])]
    lines = [f"| flow | {' | '.join(titles)} |"]
    lines.append("|---" * (2 * len(programs)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name in FLOWS:
            found = measured(name, folder)
            rates = [f"{found[one][1]:,.0f}" if one in found else "not measured" for one in programs]
            apart = [f"{found[one][0]:.0e}" if one in found else "not measured" for one in programs[1:]]
            lines.append(f"| {name} | " + " | ".join([*rates, *apart]) + " |")
            print(lines[-1], flush=True)
    bare, of_numpy, whole = (milliseconds(code) for code in ("pass", "import numpy", "import pushforward.lite"))
    text = __doc__.split("\n")[0] + "\n\n" + "\n".join(lines) + "\n\n"
    text += (
        f"`python benchmarks/export.py`: log_prob of {FEATURES} features in float64 on one thread, {ROWS} rows at a\n"
    )
    text += "time, one row at a time in JavaScript. Differences are relative to 1 + |log p|.\n\n"
    text += f"A fresh process takes {bare:.0f} ms of its processor, with `import numpy` {of_numpy:.0f} ms and with\n"
    text += f"`import pushforward.lite` {whole:.0f} ms.\n"
    (Path(__file__).parent / "export.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
