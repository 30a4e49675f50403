"""How nearly, and how quickly, ONNX, numpy, JAX and JavaScript evaluate a model file, beside PyTorch.

    python benchmarks/export.py [--flows maf nsf ...] [--seconds 2]

Writes benchmarks/export.md. Of each architecture, for log-densities and for draws of given latents: the largest
difference from PyTorch in float64, relative to 1 + |number|, and the rates in rows per second on one processor, of
4,096 rows at a time, in float64, and of PyTorch and ONNX in float32 as well. JavaScript takes one row after the other,
in Node. A program that is not installed is not measured.
"""

import argparse
import importlib.util
import json
import os
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

ROWS, FEATURES = 4096, 6
FLOWS = {
    "nice": lambda: pf.nice(FEATURES),
    "realnvp": lambda: pf.realnvp(FEATURES),
    "maf": lambda: pf.maf(FEATURES),
    "iaf": lambda: pf.iaf(FEATURES),
    "nsf": lambda: pf.nsf(FEATURES, linear="lu"),
    "nsf, coupling": lambda: pf.nsf(FEATURES, kind="coupling"),
    "mixture_cdf": lambda: pf.mixture_cdf(FEATURES),
    "planar": lambda: pf.planar(FEATURES),
    "radial": lambda: pf.radial(FEATURES),
    "sylvester": lambda: pf.sylvester(FEATURES),
}
FUNCTIONS = {"log_prob": "x", "to_data": "z"}
PROGRAMS = ("PyTorch", "ONNX", "numpy", "JAX", "JavaScript", "PyTorch, float32", "ONNX, float32")
NODE = """
const { source, flow: spec, rows, name, seconds } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const flow = require(source).read(spec);
const call = name === "log_prob" ? (x) => flow.logProb(x) : (z) => Array.from(flow.forward(z).value);
const found = rows.slice(0, 256).map(call);
const start = process.hrtime.bigint();
let count = 0;
const passed = () => Number(process.hrtime.bigint() - start) / 1e9;
while (passed() < seconds) call(rows[count++ % rows.length]);
console.log(JSON.stringify({ found, rate: count / passed() }));
"""


def rate(work, seconds):
    """Rows per second in the quickest of the calls of some seconds, after one that is not counted."""
    work()
    best, end = np.inf, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return ROWS / best


def difference(found, expected):
    found, expected = np.asarray(found, dtype=float), expected[: len(found)]
    return float((np.abs(found - expected) / (1 + np.abs(expected))).max())


def in_node(flow, rows, name, seconds):
    source = str(files("pushforward.exports.javascript").joinpath("index.js"))
    given = {"source": source, "flow": flow_as_json(flow), "rows": rows.tolist(), "name": name, "seconds": seconds}
    done = subprocess.run(["node", "-e", NODE], input=json.dumps(given), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["found"], found["rate"]


def in_onnx(model, name, precision):
    """A call of onnxruntime in one thread."""
    import onnxruntime

    from pushforward.exports.onnx.writing import as_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = as_onnx(model, name, precision).SerializeToString()
    session = onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {FUNCTIONS[name]: rows})[0]


@torch.no_grad()
def measured(flow, model, name, seconds):
    """Of one function of a flow, {program: (difference, rate)}."""
    rows = np.random.default_rng(0).normal(size=(ROWS, FEATURES))
    single, double = rows.astype(np.float32), torch.from_numpy(rows)
    call = getattr(flow.double(), name)
    expected = call(double).numpy()
    found = {"PyTorch": (0.0, rate(lambda: call(double), seconds))}
    ours = getattr(model, name)
    found["numpy"] = difference(ours(rows), expected), rate(lambda: ours(rows), seconds)
    if importlib.util.find_spec("jax") is not None:
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(lambda rows: ours(rows, xp=jax.numpy))
        found["JAX"] = difference(compiled(rows), expected), rate(lambda: compiled(rows).block_until_ready(), seconds)
    if shutil.which("node"):
        values, per_second = in_node(flow, rows, name, seconds)
        found["JavaScript"] = difference(values, expected), per_second
    call = getattr(flow.float(), name)
    of_single = torch.from_numpy(single)
    found["PyTorch, float32"] = (
        difference(call(of_single).double().numpy(), expected), rate(lambda: call(of_single), seconds),
    )  # fmt: skip
    if importlib.util.find_spec("onnx") is not None and importlib.util.find_spec("onnxruntime") is not None:
        for key, precision, values in (("ONNX", "float64", rows), ("ONNX, float32", "float32", single)):
            run = in_onnx(model, name, precision)
            found[key] = difference(run(values), expected), rate(lambda run=run, values=values: run(values), seconds)
    return found


def made(name, folder):
    """A flow with weights that are not zero, and the same as the file of it is read without PyTorch."""
    torch.manual_seed(0)
    flow = FLOWS[name]()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = Path(folder) / "flow.safetensors"
    # In single precision, so that both precisions have the same weights.
    pf.save(flow.eval(), path)
    return flow, lite.load(path)


def table_of(title, results, shown):
    """A table of markdown with a line for each flow."""
    lines = [f"{title}\n", f"| flow | {' | '.join(PROGRAMS)} |", "|---" * (len(PROGRAMS) + 1) + "|"]
    for name, found in results.items():
        cells = [shown(*found[one]) if one in found else "not measured" for one in PROGRAMS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flows", nargs="*", default=list(FLOWS), choices=FLOWS)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        # JAX and Node have threads of their own, which no setting keeps from other processors.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    text = __doc__.split("\n")[0] + "\n\n"
    results = {name: {} for name in FUNCTIONS}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.flows:
            flow, model = made(name, folder)
            for function in FUNCTIONS:
                results[function][name] = measured(flow, model, function, asked.seconds)
                rates = ", ".join(f"{one} {speed:,.0f}" for one, (_, speed) in results[function][name].items())
                print(f"{name}, {function}: {rates} rows/s", flush=True)
    for function, what in (("log_prob", "log-densities"), ("to_data", "draws of given latents")):
        found = results[function]
        text += table_of(f"Rows per second, {what}:", found, lambda _, speed: f"{speed:,.0f}")
        text += table_of(f"Largest difference from PyTorch in float64, {what}:", found, lambda apart, _: f"{apart:.0e}")
    bare, of_numpy, whole = (milliseconds(code) for code in ("pass", "import numpy", "import pushforward.lite"))
    text += (
        f"`python benchmarks/export.py`: {FEATURES} features, the defaults of each architecture, one processor,\n"
        f"float64 unless it says otherwise, {ROWS} rows at a time, one row at a time in JavaScript. Differences are\n"
        f"relative to 1 + |number|. A fresh process takes {bare:.0f} ms of its processor, {of_numpy:.0f} ms with\n"
        f"`import numpy` and {whole:.0f} ms with `import pushforward.lite`.\n"
    )
    (Path(__file__).parent / "export.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
