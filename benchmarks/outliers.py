"""Outliers: `FlowOutlierDetector` on ADBench's sets, half of the normal rows in training, beside published figures.

    python benchmarks/outliers.py [--data FOLDER] [--sets glass,WPBC] [--seeds 5] [--seconds 10] [--score combined]
        [--processes 1] [--knn] [--results FILE]

FOLDER (default $PUSHFORWARD_TABLES/outliers, or ../shared/tables/outliers beside the project) has files N_name.npz
with X, (n, D), and y, (n,), 1 for outliers; published_semi_aucroc.csv and published_semi_aucpr.csv, if it has them,
have a row a set and a column a method. Protocol: fewer than 1,000 rows are drawn with replacement to 1,000, of more
than 50,000 so many are kept; the first half of the shuffled normal rows trains, all others are scored once, after the
fit; columns are standardized by the training rows. No label reaches a detector. Each fit is a line of FILE (JSON,
default outliers.jsonl beside this program), and is not repeated; the tables, a page beside FILE, are made of its lines.
--knn runs the mean distance to the five nearest training rows too, in the same splits: published figures of some sets
are far from it.

Source: Han, Hu, Huang, Jiang and Zhao 2022, arXiv:2206.09426; Livernoche, Jain, Hezaveh and Ravanbakhsh 2024,
arXiv:2305.18593, whose protocol and published figures these are.
"""

import argparse
import csv
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from runs import complete, folder_of_sets, read, write_page

HERE = Path(__file__).resolve().parent
FEWEST_ROWS, MOST_ROWS = 1_000, 50_000
OURS, KNN, NEIGHBORS = "pushforward", "kNN", 5
WORDS = """AUROC and AUPRC in per cent, means ± deviations over the seeds, on the rows of ADBench's sets that were not
trained on; half of the normal rows train. Published figures are means over five seeds in the same protocol, and were
not measured here; where the nearest neighbors of the same splits are far from theirs, ranks among them say little."""
MEASURES = {"auroc": ("AUROC", "published_semi_aucroc.csv"), "auprc": ("AUPRC", "published_semi_aucpr.csv")}


def sets_of(folder: Path) -> dict[str, Path]:
    """The files of the sets by their names: "glass" of 14_glass.npz."""
    named = [(path.stem.partition("_")[2] or path.stem, path) for path in folder.glob("*.npz")]
    return dict(sorted(named, key=lambda pair: pair[0].lower()))


def split_of(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, test rows, and which of these are outliers."""
    generator = np.random.default_rng(seed)
    with np.load(path, allow_pickle=False) as found:
        x, outlier = np.asarray(found["X"], dtype=np.float64), np.asarray(found["y"]).ravel() == 1
    kept = np.arange(len(x))
    if len(x) < FEWEST_ROWS:
        kept = generator.choice(kept, FEWEST_ROWS, replace=True)
    elif len(x) > MOST_ROWS:
        kept = generator.choice(kept, MOST_ROWS, replace=False)
    kept = generator.permutation(kept)
    x, outlier = x[kept], outlier[kept]
    normal = np.flatnonzero(~outlier)
    train, test = normal[: len(normal) // 2], np.concatenate([normal[len(normal) // 2 :], np.flatnonzero(outlier)])
    mean, deviation = x[train].mean(0), x[train].std(0)
    constant = np.ptp(x[train], axis=0) == 0
    x = (x - np.where(constant, x[train[0]], mean)) / np.where(constant, 1.0, deviation)
    return x[train], x[test], outlier[test]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One fit and its judgment."""
    import torch
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    import pushforward as pf
    from pushforward.training import fabric  # noqa: F401 (imports come before the clock)

    torch.set_num_threads(1)
    # The first optimizer imports the compiler.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    warnings.simplefilter("ignore")
    train, test, outlier = split_of(Path(job["path"]), job["seed"])
    start = time.perf_counter()
    if job["score"] == KNN:
        search = NearestNeighbors(n_neighbors=NEIGHBORS).fit(train)
        fitted = time.perf_counter()
        oddness = search.kneighbors(test)[0].mean(1)
    else:
        detector = pf.FlowOutlierDetector(max_time=job["limit"], random_state=job["seed"], criterion=job["score"]).fit(
            train
        )
        fitted = time.perf_counter()
        # Metrics take no infinite numbers.
        oddness = -np.nan_to_num(detector.score_samples(test))
    return {
        **{name: job[name] for name in ("set", "seed", "limit", "score")},
        "rows": len(train),
        "columns": train.shape[1],
        "auroc": 100 * float(roc_auc_score(outlier, oddness)),
        "auprc": 100 * float(average_precision_score(outlier, oddness)),
        "seconds": fitted - start,
        "scoring": time.perf_counter() - fitted,
    }


def key(result: dict[str, Any]) -> tuple[Any, ...]:
    """What is not run twice."""
    return (result["set"], result["seed"], result["limit"], result["score"])


def published(path: Path) -> dict[str, dict[str, float]]:
    """{set: {method: percent}} of a table of published figures, empty where there is none."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["set"]: {method: float(value) for method, value in row.items() if method != "set" and value}
            for row in csv.DictReader(file)
        }


def rank_among(value: float, others: list[float]) -> float:
    """1 for the highest; ties have the mean of their ranks."""
    return 1 + sum(other > value for other in others) + sum(other == value for other in others) / 2


def ranks_of(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean rank of each method over the sets, {set: {method: percent}}."""
    ranks: dict[str, list[float]] = {}
    for of_set in figures.values():
        for method, value in of_set.items():
            others = [other for name, other in of_set.items() if name != method]
            ranks.setdefault(method, []).append(rank_among(value, others))
    return {method: statistics.fmean(found) for method, found in ranks.items()}


def table(results: list[dict[str, Any]], folder: Path, peers: list[dict[str, Any]]) -> Iterator[str]:
    """A table in Markdown: a row a set, ours as mean ± deviation over the seeds; then the methods by their ranks.

    Arguments:
        results: of ours.
        folder: of the published figures.
        peers: results of nearest neighbors.
    """
    names = sorted({result["set"] for result in results}, key=str.lower)
    known = {measure: published(folder / file) for measure, (_, file) in MEASURES.items()}
    yield (
        "| set | rows | columns | seeds | AUROC | kNN here | kNN published | best published | rank | AUPRC | kNN here "
        "| kNN published | best published | rank | seconds |"
    )
    yield "|---" * 15 + "|"
    means: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
    for name in names:
        own = [result for result in results if result["set"] == name]
        cells = []
        for measure in MEASURES:
            values = [result[measure] for result in own]
            mean = means[measure][name] = statistics.fmean(values)
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            others = known[measure].get(name, {})
            best = max(others, key=lambda method: others[method]) if others else None
            beside = f"{others[best]:.1f} {best}" if others and best else "-"
            rank = f"{rank_among(mean, list(others.values())):g}" if others else "-"
            near = [peer[measure] for peer in peers if peer["set"] == name]
            told = [f"{statistics.fmean(near):.1f}" if near else "-", f"{others[KNN]:.1f}" if KNN in others else "-"]
            cells += [f"{mean:.1f}{spread}", *told, beside, rank]
        seconds = statistics.fmean(result["seconds"] + result["scoring"] for result in own)
        sizes = f"{own[0]['rows']:,} | {own[0]['columns']:,}"
        yield f"| {name} | {sizes} | {len(own)} | {' | '.join(cells)} | {seconds:.1f} |"
    for measure, (words, _) in MEASURES.items():
        neighbors = {
            name: statistics.fmean(peer[measure] for peer in peers if peer["set"] == name)
            for name in names
            if any(peer["set"] == name for peer in peers)
        }
        yield from ("", *summary(means[measure], neighbors, known[measure], words))


def summary(
    ours: dict[str, float], near: dict[str, float], known: dict[str, dict[str, float]], words: str
) -> Iterator[str]:
    """Ours beside nearest neighbors in the same splits, and methods by mean ranks over sets with published figures."""
    figures = {name: {**known[name], OURS: value} for name, value in ours.items() if name in known}
    line = f"Mean {words} of ours over {len(ours)} sets: {statistics.fmean(ours.values()):.2f}"
    if near:
        ahead = sum(ours[name] > value for name, value in near.items())
        line += f"; of the nearest neighbors in the same splits {statistics.fmean(near.values()):.2f}"
        line += f", and ours is ahead of them on {ahead} of {len(near)}"
    yield line
    if not figures:
        return
    yield from ("", f"| method | mean {words} of {len(figures)} sets | mean rank |", "|---|---|---|")
    ranks = ranks_of(figures)
    for method in sorted(ranks, key=lambda name: ranks[name]):
        values = [of_set[method] for of_set in figures.values() if method in of_set]
        yield f"| {method} | {statistics.fmean(values):.2f} | {ranks[method]:.2f} |"


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--sets", default="", help="default all of the folder")
    parser.add_argument("--seeds", type=int, default=5, help="0 to one below this")
    parser.add_argument("--seconds", type=float, default=10.0, help="of training")
    parser.add_argument("--score", help="of the detector, default its own")
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    parser.add_argument("--knn", action="store_true", help="run nearest neighbors too")
    parser.add_argument("--results", type=Path, default=HERE / "outliers.jsonl")
    options = parser.parse_args()
    folder = folder_of_sets(options.data, "outliers", "ADBench's sets")
    files = sets_of(folder)
    names = [name for name in options.sets.split(",") if name] or list(files)
    missing = [name for name in names if name not in files]
    if missing or not files:
        sys.exit(f"{folder} has no set {', '.join(missing)}: a set is a file N_name.npz with X and y.")
    from pushforward import FlowOutlierDetector

    score = options.score or FlowOutlierDetector().criterion
    done = {key(result) for result in read(options.results)}
    jobs: list[dict[str, Any]] = [
        {"set": name, "path": str(files[name]), "seed": seed, "limit": options.seconds, "score": method}
        for seed in range(options.seeds)
        for name in names
        for method in ([KNN, score] if options.knn else [score])
    ]
    jobs = [job for job in jobs if key(job) not in done]
    complete(jobs, run, options.processes, options.results)
    found = [result for result in read(options.results) if result["set"] in names and result["seed"] < options.seeds]
    ours = [result for result in found if (result["limit"], result["score"]) == (options.seconds, score)]
    lines = list(table(ours, folder, [result for result in found if result["score"] == KNN]))
    print("\n".join(lines))
    write_page(options.results.with_suffix(".md"), "Outliers", WORDS, lines)


if __name__ == "__main__":
    main()
