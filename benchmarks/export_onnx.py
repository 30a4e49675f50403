"""Rates of ONNX files against torch by architecture, in one thread: python benchmarks/export_onnx.py

Prints the table of docs/export.md: the largest relative difference of log-densities in float64, and for log_prob and
for draws in float32 the thousands of rows a second, the nodes, and the time that onnxruntime takes to read the file.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import pushforward as pf
from pushforward import lite
from pushforward.exports.onnx.writing import as_onnx

NAMES = ("nice", "realnvp", "maf", "iaf", "nsf", "mixture_cdf", "planar", "radial", "sylvester")
FEATURES, ROWS, SECONDS = 6, 10_000, 3.0


def rate(function, rows):
    """Thousands of rows a second: the best of calls for a second."""
    best, end = np.inf, time.monotonic() + SECONDS
    function()
    while time.monotonic() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return rows / best / 1000


def session_of(model, function, precision):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = as_onnx(model, function, precision)
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, len(made.graph.node), time.perf_counter() - start


def line(name, folder):
    torch.manual_seed(0)
    flow = getattr(pf, name)(features=FEATURES).eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = Path(folder) / f"{name}.safetensors"
    pf.save(flow, path)
    model, x = lite.load(path), np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype("float32")
    rows = torch.from_numpy(x)
    cells, double = [], flow.double()
    expected = double.log_prob(rows.double()).detach().numpy()
    difference = np.abs(session_of(model, "log_prob", "float64")[0].run(None, {"x": x.astype(float)})[0] - expected)
    flow = flow.float()
    for function, key, by_torch in (("log_prob", "x", flow.log_prob), ("sample", "noise", flow.to_data)):
        session, nodes, seconds = session_of(model, function, "float32")
        with torch.no_grad():
            cells += [rate(partial(by_torch, rows), ROWS)]
        cells += [rate(partial(session.run, None, {key: x}), ROWS), nodes, seconds]
    relative = (difference / np.abs(expected)).max()
    a, b, c, d, e, f, g, h = cells
    return f"| `{name}` | {relative:.0e} | {a:.0f} | {b:.0f} | {c} | {d:.1f} | {e:.0f} | {f:.0f} | {g} | {h:.1f} |"


def main():
    torch.set_num_threads(1)
    print("| | difference | torch | ONNX | nodes | s to read | torch | ONNX | nodes | s to read |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            print(line(name, folder), flush=True)


if __name__ == "__main__":
    main()
