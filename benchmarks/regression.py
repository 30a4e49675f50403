"""Regression: densities of a target given others, on the UCI sets in their standard splits, ours and other libraries'.

    python benchmarks/regression.py [--data FOLDER] [--sets yacht,concrete] [--splits 20] [--seconds 60]
        [--steps N] [--validation] [--processes 1] [--peers] [--results FILE]

FOLDER (default $PUSHFORWARD_TABLES/regression, or ../shared/tables/regression beside the project) has a folder for each
set, with data.txt and index_{features,target,train_K,test_K}.txt, as kept by Gal and Ghahramani (arXiv:1506.02142).
Every set of it is run unless --sets names some. Test rows are scored once, after the fit. Each fit is a line of FILE
(JSON, default benchmarks/regression.jsonl) as it ends, and is not repeated, so that an interrupted run continues where
it was; the page beside it (.md) is made of all its lines. Splits come one after the other, so that a part of the runs
is of all sets. One process has two threads, several have one each.
--validation judges by a fifth of the training rows, at most 1,500, which are then not fitted, reads no test row, and
writes no page; with --steps for each flow in place of seconds two versions can be compared on a busy machine.
--peers runs NGBoost and quantile forests too (benchmarks/requirements.txt), in the same splits; the linear regression
with normal noise is always run.
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from runs import complete, folder_of_sets, read, write_page

HERE = Path(__file__).resolve().parent
PUBLISHED = HERE / "regression_published.json"
OURS, LINEAR, NGBOOST, FOREST = "pushforward", "linear regression", "NGBoost", "quantile forest"
PEERS = {NGBOOST: "ngboost", FOREST: "quantile_forest"}
LEVELS = (0.5, 0.9, 0.95)
# The share of training rows that judge in validation, and the most of them.
VALIDATION, MOST_OF_VALIDATION = 0.2, 1_500
# Levels of the quantiles by which forecasts of the peers are scored.
QUANTILES = (np.arange(200) + 0.5) / 200
# The most digits after the point that targets are taken to be recorded to.
MOST_DIGITS = 6
MEASURES = {
    "nll": "NLL", "recorded": "NLL of the recorded value", "crps": "CRPS", "rmse": "RMSE",
    "0.5": "in 50 %", "0.9": "in 90 %", "0.95": "in 95 %", "seconds": "seconds", "processor": "processor seconds",
}  # fmt: skip


def splits_of(folder: Path, most: int) -> list[int]:
    """The numbers of the splits of a set."""
    found = sorted(int(path.stem.rpartition("_")[2]) for path in folder.glob("index_train_*.txt"))
    return found[:most]


def load(folder: Path, split: int, validation: bool = False) -> tuple[np.ndarray, ...]:
    """X and y of the rows that are fitted, then of those that judge: test rows, or some of the training rows."""
    rows = np.loadtxt(folder / "data.txt")

    def index(name: str) -> np.ndarray:
        return np.atleast_1d(np.loadtxt(folder / f"index_{name}.txt")).astype(int)

    features, target = index("features"), int(index("target")[0])
    train = index(f"train_{split}")
    if validation:
        order = np.random.default_rng(split).permutation(train)
        test, train = np.split(order, [min(int(VALIDATION * len(order)), MOST_OF_VALIDATION)])
    else:
        test = index(f"test_{split}")
    return rows[train][:, features], rows[train, target], rows[test][:, features], rows[test, target]


def fit_ours(x: np.ndarray, y: np.ndarray, limits: dict[str, Any], seed: int) -> Callable[..., dict[str, float]]:
    """Ours by its defaults, and what judges it."""
    import pushforward as pf

    density = pf.ConditionalFlowDensity(**limits, random_state=seed).fit(x, y)

    def judge(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        try:
            recorded = float(-density.recorded_log_prob(x, y).mean())
        except pf.InputError:
            recorded = math.nan
        covered = density.coverage(x, y, LEVELS)
        return {
            "nll": float(-density.score(x, y)),
            "recorded": recorded,
            "crps": float(density.crps(x, y).mean()),
            "rmse": float(np.sqrt(np.square(density.predict(x, "mean") - y).mean())),
            **{str(level): float(share) for level, share in zip(LEVELS, covered, strict=True)},
        }

    return judge


def fit_linear(x: np.ndarray, y: np.ndarray, limits: dict[str, Any], seed: int) -> Callable[..., dict[str, float]]:
    """Least squares with normal noise of one variance, that of the residuals by their degrees of freedom."""
    from scipy import stats

    mean, deviation = x.mean(0), np.where(np.ptp(x, axis=0) == 0, 1.0, x.std(0))

    def features(x: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(x)), (x - mean) / deviation])

    weight, _, rank, _ = np.linalg.lstsq(features(x), y)
    noise = math.sqrt(np.square(y - features(x) @ weight).sum() / max(1, len(y) - rank))
    step = step_of(y)

    def judge(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        return judged_as_normal(stats.norm(features(x) @ weight, noise), y, step)

    return judge


def fit_ngboost(x: np.ndarray, y: np.ndarray, limits: dict[str, Any], seed: int) -> Callable[..., dict[str, float]]:
    """NGBoost of normal distributions as in its paper: fitted again to all rows, with as many trees as were best."""
    from ngboost import NGBRegressor

    options = {"learning_rate": 0.01, "verbose": False, "random_state": seed}
    held_out = np.random.default_rng(seed).random(len(y)) < 0.1
    first = NGBRegressor(n_estimators=2000, **options)
    first.fit(x[~held_out], y[~held_out], X_val=x[held_out], Y_val=y[held_out], early_stopping_rounds=50)
    model = NGBRegressor(n_estimators=first.best_val_loss_itr + 1, **options).fit(x, y)
    step = step_of(y)

    def judge(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        return judged_as_normal(model.pred_dist(x).dist, y, step)

    return judge


def fit_forest(x: np.ndarray, y: np.ndarray, limits: dict[str, Any], seed: int) -> Callable[..., dict[str, float]]:
    """A quantile regression forest, which has no density."""
    from quantile_forest import RandomForestQuantileRegressor

    model = RandomForestQuantileRegressor(n_estimators=500, min_samples_leaf=3, random_state=seed).fit(x, y)

    def judge(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        quantiles = np.asarray(model.predict(x, quantiles=list(QUANTILES)))
        return {"nll": math.nan, "recorded": math.nan, **judged_by_quantiles(quantiles, y)}

    return judge


FITS = {OURS: fit_ours, LINEAR: fit_linear, NGBOOST: fit_ngboost, FOREST: fit_forest}


def step_of(y: np.ndarray) -> float | None:
    """The power of ten to which all targets are rounded, None if they have more than six digits after the point."""
    for digits in range(MOST_DIGITS + 1):
        if (np.round(y, digits) == y).all():
            return 10.0**-digits
    return None


def judged_as_normal(forecast: Any, y: np.ndarray, step: float | None) -> dict[str, float]:
    """The measures of normal distributions of scipy, one for each target, that are recorded to a step."""
    recorded = math.nan
    if step is not None:
        # In the tail with the digits.
        near = np.abs(y - forecast.mean())
        upper, lower = (forecast.logcdf(forecast.mean() - near + part * step) for part in (0.5, -0.5))
        recorded = float(-(upper + np.log(-np.expm1(lower - upper))).mean())
    quantiles = np.stack([forecast.ppf(level) for level in QUANTILES], 1)
    return {"nll": float(-forecast.logpdf(y).mean()), "recorded": recorded, **judged_by_quantiles(quantiles, y)}


def judged_by_quantiles(quantiles: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """CRPS, RMSE and coverage of forecasts as quantiles, (n, QUANTILES)."""
    below = y[:, None] - quantiles
    pinball = np.where(below > 0, QUANTILES * below, (QUANTILES - 1) * below)
    place = (quantiles < y[:, None]).mean(1) + 0.5 * (quantiles == y[:, None]).mean(1)
    return {
        "crps": float(2 * pinball.mean()),
        "rmse": float(np.sqrt(np.square(quantiles.mean(1) - y).mean())),
        **{str(level): float((np.abs(2 * place - 1) <= level).mean()) for level in LEVELS},
    }


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One fit and its judgment."""
    import torch

    from pushforward.training import fabric  # noqa: F401 (imports come before the clock)

    torch.set_num_threads(job["threads"])
    # The first optimizer imports the compiler.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    if job["method"] in PEERS:
        importlib.import_module(PEERS[job["method"]])
    warnings.simplefilter("ignore")
    x, y, test_x, test_y = load(Path(job["folder"]), job["split"], job["validation"])
    limits = {"max_time": job["limit"]} if job["steps"] is None else {"max_steps": job["steps"]}
    start, processor = time.perf_counter(), time.process_time()
    judge = FITS[job["method"]](x, y, limits, job["split"])
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    kept = {name: job[name] for name in ("set", "split", "method", "limit", "steps", "validation", "threads")}
    return {**kept, "rows": len(y), **judge(test_x, test_y), "seconds": seconds, "processor": processor}


def key(result: dict[str, Any]) -> tuple[Any, ...]:
    """What is not run twice: the peers have no limit of time."""
    limits = (result["limit"], result["steps"]) if result["method"] == OURS else None
    return (result["set"], result["split"], result["method"], limits, result["validation"])


def table(results: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """The table in Markdown: mean ± standard error over the splits, then the published likelihoods."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    for file in sorted(folder.glob("published_*.json")):
        published |= json.loads(file.read_text("utf-8"))
    yield f"| set | method | splits | {' | '.join(MEASURES.values())} |"
    yield "|---|---|---|" + "---|" * len(MEASURES)
    for name in sorted({result["set"] for result in results}):
        own = [result for result in results if result["set"] == name]
        kinds = [named(result) for result in own]
        for words in sorted(set(kinds), key=lambda words: (not words.startswith(OURS), words)):
            some = [result for result, kind in zip(own, kinds, strict=True) if kind == words]
            cells = [cell([result[measure] for result in some]) for measure in MEASURES]
            yield f"| {name} | {words} | {len(some)} | {' | '.join(cells)} |"
        for method, values in published.items():
            if name in values:
                yield f"| {name} | {method}, published | - | {values[name]:.2f} |" + " - |" * (len(MEASURES) - 1)


def named(result: dict[str, Any]) -> str:
    """What was run, in words."""
    limit = f"{result['limit']:g} s" if result["steps"] is None else f"{result['steps']} steps"
    words = f"{result['method']}, {limit}" if result["method"] == OURS else result["method"]
    return words + (", validation" if result["validation"] else "")


def cell(values: list[float]) -> str:
    """Mean ± standard error to four digits, "-" where there is none."""
    if not all(map(math.isfinite, values)):
        return "-"
    mean = f"{statistics.fmean(values):.4g}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.2g}"


WORDS = """Means ± standard errors over the splits of UCI regression sets. NLL in nats, in the target's own
units, and CRPS are better the lower they are; the NLL of the recorded value is that of the probability of all numbers
that are rounded like it. A fit of ours is given the seconds beside its name. Published figures are those of the papers,
means over the same splits, and were not measured here."""


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--sets", default="", help="default all of the folder")
    parser.add_argument("--splits", type=int, default=20, help="most splits of a set")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a fit of ours")
    parser.add_argument("--steps", type=int, help="of each flow, in place of seconds")
    parser.add_argument("--validation", action="store_true", help="judge by some of the training rows")
    parser.add_argument("--processes", type=int, default=1, help="one of two threads (default), or several of one each")
    parser.add_argument("--peers", action="store_true", help="run NGBoost and quantile forests too")
    parser.add_argument("--results", type=Path, default=HERE / "regression.jsonl")
    options = parser.parse_args()
    absent = [package for package in PEERS.values() if options.peers and importlib.util.find_spec(package) is None]
    if absent:
        sys.exit(f"--peers needs {' and '.join(absent)}: see benchmarks/requirements.txt.")
    folder = folder_of_sets(options.data, "regression", "the UCI sets")
    names = [name for name in options.sets.split(",") if name]
    names = names or sorted(path.parent.name for path in folder.glob("*/data.txt"))
    missing = [name for name in names if not (folder / name / "data.txt").exists()]
    if missing:
        sys.exit(f"{folder} has no set {', '.join(missing)}: a set is a folder with data.txt and its index files.")
    threads = 2 if options.processes == 1 else 1
    # Before the processes, which inherit it, start any of other libraries.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = {key(result) for result in read(options.results)}
    jobs = [
        {"set": name, "folder": str(folder / name), "split": split, "method": method, "limit": options.seconds,
         "steps": options.steps, "validation": options.validation, "threads": threads}
        for split in range(options.splits)
        for name in names
        if split in splits_of(folder / name, options.splits)
        for method in FITS
        if options.peers or method not in PEERS
    ]  # fmt: skip
    jobs = [job for job in jobs if key(job) not in done]
    complete(jobs, run, options.processes, options.results)
    results = read(options.results)
    print("\n".join(table([result for result in results if result["set"] in names], folder)))
    if not options.validation:
        lines = table([result for result in results if not result["validation"]], folder)
        write_page(options.results.with_suffix(".md"), "Regression", WORDS, lines)


if __name__ == "__main__":
    main()
