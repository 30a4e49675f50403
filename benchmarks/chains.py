"""Chains to answers: how often the truth lies within one and two stated errors.

    python benchmarks/chains.py [--repetitions 100] [--cases gaussians,information,tension,posteriors]
                                [--processes 1] [--results FILE]

`gaussians`: log Z of autoregressive Gaussian chains of 4,000 rows in 2, 8 and 20 dimensions, each row worth a ninth of
an independent sample, with a Gaussian fit. `information`: entropy, KL divergence and mutual information of such chains
in 3 dimensions. `tension`: the probability of a shift by 1 and 2.5. `posteriors`: log Z of the eight schools, Neal's
funnel in 3 dimensions and a banana, 4,000 independent draws, with a flow of the default kind that is fitted in 300
steps. Targets and truths are those of tests/chains. Each repetition is a line of FILE (default
benchmarks/chains.jsonl), not repeated when the script runs again; benchmarks/chains.md is made from all of them.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "chains"))
sys.path.insert(0, str(HERE.parent / "tests"))

import runs  # noqa: E402
import targets  # noqa: E402
import test_information  # noqa: E402
import test_tension  # noqa: E402
from walks import gaussian_chain, log_normalizer  # noqa: E402

import pushforward as pf  # noqa: E402

ROWS, STEPS = 4000, 300
CASES = {
    "gaussians": ("Gaussian, 2", "Gaussian, 8", "Gaussian, 20"),
    "information": ("information",),
    "tension": ("shift 1", "shift 2.5"),
    "posteriors": ("eight schools", "funnel", "banana"),
}
METHODS = ("reciprocal", "importance", "bridge")


def gaussian(features: int, seed: int) -> dict[str, Any]:
    """Scores of the three estimators of log Z."""
    root = np.eye(features) + 0.5 * np.tril(np.ones((features, features))) / features**0.5
    inverse = torch.from_numpy(np.linalg.inv(root))
    chain = pa.table(gaussian_chain(ROWS, np.zeros(features), root, np.random.default_rng(seed)))
    found = pf.evidence(
        chain, log_density=lambda x: -0.5 * (x @ inverse.T).square().sum(-1), flow="gaussian", seed=seed
    )
    return scores(found, log_normalizer(root))


def posterior(name: str, seed: int) -> dict[str, Any]:
    """Scores of the three estimators of log Z with a flow."""
    generator = np.random.default_rng(seed)
    if name == "banana":
        chain, truth, _ = targets.banana_rows(ROWS, generator)
        target = targets.banana_log_density
    elif name == "funnel":
        chain, target, truth = targets.funnel_rows(ROWS, generator)
    else:
        chain, target, truth = targets.eight_schools_rows(ROWS, generator)
    return scores(
        pf.evidence(chain, log_density=target, seed=seed, independent=True, max_steps=STEPS, progress=False), truth
    )


def scores(found: Any, truth: float) -> dict[str, Any]:
    """Differences from the truth and errors, by estimator, and whether it was said not to trust them."""
    parts = {}
    for name in METHODS:
        estimate = getattr(found, name)
        parts[name] = [estimate.value - truth, estimate.error, bool(estimate.warnings)]
    return parts


def information(seed: int) -> dict[str, Any]:
    """Scores of entropy, divergence and mutual information."""
    a, b = test_information.chains(np.random.default_rng(seed))
    found = pf.information(a, b, flow="gaussian", seed=seed)
    mutual = pf.information(a, groups=test_information.GROUPS, flow="gaussian", seed=seed).mutual_information
    both = (
        ("entropy", found.entropy.bound, test_information.entropy()),
        ("KL(A‖B)", found.divergence, test_information.divergence()),
        ("mutual information", mutual, test_information.shared()),
    )
    return {name: [estimate.value - truth, estimate.error, False] for name, estimate, truth in both}


def shift(size: float, seed: int) -> dict[str, Any]:
    """The score of the probability of a shift."""
    a, b, truth = test_tension.pair(size, np.random.default_rng(seed))
    found = pf.tension(a, b, flow="gaussian", seed=seed).probability
    return {"probability": [found.value - truth, found.error, False]}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One repetition."""
    torch.set_num_threads(1)
    case, seed = job["case"], job["seed"]
    if case.startswith("Gaussian"):
        found = gaussian(int(case.split()[-1]), seed)
    elif case == "information":
        found = information(seed)
    elif case.startswith("shift"):
        found = shift(float(case.split()[-1]), seed)
    else:
        found = posterior(case, seed)
    return {**job, "found": found}


def table(lines: list[dict[str, Any]]) -> list[str]:
    """Shares within one and two errors, by case and estimate, as Markdown."""
    text = [
        "| case | estimate | repetitions | within 1 error | within 2 errors | mean error | not to be trusted |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in (case for cases in CASES.values() for case in cases):
        of_case = [line["found"] for line in lines if line["case"] == case]
        for name in of_case[0] if of_case else ():
            difference, error, warned = np.array([found[name] for found in of_case]).T
            score = np.abs(difference) / error
            cells = [len(score), f"{(score < 1).mean():.0%}", f"{(score < 2).mean():.0%}", f"{error.mean():.3g}"]
            text.append(f"| {case} | {name} | {' | '.join(map(str, cells))} | {int(warned.sum())} |")
    return text


def main() -> None:
    """Read the options, run what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE / "chains.jsonl")
    options = parser.parse_args()
    done = {(line["case"], line["seed"]) for line in runs.read(options.results)}
    jobs = [
        {"case": case, "seed": seed}
        for seed in range(options.repetitions)
        for group in options.cases.split(",")
        for case in CASES[group]
        if (case, seed) not in done
    ]
    try:
        runs.complete(jobs, run, options.processes, options.results)
    finally:
        runs.write_page(
            options.results.with_suffix(".md"),
            "Errors of chains",
            "68% of estimates should lie within one error of the truth and 95% within two.",
            table(runs.read(options.results)),
        )


if __name__ == "__main__":
    main()
