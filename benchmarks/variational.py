"""Variational inference on targets with known answers.

    python benchmarks/variational.py energies     # U1 to U4 of the planar paper: a picture and a table of KL in nats
    python benchmarks/variational.py targets      # funnel, many-well, eight schools, regression, two moons

Settings are the same for all four energies. Results go to benchmarks/variational_*.json and .md, and the picture to
docs/images/energies.png.
"""

import dataclasses
import json
import math
import sys
import time
import warnings
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from machine import machine

import pushforward as pf
from pushforward.evaluation import targets

HERE = Path(__file__).parent
DRAWS = 50_000
PICTURE = HERE.parent / "docs" / "images" / "energies.png"
PLANAR = {"estimator": "plain", "learning_rate": 2e-2, "max_steps": 14_000, "annealing_steps": 7000, "batch_size": 256}
OTHERS = {"estimator": "path", "learning_rate": 3e-3, "max_steps": 4000, "annealing_steps": 2000, "batch_size": 512}
FLOWS = {
    "planar, K = 2": (lambda: pf.planar(2, layers=2), PLANAR),
    "planar, K = 8": (lambda: pf.planar(2, layers=8), PLANAR),
    "planar, K = 32": (lambda: pf.planar(2, layers=32), PLANAR),
    "nice, 8 layers": (lambda: pf.nice(2, layers=8, hidden=(64, 64)), OTHERS),
    "realnvp, 8 layers": (lambda: pf.realnvp(2, layers=8, hidden=(64, 64)), OTHERS),
    "iaf, 5 layers": (lambda: pf.iaf(2, layers=5, hidden=(64, 64)), OTHERS),
}


def fit(flow, target, **options) -> tuple[pf.VariationalFit, float]:
    """Fit with warnings kept for the table, and time it."""
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        options = {"evaluate_every": 200, "draws": DRAWS, "log_normalizer": target.log_normalizer, **options}
        result = pf.fit_to_target(flow, target.log_density, progress=False, **options)
    return result, time.monotonic() - start


def one_energy(job: tuple[str, int]) -> dict:
    """Fit one flow to one energy."""
    torch.set_num_threads(1)
    name, index = job
    make, options = FLOWS[name]
    target = targets.energies()[index]
    torch.manual_seed(0)
    flow = make()
    result, seconds = fit(flow, target, **options)
    axis = torch.linspace(-7, 7, 201)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    with torch.no_grad():
        density = flow.log_prob(grid).exp()
    row = {
        "flow": name,
        "energy": target.name,
        "kl": result.kl,
        "error": result.elbo_error,
        "log_normalizer": result.log_normalizer,
        "effective": result.effective_sample_size,
        "pareto_k": result.pareto_k,
        "seconds": seconds,
    }
    print(json.dumps(row), flush=True)
    return {**row, "density": density.tolist()}


def energies() -> None:
    """The table of KL and the picture."""
    jobs = [(name, index) for name in reversed(FLOWS) for index in range(4)]
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(one_energy, jobs))
    kept = [{key: value for key, value in row.items() if key != "density"} for row in rows]
    (HERE / "variational_energies.json").write_text(json.dumps(kept, indent=1))
    names = [target.name for target in targets.energies()]
    found = {(row["flow"], row["energy"]): row for row in rows}
    lines = ["| flow | " + " | ".join(names) + " |", "|---" * 5 + "|"]
    for name in FLOWS:
        cells = (f"{found[name, e]['kl']:.3f} ± {found[name, e]['error']:.3f}" for e in names)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"{machine()}."]
    (HERE / "variational_energies.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    draw(found)


def draw(found: dict) -> None:
    """The paper's figure: each energy and what planar flows of growing length make of it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    axis = torch.linspace(-7, 7, 201)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    columns = ["planar, K = 2", "planar, K = 8", "planar, K = 32", "realnvp, 8 layers"]
    figure, axes = plt.subplots(4, 5, figsize=(10, 8.3), layout="constrained")
    for line, target in zip(axes, targets.energies(), strict=True):
        exact = (target.log_density(grid) - target.log_normalizer).exp()
        top = float(exact.max())
        panels = [("exact", exact.numpy(), None)]
        panels += [
            (name, np.array(found[name, target.name]["density"]), found[name, target.name]["kl"]) for name in columns
        ]
        for place, (title, density, kl) in zip(line, panels, strict=True):
            # Square root: the eye sees the faint parts too, where mass leaks between modes.
            place.imshow(np.sqrt(density), extent=(-7, 7, -7, 7), origin="lower", cmap="magma", vmin=0, vmax=top**0.5)
            place.set_xticks([])
            place.set_yticks([])
            if target.name == "U1":
                place.set_title(title, fontsize=10)
            if kl is not None:
                place.text(-6.6, -6.4, f"KL {kl:.3f}", color="white", fontsize=9)
        line[0].set_ylabel(target.name, fontsize=11)
    figure.suptitle("Energies of the planar flow paper, fitted by reverse KL (√density; KL in nats)", fontsize=11)
    figure.savefig(PICTURE, dpi=110)


def moons_observation() -> tuple[targets.Target, np.ndarray | None]:
    """The benchmark's first observation and its reference draws, if the sbibm wheel lies in .data/whl."""
    wheels = list((HERE.parent / ".data" / "whl").glob("sbibm-*.whl"))
    target, reference = targets.two_moons(), None
    if wheels:
        import pandas as pd

        folder = "sbibm/tasks/two_moons/files/num_observation_1/"
        with zipfile.ZipFile(wheels[0]) as wheel:
            with wheel.open(folder + "observation.csv") as file:
                observation = pd.read_csv(file).to_numpy()[0]
            with wheel.open(folder + "reference_posterior_samples.csv.bz2") as file:
                reference = pd.read_csv(file, compression="bz2").to_numpy()
        target = targets.two_moons([float(value) for value in observation])
    return dataclasses.replace(target, log_normalizer=log_integral_over_square(target)), reference


def log_integral_over_square(target: targets.Target, side: int = 4801) -> float:
    """log of the integral over [-1.02, 1.02]² by the midpoint rule."""
    axis = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2.04 - 1.02
    rows = [target.log_density(torch.stack([first.expand(side), axis], 1)).logsumexp(0) for first in axis]
    return float(torch.stack(rows).logsumexp(0)) + 2 * math.log(2.04 / side)


def one_target(name: str) -> dict:
    """Fit one target and compare moments."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    reference = None
    wide = {"estimator": "path", "learning_rate": 2e-3, "batch_size": 512}
    if name == "funnel":
        target, flow = targets.funnel(10), pf.realnvp(10, layers=8, hidden=(64, 64))
        options = {**wide, "max_steps": 6000, "annealing_steps": 1000}
    elif name == "many-well":
        target, flow = targets.many_well(32), pf.realnvp(32, layers=10, hidden=(128, 128), base="mixture")
        options = {**wide, "max_steps": 14_000, "annealing_steps": 7000, "first_temperature": 0.1}
    elif name == "eight schools":
        target, flow = targets.eight_schools(), pf.realnvp(10, layers=6, hidden=(64, 64))
        options = {**wide, "max_steps": 3000}
    elif name == "regression":
        target, flow = targets.linear_regression(10), pf.maf(10, layers=2, hidden=(64,))
        options = {**wide, "estimator": "plain", "max_steps": 4000}
    else:
        target, reference = moons_observation()
        flow = pf.realnvp(2, layers=10, hidden=(64, 64))
        # The crescents lie 35 of their standard deviations apart, with thousands of nats between: annealing starts
        # where these are a few, and a bound that rewards covering keeps both during the rest of the run.
        options = {**wide, "max_steps": 12_000, "annealing_steps": 8000, "learning_rate": 1e-3}
        options |= {"first_temperature": 1e-3, "importance_samples": 16}
    result, seconds = fit(flow, target, **options)
    torch.manual_seed(1)
    x, log_prob = flow.sample_with_log_prob((DRAWS,))
    weight = (target.log_density(x) - log_prob).double().softmax(0)[:, None]
    x = x.double()
    if name == "eight schools":
        x = torch.stack([x[:, 8], x[:, 9].exp()], 1)
        mean, deviation = torch.tensor([4.4105, 3.6021]), torch.tensor([3.309, 3.198])
    elif reference is not None:
        mean, deviation = torch.from_numpy(reference.mean(0)), torch.from_numpy(reference.std(0))
    else:
        mean, deviation = target.mean, target.deviation
    row = {
        "target": target.name,
        "elbo": result.elbo,
        "elbo_error": result.elbo_error,
        "log_normalizer": result.log_normalizer,
        "log_normalizer_error": result.log_normalizer_error,
        "truth": target.log_normalizer,
        "effective": result.effective_sample_size,
        "pareto_k": result.pareto_k,
        "seconds": seconds,
    }
    if mean is not None:
        # Of the draws, of the weighted draws, and of the reference's own draws where these are few.
        of_truth = 0 if reference is None else deviation**2 / len(reference)
        weighted = (weight * x).sum(0)
        plain_error = (x.var(0) / DRAWS + of_truth).sqrt()
        weighted_error = ((weight * (x - weighted)).square().sum(0) + of_truth).sqrt()
        row["mean_off_in_deviations"] = float(((x.mean(0) - mean) / deviation).abs().max())
        row["mean_off_in_standard_errors"] = float(((x.mean(0) - mean).abs() / plain_error).max())
        row["weighted_mean_off_in_standard_errors"] = float(((weighted - mean).abs() / weighted_error).max())
        row["deviation_ratios"] = [float(v) for v in (x.std(0) / deviation).aminmax()]
    print(json.dumps(row), flush=True)
    return row


def all_targets() -> None:
    """The table of targets with known answers."""
    names = ["many-well", "funnel", "two moons", "eight schools", "regression"]
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(one_target, names))
    (HERE / "variational_targets.json").write_text(json.dumps(rows, indent=1))
    lines = [
        "| target | ELBO | importance-weighted log Z | log Z | effective | Pareto k | mean off by: deviations "
        "| standard errors | weighted, standard errors | deviation ratios |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        truth = "-" if row["truth"] is None else f"{row['truth']:.4f}"
        moments = ["-"] * 4
        if "deviation_ratios" in row:
            low, high = row["deviation_ratios"]
            moments = [
                f"{row['mean_off_in_deviations']:.3f}",
                f"{row['mean_off_in_standard_errors']:.1f}",
                f"{row['weighted_mean_off_in_standard_errors']:.1f}",
                f"{low:.2f} to {high:.2f}",
            ]
        lines.append(
            f"| {row['target']} | {row['elbo']:.3f} ± {row['elbo_error']:.3f} | {row['log_normalizer']:.3f} ± "
            f"{row['log_normalizer_error']:.3f} | {truth} | {row['effective']:.1%} | {row['pareto_k']:.2f} | "
            f"{' | '.join(moments)} |"
        )
    lines += ["", f"{machine()}."]
    (HERE / "variational_targets.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    {"energies": energies, "targets": all_targets}[sys.argv[1]]()
