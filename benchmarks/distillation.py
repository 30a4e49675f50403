"""Distillation compared with what it should achieve.

    python benchmarks/distillation.py chain     # a masked teacher of eight features: estimators, order, depth, splines
    python benchmarks/distillation.py linear    # a linear Gaussian teacher, which a student can match exactly
    python benchmarks/distillation.py modes     # two far modes in each feature, out of reach for an affine student
    python benchmarks/distillation.py table     # the default flow of the demo's table: KL and speed of sampling

Each prints a table, and all that have been run go to benchmarks/distillation.md, from benchmarks/distillation.json. One
thread, fixed seeds. Speeds are in processor time, which other programs disturb least.
"""

import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import machine
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

import pushforward as pf
from pushforward.table_models.distillation import distill_table
from pushforward.tables import matrix_from_frame, read_columns
from pushforward.zoo.recipe import choose_recipe

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "distillation.json", HERE / "distillation.md"
COADS = HERE.parent / "examples" / "coads" / "coads.parquet"
COADS_COLUMNS = [
    "sea_temperature", "air_temperature", "specific_humidity", "wind_speed", "wind_u", "wind_v", "pressure",
]  # fmt: skip
CHAIN = {"max_steps": 2500, "batch_size": 256, "learning_rate": 5e-3, "evaluate_every": 250}
SEEDS = (1,)
REPEATS = 20


def chain_rows(count: int, features: int = 8) -> Tensor:
    """x[0] ~ N(0, 1), x[d] = sin(1.7 x[d-1]) + N(0, 1/16)."""
    noise = torch.randn(count, features, generator=torch.Generator().manual_seed(0))
    columns = [noise[:, 0]]
    for d in range(1, features):
        columns.append(torch.sin(1.7 * columns[-1]) + 0.25 * noise[:, d])
    return torch.stack(columns, 1)


def chain_teacher() -> pf.Flow:
    """One masked affine layer, fitted to the chain: its conditionals are Gaussian."""
    torch.manual_seed(0)
    teacher = pf.maf(8, layers=1, hidden=(64, 64))
    pf.fit(teacher, chain_rows(20_000), max_steps=3000, batch_size=256, learning_rate=5e-3, progress=False)
    return teacher


def spline(layers: int, order: str = "same") -> pf.Flow:
    return pf.nsf(8, kind="inverse_autoregressive", layers=layers, hidden=(64, 64), order=order)


def affine(layers: int, order: str | tuple[int, ...] = "same") -> pf.Flow:
    return pf.iaf(8, layers=layers, hidden=(64, 64), order=order)


STUDENTS: dict[str, tuple[Callable[[], pf.Flow], dict]] = {
    "affine, 1 layer, joint": (lambda: affine(1), {"estimator": "joint"}),
    "affine, 1 layer, closed form": (lambda: affine(1), {"estimator": "closed_form"}),
    "affine, 1 layer, closed form, λ = 4": (
        lambda: affine(1), {"estimator": "closed_form", "log_scale_regularization": 4.0},
    ),
    "affine, 1 layer, reversed order, joint": (lambda: affine(1, tuple(range(7, -1, -1))), {"estimator": "joint"}),
    "affine, 3 layers, closed form": (lambda: affine(3), {"estimator": "closed_form"}),
    "affine, 3 layers, alternating order, joint": (lambda: affine(3, "alternating"), {"estimator": "joint"}),
    "spline, 3 layers, joint": (lambda: spline(3), {"estimator": "joint"}),
    "spline, 3 layers, conditional, 4 samples": (
        lambda: spline(3), {"estimator": "conditional_mc", "inner_samples": 4},
    ),
}  # fmt: skip


def run(teacher, student: pf.Flow, **options) -> tuple[pf.DistillationReport, float]:
    """Distill with warnings kept for the table, and say what processor time it took."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        report = pf.distill(teacher, student, progress=False, announce=lambda line: None, timing_rows=0, **options)
    return report, time.process_time() - start


def chain() -> list[dict]:
    teacher, rows = chain_teacher(), []
    for name, (make, options) in STUDENTS.items():
        for seed in SEEDS:
            torch.manual_seed(seed)
            report, seconds = run(teacher, make(), seed=seed, **CHAIN, **options)
            rows.append(row(name, report, seed=seed, seconds=seconds))
    return rows


class LinearGaussian:
    """x[t] = 0.9 x[t-1] - 0.5 x[t-2] + 0.4 e[t], eight steps of it."""

    def __init__(self, features: int = 8) -> None:
        mixing = torch.eye(features, dtype=torch.float64)
        for t in range(1, features):
            mixing[t, max(t - 2, 0) : t] = torch.tensor([0.5, -0.9] if t > 1 else [-0.9])
        self.normal = MultivariateNormal(
            torch.zeros(features), scale_tril=(0.4 * torch.linalg.inv(mixing)).float().tril()
        )

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats, (rows,)."""
        return self.normal.log_prob(x)

    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws, (*shape, D)."""
        return self.normal.sample(shape)


def linear() -> list[dict]:
    rows = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        student = pf.iaf(8, layers=1, hidden=(64,), activation="elu", order="same")
        report, seconds = run(LinearGaussian(), student, seed=seed, max_steps=2000, batch_size=256, learning_rate=1e-2)
        rows.append(row("affine, 1 layer, joint", report, seed=seed, seconds=seconds))
    return rows


class TwoModes:
    """Four independent features, each with modes at ±1 of width 1/3."""

    def __init__(self, features: int = 4) -> None:
        self.features = features
        self.one = MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-1.0, 1.0]), 1 / 3))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats, (rows,)."""
        return self.one.log_prob(x).sum(-1)

    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Draws, (*shape, D)."""
        return self.one.sample((*shape, self.features))


def modes() -> list[dict]:
    rows = []
    options = {"max_steps": 1500, "batch_size": 256, "learning_rate": 1e-2}
    for seed in SEEDS:
        for name, make in (
            ("affine, 3 layers", lambda: pf.iaf(4, layers=3, hidden=(32,), order="same")),
            (
                "spline, 1 layer",
                lambda: pf.nsf(
                    4, kind="inverse_autoregressive", layers=1, hidden=(32,), order="same", bins=12, bound=3.0
                ),
            ),
        ):
            torch.manual_seed(seed)
            report, seconds = run(TwoModes(), make(), seed=seed, **options)
            rows.append(row(name, report, seed=seed, seconds=seconds))
    return rows


def table() -> list[dict]:
    """The default flow of the demo's table, after a fixed number of steps, and its default student."""
    matrix, _ = matrix_from_frame(read_columns(COADS, COADS_COLUMNS))
    train, test = matrix[4000:], torch.from_numpy(matrix[:4000])
    recipe = choose_recipe(len(train), 7, max_time=60)
    x = torch.from_numpy(train)
    teacher = recipe.make(x, seed=0)
    pf.fit(teacher, x, max_steps=2500, progress=False, **recipe.training)
    model = pf.TableModel(teacher, COADS_COLUMNS)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        student, report = distill_table(model, max_steps=3000, progress=False, timing_rows=0)
    found = row("default student", report, seed=0, seconds=time.process_time() - start)
    with torch.inference_mode():
        found["held_out"] = {
            name: float(flow.log_prob(test).mean()) for name, flow in (("teacher", teacher), ("student", student.flow))
        }
        found["milliseconds"] = {}
        for precision in ("float32", "float64"):
            for count in (1, 1000, 10_000):
                found["milliseconds"][f"{precision}, {count} rows"] = [
                    least_milliseconds(flow, count) for flow in (teacher, student.flow)
                ]
            # In float64 there are no compiled kernels: torch alone, as on other devices.
            teacher.double(), student.flow.double()
    return [found]


def least_milliseconds(flow: pf.Flow, count: int) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        flow.sample((count,))
        seconds.append(time.process_time() - start)
    return 1e3 * min(seconds)


def row(student: str, report: pf.DistillationReport, **more) -> dict:
    entry = {
        "student": student,
        "kl": report.kl,
        "error": report.kl_error,
        "per_dimension": report.kl_per_dimension,
        "effective": report.effective_sample_size,
        "pareto_k": report.pareto_k,
        "spread": report.spread.ratios if report.spread else None,
        **more,
    }
    print(json.dumps(entry), flush=True)
    return entry


TITLES = {
    "chain": "A chain of eight features (masked affine teacher), 2,500 steps of 256 draws",
    "linear": "A linear Gaussian teacher of eight features, 2,000 steps of 256 draws",
    "modes": f"Two modes in each of four features (ln 2 = {math.log(2):.4f}), 1,500 steps of 256 draws",
    "table": "The demo's table, default flow after 2,500 steps, default student after 3,000 steps",
}


def page(results: dict[str, list[dict]]) -> str:
    parts = []
    for case in (case for case in TITLES if case in results):
        lines = [
            f"**{TITLES[case]}**\n",
            "| student | KL, nats, for each seed | per dimension | effective sample size | least spread | seconds |",
            "|---" * 6 + "|",
        ]
        for student in dict.fromkeys(found["student"] for found in results[case]):
            runs = [found for found in results[case] if found["student"] == student]
            cells = (
                student,
                ", ".join(f"{found['kl']:.4f} ± {found['error']:.4f}" for found in runs),
                ", ".join(f"{found['per_dimension']:.5f}" for found in runs),
                ", ".join(f"{found['effective']:.0%}" for found in runs),
                ", ".join(f"{min(found['spread']):.2f}" for found in runs),
                f"{np.mean([found['seconds'] for found in runs]):.0f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
        if case == "table":
            found = results[case][0]
            held_out = found["held_out"]
            lines += [
                f"\nHeld-out log-likelihood: teacher {held_out['teacher']:.3f}, student {held_out['student']:.3f} nats "
                "a row. Sampling, milliseconds of processor time, one thread, least of 20:\n",
                "| | teacher | student | times as quick |",
                "|---|---|---|---|",
            ]
            for what, (teacher, student) in found["milliseconds"].items():
                lines.append(f"| {what} | {teacher:.2f} | {student:.2f} | {teacher / student:.1f} |")
        lines += [
            f"\n{where}." for where in sorted({found["machine"] for found in results[case] if "machine" in found})
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    case = sys.argv[1] if len(sys.argv) == 2 else ""
    cases = {"chain": chain, "linear": linear, "modes": modes, "table": table}
    if case not in cases:
        sys.exit(__doc__)
    rows = cases[case]()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[case] = [{**row, "machine": machine()} for row in rows]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(results))
    print(page({case: results[case]}))


if __name__ == "__main__":
    main()
