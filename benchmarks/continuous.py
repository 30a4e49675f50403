"""Flows in continuous time: likelihood errors, the eight planar densities, six tables, and the way to one exact pass.

    python benchmarks/continuous.py errors [--seconds 60]    # errors claimed, against quadrature and finer solutions
    python benchmarks/continuous.py plane [--seconds 60] [--sets moons,rings]    # nats above the entropy
    python benchmarks/continuous.py board [--seconds 90] [--sets COADS,GAIA]     # six tables, beside the default
    python benchmarks/continuous.py chain [--seconds 90] [--sets COADS,many-well]    # teacher, student, expectations

Each prints its rows and puts them into benchmarks/continuous.json, from which benchmarks/continuous.md is made. With
--threads 2 (the default) on an idle machine; the clock runs over training alone. Test rows are scored once, afterwards.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import quality
import torch
import toys
from machine import machine
from torch import Tensor

import pushforward as pf
from pushforward.evaluation.targets import many_well
from pushforward.solvers.ode import TOLERANCE
from pushforward.support.wording import counted

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "continuous.json", HERE / "continuous.md"
BOARD = ("POWER", "GAIA", "COADS", "APPLIANCES", "GALAXY", "PATCHES")
WIDE = (256, 256)
MATCHING = {"learning_rate": 1e-2, "patience": None, "progress": False}


def matched(
    train: Tensor,
    validation: Tensor,
    options: argparse.Namespace,
    objective: str,
    units: Callable[..., pf.Flow] = pf.gaussianized,
) -> tuple[pf.Flow, Any]:
    """A continuous flow in units of the columns, trained by flow matching for the seconds given."""
    torch.manual_seed(options.seed)
    hidden = options.hidden or (None if train.shape[1] == 2 else WIDE)
    flow = units(pf.continuous(train.shape[1], hidden=hidden), train.double())
    history = pf.fit(
        flow,
        train.double(),
        validation=validation.double(),
        objective=objective,
        max_time=options.seconds,
        seed=options.seed,
        # Pairing takes the third power of the number of rows.
        batch_size=256 if objective == "optimal_transport" else 1024,
        **MATCHING,
    )
    return flow, history


def split_of(name: str, options: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor]:
    split = quality.load_split(name)
    parts = [torch.from_numpy(part) for part in (split.train, split.validation, split.test)]
    # A density of a row takes an equation to solve: not all test rows are judged.
    return parts[0], parts[1], parts[2][: options.draws // 2]


def scored(flow: Any, x: Tensor) -> dict[str, float]:
    """Mean log-density with its standard error, the error of the solver, and rows per second."""
    start = time.perf_counter()
    value, error = pf.log_prob_with_error(flow, x)
    seconds = time.perf_counter() - start
    return {
        "nats": float(value.mean()),
        "standard_error": float(value.std()) / len(value) ** 0.5,
        "mean_error": float(error.mean()),
        "largest_error": float(error.max()),
        "rows_per_second": len(x) / seconds,
    }


def plane(options: argparse.Namespace) -> list[dict]:
    """Each planar density by flow matching, with and without pairing, and by the default."""
    rows = []
    for name in options.sets or list(toys.TOYS):
        train, validation, test = split_of(name, options)
        for objective in ("flow_matching", "optimal_transport"):
            # Densities in the plane have no far tails, and sharp edges that maps of columns would bend.
            flow, history = matched(train, validation, options, objective, pf.standardized)
            rows.append({"set": name, "by": objective, "steps": history.steps, **scored(flow, test)})
        rows.append({"set": name, "by": "default", **scored(default(name, options), test)})
        for row in rows[-3:]:
            row["gap"] = -row["nats"] - toys.TOYS[name].entropy
            show(row)
    return rows


def board(options: argparse.Namespace) -> list[dict]:
    """Each table of the scoreboard by flow matching, and by the default, in the same seconds."""
    rows = []
    for name in options.sets or BOARD:
        train, validation, test = split_of(name, options)
        flow, history = matched(train, validation, options, "flow_matching")
        rows.append({"set": name, "by": "flow_matching", "steps": history.steps, **scored(flow, test)})
        show(rows[-1])
        rows.append({"set": name, "by": "default", **scored(default(name, options), test)})
        show(rows[-1])
    return rows


def default(name: str, options: argparse.Namespace) -> Any:
    """What a fit without options makes of a set in the same seconds."""
    flow = quality.fit_ours(quality.load_split(name), options.seconds, options.seed)[0]
    return flow.eval()


def errors(options: argparse.Namespace) -> list[dict]:
    """A trained flow, solved in several ways: errors claimed, measured, and the integral over the plane."""
    train, validation, test = split_of("pinwheel", options)
    # Without splines the density is smooth, and the sum over a grid as good as exact.
    flow, history = matched(train, validation, options, "flow_matching", pf.standardized)
    solver = flow.bijection.inner
    test = test[: options.draws // 40].double()
    solver.tolerance = 1e-10
    flow.double()
    truth = pf.evaluate(flow, test)
    side = math.isqrt(options.draws)
    axis = torch.linspace(-6, 6, side, dtype=torch.float64)
    rows = []
    for accuracy in ({"steps": 1}, {"steps": 2}, {"steps": 4}, *({"tolerance": 10.0**-k} for k in (2, 3, 4, 5))):
        solver.tolerance, solver.steps = accuracy.get("tolerance", TOLERANCE), accuracy.get("steps")
        value, error = pf.log_prob_with_error(flow, test)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            coarse = (pf.evaluate(flow, test) - truth).abs()
            density = pf.evaluate(flow, torch.cartesian_prod(axis, axis)).exp().view(side, side)
        rows.append(
            {
                "by": "  ".join(f"{name} {number:g}" for name, number in accuracy.items()),
                "training_steps": history.steps,
                "claimed_mean": float(error.mean()),
                "claimed_largest": float(error.max()),
                "measured_mean": float((value - truth).abs().mean()),
                "measured_largest": float((value - truth).abs().max()),
                "measured_of_log_prob": float(coarse.mean()),
                "largest_of_log_prob": float(coarse.max()),
                "covered": float(((value - truth).abs() <= error).double().mean()),
                "integral_minus_1": float(torch.trapezoid(torch.trapezoid(density, axis), axis)) - 1,
            }
        )
        show(rows[-1])
    return rows


def chain(options: argparse.Namespace) -> list[dict]:
    """Flow matching, a student of one pass, and expectations by its weighted draws."""
    rows = []
    for name in options.sets or ("COADS", "many-well"):
        if name == "many-well":
            target = many_well(8)
            x = many_well_draws(60_000, 8, options.seed)
            parts = (x[:50_000], x[50_000:55_000], x[55_000:])
        else:
            parts, target = split_of(name, options), None
        teacher, _ = matched(parts[0], parts[1], options, "flow_matching")
        teacher.float()
        start = time.perf_counter()
        student = taught(teacher, parts[0], options)
        report = pf.distill(
            teacher,
            student,
            estimator="joint",
            max_time=options.seconds,
            batch_size=256,
            draws=options.draws,
            progress=False,
        )
        row = {
            "set": name,
            "teacher": float(pf.evaluate(teacher, parts[2]).mean()),
            "student": float(pf.evaluate(student, parts[2]).mean()),
            "kl": report.kl,
            "kl_error": report.kl_error,
            "effective_share": report.effective_sample_size,
            "pareto_k": report.pareto_k,
            "distillation_seconds": time.perf_counter() - start,
            "times_faster": report.speed.factor if report.speed else math.nan,
        }
        rows.append(row | expectations(teacher, student, target, options.draws))
        show(rows[-1])
    return rows


def taught(teacher: pf.Flow, train: Tensor, options: argparse.Namespace) -> pf.Flow:
    """A student of one pass in both directions that has learned the teacher's draws, so that it misses no mode."""
    features = train.shape[1]
    torch.manual_seed(options.seed)
    student = pf.nsf(features, kind="coupling", layers=6, hidden=(128, 128), linear="lu")
    with torch.no_grad():
        x = torch.cat([teacher.sample((5_000,)) for _ in range(max(options.draws // 2_000, 1))]).float()
    student = pf.gaussianized(student, x.double())
    pf.fit(student, x, max_time=options.seconds, seed=options.seed, progress=False)
    return student.float()


def expectations(teacher: pf.Flow, student: pf.Flow, target: Any, draws: int) -> dict[str, float]:
    """Means and squares by weighted draws of the student, in their own standard errors from what is known."""

    def moments(x: Tensor) -> Tensor:
        return torch.cat([x, x.square()], -1)

    weighted = pf.reweight(teacher, student, draws)
    mean, error = weighted.expectation(moments)
    with torch.no_grad():
        plain = moments(teacher.sample((draws,)).double())
    difference = (mean - plain.mean(0)) / torch.hypot(error, plain.std(0) / draws**0.5)
    found = {"expectations_off": float(difference.abs().max())}
    if target is not None:
        # The target itself in place of the teacher: the weights then correct both.
        exact = pf.reweight(_Unnormalized(target), student, draws)
        mean, error = exact.expectation()
        found["target_effective_share"] = exact.effective_sample_size / draws
        found["target_means_off"] = float(((mean - target.mean) / error).abs().max())
    return found


class _Unnormalized:
    def __init__(self, target: Any) -> None:
        self.target = target

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p̃ of x."""
        return self.target.log_density(x)


def many_well_draws(count: int, features: int, seed: int) -> Tensor:
    """Exact draws of the many-well density: its pairs are independent, the first of each by its distribution."""
    random = np.random.default_rng(seed)
    axis = np.linspace(-4, 4, 80_001)
    weights = np.exp(-(axis**4) + 6 * axis**2 + 0.5 * axis)
    cumulative = np.concatenate([[0], np.cumsum((weights[1:] + weights[:-1]) / 2)])
    first = np.interp(random.random((count, features // 2)), cumulative / cumulative[-1], axis)
    second = random.standard_normal((count, features // 2))
    return torch.from_numpy(np.stack([first, second], -1).reshape(count, features)).float()


def show(row: dict) -> None:
    print("  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)


TITLES: dict[str, tuple[str, Callable[[argparse.Namespace], list[dict]]]] = {
    "errors": ("Errors of log-densities claimed and measured, in nats", errors),
    "plane": ("Eight densities in the plane: nats above the entropy (gap)", plane),
    "board": ("Six tables, mean test log-likelihood in nats, beside the default", board),
    "chain": ("Flow matching, one exact pass, expectations", chain),
}


def page(results: dict[str, dict]) -> str:
    """The page: a table for each part that has been run."""
    lines = ["# Flows in continuous time", "", "Made by `python benchmarks/continuous.py`; do not edit.", ""]
    for name, (title, _) in TITLES.items():
        if name not in results:
            continue
        found = results[name]
        columns = list(dict.fromkeys(key for row in found["rows"] for key in row))
        lines += [f"## {title}", "", f"{found['about']}.", ""]
        lines += ["| " + " | ".join(column.replace("_", " ") for column in columns) + " |", "|---" * len(columns) + "|"]
        for row in found["rows"]:
            cells = [row.get(column, "") for column in columns]
            lines.append("| " + " | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(TITLES))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each training")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="some of the sets, with commas")
    parser.add_argument(
        "--hidden",
        type=lambda text: tuple(int(width) for width in text.split(",")),
        help="widths of the hidden layers, with commas; default four of 64 in the plane, else two of 256",
    )
    parser.add_argument("--draws", type=int, default=20_000, help="to judge students and integrals by")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--try", dest="trial", action="store_true", help="store nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = TITLES[options.part][1](options)
    if options.trial:
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    widths = "" if options.hidden is None else f", hidden layers of {', '.join(map(str, options.hidden))}"
    threads = counted(options.threads, "thread")
    about = f"{options.seconds:g} s of each training, {threads}{widths}, {machine()}"
    results[options.part] = {"rows": rows, "about": about}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
