"""Quality: test log-likelihoods of six tables and eight two-dimensional densities, ours and other libraries'.

    python benchmarks/quality.py PEERS_PYTHON [--sets A,B] [--seconds 90] [--seeds 3] [--ours-only | --peers-only]
    python benchmarks/quality.py --toys [--sets moons,rings] [--seconds 60]
    python benchmarks/quality.py --curve FILE --sets POWER --seconds 1200 [--threads 2]

PEERS_PYTHON is the interpreter of a virtual environment with benchmarks/requirements.txt (`make quality` makes it).
Every run has its own process with two threads; runs follow one another. The clock runs from data in memory to the end
of training, including construction, compilation and validation but not imports. Test rows are scored once, afterwards.
Ours runs for SECONDS and for a third of them. Results are stored in benchmarks/quality.json and not measured again
without --again; benchmarks/quality.md is made from them. --curve is one long run of ours; its course is in FILE, and it
resumes from a checkpoint beside FILE if it was interrupted.
"""

import argparse
import datetime
import json
import math
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import toys
from datasets import Split
from machine import machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "quality.json"
THREADS = 2
REFERENCES = ("Gaussian", "mixture", "kernel")
PEERS = ("zuko", "nflows", "flowjax")
OURS = "pushforward"
SECONDS, TOY_SECONDS = 90.0, 60.0
BLOCK = 4096
# In the columns' deviations after whitening; the validation rows choose.
BANDWIDTHS = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 0.8)
KERNEL_ROWS, KERNEL_VALIDATION_ROWS = 20_000, 2_000
# Mean test log-likelihoods in nats, published for POWER; only this set may stand beside published figures.
PUBLISHED = (
    ("Gaussian", "-7.74 ± 0.02"),
    ("MAF(5)", "0.14 ± 0.01"),
    ("MAF(10)", "0.24 ± 0.01"),
    ("MAF, run again for the spline flow paper", "0.45 ± 0.01"),
    ("FFJORD", "0.46 ± 0.01"),
    ("RQ-NSF (coupling)", "0.64 ± 0.01"),
    ("RQ-NSF (autoregressive)", "0.66 ± 0.01"),
    ("spline flow, run again in 2025/26, 5 seeds", "0.650 ± 0.003"),
)
# Nats on POWER: aim, longest training in seconds, name.
POWER_AIMS = ((0.24, 1200.0, "published MAF(10), in 20 minutes"), (0.66, math.inf, "published RQ-NSF, in a long run"))
# A run that took this many times the seconds it was given did not have the machine to itself.
LATE = 1.05
TOY_GAP, CHECKERBOARD_AIM = 0.05, 3.52
TOY_ROWS = {"train": 50_000, "validation": 5_000, "test": 100_000}


def fit_ours(split: Split, seconds: float, seed: int, log_path: Path | None = None) -> tuple[Any, Any, str]:
    """Train our flow and return it, its history, and in words what it is."""
    import torch

    import pushforward as pf
    from pushforward.zoo.recipe import choose_recipe

    start = time.perf_counter()
    train, validation = torch.from_numpy(split.train), torch.from_numpy(split.validation)
    # What `pushforward fit` does without options but --max-time; the board has its own held-out rows.
    recipe = choose_recipe(len(train), train.shape[1], max_time=seconds)
    flow = recipe.make(train, seed=seed)
    history = pf.fit(
        flow,
        train,
        validation=validation,
        # A run that resumes must ask for the same time.
        max_time=seconds if log_path else seconds - (time.perf_counter() - start),
        seed=seed,
        progress=False,
        log_path=log_path,
        checkpoint=log_path and log_path.with_suffix(".checkpoint"),
        resume=log_path is not None,
        **recipe.training,
    )
    return flow, history, recipe.reasons[0].removeprefix("chosen: ")


def load_split(name: str) -> Split:
    """Return a table, or the draws of a two-dimensional density under seeds that are always the same."""
    if name not in toys.TOYS:
        return datasets.load(name)
    parts = (toys.draw(name, rows, seed) for seed, rows in enumerate(TOY_ROWS.values()))
    return Split(*parts, columns=("x1", "x2"), standardized=False)


def run_ours(name: str, seconds: float, seed: int, log_path: Path | None, threads: int) -> dict:
    """Train for that many seconds, then judge on the test rows."""
    import torch

    import pushforward as pf
    from pushforward.training import fabric  # noqa: F401 (imports come before the clock)

    torch.set_num_threads(threads)
    # The first optimizer imports the compiler.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    split = load_split(name)
    start = time.perf_counter()
    flow, history, chosen = fit_ours(split, seconds, seed, log_path)
    elapsed = time.perf_counter() - start

    def log_prob(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.cat([flow.log_prob(block) for block in torch.from_numpy(x).split(BLOCK)]).double().numpy()

    return {
        **judged(log_prob(split.validation), log_prob(split.test)),
        "steps": history.steps,
        "threads": threads,
        "elapsed": elapsed,
        "chosen": chosen,
        "version": f"pushforward {pf.__version__}, torch {torch.__version__}",
    }


def run_reference(name: str, method: str) -> dict:
    """Fit one of the references, then judge on the test rows."""
    import torch

    import pushforward as pf
    from pushforward.evaluation.baselines import mixture_log_likelihood
    from pushforward.table_models.gaussian import gaussian_log_likelihood

    torch.set_num_threads(THREADS)
    split = load_split(name)
    start = time.perf_counter()
    # The kernel estimate takes minutes for a large set's rows.
    validation = split.validation[:KERNEL_VALIDATION_ROWS] if method == "kernel" else split.validation
    both = np.concatenate([validation, split.test])
    chosen = "full covariance"
    if method == "Gaussian":
        values = gaussian_log_likelihood(split.train, both)
    elif method == "mixture":
        values, components = mixture_log_likelihood(split.train, both)
        chosen = f"{components} components"
    else:
        values, bandwidth = kernel_log_likelihood(split.train, split.validation, both)
        chosen = f"bandwidth {bandwidth}"
    elapsed = time.perf_counter() - start
    parts = np.split(values, [len(validation)])
    return {**judged(*parts), "elapsed": elapsed, "chosen": chosen, "version": f"pushforward {pf.__version__}"}


def run_peer(name: str, method: str, seconds: float, seed: int, python: str) -> dict:
    """Let another library train and judge, in its own interpreter."""
    load_split(name)
    files = [str(path) for path in datasets.paths(name)]
    task = {"files": files, "seconds": seconds, "seed": seed, "threads": THREADS}
    command = [python, str(HERE / "quality_peers.py"), method]
    result = subprocess.run(command, input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def judged(validation: np.ndarray, test: np.ndarray) -> dict:
    """Mean log-likelihoods in nats, that of the test rows with two standard errors over the rows."""
    error = 2 * test.std(ddof=1) / math.sqrt(len(test))
    return {"validation": float(validation.mean()), "test": float(test.mean()), "error": float(error)}


def kernel_log_likelihood(train: np.ndarray, validation: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Log-densities of x under a Gaussian kernel density estimate, and its bandwidth.

    The kernels have the covariance of the training rows times the square of the bandwidth, the one of BANDWIDTHS that
    is best for up to 2,000 validation rows; they stand at up to 20,000 training rows.
    """
    import torch

    centers = torch.from_numpy(train[:KERNEL_ROWS]).double()
    factor = torch.linalg.cholesky(torch.cov(centers.T))

    def white(rows: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve_triangular(factor, (rows - centers.mean(0)).T, upper=False).T

    middle = white(centers)
    constant = math.log(len(centers)) + float(factor.diagonal().log().sum())
    constant += 0.5 * train.shape[1] * math.log(2 * math.pi)

    def log_density(rows: np.ndarray, bandwidth: float) -> np.ndarray:
        # -|x - c|² / 2 = x c - |c|² / 2 - |x|² / 2 makes one matrix product of all distances.
        scaled, at = white(torch.from_numpy(rows).double()) / bandwidth, middle / bandwidth
        heights = -0.5 * at.square().sum(1)
        sums = [torch.addmm(heights, block, at.T).logsumexp(1) for block in scaled.split(200)]
        result = torch.cat(sums) - 0.5 * scaled.square().sum(1) - train.shape[1] * math.log(bandwidth) - constant
        return result.numpy()

    best = max(BANDWIDTHS, key=lambda h: float(log_density(validation[:KERNEL_VALIDATION_ROWS], h).mean()))
    return log_density(x, best), best


def alone(function: Callable[..., dict], *arguments: Any) -> dict:
    """Call a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def key(name: str, method: str, seconds: float, seed: int) -> str:
    """Name a run in the file of results."""
    return f"{name} | {method} | {seconds:g} s | seed {seed}"


def planned(options: argparse.Namespace) -> list[tuple[str, str, float, int]]:
    """The runs asked for: set, method, seconds (0 for references), seed."""
    if options.curve:
        return [(name, OURS, options.seconds, 0) for name in options.sets]
    if options.toys:
        return [(name, OURS, options.seconds, seed) for name in options.sets for seed in range(options.seeds)]
    runs: list[tuple[str, str, float, int]] = []
    for name in options.sets:
        if not (options.ours_only or options.peers_only):
            runs += [(name, method, 0.0, 0) for method in REFERENCES]
        if not options.ours_only:
            runs += [(name, method, options.seconds, 0) for method in PEERS]
        if not options.peers_only:
            lengths = (third(options.seconds), options.seconds)
            runs += [(name, OURS, seconds, seed) for seconds in lengths for seed in range(options.seeds)]
    return runs


def third(seconds: float) -> float:
    """A third of the time, to a hundredth of a second."""
    return round(seconds / 3, 2)


def measure(options: argparse.Namespace, results: dict[str, dict]) -> list[str]:
    """Do the runs that are missing, storing each as it ends; return the names of those that failed."""
    failed = []
    for name, method, seconds, seed in planned(options):
        run = key(name, method, seconds, seed)
        # A course is not kept with the results, so that it is always run.
        if run in results and not (options.again or options.curve):
            print(f"{run}: measured on {results[run]['date']}", flush=True)
            continue
        try:
            if method in PEERS:
                result = run_peer(name, method, seconds, seed, options.python)
            elif method == OURS:
                result = alone(run_ours, name, seconds, seed, options.curve, options.threads)
            else:
                result = alone(run_reference, name, method)
        except datasets.DataError as error:
            raise SystemExit(str(error)) from None
        except Exception as error:
            # One run that fails, hours into a board, should not take the others with it.
            print(f"{run}: failed ({error})", flush=True)
            failed.append(run)
            continue
        about = {"set": name, "method": method, "seconds": seconds, "seed": seed}
        about |= {"date": datetime.date.today().isoformat(), "machine": machine(), "python": platform.python_version()}
        results[run] = about | result
        unfinished = RESULTS.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(results, indent=1) + "\n")
        unfinished.replace(RESULTS)
        shown = f"{result['test']:.3f} ± {result['error']:.3f} nats in {result['elapsed']:.1f} s"
        print(f"{run}: {shown}{' (over time)' if is_late(results[run]) else ''}", flush=True)
    return failed


def tables(results: dict[str, dict]) -> str:
    """All that was measured, as Markdown: a table for each length of the peers' training, long runs, toys."""
    runs = list(results.values())
    boards = [run for run in runs if run["set"] in datasets.SETS]
    lengths = sorted({run["seconds"] for run in boards if run["method"] in PEERS})
    lines = ["# Quality", "", *about(runs)]
    for seconds in lengths:
        lines += ["", *board(boards, seconds)]
    within = {length for seconds in lengths for length in (seconds, third(seconds))}
    long = [run for run in boards if run["method"] == OURS and run["seconds"] not in within]
    if long:
        lines += ["", "## Other runs of ours", ""]
        lines += ["| set | seconds at most | taken | threads | seed | test log-likelihood |", "|---" * 6 + "|"]
        long.sort(key=lambda run: (list(datasets.SETS).index(run["set"]), run["seconds"], run["seed"]))
        lines += [
            f"| {run['set']} | {run['seconds']:g} | {run['elapsed']:.0f} | {run.get('threads', THREADS)} | "
            f"{run['seed']} | {with_error(run)} |"
            for run in long
        ]
    late = [key(run["set"], run["method"], run["seconds"], run["seed"]) for run in runs if is_late(run)]
    if late:
        lines += [
            "",
            f"**Over time by more than a twentieth, to be measured again on an idle machine:** {'; '.join(late)}.",
        ]
    if any(run["set"] == "POWER" for run in boards):
        lines += ["", *power_published(boards)]
    drawn = [run for run in runs if run["set"] in toys.TOYS]
    if drawn:
        lines += ["", *toy_board(drawn)]
    return "\n".join(lines) + "\n"


def about(runs: list[dict]) -> list[str]:
    """When, where and with what."""
    if not runs:
        return ["Nothing has been measured yet."]
    dates = sorted({run["date"] for run in runs})
    period = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = sorted({run["version"] for run in runs if run["method"] not in REFERENCES})
    machines = sorted({f"{run['machine']}, Python {run['python']}" for run in runs})
    return [
        f"{period}; {'; '.join(machines)}; {'; '.join(versions)}. Mean test log-likelihoods in nats, higher is better, "
        f"± two standard errors over the test rows; {THREADS} threads."
    ]


def board(runs: list[dict], seconds: float) -> list[str]:
    """The tables with that much training: one row per set."""
    short = third(seconds)
    names = (*REFERENCES, *PEERS, f"ours, {short:g} s", f"ours, {seconds:g} s")
    lines = [
        f"## {seconds:g} seconds of training",
        "",
        f"| set | {' | '.join(names)} | best peer reached in a third of the time | better in the same time |",
        "|---" * (len(names) + 3) + "|",
    ]
    for name in datasets.SETS:
        mine = [run for run in runs if run["set"] == name]
        references = [[run for run in mine if run["method"] == method] for method in REFERENCES]
        peers = [[run for run in mine if run["method"] == method and run["seconds"] == seconds] for method in PEERS]
        ours = [[run for run in mine if run["method"] == OURS and run["seconds"] == s] for s in (short, seconds)]
        if not any([*peers, *ours]):
            continue
        cells = [several(found) for found in (*references, *peers, *ours)]
        rivals = [mean(found) for found in peers if found]
        verdicts = [verdict(mean(found) >= max(rivals)) if rivals and found else "-" for found in ours]
        # The same figure is reached, but not bettered.
        if rivals and ours[1]:
            verdicts[1] = verdict(mean(ours[1]) > max(rivals))
        lines.append(f"| {' | '.join([name, *cells, *verdicts])} |")
    missing = [peer for peer in PEERS if not any(run["method"] == peer and run["seconds"] == seconds for run in runs)]
    lines += [
        "",
        "Ours: mean over seeds, in brackets the spread from the lowest to the highest of them; peers: one seed.",
    ]
    if missing:
        lines[-1] += f" Not measured: {', '.join(missing)}, so that the best peer is the best of the others."
    return lines


def power_published(runs: list[dict]) -> list[str]:
    """What was published for POWER, and the aims."""
    lines = ["## POWER, as published", "", "| published for POWER¹ | nats |", "|---" * 2 + "|"]
    lines += [f"| {name} | {value} |" for name, value in PUBLISHED]
    for aim, longest, words in POWER_AIMS:
        mine = [r for r in runs if r["set"] == "POWER" and r["method"] == OURS and r["seconds"] <= longest]
        best = max(mine, key=lambda run: run["validation"], default=None)
        if best is not None:
            lines += ["", f"Aim {aim} ({words}): {verdict(best['test'] >= aim)}, {with_error(best)} nats after "]
            lines[-1] += f"{best['seconds']:g} s, the run with the best validation rows."
    return [
        *lines,
        "",
        "¹ As published, not measured here. The split sizes and the Gaussian's figure are the published ones; two "
        "things could not be checked: the order of the rows before the shuffle, and whether the published data already "
        "had noise on the time of day (here it has a minute of uniform noise). Error bars of published figures are "
        "over test rows or over runs, as their authors chose.",
    ]


def toy_board(runs: list[dict]) -> list[str]:
    """The two-dimensional densities, beside their entropies."""
    lines = [
        "## Two-dimensional densities",
        "",
        "Negative log-likelihood of fresh draws, lower is better; what it has over the entropy is KL(density || flow).",
        "",
        "| set | seconds | seed | entropy | negative log-likelihood | over the entropy | aim | met |",
        "|---" * 8 + "|",
    ]
    order = list(toys.TOYS)
    for run in sorted(runs, key=lambda run: (order.index(run["set"]), run["seconds"], run["seed"])):
        entropy, value = toys.TOYS[run["set"]].entropy, -run["test"]
        gap = value - entropy
        aim, met = f"over the entropy ≤ {TOY_GAP}", gap <= TOY_GAP
        if run["set"] == "checkerboard":
            aim, met = f"in all ≤ {CHECKERBOARD_AIM}", value <= CHECKERBOARD_AIM
        answer = "**bug: below the entropy**" if below_entropy(run) else verdict(met)
        cells = [run["set"], f"{run['seconds']:g}", str(run["seed"]), f"{entropy:.4f}"]
        cells += [f"{value:.4f} ± {run['error']:.4f}", f"{gap:+.4f} ± {run['error']:.4f}", aim, answer]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def below_entropy(run: dict) -> bool:
    """Whether a likelihood is higher than any density's can be, by more than its error bar."""
    return -run["test"] < toys.TOYS[run["set"]].entropy - run["error"]


def is_late(run: dict) -> bool:
    """Whether a run took notably longer than it was given."""
    return run["method"] not in REFERENCES and run["elapsed"] > LATE * run["seconds"]


def mean(runs: list[dict]) -> float:
    """Mean test log-likelihood; what is not a number counts as the lowest."""
    value = statistics.fmean(run["test"] for run in runs)
    return -math.inf if math.isnan(value) else value


def several(runs: list[dict]) -> str:
    """The mean of some runs with the mean of their error bars, and their spread."""
    if not runs:
        return "-"
    values = [run["test"] for run in runs]
    spread = f" [{min(values):.3f}, {max(values):.3f}]" if len(runs) > 1 else ""
    return f"{mean(runs):.3f} ± {statistics.fmean(run['error'] for run in runs):.3f}{spread}"


def with_error(run: dict) -> str:
    """One run's figure."""
    return f"{run['test']:.3f} ± {run['error']:.3f}"


def verdict(met: bool) -> str:
    """Met or not."""
    return "yes" if met else "no"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options, with defaults that depend on one another filled in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="?", metavar="PEERS_PYTHON", help="interpreter of the peers' environment")
    parser.add_argument("--sets", help="names, A,B; default all")
    parser.add_argument("--seconds", type=float, help="of training; default 90, with --toys 60")
    parser.add_argument("--seeds", type=int, help="runs of ours; default 3, with --toys 1")
    parser.add_argument("--toys", action="store_true", help="ours on the two-dimensional densities")
    parser.add_argument("--curve", type=Path, metavar="FILE", help="one run of ours on one set, its course in FILE")
    parser.add_argument("--threads", type=int, default=THREADS, help="of the long run of --curve; default 2")
    parser.add_argument("--again", action="store_true", help="measure again what was measured before")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--ours-only", action="store_true")
    who.add_argument("--peers-only", action="store_true")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (TOY_SECONDS if options.toys else SECONDS)
    options.seeds = options.seeds or (1 if options.toys else 3)
    known = list(toys.TOYS if options.toys else datasets.SETS)
    options.sets = options.sets.split(",") if options.sets else known
    unknown = [name for name in options.sets if name not in known]
    if unknown:
        parser.error(f"there is no set {unknown[0]!r}: there are {', '.join(known)}")
    if options.curve and len(options.sets) != 1:
        parser.error("--curve is for one set: name it with --sets")
    if options.threads != THREADS and not options.curve:
        parser.error("--threads is for --curve: runs of the boards have two")
    if not (options.python or options.ours_only or options.toys or options.curve):
        parser.error("the peers need PEERS_PYTHON; without it there are --ours-only, --toys and --curve")
    return options


def main() -> None:
    """Measure what is missing and write the tables."""
    options = parse()
    # Before any library starts its threads; processes inherit it.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads))
    results: dict[str, dict] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = measure(options, results)
    text = tables(results)
    RESULTS.with_suffix(".md").write_text(text)
    print(text)
    bugs = [run["set"] for run in results.values() if run["set"] in toys.TOYS and below_entropy(run)]
    if bugs:
        failed.append(f"a likelihood above the entropy's on {', '.join(bugs)}, which is a bug")
    if failed:
        sys.exit(f"Not right: {'; '.join(failed)}.")


if __name__ == "__main__":
    main()
