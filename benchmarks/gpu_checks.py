"""What is checked on a GPU, in parts that run side by side, each in a process of its own; for gpu.py."""

import copy
import functools
import importlib.util
import itertools
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

import pushforward as pf
from pushforward.kernels.gpu import eligibility
from pushforward.zoo.names import ARCHITECTURES

ROOT = Path(__file__).resolve().parent.parent
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-10}
CONDITIONAL = ("maf", "nsf", "realnvp", "iaf")


def difference(found, expected):
    """The largest difference of tensors, in units of one plus the size of the number."""
    return max(
        float(((one.detach().cpu() - other.detach()).abs() / (1 + other.detach().abs())).max())
        for one, other in zip(found, expected, strict=True)
    )


def of_norms(found, expected):
    """The largest difference of tensors, in units of one plus the largest number of each."""
    return max(
        float((one.detach().cpu() - other.detach()).abs().max() / (1 + other.detach().abs().max()))
        for one, other in zip(found, expected, strict=True)
    )


def noisy(flow, deviation=0.1):
    """The flow with noise in every parameter, so that it is not near the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += deviation * torch.randn(parameter.shape, generator=generator)
    return flow.eval()


def architecture_options(name):
    return {
        "layers": 2,
        **({"hidden": (32, 32)} if name in ("nice", "realnvp", "maf", "iaf", "nsf", "mixture_cdf") else {}),
    }


def check_flow(report, name, dtype, context):
    """A named flow on both devices: densities, draws from the same noise, gradients, a step."""
    torch.manual_seed(0)
    try:
        flow = getattr(pf, name)(features=5, context=context, **architecture_options(name))
    except TypeError:
        flow = getattr(pf, name)(features=5, context=context)
    flow = noisy(flow.to(dtype))
    x, z = (torch.randn(200, 5, generator=torch.Generator().manual_seed(k)).to(dtype) for k in (2, 3))
    c = torch.randn(200, context, generator=torch.Generator().manual_seed(4)).to(dtype) if context else None
    results = {}
    for device in ("cpu", report.device):
        own = copy.deepcopy(flow).to(device)
        there = [None if part is None else part.to(device) for part in (x, z, c)]
        with torch.no_grad():
            densities = own.log_prob(there[0], there[2])
            draws = own.to_data(there[1], there[2])
        (-own.log_prob(there[0], there[2]).mean()).backward()
        gradients = [p.grad.clone() for p in own.parameters() if p.grad is not None]
        torch.optim.SGD(own.parameters(), 0.1).step()
        results[device] = [densities], [draws], gradients, list(own.parameters())
    tolerance = TOLERANCES[dtype]
    label = f"{name}{f', context {context}' if context else ''}, {str(dtype)[6:]}"
    compared = zip(
        ("log_prob", "draws from the same noise", "gradients", "weights after a step"),
        (difference, difference, of_norms, of_norms),
        results["cpu"], results[report.device], strict=True,
    )  # fmt: skip
    for what, measure, expected, found in compared:
        report.check(label, f"{what}, CPU against {report.device}", measure(found, expected), tolerance)


def check_contracts(report, name):
    """The contract suite, in float64, on the device: what holds on the processor holds there."""
    bijection = getattr(pf, name)(features=3, **architecture_options(name)).bijection
    broken = []
    for device in ("cpu", report.device):
        found = pf.check_bijection(copy.deepcopy(bijection).to(device))
        broken.append({check.name for check in found.checks if check.passed is False})
    worse = broken[1] - broken[0]
    compared, found = (
        f"pf.check_bijection, CPU against {report.device}",
        ", ".join(sorted(worse)) or "all hold there too",
    )
    report.add(f"contracts of {name}", compared, found, "what holds on the CPU", "FAILED" if worse else "passed")


def check_kernels(report, name, features, hidden, dtype):
    """The Triton kernels against operations of torch on the same device."""
    torch.manual_seed(0)
    flow = noisy(getattr(pf, name)(features=features, layers=2, hidden=hidden).to(dtype), 0.02).to(report.device)
    rows = 300 if report.quick else 4096
    x = torch.randn(rows, features, dtype=dtype, device=report.device)
    results = []
    for switched_on in (True, False):
        kept = eligibility.has_triton
        if not switched_on:
            eligibility.has_triton = lambda: False
        try:
            if switched_on and not eligibility.has_triton():
                report.add(f"kernels, {name} {features}", "-", "triton is not installed", "-", "not run")
                return
            for parameter in flow.parameters():
                parameter.grad = None
            (-flow.log_prob(x).mean()).backward()
            with torch.no_grad():
                results.append(([flow.log_prob(x)], [flow.to_data(x)], [p.grad for p in flow.parameters()]))
        finally:
            eligibility.has_triton = kept
    for what, measure, found, expected in zip(
        ("log_prob", "draws", "gradients"), (difference, difference, of_norms), *results, strict=True
    ):
        label = f"kernels, {name}, D = {features}, {str(dtype)[6:]}"
        error = measure(found, [tensor.cpu() for tensor in expected])
        report.check(label, f"{what}, Triton against torch on {report.device}", error, TOLERANCES[dtype])


def banana(rows, seed=0):
    z = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([z[:, 0], 0.5 * z[:, 0] ** 2 + 0.3 * z[:, 1]], 1)


def fitted(report, steps, **options):
    torch.manual_seed(0)
    flow = pf.nsf(features=2, layers=2, hidden=(64, 64))
    x = banana(1200 if report.quick else 20_000)
    cut = len(x) * 3 // 4
    history = pf.fit(flow, x[:cut], validation=x[cut:], max_steps=steps, progress=False, **options)
    return flow, history


def check_training(report):
    """A fit on the device against one on the processor."""
    steps = 30 if report.quick else 300
    nats = {device: fitted(report, steps, device=device)[1].best_held_out for device in ("cpu", report.device)}
    report.check("a fit", f"held-out nats of {steps} steps, CPU against {report.device}",
                 abs(nats["cpu"] - nats[report.device]), 0.02)  # fmt: skip


def check_double(report):
    steps = 10
    nats = {d: fitted(report, steps, device=d, precision="64-true")[1].best_held_out for d in ("cpu", report.device)}
    report.check("a fit in float64", f"held-out nats of {steps} steps, CPU against {report.device}",
                 abs(nats["cpu"] - nats[report.device]), 1e-6)  # fmt: skip


def check_mixed(report):
    """bfloat16 in the networks."""
    steps = 100 if report.quick else 1000
    nats = {
        precision: fitted(report, steps, device=report.device, precision=precision)[1].best_held_out
        for precision in ("32-true", "bf16-mixed")
    }
    report.check("bf16-mixed", f"held-out nats of {steps} steps against 32-true",
                 abs(nats["32-true"] - nats["bf16-mixed"]), 0.05 if report.quick else 0.01)  # fmt: skip


def check_coads(report):
    """The same on the table of the quality benchmark, where its data are available."""
    import datasets

    if report.quick or not datasets.is_cached("coads"):
        report.add("bf16-mixed on COADS", "-", "the data are not here: see benchmarks/datasets.py", "-", "not run")
        return
    parts = datasets.load("coads")
    train, held_out = (
        torch.as_tensor(np.asarray(getattr(parts, part)), dtype=torch.float32) for part in ("train", "validation")
    )
    nats = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        flow = pf.nsf(features=train.shape[1], layers=5, hidden=(128, 128))
        history = pf.fit(flow, train, validation=held_out, max_steps=2000, batch_size=4096, device=report.device,
                         precision=precision, progress=False)  # fmt: skip
        nats.append(history.best_held_out)
    report.check("bf16-mixed on COADS", "held-out nats of 2000 steps against 32-true", abs(nats[0] - nats[1]), 0.01)


def check_waits(report):
    """How often a step waits for the device."""
    if report.device != "cuda":
        report.add("waits in training", "-", "only on cuda", "-", "not run")
        return
    fitted(report, 20, device="cuda")
    waits = {}
    torch.cuda.set_sync_debug_mode("warn")
    try:
        for steps in (20, 220):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                fitted(report, steps, device="cuda", evaluate_every=1000)
            waits[steps] = sum("synchroniz" in str(one.message) for one in seen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    report.check("waits in training", "synchronizing operations a step, between step 20 and step 220",
                 (waits[220] - waits[20]) / 200, 0.15)  # fmt: skip


def check_bad_row(report):
    """A row that is not finite is named on the device as well."""

    class Intolerant(torch.nn.Module):
        features, context_features, config, allows_gaps, context_allows_gaps = 2, 0, None, False, False

        def __init__(self):
            super().__init__()
            self.flow = pf.maf(features=2, layers=1)

        def log_prob(self, x, context=None):
            return torch.where(x[:, 1] > 50, torch.nan, self.flow.log_prob(x))

    x = banana(600)
    x[123, 1] = 77.0
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        pf.fit(Intolerant(), x, validation=banana(50, 1), epochs=2, batch_size=64, device=report.device, progress=False)
    named = any("x[123, 1] (value 77" in str(one.message) for one in seen)
    report.add("a bad row", "its name in the warning", "named" if named else "not named", "named",
               "passed" if named else "FAILED")  # fmt: skip


def check_resume(report):
    """A run that resumes from its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.checkpoint")
        fitted(report, 20, device=report.device, checkpoint=path)
        history = fitted(report, 20, device=report.device, checkpoint=path, resume=True)[1]
    report.check("resuming", "steps of a finished run that is resumed, against 20", abs(history.steps - 20), 0)


def table(rows):
    import pandas as pd

    random = np.random.default_rng(0)
    a = random.normal(size=rows)
    frame = {"a": a, "b": a + random.exponential(size=rows), "count": random.poisson(3.0, rows)}
    return pd.DataFrame({**frame, "kind": random.choice(["x", "y"], rows)})


def check_table(report):
    """A fit to a table with columns of several kinds, and its scores."""
    frame = table(600 if report.quick else 3000)
    steps = 20 if report.quick else 200
    nats = {}
    for device in ("cpu", report.device):
        found = pf.fit_table(frame, max_steps=steps, device=device, progress=False)
        nats[device] = float(found.model.log_prob(found.model.encode(frame)).mean())
    report.check("a table", f"mean score after {steps} steps, CPU against {report.device}",
                 abs(nats["cpu"] - nats[report.device]), 0.1)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        found.model.save(path)
        codes = found.model.encode(frame)
        scores = [
            torch.from_numpy(type(found.model).load(path, device=d).log_prob(codes)) for d in ("cpu", report.device)
        ]
    report.check(
        "scores of a table", f"the same model, CPU against {report.device}", difference(scores[1:], scores[:1]), 1e-4
    )


def check_command_line(report):
    """The commands, as a user types them."""
    with tempfile.TemporaryDirectory() as folder:
        data, model, out = (Path(folder) / name for name in ("data.csv", "model.safetensors", "out.csv"))
        table(600).to_csv(data, index=False)
        seconds = "3" if report.quick else "10"
        for words in (
            ["fit", data, "-o", model, "--device", report.device, "--max-time", seconds, "-q"],
            ["score", model, data, "-o", out],
            ["sample", model, "-n", "10", "-o", out],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "pushforward", *map(str, words)], capture_output=True, text=True
            )
            passed = done.returncode == 0
            report.add(f"pushforward {words[0]}", "exit status", done.returncode if passed else done.stderr[-300:], "0",
                       "passed" if passed else "FAILED")  # fmt: skip


def check_sound(report):
    """Models of sound: densities and gradients on both devices."""
    for name, dtype in itertools.product(("wavenet", "parallel_wavenet"), TOLERANCES):
        torch.manual_seed(0)
        density = noisy(getattr(pf, name)(channels=8, layers=4)).to(dtype)
        x = 0.1 * torch.randn(2, 128, dtype=dtype)
        label, tolerance = f"sound, {name}, {str(dtype)[6:]}", TOLERANCES[dtype]
        expected, gradients = sound_gradients(density, x)
        found, others = sound_gradients(copy.deepcopy(density).to(report.device), x.to(report.device))
        report.check(label, f"log_prob, CPU against {report.device}", of_norms([found], [expected]), tolerance)
        report.check(label, f"gradients, CPU against {report.device}", of_norms(others, gradients), tolerance)


def sound_gradients(density, x):
    for parameter in density.parameters():
        parameter.grad = None
    log_prob = density.log_prob(x)
    log_prob.mean().backward()
    return log_prob.detach(), [p.grad for p in density.parameters() if p.grad is not None]


def check_tests(report):
    """The tests of the kernels, compiled for the GPU and not in triton's interpreter."""
    if report.device != "cuda" or importlib.util.find_spec("pytest") is None:
        report.add("tests of the kernels", "-", "only on cuda, with pytest", "-", "not run")
        return
    workers = ["-n", "6"] if importlib.util.find_spec("xdist") else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers]
    done = subprocess.run([*command, "tests/kernels/test_gpu_kernels.py"], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {"PUSHFORWARD_TEST_GPU": "1"})  # fmt: skip
    summary = re.findall(r"\d+ (?:passed|failed|error)[^\n]*", done.stdout) or [done.stdout[-300:]]
    passed = done.returncode == 0
    if not passed:
        print(done.stdout[-5000:], done.stderr[-2000:])
    report.add("tests of the kernels", "tests/kernels/test_gpu_kernels.py", summary[-1], "all pass",
               "passed" if passed else "FAILED")  # fmt: skip


def flows(report, dtype):
    """Named flows in one precision."""
    for name in ARCHITECTURES:
        for context in (0, 3) if name in CONDITIONAL else (0,):
            report.run(f"{name}, {dtype}", check_flow, name, dtype, context)


def kernels(report, dtype):
    """Kernels in one precision."""
    wide, narrow = ((16, 16), (16, 16)) if report.quick else ((256, 256), (128, 128))
    for name, features, hidden in (("nsf", 6, narrow), ("nsf", 43, wide), ("maf", 63, wide)):
        report.run(
            f"kernels, {name}", check_kernels, name, min(features, 7) if report.quick else features, hidden, dtype
        )


def contracts(report, part):
    """The contract suite of every fourth architecture, from one on."""
    names = ("maf", "nsf") if report.quick else tuple(ARCHITECTURES)
    for name in names[part::4]:
        report.run(f"contracts of {name}", check_contracts, name)


def each(*checks):
    """A part that runs some checks one after the other."""

    def part(report):
        for check in checks:
            report.run(check.__doc__ or check.__name__, check)

    return part


# Those that take longest come first.
PARTS = {
    "tests": each(check_tests),
    **{f"contracts_{part}": functools.partial(contracts, part=part) for part in range(4)},
    "coads": each(check_coads),
    "tables": each(check_table),
    "mixed": each(check_mixed),
    "flows_float32": functools.partial(flows, dtype=torch.float32),
    "flows_float64": functools.partial(flows, dtype=torch.float64),
    "kernels_float32": functools.partial(kernels, dtype=torch.float32),
    "kernels_float64": functools.partial(kernels, dtype=torch.float64),
    "training": each(check_training, check_double, check_waits, check_bad_row, check_resume),
    "command_line": each(check_command_line),
    "sound": each(check_sound),
}
